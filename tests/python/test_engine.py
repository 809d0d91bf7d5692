"""The example engine continues its texts as they are, and within the error of FP8."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "engine"))
import recite  # noqa: E402


class Engine(unittest.TestCase):
    def test_texts_are_recited(self):
        said, worst = recite.recite()
        self.assertEqual(said, [text[: len(got)] for text, got in zip(recite.TEXTS, said)])
        self.assertGreater(min(map(len, said)), 90)
        self.assertLess(worst, 5e-2)
        self.assertGreater(worst, 0)


if __name__ == "__main__":
    unittest.main()
