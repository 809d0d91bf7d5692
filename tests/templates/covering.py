#!/usr/bin/env python3
"""Runs a covering set of the decode kernel's variants: every pair of axis values that is legal together.

usage: covering.py COVERING SNAPMLA [--device NAME] [--sample N]

COVERING is the program beside this (covering.c). Each variant decodes requests of 0, 1, 65, 130 and 700 tokens, on the emulator (the
default) under the three completion orders, on a GPU (cuda:N) in the one that it has, twice: no fault, within its level's limits of the
oracle, and the same bits whenever. With limits=waived the arithmetic may cost anything: such a variant must be within 0.2. --sample takes
every Nth variant."""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

ORDERS = ("eager", "late", "random")
WAIVED_LIMIT = 0.2
GPU_PROCESSES = 8  # at once: each has a context of its own there
NO_PROBLEM = ["accuracy=max,format=bf16"]  # snapmla_problem_check refuses it


def options_of(variant):
    """The problem that a variant is of, as words."""
    axes = dict(part.split("=") for part in variant.split(":")[1].split(","))
    heads = int(axes["rows"]) * int(axes.get("cluster", 1))  # a group of rows for each block of a cluster
    words = ["--heads", str(heads), "--latent", axes["latent"], "--rope", axes["rope"], "--page", axes["page"], "--format",
             axes["format"], "--accuracy", axes["accuracy"], "--variant", variant]  # fmt: skip
    if axes["tokens"] == "indexed":
        words += ["--sparse", "96"]
    if axes.get("sinks") == "on":
        words.append("--sinks")
    if axes.get("cuts") == "fixed":
        words.append("--batch-invariant")
    return words, axes["limits"] == "waived"


def ways_of(device):
    """Names of what the device's runs differ in, and the options that say so."""
    if device == "emulator":
        return {order: ["--emulator-order", order] for order in ORDERS}
    return {device: ["--repeat", "2"]}


def run(program, device, variant):
    """None, or what is wrong with the variant."""
    words, waived = options_of(variant)
    if device == "emulator" and "cluster=2" in variant:
        words += ["--emulator-sms", "4"]  # units are long then, and their rings go round
    digests, worst = set(), 0.0
    for order, options in ways_of(device).items():
        command = [program, "run", "--device", device, "--json", "--context", "0,1,65,130,700", *words, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            said = json.loads(done.stdout)
        except ValueError:
            return f"{order}: exit status {done.returncode}: {done.stderr.strip()}"
        if "rel_l2" not in said:
            return f"{order}: {said.get('error')}"
        sound = not (said["not_finite"] or said["cache_wrong_bytes"] or said["status_word"]) and said["same_bits"]
        near = said["rel_l2"] <= WAIVED_LIMIT if waived else said["ok"]
        if not (sound and near):
            return f"{order}: rel_l2 {said['rel_l2']:.3g} of {said['rel_l2_limit']:.3g}, lse at {said['lse_of_limit']:.2f} of its limit; {said}"
        digests.add(said["digest"])
        worst = max(worst, said["rel_l2"])
    if len(digests) != 1:
        return f"the bits depend on the completion order: {digests}"
    print(f"{worst:9.2e}{' (waived)' if waived else '':9}  {variant}", flush=True)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("covering")
    parser.add_argument("program")
    parser.add_argument("--device", default="emulator")
    parser.add_argument("--sample", type=int, default=1)
    arguments = parser.parse_args()
    said = subprocess.run([arguments.covering, "mla_decode", *NO_PROBLEM], capture_output=True, text=True, check=True).stdout.splitlines()
    variants, counts = said[:-1], said[-1]
    print(f"{len(variants)} variants; {counts[2:]}")
    if len(variants) < 16 or not counts.startswith("# pairs "):
        sys.exit("that is no covering set")
    processes = os.cpu_count() if arguments.device == "emulator" else GPU_PROCESSES
    with tempfile.TemporaryDirectory() as cache, concurrent.futures.ThreadPoolExecutor(processes) as pool:
        os.environ["SNAPMLA_CACHE_DIR"] = cache
        chosen = variants[:: arguments.sample]
        faults = list(pool.map(lambda variant: run(arguments.program, arguments.device, variant), chosen))
    failed = [f"{variant}\n  {fault}" for variant, fault in zip(chosen, faults) if fault]
    print(f"{len(chosen)} run, {len(failed)} failed")
    sys.exit("\n".join(failed) if failed else 0)


if __name__ == "__main__":
    main()
