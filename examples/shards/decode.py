#!/usr/bin/env python3
"""One request over several GPUs, a process each: every rank holds a part of the pages and decodes it, and the results are merged by
their lse (snapmla.shards.Ranks: one all-gather and a kernel), to the same bits on every rank. Compares with attention in double precision over all tokens, and times both steps.

    torchrun --nproc-per-node 2 examples/shards/decode.py --context 262144,1048576

On a machine without CUDA the ranks run on the emulator with gloo; take a small --context there. Ranks whose plans differ, by
their fingerprints, refuse to go on."""

import argparse
import os
import sys
import time

import snapmla
import torch
import torch.distributed as dist

PAGE, CHUNK = 64, 16384


def rows(first, count, width, seed, device):
    """Rows first, first + 1, … of a sequence of normal numbers that every rank can make, bf16 [count, width]. `first` is a multiple
    of PAGE, and each page has a generator of its own, so that a rank makes its pages alone."""
    out = []
    for page in range(first // PAGE, -(-(first + count) // PAGE)):
        generator = torch.Generator().manual_seed((seed << 24) + page)  # of a seed 32 bits count
        out.append(torch.randn(PAGE, width, generator=generator))
    return torch.cat(out)[:count].to(torch.bfloat16).to(device)


def reference(query, query_rope, tokens, sinks, o, device):
    """out [heads, latent], lse [heads] in double precision over the unquantised tokens, a piece at a time."""
    q = torch.cat((query, query_rope), -1)[0, 0].double()
    outs, lses = [], []
    for first in range(0, tokens, CHUNK):
        count = min(CHUNK, tokens - first)
        latent, rope = rows(first, count, o.latent, 1, device).double(), rows(first, count, 64, 2, device).double()
        logits = q @ torch.cat((latent, rope), -1).T * o.scale
        outs.append(logits.softmax(-1) @ latent)
        lses.append(logits.logsumexp(-1))
    lses = torch.stack(lses)
    lse = lses.logsumexp(0)
    whole = lse if sinks is None else torch.logaddexp(lse, sinks.double())
    return ((lses - whole).exp()[..., None] * torch.stack(outs)).sum(0), lse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", default="262144")
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--latent", type=int, default=512)
    parser.add_argument("--format", default="fp8_token")
    parser.add_argument("--sinks", action="store_true", help="each head has an attention sink")
    parser.add_argument("--variant-of-rank", default="", help="RANK:VARIANT, to see what becomes of ranks that differ")
    parser.add_argument("--repeat", type=int, default=20)
    o = parser.parse_args()
    o.scale = (128 + 64) ** -0.5
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = f"cuda:{local}" if cuda else "cpu"
    if cuda:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if cuda else "gloo")
    world, rank = dist.get_world_size(), dist.get_rank()
    lengths = [int(text) for text in o.context.split(",")]
    most = max(snapmla.shards.share(length, world, 0, PAGE) for length in lengths)
    context = snapmla.Context(device if cuda else "emulator")
    problem = snapmla.problem(o.format, heads=o.heads, latent_rank=o.latent, page_tokens=PAGE, max_batch=1, max_context=int(most))
    odd, _, variant = o.variant_of_rank.partition(":")
    plan = snapmla.Plan(context, problem, variant=variant if odd == str(rank) else None)
    ranks = snapmla.shards.Ranks(plan, 1)
    pages = -(-int(most) // PAGE)
    page_bytes = snapmla.Layout(problem).page_bytes
    cache = torch.empty(pages, page_bytes, dtype=torch.uint8, device=device) if cuda else snapmla.new_cache(context, problem, pages)
    kv_scale = 6 / 448 if o.format == "fp8_tensor" else 0.0
    # Page p of the request is page p // world of rank p % world.
    for first in range(0, pages, CHUNK // PAGE):
        mine = range(first, min(pages, first + CHUNK // PAGE))
        latent = torch.cat([rows((p * world + rank) * PAGE, PAGE, o.latent, 1, device) for p in mine])
        rope = torch.cat([rows((p * world + rank) * PAGE, PAGE, 64, 2, device) for p in mine])
        slots = torch.arange(first * PAGE, first * PAGE + len(latent), device=device)
        plan.append(cache, latent, rope, slots, kv_scale=kv_scale)
    workspace = plan.workspace()
    table = torch.arange(pages, dtype=torch.int32, device=device)[None]
    query = rows(0, PAGE, o.latent, 3, device)[: o.heads].repeat(-(-o.heads // PAGE), 1)[: o.heads].reshape(1, 1, o.heads, o.latent)
    query_rope = rows(0, PAGE, 64, 4, device).repeat(-(-o.heads // PAGE), 1)[: o.heads].reshape(1, 1, o.heads, 64)
    # Shards decode without sinks, by a plan of a problem without: the merge takes them in, once.
    sinks = torch.arange(o.heads, dtype=torch.float32, device=device) if o.sinks else None
    wrong = 0
    for length in lengths:
        held = torch.tensor([int(snapmla.shards.share(length, world, rank, PAGE))], dtype=torch.int32, device=device)
        plan.schedule(workspace, table, held)

        def step():
            plan.decode(workspace, query, query_rope, cache, table, held, o.scale, ranks.out, ranks.lse, kv_scale=kv_scale)
            return ranks.merge(sinks)

        merged, total = step()
        times = []
        for _ in range(o.repeat if cuda else 0):
            dist.barrier()
            torch.cuda.synchronize()
            begun = time.perf_counter()
            step()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - begun)
        exact, exact_lse = reference(query, query_rope, length, sinks, o, device)
        error = float((merged[0, 0].double() - exact).norm() / exact.norm())
        lse_error = float((total[0, :, 0] - exact_lse).abs().max())
        # FP8's distance is that of its query and cache: see docs/accuracy.md. What merging adds shows with bf16.
        ok = error < (1e-2 if o.format == "bf16" else 8e-2) and lse_error < (1e-3 if o.format == "bf16" else 0.2)
        wrong += not ok
        if rank == 0:
            took = f", {sorted(times)[len(times) // 2] * 1e6:.0f} us a step with its launch" if times else ""
            print(f"{length} tokens on {world} ranks, {o.format}: relative L2 {error:.2e}, lse {lse_error:.1e} from double precision "
                  f"over unquantised tokens{took}: {'ok' if ok else 'WRONG'}", flush=True)  # fmt: skip
    dist.destroy_process_group()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
