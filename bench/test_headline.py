"""bench/headline and bench/decode/ablation.py: what they make of figures that are known. usage: test_headline.py"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / folder) for folder in ("headline", "common", "decode", "accuracy")]
import ablation  # noqa: E402
import interval  # noqa: E402
import model  # noqa: E402
import page  # noqa: E402
import perplexity  # noqa: E402
import programs  # noqa: E402
import tables  # noqa: E402

TIMES = {("bf16", "off"): 90.0, ("bf16", "on"): 60.0, ("fp8_token", "off"): 50.0, ("fp8_token", "on"): 34.0}
PER_TOKEN = {"bf16": 1152, "fp8_token": 644}


def variant(cache, pipeline):
    return f"mla_decode:rows=16,format={cache},pipeline={pipeline},stages=2"


def write_run(folder, device="cuda:0, A GPU, 132 multiprocessors", output=False):
    """One shape: 128K tokens read at 3000 GB/s; a layer takes 40 µs beside its attention, of which an output takes 10, for 29 MB."""
    notes = ["date: today", f"device: {device}", "command: x"] + (["the emulator: times are modelled"] if "emulator" in device else [])
    figure = {"group": "read", "variant": "r:cluster=1", "median": 3000, "time_us": 1}
    programs.write(folder / "ceilings.csv", notes, [
        figure, {**figure, "group": "wgmma", "variant": "w:kind=e4m3", "median": 1600},
        {**figure, "group": "wgmma", "variant": "w:kind=bf16", "median": 800}, {**figure, "group": "cold", "time_us": 31}])  # fmt: skip
    attention, layer = [], []
    for (cache, pipeline), us in TIMES.items():
        moved = PER_TOKEN[cache] * 131072
        shape = {"batch": 1, "heads": 16, "tokens": 131072}
        held = {"rel_l2": 0.01, "rel_l2_limit": 0.04, "variant": variant(cache, pipeline)}
        attention.append({**shape, "mode": "graph", "part": "decode+combine", "median_us": us, "bytes": moved, "percent_memory": 60,
                          "percent_tensor": 20, **held})  # fmt: skip
        o_bytes = 29e6 if output else 0
        for weights, more in (("bf16", 40), ("fp8", 30)):
            stages = [("attend", us, moved), ("step", us + more, moved + 4e6 + o_bytes)] + ([("output", 10, o_bytes)] if output else [])
            for stage, taken, read in stages:
                layer.append({**shape, "format": cache, "weights": weights, "stage": stage, "us_per_layer": taken, "bytes": read,
                              "kv_bytes_per_token": PER_TOKEN[cache], **held, **({"hidden": 7168, "combine": "fused"} if output else {})})  # fmt: skip
    programs.write(folder / "ablation.csv", notes, attention)
    programs.write(folder / "layer.csv", notes, layer)


def blocks(scenario, way, nats, square=0):
    """square: the mean square of a token's difference to bf16, a little more or less in every second block."""
    return [{"scenario": scenario, "sequence": 0, "first_token": 100 * i, "tokens": 100, "way": way, "nats": 100 * n,
             "squares": 100 * square * (1 + 0.01 * (-1) ** i)} for i, n in enumerate(nats)]  # fmt: skip


