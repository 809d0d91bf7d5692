"""The example engine continues its texts as they are, over FP8 and over bf16, each within its error; with torch tensors as with
numpy's arrays, and where torch sees a GPU, by replays of a graph."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "engine"))
import recite  # noqa: E402

try:
    import torch
except ImportError:
    torch = None


class Engine(unittest.TestCase):
    def recited(self, count, least, most, **more):
        said, worst = recite.recite(count=count, **more)
        self.assertEqual(said, [text[: len(got)] for text, got in zip(recite.TEXTS, said)])
        self.assertEqual(min(map(len, said)), 12 + count)
        self.assertLess(worst, most)
        self.assertGreater(worst, least)
        return said, worst

    def test_texts_are_recited_over_fp8(self):
        self.recited(80, 1e-2, 5e-2)

    def test_and_over_bf16_with_a_smaller_error(self):
        self.recited(20, 0, 1e-2, kv_format="bf16")

    @unittest.skipIf(torch is None, "torch is not installed: the engine is not tried with its tensors")
    def test_torch_tensors_give_the_same(self):
        self.assertEqual(self.recited(10, 0, 5e-2, torch=torch), self.recited(10, 0, 5e-2))

    @unittest.skipUnless(torch is not None and torch.cuda.is_available(), "torch sees no GPU: no graph is captured")
    def test_replays_of_a_graph_recite_too(self):
        self.recited(80, 1e-2, 5e-2, device="cuda:0")
        self.recited(80, 0, 1e-2, device="cuda:0", kv_format="bf16")


if __name__ == "__main__":
    unittest.main()
