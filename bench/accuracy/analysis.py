#!/usr/bin/env python3
"""analysis.py OUT.csv SCENARIO.json ...: what `snapmla analyze --recommend --json` printed of a model under each scenario, as one CSV; and its
tables for docs/accuracy.md (accuracy_page.py). Python's standard library alone."""

import csv
import json
import pathlib
import sys

HEADER = ["scenario", "tokens", "budget", "layer", "head", "format", "bytes_per_token", "kv_scale", "cond", "cond_visible", "visible", "latent", "rope", "bound", "bound_data",
          "seen", "seen_key", "seen_value", "fast", "balanced", "max", "recommended"]  # fmt: skip
LEVELS = ("fast", "balanced", "max")
ALL = "all"  # in place of a head's number


def number(value):
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else value


def rows_of(scenario, report):
    """One for each layer and format of all heads, then one a head. report: the JSON. `recommended`: the level, where the format is."""
    for layer in report["layers"]:
        chosen = layer.get("recommended") or {}
        for f in layer["formats"]:
            told = {"scenario": scenario, "tokens": layer["tokens"], "budget": report["budget"], "layer": layer["layer"], "format": f["format"], "bytes_per_token": f["bytes_per_token"],
                    "kv_scale": f["kv_scale"] if f["format"] == "fp8_tensor" else None}  # fmt: skip
            attention = {level["accuracy"]: level["attention"] for level in f["levels"]}
            matrices = [(ALL, layer["up"], {**f, "attention": attention})]
            matrices += [(h, up, errors) for h, (up, errors) in enumerate(zip(layer["heads"], f["heads"]))]
            for head, up, errors in matrices:
                row = {**told, "head": head, **{name: up[name] for name in ("cond", "cond_visible", "visible")}}
                row |= {name: errors[name] for name in ("latent", "bound", "bound_data", "seen", "seen_key", "seen_value")}
                row["rope"] = f["rope"] if head == ALL else None
                row |= {level: errors["attention"].get(level) for level in LEVELS}
                if head == ALL and chosen.get("format") == f["format"]:
                    row["recommended"] = chosen["accuracy"]
                yield {name: number(row.get(name)) for name in HEADER}


def write(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, HEADER, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def span(texts):
    """The least and the largest, as text."""
    values = [float(t) for t in texts if t]
    if not values or not any(values):
        return "0" if values else "–"
    low, high = min(values), max(values)
    return f"{low:.1e}" if f"{low:.1e}" == f"{high:.1e}" else f"{low:.1e} to {high:.1e}"


def table_rows(rows):
    """Of one scenario, a format each: errors of a whole layer, over the layers; the largest of a head's attention, at whatever level."""
    for name in dict.fromkeys(r["format"] for r in rows):
        whole = [r for r in rows if r["format"] == name and r["head"] == ALL]
        heads = [r for r in rows if r["format"] == name and r["head"] != ALL]
        worst = max(heads, key=lambda r: max((float(r[level]) for level in LEVELS if r[level]), default=0), default=None)
        told = "–"
        if worst and any(float(worst[level] or 0) for level in LEVELS):
            level = max((level for level in LEVELS if worst[level]), key=lambda level: float(worst[level]))
            told = f"{float(worst[level]):.1e} (layer {worst['layer']}, head {worst['head']}, `{level}`)"
        yield [f"`{name}`", span(r["latent"] for r in whole), span(r["seen_key"] for r in whole), span(r["seen_value"] for r in whole),
               *(span(r[level] for r in whole) for level in LEVELS), told]  # fmt: skip


TABLE_HEADER = ["format", "latents", "keys", "values", "attention, `fast`", "`balanced`", "`max`", "worst head"]


def recommended(rows):
    """Layer by layer."""
    found = {r["layer"]: f"`{r['format']}`, `{r['recommended']}`" for r in rows if r["recommended"]}
    layers = dict.fromkeys(r["layer"] for r in rows)
    return "; ".join(f"layer {layer}: {found.get(layer, 'none')}" for layer in layers)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    reports = [pathlib.Path(name) for name in sys.argv[2:]]
    write(sys.argv[1], [row for path in reports for row in rows_of(path.stem, json.loads(path.read_text()))])


if __name__ == "__main__":
    main()
