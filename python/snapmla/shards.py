"""One request's cache in several shards: each decodes what it holds, and the results are merged by their lse (docs/shards.md).

Attention over all tokens is the average of the shards' results under the weights exp(lse), as the parts of a sum of exponentials; nothing
is approximated, whoever holds which token. With one query token the shards need not know of each other: a shard decodes with the length that
it holds. Several query tokens of a request go as requests of their own, each with its own lengths (the same pages).

Shards decode without sinks, as each would take them into its own part: they go into the merge."""

import contextlib

import numpy as np

from ._arrays import torch_tensor
from ._library import call, fail
from .context import from_bf16, to_bf16

_BLOCK_ALIGNMENT = 16  # bytes: outs of every rank are aligned


def share(tokens, world, rank, page_tokens=64):
    """How many of `tokens` tokens lie with `rank` where pages are dealt in turn: page p of a request is page p // world of rank
    p % world. Integers or numpy arrays."""
    if not 0 <= rank < world:
        fail(f"rank: it is {rank}, it must be 0 to {world - 1}, as world is {world}")
    whole, rest = tokens // (page_tokens * world), tokens % (page_tokens * world)
    return whole * page_tokens + np.clip(rest - rank * page_tokens, 0, page_tokens)


def check_fingerprints(fingerprints):
    """Raises unless the ranks' plans compute alike: the fingerprints of all, in their order. Names the first that differs."""
    if any(not isinstance(text, str) or len(text) != 64 for text in fingerprints):
        fail(f"fingerprints: they are {fingerprints!r}, they must be what Plan.fingerprint() returns, of each rank one")
    call("fingerprints_agree", b"".join(text.encode() + b"\0" for text in fingerprints), len(fingerprints))


def agree(plan, group=None):
    """Raises, on all ranks of a torch.distributed group, unless their plans compute alike. Before the first step."""
    import torch.distributed as dist

    prints = [None] * dist.get_world_size(group)
    dist.all_gather_object(prints, plan.fingerprint(), group)
    check_fingerprints(prints)


class Ranks:
    """What a rank of a torch.distributed group needs for steps that all take together: where to decode to, and the exchange.

        ranks = snapmla.shards.Ranks(plan, batch)                       # once; raises where plans differ
        plan.decode(workspace, …, out=ranks.out, lse=ranks.lse)         # what this rank holds
        out, lse = ranks.merge(sinks)                                   # one all-gather and a kernel; on every rank the same bits

    out [batch, q_len, heads, latent_rank] bf16, lse [batch, heads, q_len] fp32: this rank's place among all. On the plan's device;
    NCCL for CUDA tensors. Memory is made here, none in merge(), so that steps may be captured into a CUDA graph; the results stay where they
    are until the next merge()."""

    def __init__(self, plan, batch, group=None):
        import torch
        import torch.distributed as dist

        agree(plan, group)
        of = plan.problem
        world, rank = dist.get_world_size(group), dist.get_rank(group)
        shape = (batch, of.q_len, of.heads, of.latent_rank)
        rows = batch * of.q_len * of.heads
        out_bytes, lse_bytes = rows * of.latent_rank * 2, rows * 4
        block = out_bytes + -(-lse_bytes // _BLOCK_ALIGNMENT) * _BLOCK_ALIGNMENT
        device = "cpu" if plan.context.is_emulator else plan.context.name
        self._plan, self._group = plan, group
        self._gathered = torch.empty(world * block, dtype=torch.uint8, device=device)
        blocks = self._gathered.view(world, block)
        self._mine = blocks[rank]
        self._outs = blocks[:, :out_bytes].view(torch.bfloat16).unflatten(1, shape)
        self._lses = blocks[:, out_bytes : out_bytes + lse_bytes].view(torch.float32).unflatten(1, (batch, of.heads, of.q_len))
        self.out, self.lse = self._outs[rank], self._lses[rank]
        self._out = torch.empty(shape, dtype=torch.bfloat16, device=device)
        self._lse = torch.empty(batch, of.heads, of.q_len, device=device)

    def merge(self, sinks=None, stream=None):
        """(out, lse) of all tokens, from what every rank has in its `out` and `lse`. Of every rank alike: it waits for all. The exchange and
        the kernel are on `stream`, or torch's current one of the plan's device: the one that decode() was on."""
        import torch.distributed as dist

        with self._on(stream):
            dist.all_gather_into_tensor(self._gathered, self._mine, self._group)
            self._plan.merge(self._outs, self._lses, self._out, self._lse, sinks)
        return self._out, self._lse

    def _on(self, stream):
        if stream is None or self._plan.context.is_emulator:
            return contextlib.nullcontext()
        import torch

        if not hasattr(stream, "cuda_stream"):
            stream = torch.cuda.ExternalStream(int(stream), self._gathered.device)
        return torch.cuda.stream(stream)


def merge(outs, lses, sinks=None):
    """Plan.merge without a plan or a device, in double precision by numpy.

    outs: a sequence of [batch, q_len, heads, rank], all bf16 (uint16) or all of one float; lses: as many [batch, heads, q_len], natural
    logarithms, -inf where a shard holds no token of a request, what it has in outs being not looked at; sinks [heads] or None.
    Returns (out, lse) of the same kinds: zeros and -inf where no shard holds any; NaN where an lse is NaN."""
    if not len(outs) or len(outs) != len(lses):
        fail(f"outs: there are {len(outs)} of them and {len(lses)} of lses, it must be as many, one at least")
    if any(torch_tensor(array) for array in (*outs, *lses)):
        fail("outs: they are torch tensors; merge them by Plan.merge on their device, or pass numpy arrays")
    is_bf16 = outs[0].dtype == np.uint16
    wide = np.stack([from_bf16(out) if is_bf16 else out for out in outs]).astype(np.float64)
    total, weights = _weights(np.stack(lses).astype(np.float64))
    by_row = np.swapaxes(weights, 2, 3)[..., None]
    merged = (np.where(by_row == 0, 0, wide) * by_row).sum(0)
    if sinks is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            taken = 1 + np.exp(np.asarray(sinks, np.float64)[None, :, None] - total)
            merged = merged * np.where(total == -np.inf, 1, 1 / taken).swapaxes(1, 2)[..., None]
    return (to_bf16(merged) if is_bf16 else merged.astype(outs[0].dtype)), total.astype(np.float32)


def _weights(lse):
    """(lse of all [..], weights [shards, ..]) of lse [shards, ..] fp64, whose sums are 1 or, where there is no token, 0."""
    top = lse.max(0)
    finite = np.where(top == -np.inf, 0, top)
    weights = np.exp(lse - finite)
    total = weights.sum(0)
    none = total == 0
    safe = np.where(none, 1, total)
    return np.where(none, -np.inf, finite + np.log(safe)), weights / safe
