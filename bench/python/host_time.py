#!/usr/bin/env python3
"""host_time.py [--device cuda:0] [--calls N] [--profile] [--json]: microseconds of host time a call of the Python package takes.

With torch and a GPU the calls are whole: what Python, the library and the driver take until the kernels are queued. Without a
GPU the library's calls are replaced by one that does nothing, so that what is left is Python's part, which is said: with torch
that of a GPU's calls but for asking torch for its stream, with numpy that of the emulator, copies of results included. Run it
with PYTHONPATH=python and SNAPMLA_LIBRARY naming the built library."""

import argparse
import cProfile
import ctypes
import json
import pstats
import statistics
import time

import numpy as np
import snapmla
import snapmla._arrays
import snapmla._library

try:
    import torch
except ImportError:
    torch = None
BATCH, HEADS, RANK, ROPE, PAGE, PAGES, TOPK = 32, 16, 512, 64, 64, 64, 128


class Arrays:
    """Arrays of a device, zeroed."""

    def __init__(self, context):
        self.context = context

    def zeros(self, shape, kind):
        if not self.context.is_emulator:
            return torch.zeros(shape, dtype=getattr(torch, {"bf16": "bfloat16", "fp32": "float32"}.get(kind, kind)),
                               device=self.context.name)  # fmt: skip
        array = self.context.zeros(shape, {"bf16": "uint16", "fp32": "float32"}.get(kind, kind))
        if torch is None:
            return array
        if kind == "bf16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


def calls(arrays):
    """{what: a function that makes the call once}"""
    context = arrays.context
    of = dict(heads=HEADS, page_tokens=PAGE, max_batch=BATCH, max_context=PAGE * PAGES)
    plan = snapmla.Plan(context, snapmla.problem("fp8_token", **of))
    q = arrays.zeros((BATCH, 1, HEADS, RANK + ROPE), "bf16")
    out, lse = arrays.zeros((BATCH, 1, HEADS, RANK), "bf16"), arrays.zeros((BATCH, HEADS, 1), "fp32")
    cache = arrays.zeros((PAGES, plan.layout.page_bytes), "uint8")
    rows = arrays.zeros((PAGES, PAGE, 1, RANK + ROPE), "bf16")
    table, lengths = arrays.zeros((BATCH, PAGES), "int32"), arrays.zeros((BATCH,), "int32")
    indices = arrays.zeros((BATCH, 1, TOPK), "int32")
    latent, rope = arrays.zeros((BATCH, RANK), "bf16"), arrays.zeros((BATCH, ROPE), "bf16")
    slots = arrays.zeros((BATCH,), "int64")
    workspace, nope, q_rope = plan.workspace(q), q[..., :RANK], q[..., RANK:]
    steps = {name: snapmla.get_mla_metadata()[0] for name in ("bf16", "fp8_token", "sparse")}
    flash = snapmla.flash_mla_with_kvcache
    return {
        "Plan.append": lambda: plan.append(cache, latent, rope, slots),
        "Plan.schedule": lambda: plan.schedule(workspace, table, lengths),
        "Plan.decode": lambda: plan.decode(workspace, nope, q_rope, cache, table, lengths, 0.1, out, lse),
        "flash_mla_with_kvcache, bf16": lambda: flash(q, rows, table, lengths, RANK, steps["bf16"]),
        "flash_mla_with_kvcache, fp8_token": lambda: flash(
            q, cache, table, lengths, RANK, steps["fp8_token"], kv_format="fp8_token"
        ),
        "flash_mla_with_kvcache, sparse": lambda: flash(
            q, cache, None, None, RANK, steps["sparse"], kv_format="fp8_token", indices=indices
        ),
    }


def host_us(call, count, wait):
    """The median of `count` calls, and that of the fastest tenth. The queue is let run empty now and then."""
    times = []
    for i in range(count + 20):
        if i % 20 == 0:
            wait()
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1e3)
    times = sorted(times[20:])
    return statistics.median(times), times[len(times) // 20]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", help="cuda:N or emulator; a GPU where torch sees one")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--profile", action="store_true", help="where flash_mla_with_kvcache, fp8_token, spends it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    on_gpu = torch is not None and torch.cuda.is_available() and given.device != "emulator"
    context = snapmla.flash_mla.context_for(torch.empty(0, device=given.device or "cuda:0") if on_gpu else None)
    made = calls(Arrays(context))
    if not on_gpu and torch is not None:
        for call in made.values():
            call()
        context.is_emulator = False  # its tensors' pointers are taken as they are, as a GPU's
        snapmla._arrays.call_on_gpu = lambda context, name, handle, args, stream: snapmla._arrays.call(
            name, handle, ctypes.byref(args)
        )
    if not on_gpu:
        for name in ("plan_append", "plan_schedule", "plan_decode"):
            setattr(snapmla._library._lib, "snapmla_" + name, lambda *_: 0)
    what = "the whole call, until its kernels are queued" if on_gpu else "Python's part: the library's calls do nothing"
    result = {"device": context.product, "arrays": "torch" if torch else "numpy", "what": what, "us": {}}
    for name, call in made.items():
        median, fast = host_us(call, given.calls, torch.cuda.synchronize if on_gpu else lambda: None)
        result["us"][name] = {"median": round(median, 1), "fast": round(fast, 1)}
    if given.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{context.product}, {result['arrays']} arrays; {what}\n{'':36}{'median':>8}{'5 %':>8}  us")
    for name, us in result["us"].items():
        print(f"{name:36}{us['median']:8.1f}{us['fast']:8.1f}")
    if given.profile:
        profile = cProfile.Profile()
        profile.runcall(lambda: [made["flash_mla_with_kvcache, fp8_token"]() for _ in range(given.calls)])
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)


if __name__ == "__main__":
    main()
