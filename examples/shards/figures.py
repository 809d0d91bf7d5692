"""What decode.py measures and where it writes it: times of calls that all ranks make, and a file with the head lines of bench/'s programs,
which bench/report.py reads."""

import csv
import datetime
import os
import pathlib
import shlex
import statistics
import sys

import snapmla
import torch
import torch.distributed as dist

UNSEEN, ROWS = 3, 21
TIMED = "step", "decode", "merge"
COLUMNS = ["tokens", "ranks", "heads", "format", "way", "rel_l2", "lse_error", "same_bits",
           *(f"{name}{what}" for name in TIMED for what in ("_us", "_spread_us")), "device"]  # fmt: skip


def microseconds(call, repeat):
    """(median, spread) of a call's time among `repeat` calls in a row on this rank's GPU, over ROWS rows after UNSEEN ones, which warm up
    what a length has new. The spread is half of the distance between the quartiles. Every rank calls it."""
    times = []
    for _ in range(UNSEEN + ROWS):
        dist.barrier()
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        for _ in range(repeat):
            call()
        ended.record()
        ended.synchronize()
        times.append(begun.elapsed_time(ended) * 1e3 / repeat)
    lower, median, upper = statistics.quantiles(times[UNSEEN:], n=4, method="inclusive")
    return median, (upper - lower) / 2


def device_name(cuda):
    return torch.cuda.get_device_name() if cuda else "emulator"


def head(cuda, repeat):
    """Where the figures come from, a line each, as bench_print_header in bench/common has it."""
    yield f"date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    yield f"command: torchrun --nproc-per-node {os.environ.get('LOCAL_WORLD_SIZE', dist.get_world_size())} {shlex.join(sys.argv)}"
    if cuda:
        of = torch.cuda.get_device_properties(torch.cuda.current_device())
        yield f"device: cuda:{torch.cuda.current_device()}, {device_name(cuda)}, {of.multi_processor_count} multiprocessors"
        release = pathlib.Path("/proc/driver/nvidia/version")
        if release.exists():
            yield f"driver release: {release.read_text().splitlines()[0]}"
        yield f"torch: {torch.__version__}, CUDA {torch.version.cuda}, NCCL {'.'.join(map(str, torch.cuda.nccl.version()))}"
        yield f"runs: {ROWS}, after {UNSEEN} unseen, of {repeat} in a row each"
    else:
        yield "device: emulator"
        yield f"torch: {torch.__version__}"
        yield "the emulator: nothing is timed"
    yield f"build: snapmla {snapmla.version()}"


class File:
    """The file at `path`, to which rank 0 writes a row for each length; without a path, or on another rank, nothing is written."""

    def __init__(self, path, cuda, repeat):
        self.cuda, self.file = cuda, None
        if not path or dist.get_rank():
            return
        self.file = open(path, "w", newline="", encoding="utf-8")
        for line in head(cuda, repeat):
            print("#", line, file=self.file)
        self.table = csv.DictWriter(self.file, COLUMNS, lineterminator="\n")
        self.table.writeheader()

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        if self.file:
            self.file.close()

    def add(self, times, **figures):
        """`times`: (median, spread) by TIMED's names; empty where nothing is timed."""
        if self.file:
            for name, (median, spread) in times.items():
                figures |= {f"{name}_us": f"{median:.2f}", f"{name}_spread_us": f"{spread:.2f}"}
            self.table.writerow(figures | dict(device=device_name(self.cuda)))
            self.file.flush()
