#!/usr/bin/env python3
"""test_soak.py PROGRAM [OPTION...]: a visit that goes on from another's state, that a changed bit is found and fails, and how a visit ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

TIME = ["--seconds", "0.5"]
LONG = ["--seconds", "300", "--save-every", "0.1"]  # until it is told to end, or nobody is there to tell it
CALLS, READ = 25, 7  # of a turn: an eager step's, then the last of each of six bursts of four


def soak(program, *words, seconds=TIME):
    """Exit status and result of a visit."""
    done = subprocess.run([*program, "--small", *seconds, *words], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def begun(program, state, *words):
    """A visit without an end, which reads results and has saved that it did."""
    visit = subprocess.Popen([*program, "--small", *LONG, "--state", state, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (os.path.exists(state) and state_of(state)["compared"] > 0):
        assert visit.poll() is None, visit.communicate()
        time.sleep(0.02)
    return visit


def ended(visit):
    """As soak()."""
    out, reason = visit.communicate()
    return visit.returncode, json.loads(out) if out else None, reason


def state_of(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def killed_visits_are_not_lost(program, folder):
    path = os.path.join(folder, "killed.json")
    visit = begun(program, path, "--problems", "1")
    visit.kill()
    assert ended(visit)[:2] == (-signal.SIGKILL, None)
    saved = state_of(path)
    (problem,) = saved["problems"].values()
    assert saved["visits"] == 1 and saved["seconds"] > 0 and problem["digests"], saved
    assert saved["compared"] <= saved["calls"], saved
    code, after, reason = soak(program, "--problems", "1", "--state", path)
    assert code == 0 and after["ok"], reason
    total = after["total"]
    assert total["visits"] == 2 and abs(total["seconds"] - saved["seconds"] - after["seconds"]) < 1e-6, total
    for name in ("calls", "replays", "compared", "tokens", "oracle_compared"):
        assert total[name] == saved[name] + after[name], (name, total, saved, after)


def a_signal_ends_a_visit_as_its_time_does(program, folder):
    for number in (signal.SIGTERM, signal.SIGINT):
        path = os.path.join(folder, f"{number}.json")
        visit = begun(program, path)
        visit.send_signal(number)
        code, report, reason = ended(visit)
        assert code == 0 and report["ok"] and report["interrupted"], reason
        # Saved more than once, counted once; at the end caches were compared.
        saved = state_of(path)
        assert saved["visits"] == report["total"]["visits"] == 1, saved
        for name in ("calls", "replays", "compared", "tokens", "oracle_compared"):
            assert report[name] == report["total"][name] == saved[name] > 0, (name, report, saved)
        assert len(saved["problems"]) == report["problems"] and all("cache" in problem["digests"] for problem in saved["problems"].values()), saved
        assert report["calls"] * READ == report["compared"] * CALLS, report  # turns were not cut


def a_failed_save_is_told_at_once(program, folder):
    path = os.path.join(folder, "later", "state.json")
    code, _, reason = soak(program, "--problems", "1", "--state", path)
    assert code == 1 and "error: cannot create" in reason, reason
    visit = subprocess.Popen([*program, "--small", *LONG, "--problems", "1", "--state", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told = visit.stderr.readline()
    assert "note: the state is not saved: cannot create" in told and "No such file" in told, told
    os.mkdir(os.path.dirname(path))
    while not os.path.exists(path):
        assert visit.poll() is None, visit.communicate()
        time.sleep(0.02)
    visit.send_signal(signal.SIGTERM)
    code, report, reason = ended(visit)
    assert code == 0 and report["calls"] == state_of(path)["calls"] and not reason, reason


def a_limit_of_the_whole(program):
    # A second is less than the end of a visit is given.
    code, report, reason = soak(program, seconds=["--within", "1"])
    assert code == 0 and report["compared"] == READ * report["problems"] and "note: opening took" in reason, reason
    assert not report["interrupted"], report
    code, report, reason = soak(program, "--problems", "1", seconds=["--within", "6"])
    assert code == 0 and report["compared"] >= READ, reason
    for words, what in ((["--within", "60", "--seconds", "5"], "--seconds is the run's time and --within that of the whole"), (["--within", "0"], "--within must be 1 to 100000 seconds, not 0"),
                        (["--within", "10x"], "not 10x"), (["--seconds", "nan"], "--seconds must be 0 to 100000 seconds, not nan"),
                        (["--save-every", "5"], "give --state FILE"), (["--save-every", "0", "--state", "none"], "--save-every must be 0.1 to")):  # fmt: skip
        code, _, reason = soak(program, seconds=words)
        assert code == 2 and what in reason and "--help" in reason, reason


def main():
    program = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # a shell's background job ignores some, and so would what it starts
    with tempfile.TemporaryDirectory() as folder:
        killed_visits_are_not_lost(program, folder)
        a_signal_ends_a_visit_as_its_time_does(program, folder)
        a_failed_save_is_told_at_once(program, folder)
        a_limit_of_the_whole(program)
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

        known = state_of(state)
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
