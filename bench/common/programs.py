"""Running the programs of bench/ and the command-line program from scripts: Python's standard library alone."""

import argparse
import csv
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Row(dict):
    """A row of a file, which says what is wrong with the file where a column is missing."""

    def __init__(self, path, fields):
        super().__init__(fields)
        self.path = path

    def __missing__(self, name):
        sys.exit(f"{self.path} has no column '{name}': it is of another version of the program; measure anew (bench/README.md)")


def text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}; bench/README.md says which file is written by what")


def read(path):
    """The comment lines' contents and the rows."""
    lines = text_of(path).splitlines()
    notes = [line[2:] for line in lines if line.startswith("# ")]
    rows = [Row(path, fields) for fields in csv.DictReader(line for line in lines if not line.startswith("#"))]
    if not rows:
        sys.exit(f"{path} has no rows: the program that wrote it failed; measure anew (bench/README.md)")
    return notes, rows


def write(path, notes, rows):
    """Rows of one program, as it writes them: comment lines, a head, quoted variants."""
    out = io.StringIO()
    for note in notes:
        print("#", note, file=out)
    table = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    path.write_text(out.getvalue(), encoding="utf-8")


def table(header, rows):
    """Lines of Markdown."""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def renew(doc, root, pages, command):
    """What a script that writes pages does with its arguments, [--check] [ROOT]: `pages` gives each page's path and text under ROOT (`root`). With --check
    nothing is written, and a page that is another ends it; `command` makes them."""
    rest = [word for word in sys.argv[1:] if word != "--check"]
    if rest and rest[0] in ("-h", "--help"):
        print(doc)
        return
    if len(rest) > 1 or any(word.startswith("-") for word in rest):
        sys.exit(doc)
    for target, text in pages(pathlib.Path(rest[0]) if rest else root):
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv[1:]:
            sys.exit(f"{target} is not what the figures beside it say: run {command}")
        target.write_text(text, encoding="utf-8")


def way_of(rows):
    """What times of a decode step are told by: replayed graphs, where there are any."""
    return "graph" if any(r["mode"] == "graph" for r in rows) else "launch"


def parser_of(doc):
    """The arguments of a script that runs programs on a device."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--build", default="build/portable")
    return parser


def axis(variant, name):
    """The value of an axis in a variant's text."""
    found = re.search(rf"[:,]{name}=([^,;]*)", variant)
    if not found:
        sys.exit(f"the variant {variant} has no axis {name}: the space has changed, and this script with it must")
    return found[1]


def single_buffered(variant):
    """The override for the same decode kernel, one tile at a time: with 64 rows one stage, else one for each of two streams."""
    rows = axis(variant, "rows")
    return f"mla_decode:rows={rows},pipeline=off,stages={1 if rows == '64' else 2}"


class Programs:
    """The programs of a build on one device, for `seconds` from now. A program that fails ends the script, with what it said; so does one
    that is not done by then."""

    def __init__(self, build, device, small, seconds=3600.0):
        self.build, self.device, self.small = pathlib.Path(build).resolve(), device, small
        self.end = time.monotonic() + seconds

    def left(self):
        return self.end - time.monotonic()

    def call(self, name, *arguments):
        path = self.build / "bin" / name
        if not path.exists():
            sys.exit(f"{path} is not there: build with SNAPMLA_TESTS=ON, or name the build with --build")
        command = [str(path), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=max(self.left(), 1))
        except subprocess.TimeoutExpired:
            sys.exit(f"{' '.join(command)}: the time is over; give more with --seconds")
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:], sep="\n", file=sys.stderr)
            print(f"{' '.join(command)}: exit status {done.returncode}", file=sys.stderr)
            sys.exit(3 if done.returncode == 3 else 1)
        return done.stdout

    def rows(self, name, *arguments):
        """The notes and rows of the CSV that a program of bench/ writes."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "out.csv"
            self.call(name, "--device", self.device, *(["--small"] if self.small else []), *arguments, "--csv", str(path))
            notes, rows = read(path)
        # The file is gone when the script ends: it is no part of the command that is noted.
        return [note.replace(f" --csv {path}", "") for note in notes], rows

    def checked(self, verb, *arguments):
        """What `snapmla run` or `snapmla layer` says of a result held against the double-precision reference."""
        few = ["--emulator-sms", "4"] if self.device == "emulator" else []
        return json.loads(self.call("snapmla", verb, "--device", self.device, *few, *arguments, "--json"))
