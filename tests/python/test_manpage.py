"""The man page is what the program's help says, names every option that a command takes, and troff takes it as it is."""

import os
import re
import shutil
import subprocess
import sys
import unittest

PROGRAM = os.environ["SNAPMLA_PROGRAM"]


def said(*words):
    return subprocess.run([PROGRAM, *words], check=True, capture_output=True, text=True).stdout


class ManPage(unittest.TestCase):
    def setUp(self):
        with open("docs/snapmla.1", encoding="utf-8") as file:
            self.page = file.read()

    def section(self, name):
        return self.page.split(f".SH {name}\n")[1].split("\n.SH ")[0] + "\n"

    def test_commands_are_those_of_the_program(self):
        program = re.findall(r"^  ([a-z]+) +(.+)$", said("--help"), re.M)
        self.assertGreater(len(program), 10)
        self.assertEqual(re.findall(r"^\.TP\n\.B ([a-z]+)\n(.+)$", self.section("COMMANDS"), re.M), program)

    def test_it_is_what_the_generator_writes(self):
        run = subprocess.run([sys.executable, "scripts/man_page.py", "--check", PROGRAM], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_every_option_of_every_command_is_there(self):
        commands = re.findall(r"^\.B ([a-z]+)$", self.section("COMMANDS"), re.M)
        usage = dict(re.findall(r"^\.SS ([a-z]+)\n((?:(?!\.SS ).*\n)*)", self.section("USAGE"), re.M))
        self.assertEqual(list(usage), commands)
        for command in commands:
            options = re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", said(command, "--help"), re.M)
            listed = re.search(r"^Options: (.+)\.$", usage[command], re.M)[1].replace("\\-", "-").split()
            self.assertEqual(listed, options, command)
            for option in options:
                self.assertRegex(self.section("OPTIONS").replace("\\-", "-"), rf"(?m)^\.B (-\w, )?{option}( |$)", command)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed: the page is not typeset")
    def test_troff_has_no_complaint(self):
        run = subprocess.run(["groff", "-man", "-Tascii", "-ww", "docs/snapmla.1"], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        for heading in ("COMMANDS", "USAGE", "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS"):
            self.assertIn(heading, re.sub(".\x08", "", run.stdout))


if __name__ == "__main__":
    unittest.main()
