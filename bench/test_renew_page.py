"""bench/renew_page.py, bench/figures.py and what bench/readme_figures.py says, on a copy of docs/performance. usage: test_renew_page.py"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "common")]
import figures  # noqa: E402
import programs  # noqa: E402
import renew_page  # noqa: E402
import report  # noqa: E402

PERFORMANCE = pathlib.Path("docs") / "performance"


class Visit(unittest.TestCase):
    """A tree with figures of an H100 and an H200, and an OUTDIR."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root, self.out = pathlib.Path(folder.name) / "tree", pathlib.Path(folder.name) / "visit"
        shutil.copytree(HERE.parent / PERFORMANCE, self.root / PERFORMANCE)
        (self.root / report.TARGETS).parent.mkdir(parents=True)
        for path in (report.TARGETS, "README.md"):
            shutil.copy(HERE.parent / path, self.root / path)
        self.out.mkdir()
        self.h100 = self.root / PERFORMANCE / "h100"

    def tree(self):
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def renew(self, *arguments, device="h100", outdirs=()):
        return subprocess.run([sys.executable, HERE / "renew_page.py", "--root", self.root, *arguments, device, *(outdirs or [self.out])],
                              capture_output=True, text=True, check=False)  # fmt: skip

    def decoded(self, folder, us):
        """The H100's decode.csv with a time of `us` at (128, 128, 8K), as it was written on another machine."""
        notes, rows = programs.read(self.h100 / "decode.csv")
        for row in rows:
            if (row["set"], row["part"], row["mode"], row["flush"], row["batch"], row["heads"], row["tokens"]) == (
                    "target", "decode+combine", "graph", "read", "128", "128", "8192"):  # fmt: skip
                row["median_us"] = us
        notes = [f"command: bin/bench --csv {folder}/decode.csv --ceilings {folder}/ceilings.csv" if n.startswith("command: ") else n for n in notes]
        programs.write(self.out / "decode.csv", notes, rows)

    def test_what_a_visit_left_is_taken_and_the_page_is_of_it(self):
        self.decoded("/tmp/there", "777.7")
        (self.out / "parts.tsv").write_text("# device: cuda:0, NVIDIA H100 80GB HBM3\ndoctor\tok\t41\n")
        (self.out / "layer-one-shape.csv").write_text("no page's\n")
        (self.out / "decode.log").write_text("no page's\n")
        before = self.tree()
        done = self.renew("--no-plots")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("docs/performance/h100: took decode.csv, parts.tsv\n", done.stdout)
        self.assertIn("# command: bin/bench --csv OUTDIR/decode.csv --ceilings OUTDIR/ceilings.csv\n", (self.h100 / "decode.csv").read_text())
        page = (self.root / "docs" / "performance.md").read_text()
        self.assertRegex(page, r"(?m)^\| 128 \| 128 \| 8K \| [\d.]+ \|.* \| 777\.7 \|")
        self.assertIn("| doctor | ok | 41 |", page)
        self.assertNotIn(figures.START, page)
        self.assertIn("by hand: README.md does not say", done.stdout)
        changed = {path.name for path, text in self.tree().items() if before.get(path) != text}
        self.assertEqual(changed, {"decode.csv", "parts.tsv", "performance.md"})
        self.assertEqual(subprocess.run([sys.executable, HERE / "report.py", "--check", self.root], check=False).returncode, 0)

    def test_a_command_s_folder_is_outdir_and_nothing_else_of_it(self):
        for given, due in (("./bin/b --csv ./decode.csv --of ./c.csv x.y", "./bin/b --csv OUTDIR/decode.csv --of OUTDIR/c.csv x.y"),
                           ("bin/b --csv decode.csv", "bin/b --csv decode.csv"), ("bin/b --small", "bin/b --small")):  # fmt: skip
            self.assertEqual(renew_page.relative(f"# command: {given}\na,b\n"), f"# command: {due}\na,b\n")

    def test_the_last_visit_counts(self):
        other = self.out.parent / "later"
        other.mkdir()
        for folder, seconds in ((self.out, 41), (other, 42)):
            (folder / "parts.tsv").write_text(f"doctor\tok\t{seconds}\n")
        self.assertEqual(self.renew(outdirs=[self.out, other]).returncode, 0)
        self.assertEqual((self.h100 / "parts.tsv").read_text(), "doctor\tok\t42\n")

    def refused(self, why, *arguments, **more):
        before = self.tree()
        done = self.renew(*arguments, **more)
        self.assertEqual(done.returncode, 1)
        self.assertIn(why, done.stderr)
        self.assertEqual(self.tree(), before)

    def test_what_is_refused_changes_nothing(self):
        self.refused("none of")
        self.refused("is no folder", outdirs=[self.out / "nowhere"])
        self.refused("DEVICE is a folder's name", device="../h100")
        self.decoded("/tmp/there", "777.7")
        self.refused("decode.csv: measured on cuda:0, NVIDIA H100 80GB HBM3", "--no-plots", device="h200")
        (self.out / "parts.tsv").write_text("doctor\tok\n")
        self.refused("where scripts/gpu.sh writes rows of", "--no-plots")
        (self.out / "decode.csv").unlink()
        self.refused("take a device's first visit whole", device="h300")

    def test_plots_are_drawn_or_nothing_changes(self):
        self.decoded("/tmp/there", "777.7")
        if importlib.util.find_spec("matplotlib") is None:
            self.refused("--no-plots leaves them")
            return
        for name in ("latency.svg", "roofline.svg"):
            (self.h100 / name).unlink()
        self.assertEqual(self.renew().returncode, 0)
        for name in ("latency.svg", "roofline.svg"):
            self.assertIn("<svg", (self.h100 / name).read_text())

    def test_a_soak_is_taken_where_it_went_on(self):
        state = json.loads((self.h100 / "soak.json").read_text())
        (self.out / "soak.json").write_text(json.dumps(state | {"visits": 1, "calls": 5}))
        done = self.renew()
        self.assertIn("soak.json is left", done.stdout)
        self.assertEqual(json.loads((self.h100 / "soak.json").read_text()), state)
        (self.out / "soak.json").write_text(json.dumps(state | {"visits": state["visits"] + 1}))
        self.assertIn("took soak.json", self.renew().stdout)
        self.assertEqual(json.loads((self.h100 / "soak.json").read_text())["visits"], state["visits"] + 1)


