"""What counters.py and clocks.py make of ncu's and nvidia-smi's words, on stand-ins for both."""

import csv
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "decode"))
import clocks  # noqa: E402
import counters  # noqa: E402

NCU = """#!/bin/sh
case "$*" in *"--context 7 "*) echo nothing; exit 1 ;; esac
echo '==PROF== Connected'
echo '"ID","Kernel Name","Section Name","Metric Name","Metric Unit","Metric Value","Rule Name"'
echo '"0","snapmla_mla_decode","GPU Speed Of Light Throughput","Elapsed Cycles","cycle","613,044",""'
echo '"0","snapmla_mla_decode","SpeedOfLight","","","","a rule"'
echo '"0","snapmla_mla_decode","Command line","arguments","","'"$*"'",""'
"""


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


class Counters(unittest.TestCase):
    def run_on_stand_in(self, *shapes):
        with tempfile.TemporaryDirectory() as folder:
            ncu = pathlib.Path(folder, "ncu")
            ncu.write_text(NCU)
            ncu.chmod(ncu.stat().st_mode | stat.S_IXUSR)
            done = subprocess.run([sys.executable, str(HERE / "decode" / "counters.py"), "snapmla", folder + "/c.csv", *shapes], capture_output=True, text=True,
                                  env={**os.environ, "PATH": folder + ":" + os.environ["PATH"]}, check=False)  # fmt: skip
            return done, rows_of(folder + "/c.csv")

    def test_values_come_without_commas_and_rules_not_at_all(self):
        done, rows = self.run_on_stand_in("128,64,8192,bf16,300")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([(r["shape"], r["metric"], r["value"]) for r in rows][0], ("128,64,8192,bf16,300", "Elapsed Cycles", "613044"))
        self.assertEqual(len(rows), 2)
        for words in ("--format bf16", "--heads 64", "--batch 128", "--context 8192", "--sparse 300", "--clock-control none"):
            self.assertIn(words, rows[1]["value"])

    def test_what_ncu_cannot_count_is_told_and_the_rest_kept(self):
        done, rows = self.run_on_stand_in("1,16,7", "1,16,8192")
        self.assertEqual(done.returncode, 1)
        self.assertIn("1,16,7: ncu counted nothing: nothing: see what this says: ncu --csv", done.stderr)
        self.assertEqual({r["shape"] for r in rows}, {"1,16,8192"})

    def test_another_table_is_refused(self):
        with self.assertRaises(SystemExit):
            counters.parse('"ID","Something"\n"0","1"\n')
        self.assertEqual(counters.parse("no table"), [])

    def test_without_ncu_it_says_so(self):
        done = subprocess.run([sys.executable, str(HERE / "decode" / "counters.py"), "snapmla", "/dev/null"], capture_output=True, text=True, env={"PATH": "/nowhere"}, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ncu is not in PATH", done.stderr)


class Clocks(unittest.TestCase):
    def test_a_line_of_samples(self):
        text = "1980, 2619, 300.10, 40, 0x0000000000000000\n1800, 2619, 690.00, 60, 0x4\n1700, 2619, 699.00, 62, 0x4\n[N/A], 2619, 1, 1, 0x0\n\n"
        rows = clocks.numbers(text)
        self.assertEqual(len(rows), 3)
        self.assertEqual(clocks.summary("1,2,3", rows), ["1,2,3", 2, "1750", "1700", "2619", "694", "699", "61", "0x4:2"])
        self.assertIsNone(clocks.summary("1,2,3", []))

    def test_a_program_that_fails_leaves_no_clocks(self):
        with tempfile.TemporaryDirectory() as folder:
            smi = pathlib.Path(folder, "nvidia-smi")
            smi.write_text("#!/bin/sh\necho '1980, 2619, 70.00, 30, 0x1'\n")
            smi.chmod(smi.stat().st_mode | stat.S_IXUSR)
            for program in ("false", folder + "/none"):
                done = subprocess.run([sys.executable, str(HERE / "decode" / "clocks.py"), program, folder + "/c.csv", "1", "1,16,64"], capture_output=True, text=True,
                                      env={**os.environ, "PATH": folder + ":" + os.environ["PATH"]}, check=False)  # fmt: skip
                self.assertEqual(done.returncode, 1)
                self.assertIn("so that 1,16,64 was not under load", done.stderr)
                self.assertEqual(rows_of(folder + "/c.csv"), [])


if __name__ == "__main__":
    unittest.main()
