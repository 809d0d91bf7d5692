"""in_turn.py BUILD: two builds on the emulator, one of them with other bits, and what is refused."""

import csv
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATES = HERE.parent / "templates"
BUILD = sys.argv.pop(1)


def in_turn(*words):
    command = [sys.executable, str(HERE / "decode" / "in_turn.py"), "--device", "emulator", "--small", "--build", BUILD, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class InTurn(unittest.TestCase):
    def test_rounds_go_forwards_and_backwards_and_other_bits_are_told(self):
        with tempfile.TemporaryDirectory() as folder:
            edited, out = pathlib.Path(folder, "edited"), pathlib.Path(folder, "out.csv")
            shutil.copytree(TEMPLATES, edited)
            numbers = edited / "common" / "numbers.inc"
            text = numbers.read_text(encoding="utf-8")
            self.assertIn("ln_2 = 0.6931471805599453f", text)
            numbers.write_text(text.replace("0.6931471805599453f", "0.6930f"), encoding="utf-8")  # every lse is another
            done = in_turn("--shape", "1,16,130", "--note", "a trial", out, f"as={TEMPLATES}", f"edited={edited}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("edited has other bits than as with 16 heads", done.stdout)
            self.assertIn("| 1,16,130 |", done.stdout)
            lines = out.read_text(encoding="utf-8").splitlines()
            self.assertIn("# what: a trial", lines)
            read = list(csv.DictReader(line for line in lines if not line.startswith("#")))
            self.assertEqual([(r["round"], r["build"]) for r in read], [("1", "as"), ("1", "edited"), ("2", "edited"), ("2", "as")])
            self.assertTrue(all(float(r[name]) > 0 for r in read for name in ("us", "decode_us", "call_us")))

    def test_what_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "out.csv")
            for words, said in (((out, f"as={TEMPLATES}"), "name two builds or more"), ((out, f"as={TEMPLATES}", f"as={TEMPLATES}"), "a name of its own"),
                                ((out, f"as={TEMPLATES}", f"is={folder}"), "a folder that has mla_decode/"),
                                (("--rounds", "0", out, f"as={TEMPLATES}", f"is={TEMPLATES}"), "--rounds 0: one or more")):  # fmt: skip
                done = in_turn(*words)
                self.assertEqual(done.returncode, 1)
                self.assertIn(said, done.stderr)
                self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