class Prose(unittest.TestCase):
    def told(self, text):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            ceilings = [{"group": g, "median": m, "time_us": t} for g, m, t in (("read", 3000, 1), ("read", 3090, 1), ("cold", 1, 31.58), ("cold", 1, 32))]
            programs.write(folder / "ceilings.csv", [], ceilings)
            row = {"set": "target", "mode": "graph", "part": "decode", "flush": "read", "batch": 1, "heads": 16, "tokens": 131072, "top": 0, "median_us": 36.384}
            programs.write(folder / "decode.csv", [], [row, row | {"tokens": 65536, "median_us": 20}])
            (folder / "page.md").write_text(text)
            return [*figures.complaints(folder / "page.md", folder)]

    def test_a_figure_is_that_of_its_file_and_in_the_paragraph(self):
        note = "<!-- figures: decode.csv 1,16,128K decode read {}; ceilings.csv cold 31.6; ceilings.csv read 3090 -->\n"
        self.assertEqual(self.told("It takes 36.4 µs of 31.6 at 3090.\n" + note.format("36.4")), [])
        self.assertEqual(self.told("It takes 36 µs of 31.6 at 3090.\n\n" + note.format("36")), [])
        self.assertEqual(self.told("It takes 37 of 31.6 at 3090.\n" + note.format("37")), ["page.md: decode.csv 1,16,128K decode read is 36 where the page says 37"])
        for paragraph in ("It takes 36.4 of 31.6 at 3090.", "It takes 136 of 31.6 at 3090.", "36\n\nof 31.6 at 3090."):
            self.assertEqual(self.told(paragraph + "\n" + note.format("36")),
                             ["page.md: decode.csv 1,16,128K decode read: the paragraph has no 36, which the comment after it says it has"])  # fmt: skip

    def test_a_difference_is_one_figure(self):
        self.assertEqual(self.told("16.4 more\n<!-- figures: decode.csv 1,16,128K-1,16,64K decode read 16.4 -->"), [])

    def test_what_is_not_there_or_not_understood_is_told(self):
        self.assertEqual(self.told("1\n<!-- figures: decode.csv 1,64,128K decode read 1 -->"),
                         ["page.md: decode.csv 1,64,128K decode read is not there: take the figure out of the page"])  # fmt: skip
        with self.assertRaises(SystemExit) as told:
            self.told("1\n<!-- figures: decode.csv decode read 1 -->")
        self.assertIn("write FILE SHAPE PART FLUSH FIGURE", str(told.exception))

    def test_notes_are_no_part_of_another_page(self):
        for between in ("\n", "\n\n"):
            self.assertEqual(figures.without_notes(f"a{between}<!-- figures: x y 1;\n z w 2 -->\n\nb\n"), "a\n\nb\n")


if __name__ == "__main__":
    unittest.main()
