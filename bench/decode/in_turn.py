#!/usr/bin/env python3
"""Times builds of the kernels in turn, on one card and in one run: what a change of templates is worth.

usage: in_turn.py [--device NAME] [--small] [--build DIR] [--shape B,H,T[,K]]... [--rounds N] [--options TEXT] [--note TEXT] OUT.csv NAME=TEMPLATES NAME=TEMPLATES...

TEMPLATES: a folder like this tree's templates/, of another revision (git worktree add, or git archive REVISION templates) or edited. First the bits of a
few requests of each head count are compared with the first build's, and what differs is told. Then each round times every shape of all builds,
forwards and backwards in turn, with snapmla-bench-decode --flush read, or with TEXT in place of that. OUT.csv has all times, written anew after every shape; printed is the
least of the rounds of each, and its ratio to the first build's. A build takes the variants that its plan does: `--options "--flush read --variant ..."` names one.
"""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from programs import ROOT, Programs, parser_of, read, table, way_of, write

SHAPES = ["1,16,131072", "1,64,131072", "1,128,8192", "16,64,8192", "32,64,8192", "64,64,32768", "128,16,8192", "128,128,8192"]
SMALL_SHAPES = ["1,16,130", "2,64,130"]
PARTS = {"decode+combine": "us", "decode": "decode_us", "call": "call_us"}
DECIDES = "us"


def builds_of(words):
    """{name: folder} of NAME=TEMPLATES…"""
    builds = {}
    for word in words:
        name, _, folder = word.partition("=")
        path = pathlib.Path(folder)
        if not name or name in builds or not (path / "mla_decode").is_dir():
            sys.exit(f"{word}: NAME=TEMPLATES was expected, a name of its own and a folder that has mla_decode/, as templates/ does")
        builds[name] = path
    if len(builds) < 2:
        sys.exit("name two builds or more, NAME=TEMPLATES: one alone is compared with nothing")
    return builds


def with_ceilings(builds, scratch):
    """The folders that snapmla-bench-decode finds all kernels in, those that flush and count cycles too."""
    whole = {}
    for number, (name, folder) in enumerate(builds.items()):
        whole[name] = pathlib.Path(scratch) / str(number)
        shutil.copytree(folder, whole[name])
        shutil.copytree(ROOT / "bench" / "ceilings" / "templates", whole[name], dirs_exist_ok=True)
    return whole


def unlike(programs, builds, heads):
    """The builds, with a head count, whose results have other bits than the first's."""
    for head in sorted(heads):
        said = {}
        for name, folder in builds.items():
            said[name] = programs.checked("run", "--templates", str(folder), "--heads", str(head), "--context", "777,65,0,1", "--no-check", "--repeat", "1")["digest"]
            if said[name] != next(iter(said.values())):
                yield f"{name} has other bits than {next(iter(said))} with {head} heads: {said[name]}, {next(iter(said.values()))}"


def times_of(rows):
    """Of one run, by graphs where there are any: the columns of a time."""
    way = way_of(rows)
    out = dict.fromkeys((*PARTS.values(), "mhz"), "")
    for r in rows:
        if r["mode"] == way and r["part"] in PARTS:
            out[PARTS[r["part"]]] = r["median_us"]
            if PARTS[r["part"]] == DECIDES:
                out["mhz"] = r["sm_mhz"]
    return out


def lines(rows, builds):
    """The least of the rounds, and its ratio to the first build's."""
    least = {}
    for r in rows:
        key = r["shape"], r["build"]
        least[key] = min(least.get(key, float("inf")), float(r[DECIDES]))
    first = next(iter(builds))
    shapes = dict.fromkeys(r["shape"] for r in rows)
    return table(["batch, heads, tokens", *builds],
                 ([shape, *(f"{least[shape, name]:.1f}" + (f" ({least[shape, name] / least[shape, first]:.3f})" if name != first else "") for name in builds
                            if (shape, name) in least)] for shape in shapes))  # fmt: skip


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--shape", action="append")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--options", default="--flush read")
    parser.add_argument("--note", default="")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("builds", nargs="+", metavar="NAME=TEMPLATES")
    o = parser.parse_args()
    if o.rounds < 1:
        sys.exit(f"--rounds {o.rounds}: one or more")
    builds, shapes = builds_of(o.builds), o.shape or (SMALL_SHAPES if o.small else SHAPES)
    programs, rows = Programs(o.build, o.device, o.small), []
    with tempfile.TemporaryDirectory() as scratch:
        folders = with_ceilings(builds, scratch)
        for difference in unlike(programs, folders, {int(shape.split(",")[1]) for shape in shapes}):
            print(difference)
        for turn in range(1, o.rounds + 1):
            for shape in shapes:
                for name in builds if turn % 2 else reversed(builds):
                    notes, timed = programs.rows("snapmla-bench-decode", "--shape", shape, "--templates", str(folders[name]), *o.options.split())
                    rows.append({"build": name, "shape": shape, "round": turn, **times_of(timed)})
                kept = [note for note in notes if not note.startswith(("command: ", "templates: "))]
                write(o.out, [*kept, f"command: bench/decode/in_turn.py {' '.join(sys.argv[1:])}", *([f"what: {o.note}"] if o.note else [])], rows)
    print(*lines(read(o.out)[1], builds), sep="\n")


if __name__ == "__main__":
    main()