class Headline(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def gates(self):
        return {(what, limit): (figure, verdict) for what, limit, figure, verdict in tables.gates(tables.Run(self.folder))}

    def test_gains_are_over_16_bits_one_tile_at_a_time(self):
        fp8, pipelining, both, product, pipelined = ablation.gains(TIMES)
        for value, expected in ((fp8, 1.8), (pipelining, 1.5), (both, 90 / 34), (product, 2.7), (pipelined, 60 / 34)):
            self.assertAlmostEqual(value, expected)

    def test_one_tile_at_a_time_keeps_the_rows(self):
        self.assertEqual(programs.single_buffered("mla_decode:rows=64,stages=4"), "mla_decode:rows=64,pipeline=off,stages=1")
        self.assertEqual(programs.single_buffered("mla_decode:rows=8,stages=4"), "mla_decode:rows=8,pipeline=off,stages=2")

    def test_gates_are_judged_by_the_figures(self):
        write_run(self.folder)
        got = self.gates()
        self.assertEqual(got["cache as allocated, `fp8_token`", "≤ 56 % of bf16"], ("55.9 %", "met"))
        self.assertEqual(got["attention alone, 1, 16, 128K", "≥ 1.7 × bf16"], ("1.76", "met"))
        self.assertEqual(got["attention alone, 1, 16, 128K", "≥ 90 % of the ratio of bytes"], ("99 %", "met"))
        path = self.folder / "ablation.csv"
        path.write_text(path.read_text().replace(",34.0,", ",40.0,"))
        got = self.gates()
        self.assertEqual(got["attention alone, 1, 16, 128K", "≥ 1.7 × bf16"], ("1.50", "missed"))
        self.assertEqual(got["attention alone, 1, 16, 128K", "≥ 90 % of the ratio of bytes"], ("84 %", "missed"))

    def test_modelled_times_are_not_judged(self):
        write_run(self.folder, "emulator, emulated Hopper")
        verdict = {v for (what, _), (_, v) in self.gates().items() if what.startswith("attention")}
        self.assertEqual(verdict, {"not judged: modelled"})

    def test_the_step_is_told_in_tokens_and_of_its_byte_floor(self):
        write_run(self.folder)
        row = next(r for r in tables.step_rows(tables.Run(self.folder)) if r[2:4] == ["fp8_token", "bf16"])
        self.assertEqual(row, ["1, 16, 128K", "TP 8", "fp8_token", "bf16", "74.0", "222", "1.35", "29.5", "40 %", "34.0"])

    def test_the_table_is_beside_the_papers(self):
        write_run(self.folder)
        rows = {r[0]: r[1:] for r in tables.headline_rows(tables.Run(self.folder))}
        where = "tokens/s, layer step, 1, 16, 128K (TP 8), "
        self.assertEqual(rows[where + "bf16 weights on both sides"], ["164", "222", "1.35 ×", "1.73 ×"])
        self.assertEqual(rows[where + "FP8 weights beside FP8"], ["164", "256", "1.56 ×", "1.73 ×"])
        self.assertEqual(rows["cache, GB at 128K, 61 layers"], ["9.21", "5.15", "-44.1 %", "half"])
        self.assertEqual(rows["perplexity, plain text"][2], "not measured")
        self.assertEqual(rows["ablation, attention, 1, 16, 128K: pipelining alone"][2:], ["1.50 ×", "1.3 ×"])

    def test_steps_that_go_on_to_the_output_say_so(self):
        write_run(self.folder)
        text = "\n".join(tables.section(self.folder))
        self.assertIn("up-project ([layer.md]", text)
        self.assertIn("cache and kv_b at", text)
        self.assertNotIn("W_O, MB", text)
        self.assertNotIn("without that merge", text)
        write_run(self.folder, output=True)
        text = "\n".join(tables.section(self.folder))
        self.assertIn("up-project, output ([layer.md]", text)
        self.assertIn("cache, kv_b and W_O, as", text)
        self.assertIn("and W_O alone; the plain products before are", text)
        self.assertIn("attention alone is without that merge", text)

    def test_the_floor_of_a_step_with_an_output_counts_its_weights(self):
        write_run(self.folder, output=True)
        row = next(r for r in tables.step_rows(tables.Run(self.folder)) if r[2:4] == ["fp8_token", "bf16"])
        self.assertEqual(len(row), len(tables.STEP_HEADER + tables.OUTPUT_HEADER))
        self.assertEqual(row[7:], ["39.1", "53 %", "34.0", "10.0", "84.4", "4.0", "29.0"])

    def test_perplexity_is_paired_by_whole_blocks(self):
        rows = blocks("plain", "bf16", [1, 2, 3]) + blocks("plain", "fp8_token", [1.0002, 2.0004, 3.0003]) + blocks("sink", "bf16", [1, 1])
        rows += blocks("plain", "fp8_token/max", [1.0001, 1.9999, 3])
        rows[5]["tokens"] = 50  # cut short: no sample
        write_run(self.folder)
        got = perplexity.summary(rows)
        self.assertEqual([(r["scenario"], r["way"], r["blocks"], r["context"]) for r in got],
                         [("plain", "fp8_token", 2, 200), ("plain", "fp8_token/max", 3, 300)])  # fmt: skip
        self.assertAlmostEqual(float(got[0]["nats"]), 0.0003)
        programs.write(self.folder / "perplexity.csv", ["some ways: of another run"], got)
        text = list(tables.section(self.folder))
        self.assertEqual(text[text.index("- some ways: of another run") - 1], "")
        self.assertIn("| plain | fp8_token/max |", text[text.index("- some ways: of another run") - 2])
        gates = self.gates()
        self.assertEqual(gates["perplexity, plain, `fp8_token`, contexts to 200", "≤ +0.1 %"], ("+0.030 %", "open"))
        self.assertEqual(gates["perplexity, plain, `fp8_token/max`", "within the noise of bf16: the interval holds 0"][1], "met")
        self.assertEqual(gates["perplexity, `fp8_token_r4`", "see above"][1], "not measured")

    def test_a_summary_is_no_perplexity_csv(self):
        """run.py says so before it measures: it has not looked for its programs yet."""
        rows = blocks("plain", "bf16", [1, 2]) + blocks("plain", "fp8_token", [1, 2])
        programs.write(self.folder / "summary.csv", [], perplexity.summary(rows))
        out = self.folder / "out"
        done = subprocess.run([sys.executable, pathlib.Path(perplexity.__file__).with_name("run.py"), "--build", self.folder / "none", "--perplexity",
                               self.folder / "summary.csv", out], capture_output=True, text=True, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("is a summary already", done.stderr)
        self.assertIn("bench/accuracy/run.sh", done.stderr)
        self.assertFalse(out.exists())

    def test_the_noise_of_bf16_is_beside_a_change(self):
        """bf16 is off by 0.0003 and -0.0001 from what no cache has rounded; one way by less from bf16, the other by more."""
        exact, base = [1.0, 2.0, 3.0, 4.0], [1.0003, 1.9999, 3.0003, 4.0]
        own = [b - e for b, e in zip(base, exact)]
        rows = blocks("plain", "bf16", base) + blocks("plain", "torch_fp32/unrounded", exact, 4e-4)
        rows += blocks("plain", "fp8_token/max", [b + 0.5 * o for b, o in zip(base, own)], 1e-4) + blocks("plain", "fp8_token_r4", [b + 0.001 for b in base], 9e-4)
        rows += blocks("severe", "bf16", base) + blocks("severe", "fp8_token_r4/max", [b - 0.001 for b in base], 9e-4)
        write_run(self.folder)
        programs.write(self.folder / "perplexity.csv", [], perplexity.summary(rows))
        run = tables.Run(self.folder)
        got = {r[1]: r[2:] for r in tables.noise_rows(run)}
        self.assertEqual(got["fp8_token/max"][1], "+0.013 ± 0.033 %")
        self.assertEqual(got["fp8_token/max"][2:], ["met", "open", "0.0100", "0.0200", "met"])
        self.assertEqual(got["fp8_token_r4"][2:], ["missed", "missed", "0.0300", "0.0200", "missed"])
        self.assertEqual(got["fp8_token_r4/max"][1:4], ["+0.013 ± 0.033 %", "missed", "missed"])  # by the plain text's
        limit = "within the noise of bf16: the change, either way, no larger than bf16's own"
        self.assertEqual(self.gates()["perplexity, plain, `fp8_token_r4`", limit], ("+0.100 ± 0.000 %; +0.013 ± 0.033 %", "missed"))
        self.assertIn("**The noise of bf16.**", "\n".join(tables.section(self.folder)))

    def test_the_gates_verdict_is_the_noise_tables(self):
        """A change that has no sign on the blocks of the unrounded way, and one on all of its own."""
        rows = blocks("plain", "bf16", [1.0] * 8) + blocks("plain", "torch_fp32/unrounded", [1.0, 1.0001], 1e-4)
        rows += blocks("plain", "fp8_token/max", [1.001, 0.9995] + [1.001] * 6, 1e-4)
        write_run(self.folder)
        programs.write(self.folder / "perplexity.csv", [], perplexity.summary(rows))
        (row,) = (r for r in tables.noise_rows(tables.Run(self.folder)) if r[1] == "fp8_token/max")
        figure, verdict = self.gates()["perplexity, plain, `fp8_token/max`", tables.NOISE_GATES["holds_zero"]]
        self.assertEqual((figure, row[4], verdict), ("+0.081 ± 0.044 %", "met", "met"))

    def test_without_unrounded_latents_the_noise_is_not_measured(self):
        rows = blocks("plain", "bf16", [1, 2]) + blocks("plain", "fp8_token/max", [1, 2.0001])
        write_run(self.folder)
        programs.write(self.folder / "perplexity.csv", [], perplexity.summary(rows))
        got = self.gates()
        self.assertEqual(got["perplexity, plain, `fp8_token/max`", tables.NOISE_GATES["no_larger"]], ("–", "not measured"))
        self.assertNotIn("**The noise of bf16.**", "\n".join(tables.section(self.folder)))

    def test_an_interval_without_width_is_open(self):
        self.assertEqual(interval.gate(*interval.interval([0.0])), "open")

    def test_weights_are_those_of_the_published_dimensions(self):
        self.assertEqual(model.weights(1), 7168 * 2112 + 128 * (1536 * 192 + 256 * 512 + 128 * 7168))
        self.assertAlmostEqual(model.cache_gb(644, 131072), 5.149, 3)

    def test_the_page_has_every_run(self):
        (self.folder / "docs/headline").mkdir(parents=True)
        self.assertIn("No run on a GPU", page.page(self.folder))
        for name in ("a", "b"):
            (self.folder / "docs/headline" / name).mkdir()
            write_run(self.folder / "docs/headline" / name, f"cuda:0, GPU {name}, 132 multiprocessors")
        text = page.page(self.folder)
        self.assertIn("## GPU a\n", text)
        self.assertIn("## GPU b\n", text)
        self.assertIn("| attention | 1 | 16 | 128K | 90.0 | 60.0 | 50.0 | 34.0 | 1.80 | 1.50 | 2.65 | 2.70 | 1.76 |", text)
        self.assertIn("1.8 × 1.3 becomes 1.73", text)


if __name__ == "__main__":
    unittest.main()
