#!/usr/bin/env python3
"""The paper's table, measured: throughput, memory, accuracy, and the ablation. One command, within 150 seconds on a Hopper GPU.

usage: run.py [--device NAME] [--small] [--build DIR] [--hidden N] [--perplexity CSV] [--seconds N] OUTDIR

Runs snapmla-ceilings, snapmla-bench-layer and snapmla-bench-decode (through bench/decode/ablation.py), holds every variant that was timed
against the double-precision reference, and writes OUTDIR/ceilings.csv, layer.csv, ablation.csv and headline.md. --hidden: channels of the
layer step's output, by W_O (7168, those of a model of 128 heads; 256 with --small; 0: the step ends with the values). --perplexity: the
perplexity.csv that bench/accuracy/run.sh wrote in a run of its own; OUTDIR/perplexity.csv is its summary. On the emulator
(--device emulator --small) times are modelled, and gates on them are not judged. Nothing but Python's standard library is needed.
"""
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common"), str(HERE.parent / "decode")]
import ablation  # noqa: E402
import model  # noqa: E402
import tables  # noqa: E402
from perplexity import summary  # noqa: E402
from programs import Programs, parser_of, read, single_buffered, write  # noqa: E402

KINDS = ["bf16,bf16", "fp8_token,bf16", "fp8_tensor,bf16", "fp8_token,fp8"]  # cache, weights
ABLATED = KINDS[:2]
# batch, heads on the device, tokens: all heads of a model of 128, and its share of eight devices
LAYER_SHAPES, SMALL_LAYER_SHAPES = ["1,128,131072", "1,16,131072"], ["1,4,130"]
SHAPES, SMALL_SHAPES = ["1,16,131072", "1,128,131072", "128,16,8192", "64,64,32768"], ["1,16,130", "2,64,130"]
LAYERS = {True: "2", False: "8"}  # enough to empty L2 for each other: small, in full
SECONDS_A_SHAPE = 25.0
SMALL_HIDDEN = 256


def ceilings(programs):
    return programs.rows("snapmla-ceilings", *(word for group in ("read", "cold", "wgmma") for word in ("--only", group)))


def layer_run(programs, shape, kind, override, hidden):
    """Notes and rows of one kind; each held against the reference on short requests."""
    output = ["--hidden", str(hidden)] if hidden else []
    arguments = ["--shape", shape, "--only", kind, "--layers", LAYERS[programs.small], *output]
    notes, rows = programs.rows("snapmla-bench-layer", *arguments, *(["--variant", override] if override else []))
    cache, weights = kind.split(",")
    # The up-projection's choice follows the context: the checked step has the timed one's.
    checked = f"{rows[0]['variant']};value_project:combine={rows[0]['combine']}"
    said = programs.checked("layer", "--heads", shape.split(",")[1], "--format", cache, "--weights", weights, "--context",
                            ablation.CHECKED_CONTEXT, "--variant", checked, *output)  # fmt: skip
    if rows[0]["variant"] not in said["variants"] or not said["ok"]:
        sys.exit(f"{rows[0]['variant']} was not what was checked, or is wrong: {said}")
    return notes, [{**row, "rel_l2": f"{said['rel_l2']:.3e}", "rel_l2_limit": f"{said['rel_l2_limit']:g}"} for row in rows]


def layers(programs, shapes, hidden):
    notes, all_rows = [], []
    for shape in shapes:
        for kind in KINDS:
            notes, rows = layer_run(programs, shape, kind, None, hidden)
            all_rows += rows
            if kind in ABLATED:
                all_rows += layer_run(programs, shape, kind, single_buffered(rows[0]["variant"]), hidden)[1]
    return [note for note in notes if not note.startswith("command: ")], all_rows


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--perplexity", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("out", type=pathlib.Path)
    o = parser.parse_args()
    if o.hidden is None:
        o.hidden = SMALL_HIDDEN if o.small else model.HIDDEN
    evaluated = None
    if o.perplexity:  # before minutes are measured
        notes, rows = read(o.perplexity)
        evaluated = notes, summary(rows)
    programs = Programs(o.build, o.device, o.small, o.seconds)
    o.out.mkdir(parents=True, exist_ok=True)
    command = "command: bench/headline/run.py " + " ".join(sys.argv[1:])
    with tempfile.TemporaryDirectory() as store:  # a run compiles anew, and leaves nothing behind
        os.environ.setdefault("SNAPMLA_CACHE_DIR", store)
        write(o.out / "ceilings.csv", *ceilings(programs))
        notes, rows = layers(programs, SMALL_LAYER_SHAPES if o.small else LAYER_SHAPES, o.hidden)
        write(o.out / "layer.csv", [*notes, command], rows)
        ablation.measure(programs, SMALL_SHAPES if o.small else SHAPES, o.out / "ablation.csv", command, (o.out / "ceilings.csv").resolve(),
                         0 if o.small else SECONDS_A_SHAPE)  # fmt: skip
    if evaluated:
        write(o.out / "perplexity.csv", *evaluated)
    text = "\n".join(tables.section(o.out)) + "\n"
    (o.out / "headline.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"{o.seconds - programs.left():.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
