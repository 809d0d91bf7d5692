"""bench/report.py and report_parts.py: what they make of figures that are known. usage: test_report.py"""

import json
import pathlib
import shutil
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "common")]
import programs  # noqa: E402
import report  # noqa: E402
import report_ceilings  # noqa: E402
import report_counters  # noqa: E402
import report_parts  # noqa: E402
import report_power  # noqa: E402

NOTES = ["date: today", "command: snapmla-bench-layer --hidden 7168"]
SHARDS = {"tokens": 262144, "ranks": 2, "heads": 16, "format": "bf16", "way": "a graph", "rel_l2": "2.6e-03", "lse_error": "1e-06", "same_bits": 1,
          "step_us": "60.10", "decode_us": "40.00", "merge_us": "2.50", "device": "A GPU"}  # fmt: skip


def stage(name, us, moved, cache="bf16", weights="bf16"):
    return {"batch": 1, "heads": 16, "tokens": 131072, "format": cache, "weights": weights, "layers": 16, "hidden": 7168, "stage": name,
            "us_per_layer": us, "bytes": moved}  # fmt: skip


def decoded(us, heads=64, tokens=8192, kind="target", **more):
    """A row of snapmla-bench-decode, as files without the columns q_len, accuracy and sm_mhz have it."""
    return {"set": kind, "batch": 32, "heads": heads, "tokens": tokens, "top": 0, "flush": "read", "mode": "graph", "part": "decode+combine",
            "median_us": us, "percent_memory": 61.4, "percent_tensor": 80.2} | more  # fmt: skip


