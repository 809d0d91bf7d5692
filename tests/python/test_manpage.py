"""The man page lists the commands of `snapmla --help`, in its words and its order."""

import os
import re
import subprocess
import unittest


class ManPage(unittest.TestCase):
    def test_commands_are_those_of_the_program(self):
        said = subprocess.run([os.environ["SNAPMLA_PROGRAM"], "--help"], check=True, capture_output=True, text=True).stdout
        program = re.findall(r"^  ([a-z]+) +(.+)$", said, re.M)
        self.assertGreater(len(program), 10)
        with open("docs/snapmla.1", encoding="utf-8") as file:
            section = file.read().split(".SH COMMANDS\n")[1].split(".SH ")[0]
        self.assertEqual(re.findall(r"^\.TP\n\.B ([a-z]+)\n(.+)$", section, re.M), program)


if __name__ == "__main__":
    unittest.main()
