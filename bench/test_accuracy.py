"""bench/accuracy's pages: what they make of figures that are known. usage: test_accuracy.py"""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / folder) for folder in ("accuracy", "common")]
import accuracy_page  # noqa: E402
import analysis  # noqa: E402
import noise  # noqa: E402

ERRORS = {"latent": 0.02, "latent_visible": 0.02, "bound": 5.0, "bound_data": 3.0, "seen": 0.03, "seen_key": 0.031, "seen_value": 0.029}
UP = {"sigma_max": 2.0, "sigma_min": 1.0, "rank": 2, "cond": None, "cond_visible": 2.0, "visible": 0.5}


def report(layers):
    """Two heads a layer, of which the second errs twice as much; layer N by N + 1 times as much."""
    out = []
    for layer in range(layers):
        formats = []
        for name, levels in (("fp8_token", ("fast", "max")), ("bf16", ("fast",))):
            error = 0.01 * (layer + 1) if name == "fp8_token" else 0.0
            heads = [{**ERRORS, "attention": {level: error * h for level in levels}} for h in (1, 2)]
            formats.append({**ERRORS, "format": name, "bytes_per_token": 644.0, "kv_scale": 0.1, "rope": 0.001, "worst_token": 0.1,
                            "levels": [{"accuracy": level, "attention": error} for level in levels], "heads": heads})  # fmt: skip
        out.append({"layer": layer, "tokens": 70, "up": UP, "heads": [UP, UP], "formats": formats,
                    "recommended": None if layer else {"format": "fp8_token", "accuracy": "max"}})  # fmt: skip
    return {"budget": 0.01, "layers": out}


def compared(percent):
    return {"perplexity_percent": percent, "perplexity_percent_low": percent - 0.01, "perplexity_percent_high": percent + 0.01, "nats": percent / 100,
            "nats_half_width": 1e-4, "tokens": 4096, "blocks": 4, "token_rms": 0.01}  # fmt: skip


class Analysis(unittest.TestCase):
    def test_every_layer_format_and_head_has_a_row(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.csv"
            analysis.write(path, analysis.rows_of("plain", report(2)))
            rows = analysis.read(path)
        self.assertEqual(len(rows), 2 * 2 * 3)
        self.assertEqual([(r["layer"], r["head"], r["format"]) for r in rows[:4]],
                         [("0", "all", "fp8_token"), ("0", "0", "fp8_token"), ("0", "1", "fp8_token"), ("0", "all", "bf16")])  # fmt: skip
        self.assertEqual((rows[2]["max"], rows[2]["balanced"], rows[2]["rope"], rows[0]["rope"], rows[0]["recommended"]), ("0.02", "", "", "0.001", "max"))
        table = list(analysis.table_rows(rows))
        self.assertEqual(table[0], ["`fp8_token`", "2.0e-02", "3.1e-02", "2.9e-02", "1.0e-02 to 2.0e-02", "–", "1.0e-02 to 2.0e-02",
                                    "4.0e-02 (layer 1, head 1, `fast`)"])  # fmt: skip
        self.assertEqual(table[1][4:], ["0", "–", "–", "–"])
        self.assertEqual(analysis.recommended(rows), "layer 0: `fp8_token`, `max`; layer 1: none")

    def test_a_format_that_no_level_was_computed_of_is_told_without(self):
        rows = [{**row, **dict.fromkeys(analysis.LEVELS, "")} for row in analysis.rows_of("plain", report(1))]
        self.assertEqual([row[4:] for row in analysis.table_rows([{k: str(v) for k, v in row.items()} for row in rows])], [["–"] * 4] * 2)


class Page(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "docs/accuracy/a").mkdir(parents=True)
        marks = "\n\n".join("\n\n".join(pair) for pair in accuracy_page.MARKS.values())
        self.page = self.root / "docs/accuracy.md"
        self.page.write_text(f"before\n\n{marks}\n\nafter\n", encoding="utf-8")
        judged = {"nats": 2e-4, "half_width": 1e-4, "rms": 0.01, "own_nats": -1e-4, "own_half_width": 2e-4, "own_rms": 0.02, "blocks": 4,
                  "holds_zero": "missed", "no_larger": "open", "no_wider": "met"}  # fmt: skip
        entries = [{"scenario": "plain", "way": "bf16", "perplexity": 12.5},
                   {"scenario": "plain", "way": "fp8_token_r4/max", "perplexity": 12.6, "against_bf16": compared(0.02), "noise": judged},
                   {"scenario": "plain", "way": "torch_fp32/unrounded", "perplexity": 12.5, "against_bf16": compared(0), "against_torch_fp32": compared(-0.01)},
                   {"scenario": "plain", "way": "bf16/single", "perplexity": 12.5, "against_bf16": {**compared(0), "blocks": 2}}]  # fmt: skip
        needles = [{"length": 4096, "way": "bf16", "asked": 8, "right": 0.875}]
        summary = {"device": "A GPU", "torch": "2.11", "length": 2048, "perplexity": entries, "needles": needles}
        (self.root / "docs/accuracy/a/summary.json").write_text(json.dumps(summary), encoding="utf-8")

    def run_page(self, *arguments):
        sys.argv = ["accuracy_page.py", *arguments, str(self.root)]
        with contextlib.redirect_stdout(io.StringIO()):
            accuracy_page.main()
        return self.page.read_text(encoding="utf-8")

    def test_a_page_that_is_not_current_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "run python3 bench/accuracy/accuracy_page.py"):
            self.run_page("--check")
        first = self.run_page()
        self.assertEqual(self.run_page("--check"), first)
        self.assertTrue(first.startswith("before\n\n<!-- perplexity:"))
        self.assertTrue(first.endswith("<!-- /analysis -->\n\nafter\n"))

    def test_tables_tell_the_change_the_noise_and_the_needles(self):
        text = self.run_page()
        self.assertIn("| `fp8_token_r4`, level `max` | +0.020 (+0.010 to +0.030) |", text)
        self.assertIn("| plain | `fp8_token_r4`, level `max` | +0.020 ± 0.010 | −0.010 ± 0.020 | missed | open | 0.0100 | 0.0200 | met |", text)
        self.assertIn("on both sides (plain): +0.0100 ± 0.0100 %, rms 0.0100.", text)
        self.assertIn("4,096 tokens", text)
        self.assertIn("are of 2 to 2 blocks", text)
        self.assertIn("| `bf16` | 7 of 8 |", text)
        self.assertIn("No analysis of a trained model is kept here yet.", text)

    def test_an_analysis_is_told_by_scenario(self):
        folder = self.root / "docs/accuracy/analysis"
        folder.mkdir()
        analysis.write(folder / "analysis.csv", analysis.rows_of("severe", report(1)))
        text = self.run_page()
        self.assertIn("**Outliers of 2¹²** ([by layer and head](accuracy/analysis/severe.svg)): 1 layers of 2 heads, 70 tokens. Within 1 %: layer 0: `fp8_token`, `max`.", text)
        self.assertIn("| `fp8_token` | 2.0e-02 |", text)