class Parts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_every_ceiling_is_told(self):
        def row(group, variant, median, unit="GB/s", **more):
            return {"group": group, "variant": variant, "median": median, "unit": unit, "time_us": "30.14", "percent": "", "ceiling_of": "", "sm_mhz": "",
                    "output": "right", **more}  # fmt: skip

        rows = [row("read", f"ceiling_read:stages={s},chunk=8192,cluster={c}", f"{s}{c}0") for c in (1, 2) for s in (10, 2)]
        rows += [row("cold-written", "ceiling_read:stages=3,chunk=8192,cluster=1", "77"), row("copy", "ceiling_copy:stages=2,chunk=64", "88")]
        rows += [row("wgmma", f"ceiling_wgmma:kind=bf16,a=shared,n=8,groups=1,loads={loads}", median, sm_mhz=mhz)
                 for loads, median, mhz in (("none", "11.5", "1700"), ("none", "12.5", "1800"), ("ldmatrix", "10.5", "1650"))]  # fmt: skip
        rows += [row("wgmma+ld", "ceiling_wgmma:kind=bf16,a=shared,n=8,groups=1,loads=ldmatrix", "32.5"),
                 row("rate", "ceiling_rate:op=exp2", "15.99", "op/clk/SM", percent="99.6", ceiling_of="programming guide"),
                 row("signal", "ceiling_cluster:cluster=2", "1788", "clk/trip"), row("signal", "ceiling_cluster:cluster=2", "903", "ns/trip"),
                 row("launch", "graph, 32 threads: first", "3.4", "us"), row("launch", "graph, 32 threads: each further", "1.2", "us")]  # fmt: skip
        names = "date", "command", "device", "nominal clocks", "driver release", "compiler", "runs"
        (self.folder / "card").mkdir()
        file = self.folder / "card" / "ceilings.csv"
        programs.write(file, [f"{name}: cuda:0, A GPU" for name in names], rows)
        text = report_ceilings.page(self.folder).splitlines()
        for line in ("## A GPU", "| bytes | blocks | 2 | 10 |", "| 8192 | 1 | 210 | 1010 |", "| 8192 | 2 | 220 | 1020 |", "| written | 3 | 30.1 | 77 |",
                     "| 64 | 88 |", "| bf16 | shared | 1 | 12.5 |", "| bf16 | shared | 1 | 10.5 |", "| bf16 | shared | 1 | 32.5 |",
                     "| exp2 | 15.99 | op/clk/SM | 100 % | programming guide |", "| 2 | 1788 | 903 |", "| graph, 32 threads | 3.4 | 1.2 |"):  # fmt: skip
            self.assertIn(line, text)
        self.assertIn("1700 to 1800 MHz", "\n".join(text))
        programs.write(file, [f"{name}: cuda:0, A GPU" for name in names], [rows[0] | {"output": "wrong"}])
        with self.assertRaises(SystemExit) as told:
            report_ceilings.page(self.folder)
        self.assertIn("was not right", str(told.exception))

    def test_what_was_not_measured_is_not_there(self):
        self.assertEqual([*report_parts.layer_part(self.folder, 3000), *report_parts.shards_part(self.folder, "A GPU"), *report_parts.tests_part(self.folder, "A GPU"),
                          *report_parts.levels_part(self.folder, "A GPU"), *report_parts.speculative_part(self.folder, "A GPU"),
                          *report_parts.soak_part(self.folder, "A GPU")], [])  # fmt: skip

    def write(self, name, *rows, device="cuda:0, A GPU, 132 multiprocessors"):
        programs.write(self.folder / name, [f"device: {device}"], rows)

    def test_levels_are_beside_fast(self):
        others = [decoded(1, part="decode"), decoded(2, mode="launch"), decoded(3, flush="write"), decoded(4, kind="matrix")]  # none of a table
        self.write("decode.csv", decoded(50), decoded(80, heads=16, top=2048), *others)
        self.assertEqual([*report_parts.levels_part(self.folder, "A GPU")], [])  # fast alone is no table
        self.write("decode-max.csv", decoded(125, q_len=1, accuracy="max"))
        text = [*report_parts.levels_part(self.folder, "A GPU")]
        self.assertIn("| batch, heads, tokens | fast | max | max / fast |", text)
        self.assertIn("| 32, 64, 8K | 50.0 | 125.0 | 2.50 |", text)
        self.assertIn("| 32, 16, top 2048 of 8K | 80.0 | – | – |", text)
        self.write("decode-balanced.csv", decoded(60, q_len=1, accuracy="balanced"), decoded(1200, heads=16, top=2048, q_len=1, accuracy="balanced"))
        text = [*report_parts.levels_part(self.folder, "A GPU")]
        self.assertIn("| 32, 64, 8K | 50.0 | 60.0 | 125.0 | 1.20 | 2.50 |", text)
        self.assertIn("| 32, 16, top 2048 of 8K | 80.0 | 1200 | – | 15.00 | – |", text)

    def test_query_tokens_are_beside_one(self):
        def several(us, q_len, **more):
            return decoded(us, kind="speculative", accuracy="fast", q_len=q_len, **more)

        self.write("decode.csv", decoded(50, kind="context"), decoded(49))
        self.write("decode-speculative.csv", several(75, 2), several(150, 4, percent_memory=90), several(20, 4, tokens=100, percent_memory="", percent_tensor=""))
        text = [*report_parts.speculative_part(self.folder, "A GPU")]
        self.assertIn("| 32, 64, 8K | 2 | 128 | 75.0 | 50.0 | 0.75 | 80 %, tensor |", text)
        self.assertIn("| 32, 64, 8K | 4 | 256 | 150.0 | 50.0 | 0.75 | 90 %, memory |", text)
        self.assertIn("| 32, 64, 100 | 4 | 256 | 20.0 | – | – | – |", text)
        self.assertNotIn("MHz", "\n".join(text))
        self.write("decode-speculative.csv", several(75, 2, sm_mhz=1755), several(150, 4, sm_mhz=""))
        text = [*report_parts.speculative_part(self.folder, "A GPU")]
        self.assertIn("| 32, 64, 8K | 2 | 128 | 75.0 | 50.0 | 0.75 | 80 %, tensor | 1755 |", text)
        self.assertIn("| 32, 64, 8K | 4 | 256 | 150.0 | 50.0 | 0.75 | 80 %, tensor | – |", text)

    def test_another_device_s_levels_are_refused(self):
        self.write("decode.csv", decoded(50))
        self.write("decode-max.csv", decoded(60), device="cuda:0, Another, 132 multiprocessors")
        self.refused(report_parts.levels_part, "A GPU", "decode-max.csv: measured on cuda:0, Another")

    def test_the_table_of_targets_has_a_clock_where_it_was_asked(self):
        root = HERE.parent
        source = next(p for p in sorted((root / "docs" / "performance").iterdir()) if p.is_dir())
        shutil.copytree(source, self.folder / source.name, ignore=shutil.ignore_patterns("decode-*.csv"))  # with clocks of their own
        targets = {report.shape(r): r for r in programs.read(root / "bench" / "decode" / "targets.csv")[1]}
        path = self.folder / source.name / "decode.csv"
        notes, rows = programs.read(path)
        for mhz in ("", "1234"):
            programs.write(path, notes, [{**r, "sm_mhz": mhz if r["heads"] == "128" else ""} for r in rows])
            lines = [*report.device_section(self.folder / source.name, targets, "A GPU")]
            head = next(line for line in lines if line.startswith("| batch | heads | tokens | written")).split(" | ")
            table = [line.split(" | ") for line in lines if line.startswith(("| 1 | 16 | 128K |", "| 128 | 128 | 8K |"))]
            self.assertEqual(len(table), 2)
            self.assertEqual({len(row) for row in table}, {len(head)})
            self.assertEqual([row[head.index("MHz")] for row in table] if mhz else head.count("MHz"), ["–", "1234"] if mhz else 0)
            self.assertEqual(sum("*MHz*" in line for line in lines), 1 if mhz else 0)

    def test_targets_are_as_set_on_the_device_that_they_were_set_on(self):
        def row(us, batch, heads, tokens, flush):
            return {"set": "target", "mode": "graph", "part": "decode+combine", "batch": batch, "heads": heads, "tokens": tokens, "top": 0, "flush": flush, "median_us": us,
                    "percent_memory": 50, "percent_tensor": 20, "sm_mhz": ""}  # fmt: skip

        rows = [programs.Row("decode.csv", {name: str(value) for name, value in row(us, *shape, flush).items()} | {"part": part})
                for shape, times in (((128, 128, 8192), (200, 300)), ((1, 16, 131072), (20, 45))) for us, flush in zip(times, ("read", "write"))
                for part in ("decode+combine", "call")]  # fmt: skip
        targets = {(128, 128, 8192, 0): {"target_us": "255", "stretch_us": "230", "floor_us": "200", "flashmla_bf16_us": "", "vllm_fp8_us": ""},
                   (1, 16, 131072, 0): {"target_us": "42", "stretch_us": "37", "floor_us": "30", "flashmla_bf16_us": "", "vllm_fp8_us": ""}}  # fmt: skip
        as_set, elsewhere = ({cells[0]: cells[3:8] for cells in report.target_rows(rows, {}, targets, 15, 60, same)} for same in (True, False))
        # Floors here: half of 200; of one request the cold reads, 15 after a flush by reading, 60 after one by writing.
        self.assertEqual(as_set["128"], ["300.0", "255.0", "missed by 17.6 %", "200.0", "**goal**"])
        self.assertEqual(elsewhere["128"], ["300.0", "127.5", "missed by 135.3 %", "200.0", "missed by 56.9 %"])
        self.assertEqual(as_set["1"], ["45.0", "42.0", "missed by 7.1 %", "20.0", "missed by 90.5 %"])  # read: 42 · 15 / 60
        self.assertEqual(elsewhere["1"], ["45.0", "84.0", "**goal**", "20.0", "met"])  # 42 · 60 / 30, and 42 · 15 / 30

    def test_a_part_s_links_are_from_the_page(self):
        text = "a [k](../kernel.md#x), [c](ceilings.md), [w](https://a.b/c.md) and [h](#here)\n<!-- figures: a b c -->\nend"
        self.assertEqual(report.included(text), "a [k](kernel.md#x), [c](performance/ceilings.md), [w](https://a.b/c.md) and [h](#here)\nend")

    def test_the_targets_say_whose_they_are(self):
        notes, _ = programs.read(HERE.parent / report.TARGETS)
        self.assertEqual(report_parts.facts_of(notes)["device"], "NVIDIA H200")
        page = report.page(HERE.parent)
        rows = {product: next(line for line in section.splitlines() if line.startswith("| 128 | 128 | 8K |")).split(" | ")
                for product, section in ((s.split("\n", 1)[0], s) for s in page.split("\n## ")) if product.startswith("NVIDIA")}  # fmt: skip
        self.assertEqual(rows["NVIDIA H200"][4], "255.0")
        self.assertNotEqual(rows["NVIDIA H100 80GB HBM3"][4], "255.0")

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
        programs.write(self.folder / "shards-bf16.csv", [], [SHARDS])
        programs.write(self.folder / "shards-calls.csv", [], [SHARDS | {"tokens": 65, "way": "calls", "same_bits": 0, "step_us": ""}])
        text = list(report_parts.shards_part(self.folder, "A GPU"))
        self.assertIn("| 256K | 2 | 16 | bf16 | a graph | 60.10 | 40.00 | 2.50 | 2.6e-03 | 1e-06 | same |", text)
        self.assertIn("| 65 | 2 | 16 | bf16 | calls | – | 40.00 | 2.50 | 2.6e-03 | 1e-06 | **differ** |", text)
        self.assertEqual(sum("`shards-bf16.csv`, `shards-calls.csv`: made before" in line for line in text), 1)

    def test_shards_with_a_head_have_it_told_and_their_spread(self):
        notes = ["date: today", "command: torchrun decode.py", "device: cuda:0, A GPU, 132 multiprocessors", "runs: 21, after 3 unseen, of 20 in a row each"]
        programs.write(self.folder / "shards.csv", notes, [SHARDS | {"step_spread_us": "0.12", "decode_spread_us": "0.05", "merge_spread_us": "0.01"}])
        text = list(report_parts.shards_part(self.folder, "A GPU"))
        self.assertIn("| 256K | 2 | 16 | bf16 | a graph | 60.10 ± 0.12 | 40.00 ± 0.05 | 2.50 ± 0.01 | 2.6e-03 | 1e-06 | same |", text)
        self.assertIn("- `shards.csv`: date `today`, command `torchrun decode.py`, device `cuda:0, A GPU, 132 multiprocessors`, "
                      "runs `21, after 3 unseen, of 20 in a row each`", text)  # fmt: skip
        self.assertNotIn("made before", "\n".join(text))

    def test_another_device_s_figures_are_refused(self):
        programs.write(self.folder / "shards.csv", [], [SHARDS])
        self.refused(report_parts.shards_part, "Another", "shards.csv: measured on A GPU, and the folder's decode.csv on Another: move it")
        (self.folder / "parts.tsv").write_text("# device: cuda:0, A GPU\ndoctor\tok\t1\n")
        self.refused(report_parts.tests_part, "Another", "parts.tsv: measured on cuda:0, A GPU, and")
        self.refused(report_parts.tests_part, "GPU", "parts.tsv: measured on cuda:0, A GPU, and")

    def refused(self, part, product, why):
        with self.assertRaises(SystemExit) as told:
            list(part(self.folder, product))
        self.assertIn(why, str(told.exception))

    def test_tests_are_told_with_their_head_where_there_is_one(self):
        (self.folder / "parts.tsv").write_text("doctor\tok\t1\n")  # as it was before heads
        (self.folder / "matrix.tsv").write_text("covering\tcut off\t200\n")
        (self.folder / "python.tsv").write_text("# date: today\n# device: cuda:0, A GPU\n# torch: 2.11\npython-torch\tok\t15\t25\t24\t1\n")
        self.assertEqual(list(report_parts.tests_part(self.folder, "A GPU")), [
            "", "### Correctness on this device", "",
            "| part of `scripts/gpu.sh` | result | seconds |", "|---|---|---|", "| doctor | ok | 1 |",
            "", "### Every pair of options on this device", "",
            "| part of `scripts/gpu_matrix.sh` | result | seconds |", "|---|---|---|", "| covering | cut off | 200 |",
            "", "### The Python package on this device", "",
            "- date: `today`", "- device: `cuda:0, A GPU`", "- torch: `2.11`", "",
            "| part of `scripts/gpu_python.sh` | result | seconds | tests | passed | skipped |", "|---|---|---|---|---|---|",
            "| python-torch | ok | 15 | 25 | 24 | 1 |"])  # fmt: skip

    def test_a_soak_s_sums_and_faults_are_told(self):
        state = {"device": "A GPU", "problems": {"a": {}, "b": {}}, "calls": 1234567.0, "visits": 2.0, "seconds": 61.7, "drifts": 3.0}
        path = self.folder / "soak.json"
        path.write_text(json.dumps(state))
        text = list(report_parts.soak_part(self.folder, "A GPU"))
        self.assertIn("random batches of 2 problems", text[3])
        for line in ("| decode calls | 1,234,567 |", "| visits | 2 |", "| seconds | 61 |", "| of other bits | 3 |", "| failed | 0 |"):
            self.assertIn(line, text)
        path.write_text(json.dumps(state | {"renewed": 4.0}))
        self.assertIn("4 times a problem's bits", list(report_parts.soak_part(self.folder, "A GPU"))[-1])
        self.refused(report_parts.soak_part, "Another", "soak.json: measured on A GPU, and")
        path.write_text("{")
        self.refused(report_parts.soak_part, "A GPU", "copy the file that snapmla-soak --state wrote")

    def test_counters_are_told_by_shape(self):
        head = "# date: today\n# device: A GPU\nshape,section,metric,unit,value\n"
        (self.folder / "counters.csv").write_text(head + '"1,16,131072",Speed,Duration,ns,29632\n"1,16,131072",Speed,DRAM Throughput,%,61.02\n'
                                                  '"128,128,8192,bf16,300",Speed,Duration,ns,508300\n"128,128,8192,bf16,300",Memory,Local Memory Spilling Requests,,no data\n')  # fmt: skip
        text = list(report_counters.counters_part(self.folder, "A GPU"))
        few, many = [line for line in text if line.startswith(("| 1,", "| 128,"))]
        self.assertTrue(few.startswith("| 1, 16, 128K | fp8_token | 29.6 | – | 61 | –"), few)
        self.assertTrue(many.startswith("| 128, 128, top 300 of 8K | bf16 | 508.3 |") and many.endswith("– |"), many)
        with self.assertRaises(SystemExit):
            list(report_counters.counters_part(self.folder, "Another GPU"))

    def test_clocks_are_told_with_the_samples_that_power_capped(self):
        (self.folder / "clocks.csv").write_text("# date: today\n# device, driver, power limit: A GPU, 1.2, 700.00 W\n"
                                                "shape,samples,sm_mhz_median,sm_mhz_least,mem_mhz,power_w_median,power_w_most,temperature_c,reasons\n"
                                                '"128,128,32768",20,1612,1530,3201,690,693,59,0x0:3 0x4:15 0x24:2\n')  # fmt: skip
        text = list(report_counters.clocks_part(self.folder, "A GPU"))
        self.assertIn("| 128, 128, 32K | 1612 | 1530 | 3201 | 690 | 693 | 59 | 20 | 17 |", text)
        self.assertTrue(any("Power limit 700.00 W" in line for line in text))
        with self.assertRaises(SystemExit):
            list(report_counters.clocks_part(self.folder, "Another GPU"))

    def drawn(self, *rows, device="cuda:0, A GPU, 132 multiprocessors"):
        """power.csv of rows (load, us, watts, flop, bytes) or, of a decode step, (shape, us, watts); its section."""
        lines = [f"decode,{r[0]},{r[1]},{r[2]},1500,1,1" if r[0][0].isdigit() else f"{r[0]},,,,{r[1]},{r[2]},1600,{r[3]},{r[4]}" for r in rows]
        head = f"# date: today\n# command: power --seconds 4\n# device: {device}\n# each: 4 s, of which the second half counts\nload,batch,heads,tokens,us,watts,sm_mhz,flop,bytes\n"
        (self.folder / "power.csv").write_text(head + "\n".join(lines) + "\n")
        return list(report_power.power_part(self.folder, "A GPU"))

    # What two requests of 1024 tokens ask for, of 40 heads filled up to 64: 131072 rows and tokens, of 1280 and 1024 operations, and 644 bytes a token.
    SCORES, VALUES, READ, NOTHING = ("scores", 10, 500, 167772160, 0), ("values", 8, 600, 134217728, 0), ("read", 12, 300, 0, 1318912), ("nothing", "", 100, 0, 0)

    def test_power_is_told_with_the_least_time_by_it(self):
        text = self.drawn(self.SCORES, self.VALUES, self.READ, ("2,40,1024", 25, 590), ("2,32,1024", 20, 580), self.NOTHING)
        self.assertEqual(text[1], "### Power")
        self.assertIn("each for 4 s, of which the second half counts (`power --seconds 4`, today)", text[3])
        rates = [line.split(" | ", 1)[1] for line in text if " | 1600 | " in line]
        self.assertEqual(rates, ["17 TFLOP/s | 500 | 1600 | 400 |", "17 TFLOP/s | 600 | 1600 | 500 |", "110 GB/s | 300 | 1600 | 200 |", "– | 100 | 1600 | 0 |"])
        # (10 · 400 + 8 · 500 + 12 · 200) / (600 - 100)
        self.assertIn("| 2, 40, 1K | 25.0 | 590 | 1500 | 14.8 | 20.8 | 83 % |", text)
        self.assertIn("| 2, 32, 1K | 20.0 | 580 | 1500 | 11.6 | – | – |", text)
        self.assertTrue(any("draws 600 W meanwhile" in line for line in text))

    def test_the_least_time_by_power_is_at_least_that_of_either_unit(self):
        for read_us, least in ((12, "18.0"), (21, "21.0")):
            text = self.drawn(("scores", 10, 101, 167772160, 0), ("values", 8, 101, 134217728, 0), ("read", read_us, 101, 0, 1318912), ("2,40,1024", 25, 600), self.NOTHING)
            self.assertTrue(any(f" | {least} | " in line for line in text), text)

    def test_power_that_was_not_measured_is_a_dash(self):
        self.assertEqual(list(report_power.power_part(self.folder, "A GPU")), [])
        step = ("2,40,1024", 25, 590)
        for rows in ((step,), (self.SCORES, self.VALUES, step, self.NOTHING), (("scores", 10, "", 167772160, 0), self.VALUES, self.READ, step, self.NOTHING),
                     (self.SCORES, ("values", "", 600, 134217728, 0), self.READ, step, self.NOTHING), (self.SCORES, self.VALUES, self.READ, step, ("nothing", "", "", 0, 0))):  # fmt: skip
            self.assertIn("| 2, 40, 1K | 25.0 | 590 | 1500 | 14.8 | – | – |", self.drawn(*rows))
        text = self.drawn(("scores", "", "", 167772160, 0), ("nothing", "", "", 0, 0), ("2,40,1024", "", ""))  # the emulator's
        self.assertIn("| 2, 40, 1K | – | – | 1500 | – | – | – |", text)
        self.assertIn("| `nothing` | – | – | 1600 | – |", text)
        self.assertFalse(any("nan" in line for line in text))
        self.assertFalse(any("least by power" in line for line in self.drawn(self.SCORES)))

    def test_another_device_s_power_is_refused(self):
        self.drawn(self.SCORES)
        self.refused(report_power.power_part, "Another GPU", "power.csv: measured on cuda:0, A GPU, 132 multiprocessors, and the folder's decode.csv on Another GPU")

    def test_a_table_of_tests_that_is_cut_or_empty_is_refused(self):
        for text, why in (("# date: today\n", "no rows"), ("doctor\tok\n", "['doctor', 'ok']")):
            (self.folder / "parts.tsv").write_text(text)
            self.refused(report_parts.tests_part, "A GPU", f"parts.tsv: {why}, where scripts/gpu.sh writes rows of part, result, seconds: copy")


if __name__ == "__main__":
    unittest.main()
