#!/usr/bin/env python3
"""One request over several GPUs, a process each: every rank holds a part of the pages and decodes it, and the results are merged by
their lse (snapmla.shards.Ranks: one all-gather and a kernel), to the same bits on every rank. Compares with attention in double precision
over all tokens, and times both steps.

    torchrun --nproc-per-node 2 examples/shards/decode.py --context 262144,1048576
    torchrun --nproc-per-node 2 examples/shards/decode.py --context 1,65,262144,1048576 --graph

With --graph a step, the exchange by NCCL in it, is captured once, while the request is empty, and replayed at every length. On a machine
without CUDA the ranks run on the emulator with gloo, which have no graphs: --graph is told so and calls are made; take a small --context
there. Ranks whose plans differ, by their fingerprints, refuse to go on. The times and their file are figures.py's."""

import argparse
import hashlib
import os
import sys

import snapmla
import torch
import torch.distributed as dist
from figures import TIMED, File, microseconds

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


class Request:
    """A rank's plan, its part of the cache and a query: the request, of as many tokens as set_length() says."""

    def __init__(self, o, most, device):
        self.o, self.device, self.world, self.rank = o, device, dist.get_world_size(), dist.get_rank()
        context = snapmla.Context(device if o.cuda else "emulator")
        held = int(snapmla.shards.share(most, self.world, 0, PAGE))
        problem = snapmla.problem(o.format, heads=o.heads, latent_rank=o.latent, page_tokens=PAGE, max_batch=1, max_context=held)
        odd, _, variant = o.variant_of_rank.partition(":")
        self.plan = snapmla.Plan(context, problem, variant=variant if odd == str(self.rank) else None)
        self.ranks = snapmla.shards.Ranks(self.plan, 1)
        self.kv_scale = 6 / 448 if o.format == "fp8_tensor" else 0.0
        self.cache = self._filled(context, problem, -(-held // PAGE))
        self.workspace = self.plan.workspace()
        self.table = torch.arange(len(self.cache), dtype=torch.int32, device=device)[None]
        self.held = torch.zeros(1, dtype=torch.int32, device=device)
        heads = lambda seed, width: rows(0, -(-o.heads // PAGE) * PAGE, width, seed, device)[: o.heads].view(1, 1, o.heads, width)  # noqa: E731
        self.query, self.query_rope = heads(3, o.latent), heads(4, 64)
        # Shards decode without sinks, by a plan of a problem without: the merge takes them in, once.
        self.sinks = torch.arange(o.heads, dtype=torch.float32, device=device) if o.sinks else None

    def _filled(self, context, problem, pages):
        """The cache: page p of the request is page p // world of rank p % world."""
        page_bytes = snapmla.Layout(problem).page_bytes
        cache = torch.empty(pages, page_bytes, dtype=torch.uint8, device=self.device) if self.o.cuda else snapmla.new_cache(context, problem, pages)
        for first in range(0, pages, CHUNK // PAGE):
            mine = range(first, min(pages, first + CHUNK // PAGE))
            latent, rope = (torch.cat([rows((p * self.world + self.rank) * PAGE, PAGE, width, seed, self.device) for p in mine])
                            for width, seed in ((self.o.latent, 1), (64, 2)))  # fmt: skip
            slots = torch.arange(first * PAGE, first * PAGE + len(latent), device=self.device)
            self.plan.append(cache, latent, rope, slots, kv_scale=self.kv_scale)
        return cache

    def set_length(self, tokens):
        self.held.fill_(int(snapmla.shards.share(tokens, self.world, self.rank, PAGE)))

    def decode(self):
        """What this rank holds."""
        self.plan.schedule(self.workspace, self.table, self.held)
        self.plan.decode(self.workspace, self.query, self.query_rope, self.cache, self.table, self.held, self.o.scale, self.ranks.out,
                         self.ranks.lse, kv_scale=self.kv_scale)  # fmt: skip

    def step(self):
        """(out, lse) over the tokens of all ranks, the same memory each time."""
        self.decode()
        return self.ranks.merge(self.sinks)

    def merge_alone(self):
        """A call of the merge's kernel by itself, on results of the same shape."""
        outs, lses = (torch.randn(self.world, *like.shape, device=self.device).to(like.dtype) for like in (self.ranks.out, self.ranks.lse))
        out, lse = torch.empty_like(outs[0]), torch.empty_like(lses[0])
        return lambda: self.plan.merge(outs, lses, out, lse, self.sinks)


def captured(call):
    """A CUDA graph of what call() does, captured on every rank at once: to be launched by replay(). What is made at the first call, NCCL's
    connections too, is made before. NCCL's own thread may ask for its events meanwhile, hence the capture of this thread alone."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    dist.barrier()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        call()
    return graph


def alike(merged, total):
    """Whether all ranks have the same bits."""
    mine = hashlib.sha256(b"".join(tensor.cpu().view(torch.uint8).numpy().tobytes() for tensor in (merged, total))).hexdigest()
    digests = [None] * dist.get_world_size()
    dist.all_gather_object(digests, mine)
    return len(set(digests)) == 1


def run(o, device):
    """How many lengths came out wrong."""
    request = Request(o, max(o.context), device)
    if o.graph and not o.cuda and request.rank == 0:
        print("--graph: the emulator has no CUDA graphs, so steps are calls here; for a graph run on GPUs, without --emulator", file=sys.stderr)
    calls = dict(zip(TIMED, (request.step, request.decode, request.merge_alone())))
    graphs = {name: captured(call) for name, call in calls.items()} if o.graph and o.cuda else {}
    way = "a graph" if graphs else "calls"
    wrong = 0
    with File(o.csv, o.cuda, o.repeat) as file:
        for length in o.context:
            request.set_length(length)
            merged, total = request.step()
            same = True
            if graphs:
                want = merged.clone(), total.clone()
                for tensor in (merged, total, request.ranks.out, request.ranks.lse):
                    tensor.fill_(float("nan"))
                graphs["step"].replay()
                same = torch.equal(merged, want[0]) and torch.equal(total, want[1])
            same = alike(merged, total) and same
            exact, exact_lse = reference(request.query, request.query_rope, length, request.sinks, o, device)
            error = float((merged[0, 0].double() - exact).norm() / exact.norm())
            lse_error = float((total[0, :, 0] - exact_lse).abs().max())
            # FP8's distance is that of its query and cache: see docs/accuracy.md. What merging adds shows with bf16.
            ok = same and error < (1e-2 if o.format == "bf16" else 8e-2) and lse_error < (1e-3 if o.format == "bf16" else 0.2)
            wrong += not ok
            times = {name: microseconds(graphs[name].replay if graphs else call, o.repeat) for name, call in calls.items()} if o.cuda else {}
            if request.rank == 0:
                took = "; us: " + ", ".join(f"{name} {median:.2f} ± {spread:.2f}" for name, (median, spread) in times.items()) if times else ""
                print(f"{length} tokens on {request.world} ranks, {o.format}, by {way}: relative L2 {error:.2e}, lse {lse_error:.1e} from double "
                      f"precision over unquantised tokens{'' if same else ', BITS DIFFER'}{took}: {'ok' if ok else 'WRONG'}", flush=True)  # fmt: skip
            file.add(times, tokens=length, ranks=request.world, heads=o.heads, format=o.format, way=way, rel_l2=f"{error:.3e}",
                     lse_error=f"{lse_error:.1e}", same_bits=int(same))  # fmt: skip
    return wrong


def lengths(text):
    """Of --context."""
    counts = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' has a length that is no whole number from 1 on: give tokens of the request, by commas, as 1,65,262144")
    return counts


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1 on: give how many steps in a row a time is of, or leave it out for 20")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", type=lengths, default="262144", help="lengths of the request in tokens, by commas, each at least 1")
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--latent", type=int, default=512)
    parser.add_argument("--format", default="fp8_token")
    parser.add_argument("--sinks", action="store_true", help="each head has an attention sink")
    parser.add_argument("--variant-of-rank", default="", help="RANK:VARIANT, to see what becomes of ranks that differ")
    parser.add_argument("--graph", action="store_true", help="capture a step once, and replay it at every length (GPUs only)")
    parser.add_argument("--emulator", action="store_true", help="ranks on the emulator also where there is CUDA")
    parser.add_argument("--repeat", type=positive, default=20, help="steps in a row that a time is of")
    parser.add_argument("--csv", help="a file for rank 0's figures")
    o = parser.parse_args()
    o.scale = (128 + 64) ** -0.5
    o.cuda = torch.cuda.is_available() and not o.emulator
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = f"cuda:{local}" if o.cuda else "cpu"
    if o.cuda:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if o.cuda else "gloo")
    wrong = run(o, device)  # its graphs are gone with it: NCCL's communicator waits for them
    dist.destroy_process_group()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
