"""The package's structs against the C headers: sizes, and the offset of every field, as the C compiler sees them.

CC and SNAPMLA_INCLUDE come from ctest."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from snapmla import _structs


def c_numbers():
    """{(struct, field or None): offset or size}"""
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <snapmla/snapmla.h>", "int main(void) {"]
    for struct in _structs.ALL:
        name = struct.C_NAME
        lines.append(f'printf("{name} - %zu\\n", sizeof({name}));')
        for field, _ in struct._fields_:
            lines.append(f'printf("{name} {field} %zu\\n", offsetof({name}, {field}));')
    lines.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "offsets.c"), pathlib.Path(folder, "offsets")
        source.write_text("\n".join(lines))
        include = os.environ["SNAPMLA_INCLUDE"]
        subprocess.run([os.environ["CC"], "-std=c11", "-I", include, str(source), "-o", str(program)], check=True)
        text = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return {tuple(line.split()[:2]): int(line.split()[2]) for line in text.splitlines()}


class Structs(unittest.TestCase):
    def test_sizes_and_offsets_are_those_of_the_headers(self):
        import ctypes

        expected = c_numbers()
        for struct in _structs.ALL:
            self.assertEqual(ctypes.sizeof(struct), expected[struct.C_NAME, "-"], struct.C_NAME)
            for field, _ in struct._fields_:
                self.assertEqual(getattr(struct, field).offset, expected[struct.C_NAME, field], (struct.C_NAME, field))


if __name__ == "__main__":
    unittest.main()
