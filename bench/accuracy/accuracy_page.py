#!/usr/bin/env python3
"""accuracy_page.py [--check] [ROOT]: renews the tables of docs/accuracy.md that bench/accuracy measured, between their marks: perplexity and
the noise of bf16 from docs/accuracy/*/summary.json (evaluate.py), the analysis of the trained model from docs/accuracy/analysis/analysis.csv
(analyze_model.sh). With --check nothing is written: exit status 1 where the page is not what the figures say."""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "common")]
import analysis  # noqa: E402
from cases import BASE, EXACT, UNROUNDED  # noqa: E402
from interval import percent  # noqa: E402
from programs import renew, table  # noqa: E402

MARKS = {name: (f"<!-- {name}: written by bench/accuracy/accuracy_page.py -->", f"<!-- /{name} -->") for name in ("perplexity", "analysis")}
TITLES = {"plain": "plain", "sink": "a sink of 12 nats", "outliers": "outliers of 2⁶", "severe": "outliers of 2¹²"}
WAYS = {UNROUNDED: "PyTorch fp32, cache not rounded", EXACT: "PyTorch fp32", "torch_bf16": "PyTorch bf16"}


def called(way):
    """A way as the tables name it."""
    if way in WAYS:
        return WAYS[way]
    name, *words = way.split("/")
    return ", ".join([f"`{name}`", *(f"level `{w}`" if w != "single" else "not pipelined" for w in words)])


def minus(text):
    return text.replace("-", "−")


def change(entry):
    d = entry.get(f"against_{BASE}")
    return minus(f"{d['perplexity_percent']:+.3f} ({d['perplexity_percent_low']:+.3f} to {d['perplexity_percent_high']:+.3f})") if d else ""


def counts(entries, what):
    """The tokens or blocks of the comparisons, by scenario where they differ."""
    by_scenario = {}
    for e in entries:
        if f"against_{BASE}" in e and "single" not in e["way"]:
            by_scenario.setdefault(e[f"against_{BASE}"][what], []).append(TITLES[e["scenario"]])
    if len(by_scenario) == 1:
        return f"{next(iter(by_scenario)):,}"
    return ", ".join(f"{count:,} ({'; '.join(dict.fromkeys(names))})" for count, names in by_scenario.items())


def perplexity_table(summary):
    entries = {(e["scenario"], e["way"]): e for e in summary["perplexity"]}
    scenarios = [s for s in TITLES if (s, BASE) in entries]
    yield from table(["way", *(TITLES[s] for s in scenarios)],
                     [["`bf16`, perplexity", *(f"{entries[s, BASE]['perplexity']:.3f}" for s in scenarios)],
                      *([called(way), *(change(entries.get((s, way), {})) for s in scenarios)]
                        for way in dict.fromkeys(w for _, w in entries) if way != BASE)])  # fmt: skip


def single_text(summary):
    """How much text the ways that are not pipelined had."""
    blocks = [e[f"against_{BASE}"]["blocks"] for e in summary["perplexity"] if "single" in e["way"]]
    if blocks:
        yield f"The rows *not pipelined* are of {min(blocks)} to {max(blocks)} blocks a scenario, evaluated last; those that have fewer than their pipelined one differ from it by that."
        yield ""


def noise_tables(summary):
    # Those that are to be within it, and what is by its making.
    judged = [e for e in summary["perplexity"] if "noise" in e and re.match(r"fp8_token_r4|.*/max$|torch_", e["way"])]
    if not judged:
        return
    yield "The noise of bf16 (below), in the same run. Changes in percent of perplexity; rms: of a token's log-probability, nats."
    yield ""
    rows = []
    for e in judged:
        n = e["noise"]
        figures = (minus(f"{percent(n[p + 'nats']):+.3f}") + f" ± {percent(n[p + 'half_width']):.3f}" for p in ("", "own_"))
        rows.append([TITLES[e["scenario"]], called(e["way"]), *figures, n["holds_zero"], n["no_larger"], f"{n['rms']:.4f}", f"{n['own_rms']:.4f}", n["no_wider"]])
    yield from table(["scenario", "way", "change", "bf16's own", "the interval holds 0", "no larger", "rms", "bf16's own", "no wider"], rows)
    yield ""
    for e in summary["perplexity"]:
        alone = e.get(f"against_{EXACT}", {})
        if e["way"] == UNROUNDED and "token_rms" in alone:
            yield (f"Of bf16's own the rounding of the cache alone, with attention in fp32 on both sides ({TITLES[e['scenario']]}): "
                   + minus(f"{-alone['perplexity_percent']:+.4f}") + f" ± {percent(alone['nats_half_width']):.4f} %, rms {alone['token_rms']:.4f}.")  # fmt: skip
    yield ""


def needles_text(summary):
    """How often each length was answered right."""
    rows = {}
    for e in summary["needles"]:
        rows.setdefault(e["length"], []).append(e)
    lengths = list(rows)
    if lengths:
        yield "Needles answered right, of those asked:"
        yield ""
        ways = [e["way"] for e in rows[lengths[0]] if "single" not in e["way"]]
        by = {(e["length"], e["way"]): e for e in summary["needles"]}
        cells = [[called(way), *(f"{round(by[n, way]['right'] * by[n, way]['asked'])} of {by[n, way]['asked']}" if (n, way) in by else "" for n in lengths)] for way in ways]
        yield from table(["way", *(f"{n} tokens" for n in lengths)], cells)
        yield ""


def perplexity(root):
    for path in sorted((root / "docs/accuracy").glob("*/summary.json")):
        summary = json.loads(path.read_text(encoding="utf-8"))
        entries = summary["perplexity"]
        yield (f"**{summary['device']}, PyTorch {summary['torch']}**, `docs/accuracy/{path.parent.name}/`: changes in percent against `bf16`, with their 95 % "
               f"interval; {counts(entries, 'tokens')} tokens, sequences of {summary['length']}.")  # fmt: skip
        yield ""
        yield from perplexity_table(summary)
        yield ""
        yield from single_text(summary)
        yield from noise_tables(summary)
        yield from needles_text(summary)


def analysed(root):
    path = root / "docs/accuracy/analysis/analysis.csv"
    if not path.exists():
        yield "No analysis of a trained model is kept here yet."
        return
    rows = analysis.read(path)
    for scenario in dict.fromkeys(r["scenario"] for r in rows):
        mine = [r for r in rows if r["scenario"] == scenario]
        layers, heads = ({r[name] for r in mine} - {analysis.ALL} for name in ("layer", "head"))
        yield (f"**{TITLES[scenario].capitalize()}** ([by layer and head](accuracy/analysis/{scenario}.svg)): {len(layers)} layers of {len(heads)} heads, "
               f"{mine[0]['tokens']} tokens. Within {100 * float(mine[0]['budget']):g} %: {analysis.recommended(mine)}.")  # fmt: skip
        yield ""
        yield from table(analysis.TABLE_HEADER, analysis.table_rows(mine))
        yield ""


def page(root, text):
    for name, make in (("perplexity", perplexity), ("analysis", analysed)):
        begin, end = MARKS[name]
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = before + begin + "\n\n" + "\n".join(make(root)).strip() + "\n\n" + end + after
    return text


def pages(root):
    target = root / "docs" / "accuracy.md"
    return [(target, page(root, target.read_text(encoding="utf-8")))]


def main():
    renew(__doc__, HERE.parents[1], pages, "python3 bench/accuracy/accuracy_page.py")


if __name__ == "__main__":
    main()
