#!/usr/bin/env python3
"""cold_tunes.py PROGRAM: tunes one problem several times, each with an empty store, and says whether the same variant wins.

PROGRAM is snapmla. Where winners differ, each run must itself declare a tie of its own winner with the others' (`snapmla
explain`): then the verdict is "tie". Exit status: 0 same or tie, 1 the runs disagree or one failed, 3 no such device."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

FAMILY = "mla_decode:"


def ask(program, words, cache):
    """What a command prints as JSON, with a store of its own."""
    environment = dict(os.environ, SNAPMLA_CACHE_DIR=cache)
    done = subprocess.run([program, *words, "--json"], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(words)} failed: {done.stderr.strip()}", file=sys.stderr)
        sys.exit(3 if done.returncode == 3 else 1)
    return json.loads(done.stdout)


def tune(program, problem, search):
    """One cold tune: its report, its winner, and the variants that it calls tied with it."""
    with tempfile.TemporaryDirectory() as cache:
        report = ask(program, ["tune", *problem, *search], cache)
        known = ask(program, ["explain", *problem], cache)
    if not report["tried"]:
        sys.exit(f"nothing was searched for {report['problem']}: wisdom of at least this effort is shipped; give --effort exhaustive, "
                 "or another problem")
    winner = next(variant for variant in report["variants"] if variant.startswith(FAMILY))
    tied = sorted(row["variant"] for row in known["variants"] if row["fate"] == "tied")
    return {"winner": winner, "tied": tied, "time_us": report["time_us"], "time_kind": report["time_kind"],
            "tried": report["tried"], "noise": report["noise"], "seconds": report["seconds"], "problem": report["problem"],
            "device_class": report["device_class"]}


def judge(runs):
    """"same", "tie" (every run declares every other's winner tied with its own) or "disagree"."""
    winners = {run["winner"] for run in runs}
    if len(winners) == 1:
        return "same"
    return "tie" if all(winners <= {run["winner"], *run["tied"]} for run in runs) else "disagree"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--effort", default="patient")
    parser.add_argument("--heads", default="32")
    parser.add_argument("--batch", default="16")
    parser.add_argument("--max-context", default="16384")
    parser.add_argument("--in-process", action="store_true", help="candidates in the tuning process itself")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    problem = ["--device", arguments.device, "--heads", arguments.heads, "--batch", arguments.batch,
               "--max-context", arguments.max_context]
    search = ["--effort", arguments.effort, *(["--in-process"] if arguments.in_process else [])]
    runs = []
    for number in range(arguments.runs):
        runs.append(tune(arguments.program, problem, search))
        if not arguments.json:
            run = runs[-1]
            print(f"{number + 1}  {run['time_us']:9.2f} us {run['time_kind']}  {run['tried']} tried in {run['seconds']:.1f} s  "
                  f"{len(run['tied'])} tied within {100 * run['noise']:.1f} %  {run['winner']}", flush=True)
    verdict = judge(runs)
    if arguments.json:
        json.dump({"ok": verdict != "disagree", "verdict": verdict, "runs": runs}, sys.stdout, indent=1)
        print()
    else:
        print(f"verdict: {verdict}")
    return verdict == "disagree"


if __name__ == "__main__":
    sys.exit(main())
