"""What evaluate.py evaluates: which cases, and what an earlier run has of them already."""

import csv
import dataclasses
import json
import sys

BASE = "bf16"
LEVELS = {"balanced": 1, "max": 2}
FINER = ("fp8_token/balanced", "fp8_token/max", "fp8_token_r4/balanced", "fp8_token_r4/max", "bf16/single", "fp8_token/single")  # beside the formats
EXACT, UNROUNDED = "torch_fp32", "torch_fp32/unrounded"  # of the bf16 cache's numbers; of those that it rounds
TORCH = (EXACT, UNROUNDED, "torch_bf16")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    kv_format: str = ""
    level: int = 0  # of snapmla_accuracy
    single: bool = False  # one tile at a time, not pipelined
    torch: bool = False


def parse(name, formats):
    """A case from its name, as in fp8_token/max/single."""
    if name in TORCH:
        return Case(name, torch=True)
    kv_format, *words = name.split("/")
    if kv_format not in formats:
        sys.exit(f"case '{name}': this build has no format '{kv_format}'; it has {', '.join(formats)}, and {', '.join(TORCH)} are there")
    levels = [LEVELS[word] for word in words if word in LEVELS]
    if len(levels) > 1 or any(word not in LEVELS and word != "single" for word in words) or len(set(words)) < len(words):
        sys.exit(f"case '{name}': after the format come balanced or max, and single")
    return Case(name, kv_format, *levels, single="single" in words)


def chosen(names, formats):
    """The named cases (None: all), the baseline before them."""
    names = names or [*formats, *(name for name in FINER if name.split("/")[0] in formats), *TORCH]
    return [parse(name, formats) for name in dict.fromkeys([BASE, *names])]


class Kept:
    """An earlier run's figures in `folder`; nothing where none are asked for, or there."""

    def __init__(self, folder, settings, resume):
        self.blocks, self.answers, self.sink_mass = {}, [], {}
        if not resume or not (folder / "summary.json").exists():
            return
        summary = json.loads((folder / "summary.json").read_text())
        if summary.get("settings") != settings:
            sys.exit(f"{folder} holds figures of {summary.get('settings')}, this run is of {settings}: name another folder, or leave --resume out")
        self.sink_mass = summary["sink_mass"]
        with open(folder / "perplexity.csv", newline="") as file:
            for r in csv.DictReader(file):
                sequences = self.blocks.setdefault((r["scenario"], r["way"]), {})
                squares = [float(r.get(f"squares{suffix}") or "nan") for suffix in ("", "_exact")]
                block = int(r["first_token"]), int(r["tokens"]), float(r["nats"]), *squares
                sequences.setdefault(int(r["sequence"]), []).append(block)
        with open(folder / "needles.csv", newline="") as file:
            for r in csv.DictReader(file):
                self.answers.append((int(r["length"]), int(r["sequence"]), float(r["depth"]), r["way"], int(r["right"]), float(r["nats"])))
