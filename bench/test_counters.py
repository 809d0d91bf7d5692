"""What counters.py, stalls.py and clocks.py make of ncu's and nvidia-smi's words, on stand-ins for both."""

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
import stalls  # noqa: E402

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


# Two roles whose loops lie apart, each with a line of its own that runs as often; a loop of score that runs less often; and one without wgmma.
SOURCE = """"Kernel Name","snapmla_mla_decode"
"Address","Source","# Samples","Instructions Executed","stall_long_sb","stall_selected","stall_selected (Not Issued)"
"1","LDSM.16.MT88.4 R28, [R1]","10","1,600","8","2","2"
"2","QGMMA.64x64x32.F32.E4M3.E4M3 R24, R60","30","1,600","0","10","0"
"3","MUFU.EX2 R1, R1","20","800","5","15","0"
"4","QGMMA.64x64x32.F32.E4M3.E4M3 R56","40","800","0","10","0"
"5","MUFU.EX2 R2, R2","1","8","0","1","0"
"6","HGMMA.64x64x16.F32.BF16 R56","1","8","0","1","0"
"7","@!P0 BRA 0x7f3d0f7b4970","20","800","20","0","0"
"8","IADD3 R1, R1, 1","500","900","0","500","0"
"""

NCU_SAMPLES = """#!/bin/sh
case "$*" in
  *"--context 7 "*) echo nothing; exit 1 ;;
  --import*) cat "$(dirname "$0")/source.csv" ;;
  *) while [ "$1" != -o ]; do shift; done; : > "$2.ncu-rep" ;;
esac
"""


class Stalls(unittest.TestCase):
    def test_a_role_is_a_loop_with_wgmma(self):
        found = stalls.roles(stalls.parse(SOURCE))
        self.assertEqual({role: [row["Address"] for row in loop] for role, loop in found.items()}, {"accumulate": ["1", "2"], "score": ["3", "4", "7"]})

    def test_reasons_sum_to_all_samples_and_the_slowest_come_first(self):
        rows = [row for row in stalls.table(stalls.parse(SOURCE)) if row[0] == "score"]
        self.assertEqual([row[2:] for row in rows if row[2] == "reason"],
                         [("reason", "other", "37.5"), ("reason", "long_sb", "31.2"), ("reason", "issued", "31.2")])  # fmt: skip
        self.assertEqual([row[3:] for row in rows if row[2] == "instruction"],
                         [("QGMMA.64x64x32.F32.E4M3.E4M3 R56", "50.0"), ("MUFU.EX2 R1, R1", "25.0"), ("@!P0 BRA", "25.0")])  # fmt: skip

    def test_streams_attend_in_one_loop(self):
        one = SOURCE.replace('"1,600"', '"800"')
        self.assertEqual([row["Address"] for row in stalls.roles(stalls.parse(one))["attend"]], ["1", "2", "3", "4", "7"])

    def test_a_shape_without_samples_is_told_and_the_rest_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            ncu = pathlib.Path(folder, "ncu")
            ncu.write_text(NCU_SAMPLES)
            ncu.chmod(ncu.stat().st_mode | stat.S_IXUSR)
            pathlib.Path(folder, "source.csv").write_text(SOURCE)
            done = subprocess.run([sys.executable, str(HERE / "decode" / "stalls.py"), "snapmla", folder + "/s.csv", "1,64,7", "2,64,8192,bf16,64"],
                                  capture_output=True, text=True, env={**os.environ, "PATH": folder + ":" + os.environ["PATH"]}, check=False)  # fmt: skip
            self.assertEqual(done.returncode, 1)
            self.assertIn("1,64,7: nothing: see what this says: ncu", done.stderr)
            self.assertEqual({row["shape"] for row in rows_of(folder + "/s.csv")}, {"2,64,8192,bf16,64"})

    def test_what_cannot_be_read_is_told_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text, says in (("x.csv", '"ID","Something"\n', "x.csv: no table with the columns Source, # Samples, Instructions Executed"),
                                     ("gone.csv", None, "gone.csv cannot be read"), ("binary.csv", b"\xff\xfe", "name what `ncu --import REPORT")):  # fmt: skip
                if text is not None:
                    pathlib.Path(folder, name).write_bytes(text if isinstance(text, bytes) else text.encode())
                done = subprocess.run([sys.executable, str(HERE / "decode" / "stalls.py"), "--read", f"{folder}/{name}", folder + "/s.csv"],
                                      capture_output=True, text=True, check=False)  # fmt: skip
                self.assertEqual(done.returncode, 1)
                self.assertIn(says, done.stderr)
                self.assertFalse(pathlib.Path(folder, "s.csv").exists())

    def test_a_table_that_was_printed_before_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "source.csv").write_text(SOURCE)
            subprocess.run([sys.executable, str(HERE / "decode" / "stalls.py"), "--read", folder + "/source.csv", folder + "/s.csv"], check=True)
            self.assertEqual({(row["shape"], row["role"]) for row in rows_of(folder + "/s.csv")}, {("source.csv", "accumulate"), ("source.csv", "score")})


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
