#!/usr/bin/env python3
"""Renews docs/performance.md and docs/performance/ceilings.md from what a visit to a GPU left: takes the files that the pages are made of to
docs/performance/DEVICE, draws the plots anew and writes the pages.

usage: renew_page.py [--no-plots] [--root ROOT] DEVICE OUTDIR...

Of several OUTDIR the last that has a file counts; what none has stays. All is made beside the tree first: where a file is refused, nothing changes. Refused is what was measured
on another device than the folder's decode.csv. soak.json, a sum of visits, is taken only where it went on from the one that is there. The plots need matplotlib;
--no-plots leaves them as they are. In the end it says which figures in README.md and docs/performance/limits.md, written by hand, are to be written anew.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "common")]
import readme_figures
import report
from programs import text_of
from report_parts import TESTS, check_device, facts_of

# regret.csv and the other are docs/tuning.md's; layer-one-shape.csv and layer-output-BY.csv of gpu.sh are no page's.
TAKEN = ("ceilings.csv", "decode.csv", *(f"decode-{name}.csv" for name in (*report.FORMATS, "balanced", "max", "speculative")), "layer.csv", "shards*.csv",
         "regret.csv", "regret_untuned.csv", "counters.csv", "clocks.csv", "power.csv", *(name for name, *_ in TESTS), "soak.json")  # fmt: skip
PLOTTED = {"ceilings.csv", "decode.csv"}


def found(outdirs):
    """{name: path} of the files to be taken."""
    for folder in outdirs:
        if not folder.is_dir():
            sys.exit(f"{folder} is no folder: name the OUTDIR of scripts/gpu.sh")
    files = {path.name: path for folder in outdirs for pattern in TAKEN for path in sorted(folder.glob(pattern))}
    if not files:
        sys.exit(f"none of {', '.join(map(str, outdirs))} has any of {', '.join(TAKEN)}: name the OUTDIR of scripts/gpu.sh")
    return files


def facts_in(path):
    return facts_of(line[2:] for line in text_of(path).splitlines() if line.startswith("# "))


def device_of(path):
    """What a file says; clocks.csv says more in the same line."""
    if path.suffix == ".json":
        return json.loads(text_of(path))["device"]
    facts = facts_in(path)
    return facts.get("device", facts.get("device, driver, power limit"))


def goes_on(new, old):
    """Whether the state of a soak is the old one, and visits more."""
    return not old.exists() or json.loads(text_of(new))["visits"] > json.loads(text_of(old))["visits"]


def relative(text):
    """A file's text with OUTDIR in its command, for whatever folder it was on the GPU machine."""
    command = facts_of(line[2:] for line in text.splitlines() if line.startswith("# ")).get("command", "")
    folder = re.search(r"--csv (\S+)/[^/\s]+(?:\s|$)", command)
    return text.replace(command, re.sub(rf"(?<=\s){re.escape(folder[1])}/", "OUTDIR/", command)) if folder else text


def take(files, folder):
    """Files into `folder`: the names of those taken."""
    folder.mkdir(parents=True, exist_ok=True)
    first = files.get("decode.csv", folder / "decode.csv")
    if not first.exists():
        sys.exit(f"{folder} has no decode.csv, nor has OUTDIR: take a device's first visit whole")
    product = (facts_in(folder / "decode.csv" if (folder / "decode.csv").exists() else first)["device"]).split(", ")[1]
    taken = []
    for name, path in files.items():
        check_device(path, device_of(path), product)
        if name == "soak.json" and not goes_on(path, folder / name):
            print(f"{path} is left: it did not go on from docs/performance/{folder.name}/soak.json, whose sums it would end; copy that into OUTDIR before a visit")
            continue
        (folder / name).write_text(relative(text_of(path)), encoding="utf-8")
        taken.append(name)
    return taken


def draw(folder):
    done = subprocess.run([sys.executable, HERE / "decode" / "plot.py", folder / "decode.csv", folder / "ceilings.csv", folder], check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit("the plots could not be drawn, and nothing was changed; --no-plots leaves them as they are")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-plots", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=HERE.parent)
    parser.add_argument("device", metavar="DEVICE")
    parser.add_argument("outdirs", metavar="OUTDIR", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    if not re.fullmatch(r"[a-z0-9_]+", options.device):
        sys.exit(f"DEVICE is a folder's name as h100 is, not {options.device}")
    root, performance = options.root, pathlib.Path("docs") / "performance"
    with tempfile.TemporaryDirectory() as beside:
        staged = pathlib.Path(beside)
        shutil.copytree(root / performance, staged / performance)
        (staged / report.TARGETS).parent.mkdir(parents=True)
        shutil.copy(root / report.TARGETS, staged / report.TARGETS)
        folder = staged / performance / options.device
        taken = take(found(options.outdirs), folder)
        if PLOTTED & set(taken) and not options.no_plots:
            draw(folder)
        for path, text in report.pages(staged):
            path.write_text(text, encoding="utf-8")
        shutil.copytree(staged / "docs", root / "docs", dirs_exist_ok=True)
    print(f"docs/performance/{options.device}: took {', '.join(taken)}")
    for line in readme_figures.complaints(root):
        print(f"by hand: {line}")


if __name__ == "__main__":
    main()