class Noise(unittest.TestCase):
    def test_verdicts_need_the_whole_interval(self):
        self.assertEqual([noise.verdict(*pair) for pair in ((-2, 1), (-1, 2), (1, 2), (2, 1), (1, float("nan")))], ["met", "open", "open", "missed", "open"])

    def test_larger_is_asked_of_no_sign(self):
        """own shifts by 2 ± 0.2, either way; changes by half and by twice as much, either way."""
        own = [2 + 0.1 * (-1) ** k for k in range(16)]
        for sign in (1, -1):
            shift = [sign * o for o in own]
            for change, expected in ((0.5, "met"), (-0.5, "met"), (2, "missed"), (-2, "missed"), (1, "open"), (-1, "open")):
                self.assertEqual(noise.no_larger([change * o for o in own], shift), expected, (sign, change))
        self.assertEqual(noise.no_larger([1], [2]), "open")

    def test_a_way_that_is_nearly_the_unrounded_one_is_not_judged_by_a_coin(self):
        """Its change is bf16's own back, -own, but for a constant, so that own + change is known exactly; own's mean, within a standard error of 0,
        has no sign. Signs that the data chose would say met for one lean of it and missed for the other."""
        for lean in (0.1, -0.1):
            own = [lean + (-1) ** k for k in range(16)]
            self.assertLess(abs(lean), noise.interval(own)[1] / 2)
            for apart in (0, 0.01, -0.01):
                nats = {"bf16": own, "torch_fp32/unrounded": [0] * 16, "torch_fp32": [apart] * 16}
                blocks = {("plain", way): {(0, k): (n, n * n) for k, n in enumerate(values)} for way, values in nats.items()}
                got = noise.judge(blocks, "plain", "torch_fp32")
                self.assertAlmostEqual(got["nats"], apart - lean)
                self.assertEqual((got["holds_zero"], got["no_larger"]), ("met", "open"), (lean, apart))

    def test_blocks_cut_short_are_left_out(self):
        got = noise.blocks_of([("plain", "bf16", 0, 0, 10, 20, 1), ("plain", "bf16", 0, 10, 5, 20, 1)])
        self.assertEqual(got, {("plain", "bf16"): {(0, 0): (2, 0.1)}})
        self.assertIsNone(noise.judge(got, "plain", "fp8_token"))


if __name__ == "__main__":
    unittest.main()
