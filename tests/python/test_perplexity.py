"""The parts of bench/accuracy that need no GPU: intervals by hand, the texts that prepare.py takes; and with torch the needles, the model that
outliers do not change, and decoding at once against decoding one by one."""

import gzip
import importlib.util
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np

SCRIPTS = pathlib.Path("bench/accuracy").resolve()
sys.path.insert(0, str(SCRIPTS))
import paired  # noqa: E402
import prepare  # noqa: E402
import tokens  # noqa: E402

needs_torch = unittest.skipUnless(importlib.util.find_spec("torch"), "torch is missing")


class Paired(unittest.TestCase):
    def test_an_interval_is_students(self):
        mean, half = paired.interval([1, 2, 3])
        self.assertAlmostEqual(mean, 2)
        self.assertAlmostEqual(half, 4.30 / math.sqrt(3))
        self.assertTrue(math.isnan(paired.interval([1])[1]))

    def test_neighbours_are_one_sample(self):
        """Two sequences of two blocks: each block's tokens err alike, so that there are 4 samples and not 16; the ninth is no whole block."""
        base = np.random.default_rng(1).random((2, 9))
        blocks = np.array([[0.01, 0.03], [0.02, 0.02]])
        shift = np.concatenate([np.repeat(blocks, 4, 1), [[5], [5]]], 1)
        got = paired.compare(base + shift, base, 4)
        self.assertAlmostEqual(got["nats"], 0.02)
        self.assertAlmostEqual(got["nats_half_width"], 3.18 * np.std([0.01, 0.03, 0.02, 0.02], ddof=1) / 2)
        self.assertAlmostEqual(got["perplexity_percent"], 100 * (math.exp(0.02) - 1))
        self.assertEqual((got["blocks"], got["gate"]), (4, "missed"))
        for cost, spread, gate in ((0.0005, 0.0001, "met"), (0.0009, 0.002, "open"), (-0.1, 0.001, "met")):
            shift = cost + spread * np.array([[-1], [1], [-1], [1]])
            self.assertEqual(paired.compare(base[:1] + shift, base[:1] + 0 * shift, 9)["gate"], gate)


class Text(unittest.TestCase):
    def test_texts_are_found_once_in_an_order_of_their_own(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "a.txt").write_text("one " * 200)
            (root / "again.rst").write_text("one " * 200)
            (root / "b.pod.gz").write_bytes(gzip.compress(b"two " * 200))
            (root / "short.txt").write_text("short")
            (root / "c.html").write_text("three " * 200)
            (root / "d.txt").write_bytes(b"\xff" * 600)
            self.assertEqual(sorted(prepare.documents([root])), ["one " * 200, "two " * 200])

    def test_tokens_come_back(self):
        values = np.array([0, 255, 256, 4095, 65535], np.uint16)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "tokens.npz"
            parts = {f"{name}_{plane}": data for name in ("train", "held_out") for plane, data in prepare.planes(values).items()}
            np.savez_compressed(path, vocab=9, **parts)
            vocab, training, held_out = tokens.load(path)
        self.assertEqual(vocab, 9)
        np.testing.assert_array_equal(training, values)
        np.testing.assert_array_equal(held_out, values)
        np.testing.assert_array_equal(tokens.sequences(held_out, 2, 9), [[0, 255], [0, 4095]])


@needs_torch
class Model(unittest.TestCase):
    def test_a_needle_is_asked_for_after_it_was_hidden(self):
        import needles
        import torch

        generator = torch.Generator().manual_seed(1)
        rows = torch.full((3, 257), 3)
        weights = needles.strew(rows, 4, 50, generator)
        for row, weight in zip(rows.tolist(), weights.tolist()):
            starts = [i for i, token in enumerate(row) if token == needles.NEEDLE]
            self.assertEqual(len(starts), 8)
            seen = {}
            for at in starts:
                key, value = tuple(row[at : at + 4]), row[at + 4 : at + needles.LENGTH]
                expected = needles.ANSWER_WEIGHT if key in seen else 0.0
                self.assertEqual(weight[at : at + needles.LENGTH], [0.0] * 4 + [expected] * 4)
                self.assertEqual(seen.setdefault(key, value), value)
            self.assertEqual(len(seen), 4)

    def test_the_absorbed_form_and_outliers_change_nothing(self):
        import attend
        import torch
        from model import Model, Shape, make_outliers

        torch.manual_seed(0)
        model = Model(Shape(60, layers=2, dim=32, heads=2)).eval()
        row, sink = torch.randint(4, 60, (1, 40)), torch.full((1,), 12 / model.shape.scale)
        with torch.no_grad():
            plain = model(row, sink)
            absorbed = model(row, sink, attend=[attend.Torch(model.shape, chunk=7)] * 2)
            make_outliers(model, 12)
            severe = model(row, sink, attend=[attend.Torch(model.shape, chunk=7)] * 2)
        torch.testing.assert_close(absorbed, plain, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(severe, absorbed, rtol=0, atol=0)

    def test_decoding_at_once_is_decoding_one_by_one(self):
        run = subprocess.run([sys.executable, str(SCRIPTS / "check.py"), "--tokens", "9", "--device", "cpu"],
                             capture_output=True, text=True)  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
