#!/usr/bin/env python3
"""test_soak.py PROGRAM [OPTION...]: a visit that goes on from another's state, and that a changed bit is found and fails."""

import json
import os
import subprocess
import sys
import tempfile

OPTIONS = ["--small", "--seconds", "0.5"]


def soak(program, *words):
    """Exit status and result of a visit."""
    done = subprocess.run([*program, *OPTIONS, *words], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def main():
    program = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state.json")
        code, all_of_them, reason = soak(program, "--state", state)
        assert code == 0 and all_of_them["problems"] > 1, reason
        # One alone is given the lengths that it has among all: a list's order is not its digests'.
        code, last, reason = soak(program, "--state", state, "--problem", "tiny-q2-tensor")
        assert code == 0 and last["problems"] == 1 and last["compared"] > 0, reason
        code, _, reason = soak(program, "--problem", "tiny-none")
        assert code == 2 and "tiny-none" in reason, reason
        os.remove(state)

        program += ["--problems", "1"]
        code, first, reason = soak(program, "--state", state)
        assert code == 0 and first["ok"], reason
        assert first["compared"] > 0 and first["replays"] > 0 and first["oracle_compared"] > 0, first
        code, second, reason = soak(program, "--state", state)
        assert code == 0 and second["total"]["visits"] == 2, reason
        assert second["total"]["calls"] == first["calls"] + second["calls"], second

        code, _, reason = soak(program, "--state", state, "--seed", "2")
        assert code == 2 and "seed 1" in reason, reason

        with open(state, encoding="utf-8") as file:
            known = json.load(file)
        (problem,) = known["problems"].values()
        problem["digests"] = {name: f"{int(digest, 16) ^ 1:016x}" for name, digest in problem["digests"].items()}
        with open(state, "w", encoding="utf-8") as file:
            json.dump(known, file)
        code, third, reason = soak(program, "--state", state)
        assert code == 1 and not third["ok"] and third["drifts"] > 0, reason
        assert "the cache has other bytes" in reason, reason

        # Of other kernels: what they gave says nothing of these, and is replaced.
        problem["fingerprint"] = "0" * 64
        with open(state, "w", encoding="utf-8") as file:
            json.dump(known, file)
        code, fourth, reason = soak(program, "--state", state)
        assert code == 0 and fourth["ok"] and fourth["renewed"] == 1 and "other kernels" in reason, reason
        code, fifth, reason = soak(program, "--state", state)
        assert code == 0 and fifth["renewed"] == 0 and fifth["total"]["renewed"] == 1, reason
        known["device_class"] = "sm90-1sm-l2_1m-smem227k-bus1-clk1"
        with open(state, "w", encoding="utf-8") as file:
            json.dump(known, file)
        code, _, reason = soak(program, "--state", state)
        assert code == 2 and "device class sm90-1sm" in reason, reason
    print("ok")


if __name__ == "__main__":
    main()
