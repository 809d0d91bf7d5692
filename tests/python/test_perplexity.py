"""The parts of bench/accuracy that need no GPU: intervals by hand, cases, what an earlier run leaves, the texts that prepare.py takes; and
with torch the needles, the model that outliers do not change, decoding at once against decoding one by one, and an evaluation that is resumed."""

import csv
import gzip
import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np

SCRIPTS = pathlib.Path("bench/accuracy").resolve()
sys.path.insert(0, str(SCRIPTS))
import cases  # noqa: E402
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


    def test_blocks_compare_as_their_tokens_do(self):
        rng = np.random.default_rng(2)
        base, other = rng.random((2, 10)), rng.random((2, 10))
        blocks = [b for row, b0 in zip(other, base) for b in paired.blocks_of(row, b0, 4)]
        self.assertEqual([b[:2] for b in blocks], [(0, 4), (4, 4), (8, 2)] * 2)
        got = paired.compare(other, base, 4)
        self.assertAlmostEqual(got["token_rms"], math.sqrt(((other - base) ** 2).mean()))
        self.assertAlmostEqual(got["nats"], (other - base)[:, :8].mean())
        self.assertEqual((got["tokens"], got["blocks"]), (20, 4))


class Cases(unittest.TestCase):
    FORMATS = ["fp8_token", "bf16", "fp8_tensor"]

    def test_names_say_what_is_evaluated(self):
        self.assertEqual(cases.parse("fp8_token/max/single", self.FORMATS), cases.Case("fp8_token/max/single", "fp8_token", 2, True))
        self.assertTrue(cases.parse("torch_fp32", self.FORMATS).torch)
        self.assertTrue(cases.parse("torch_fp32/unrounded", self.FORMATS).torch)
        for wrong in ("fp4", "bf16/fast", "fp8_token/max/balanced", "bf16/single/single"):
            with self.assertRaisesRegex(SystemExit, f"case '{wrong}'"):
                cases.parse(wrong, self.FORMATS)

    def test_the_baseline_is_always_there_and_first(self):
        self.assertEqual([c.name for c in cases.chosen(["fp8_token/max", "bf16"], self.FORMATS)], ["bf16", "fp8_token/max"])
        every = [c.name for c in cases.chosen(None, self.FORMATS)]
        self.assertEqual(every[0], "bf16")
        self.assertLessEqual({"fp8_tensor", "fp8_token/balanced", "fp8_token/max", "bf16/single", "fp8_token/single", "torch_bf16"}, set(every))

    def test_figures_of_another_model_are_refused(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.assertEqual(cases.Kept(folder, {"model": "a"}, True).blocks, {})
            (folder / "summary.json").write_text(json.dumps({"settings": {"model": "a"}, "sink_mass": {}}))
            with self.assertRaisesRegex(SystemExit, "another folder"):
                cases.Kept(folder, {"model": "b"}, True)
            self.assertEqual(cases.Kept(folder, {"model": "b"}, False).blocks, {})


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

    def test_unrounded_latents_are_what_a_cache_rounds(self):
        """Of the same projection: rounded to bf16 they are the others, bit for bit; and attention notices."""
        import torch
        from model import Attention, Shape
        from torch_attend import Torch

        class Watched(Torch):
            def __call__(self, query, query_rope, latent, rope):
                self.given = latent, rope
                return super().__call__(query, query_rope, latent, rope)

        torch.manual_seed(0)
        shape = Shape(60, layers=1, dim=32, heads=2)
        attention, x = Attention(shape).eval(), torch.randn(1, 20, 32)
        angle = torch.arange(20)[:, None] * 0.9 ** torch.arange(shape.rope // 2)
        rounded, unrounded = Watched(shape), Watched(shape, unrounded=True)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            out = [attention(x, torch.full((1,), 166.3), angle.cos(), angle.sin(), attend=way) for way in (rounded, unrounded)]
        for bf16, fp32 in zip(rounded.given, unrounded.given):
            self.assertEqual((bf16.dtype, fp32.dtype), (torch.bfloat16, torch.float32))
            torch.testing.assert_close(fp32.to(torch.bfloat16), bf16, rtol=0, atol=0)
            self.assertGreater(float((fp32 - bf16.float()).abs().max()), 0)
        self.assertGreater(float((out[0] - out[1]).abs().max()), 0)
        torch.testing.assert_close(out[0], out[1], rtol=0, atol=0.1 * float(out[0].abs().max()))

    def test_a_models_dump_is_analysed(self):
        import dump_model
        import tensor_dump
        import torch
        from model import Model, Shape

        torch.manual_seed(0)
        model = Model(Shape(60, layers=2, dim=32, heads=2)).eval()
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "dump.safetensors"
            for scenario, largest in (("plain", 100), ("sink", 166), ("severe", 4096)):
                tensors = dump_model.tensors_of(model, scenario, torch.randint(4, 60, (44,)), 4)
                self.assertEqual([list(tensors[f"layers.1.{what}"].shape) for what in ("latent", "rope", "w_uk", "w_uv", "q_nope", "q_rope")],
                                 [[40, 512], [40, 64], [2, 128, 512], [2, 128, 512], [4, 2, 512], [4, 2, 64]])  # fmt: skip
                top = float(tensors["layers.0.latent"].float().abs().max())
                self.assertTrue(top < largest if scenario == "plain" else top >= largest, (scenario, top))
                tensor_dump.write(path, tensors)
                run = subprocess.run([os.environ["SNAPMLA_PROGRAM"], "analyze", str(path), "--json", "--format", "fp8_token_r4"], capture_output=True, text=True)
                if "need LAPACK" in run.stderr:
                    self.skipTest("there is no LAPACK")
                self.assertEqual(run.returncode, 0, run.stderr)
                layers = json.loads(run.stdout)["layers"]
                self.assertEqual([(l["layer"], l["tokens"], l["queries"], l["queries_given"]) for l in layers], [(0, 40, 4, True), (1, 40, 4, True)])

    def test_decoding_at_once_is_decoding_one_by_one(self):
        run = subprocess.run([sys.executable, str(SCRIPTS / "check.py"), "--tokens", "9", "--device", "cpu"],
                             capture_output=True, text=True)  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def evaluate(self, folder, *arguments):
        run = subprocess.run(
            [sys.executable, str(SCRIPTS / "evaluate.py"), str(folder / "model.pt"), str(folder / "tokens.npz"), str(folder), "--device", "cpu",
             "--length", "40", "--sequences", "1", "--needle-lengths", "40", "--needle-sequences", "1", "--needles", "1", "--block", "8",
             "--batch", "40", "--scenarios", "plain", *arguments], capture_output=True, text=True)  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        with open(folder / "perplexity.csv", newline="") as file:
            return {(r["way"], r["first_token"]): r["nats"] for r in csv.DictReader(file)}

    def test_an_evaluation_is_resumed_with_other_cases(self):
        import checkpoint
        import torch
        from model import Model, Shape

        torch.manual_seed(0)
        values = np.random.default_rng(3).integers(4, 60, 400).astype(np.uint16)
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            checkpoint.save(Model(Shape(60, layers=1, dim=32, heads=2)), folder / "model.pt")
            parts = {f"{part}_{plane}": data for part in ("train", "held_out") for plane, data in prepare.planes(values).items()}
            np.savez_compressed(folder / "tokens.npz", vocab=60, **parts)
            first = self.evaluate(folder, "--cases", "fp8_token/balanced")
            both = self.evaluate(folder, "--resume", "--cases", "bf16/single", "fp8_token/max", "torch_fp32", "torch_fp32/unrounded")
            self.evaluate(folder, "--resume", "--cases", "bf16/single")  # what blocks know of each other stays
            summary = json.loads((folder / "summary.json").read_text())
        self.assertEqual({way for way, _ in first}, {"bf16", "fp8_token/balanced"})
        self.assertEqual({way for way, _ in both}, {"bf16", "fp8_token/balanced", "bf16/single", "fp8_token/max", "torch_fp32", "torch_fp32/unrounded"})
        self.assertEqual({key: both[key] for key in first}, first)
        for at in range(0, 40, 8):
            self.assertEqual(both["bf16/single", str(at)], both["bf16", str(at)])  # the same sums in the same order
        self.assertNotEqual(both["fp8_token/max", "32"], both["bf16", "32"])
        self.assertNotEqual(both["torch_fp32/unrounded", "32"], both["torch_fp32", "32"])
        noise = {e["way"]: e["noise"] for e in summary["perplexity"] if "noise" in e}
        self.assertEqual(set(noise), {"fp8_token/balanced", "bf16/single", "fp8_token/max", "torch_fp32"})
        self.assertGreater(noise["fp8_token/max"]["own_rms"], 0)
        self.assertEqual(noise["bf16/single"]["rms"], 0)
        rounding = next(e for e in summary["perplexity"] if e["way"] == "torch_fp32/unrounded")["against_torch_fp32"]
        self.assertGreater(rounding["token_rms"], 0)


if __name__ == "__main__":
    unittest.main()
