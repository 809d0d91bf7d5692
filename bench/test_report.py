"""bench/report_parts.py: what it makes of figures that are known. usage: test_report.py"""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "common")]
import programs  # noqa: E402
import report_parts  # noqa: E402

NOTES = ["date: today", "command: snapmla-bench-layer --hidden 7168"]


def stage(name, us, moved, cache="bf16", weights="bf16"):
    return {"batch": 1, "heads": 16, "tokens": 131072, "format": cache, "weights": weights, "layers": 16, "hidden": 7168, "stage": name,
            "us_per_layer": us, "bytes": moved}  # fmt: skip


class Parts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_what_was_not_measured_is_not_there(self):
        self.assertEqual([*report_parts.layer_part(self.folder, 3000), *report_parts.shards_part(self.folder)], [])

    def test_a_step_is_beside_its_stages_its_floor_and_bf16(self):
        rows = [stage("step", 100, 150e6), stage("attend", 60, 120e6), stage("output", 12.34, 29e6)]
        rows += [stage("step", 80, 90e6, "fp8_token"), stage("step", 50, 60e6, "fp8_token", "fp8")]
        programs.write(self.folder / "layer.csv", NOTES, rows)
        text = list(report_parts.layer_part(self.folder, 3000))
        self.assertIn("| 1, 16, 128K | bf16 | bf16 | 100.0 | 1.00 | 50 % | – | – | 60.0 | – | 12.3 |", text)
        self.assertIn("| 1, 16, 128K | fp8_token | bf16 | 80.0 | 1.25 | 38 % | – | – | – | – | – |", text)
        self.assertIn("| 1, 16, 128K | fp8_token | fp8 | 50.0 | 2.00 | 40 % | – | – | – | – | – |", text)
        self.assertIn("output of 7168 channels by W_O", text[3])

    def test_without_bf16_there_is_nothing_to_compare_with(self):
        programs.write(self.folder / "layer.csv", NOTES, [stage("step", 80, 90e6, "fp8_token") | {"hidden": 0}])
        text = list(report_parts.layer_part(self.folder, 3000))
        self.assertIn("| 1, 16, 128K | fp8_token | bf16 | 80.0 | – | 38 % | – | – | – | – | – |", text)
        self.assertNotIn("W_O", text[3])

    def test_every_file_of_shards_is_told_and_bits_that_differ_stand_out(self):
        row = {"tokens": 262144, "ranks": 2, "heads": 16, "format": "bf16", "way": "a graph", "rel_l2": "2.6e-03", "lse_error": "1e-06", "same_bits": 1,
               "step_us": "60.10", "decode_us": "40.00", "merge_us": "2.50", "device": "A GPU"}  # fmt: skip
        programs.write(self.folder / "shards-bf16.csv", [], [row])
        programs.write(self.folder / "shards-calls.csv", [], [row | {"tokens": 65, "way": "calls", "same_bits": 0, "step_us": ""}])
        text = list(report_parts.shards_part(self.folder))
        self.assertIn("| 256K | 2 | 16 | bf16 | a graph | 60.10 | 40.00 | 2.50 | 2.6e-03 | 1e-06 | same |", text)
        self.assertIn("| 65 | 2 | 16 | bf16 | calls | – | 40.00 | 2.50 | 2.6e-03 | 1e-06 | **differ** |", text)


if __name__ == "__main__":
    unittest.main()
