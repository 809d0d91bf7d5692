"""One request's cache in several shards: each decodes what it holds, and the results are merged by their lse.

Attention over all tokens is the average of the shards' results under the weights exp(lse), as the parts of a sum of exponentials; nothing
is approximated, whoever holds which token. With one query token the shards need not know of each other: a shard decodes with the length that
it holds. Several query tokens of a request go as requests of their own, each with its own lengths (the same pages).

Shards decode without sinks: each would take the sinks' share of its own part. It goes on the merged result:
out * exp(lse) / (exp(lse) + exp(sink))."""

import numpy as np

from ._arrays import torch_tensor
from ._library import fail
from .context import from_bf16, to_bf16


def share(tokens, world, rank, page_tokens=64):
    """How many of `tokens` tokens lie with `rank` where pages are dealt in turn: page p of a request is page p // world of rank
    p % world. Integers or numpy arrays."""
    if not 0 <= rank < world:
        fail(f"rank: it is {rank}, it must be 0 to {world - 1}, as world is {world}")
    whole, rest = tokens // (page_tokens * world), tokens % (page_tokens * world)
    return whole * page_tokens + np.clip(rest - rank * page_tokens, 0, page_tokens)


def merge(outs, lses):
    """Merges results of Plan.decode on different shards of the same requests.

    outs: a sequence of [batch, q_len, heads, rank], all bf16 (numpy: uint16) or all fp32; lses: as many [batch, heads, q_len] fp32, natural
    logarithms, -inf where a shard holds no token of a request. Returns (out, lse) of the same kinds: zeros and -inf
    where no shard holds any; NaN where one has NaN."""
    if not len(outs) or len(outs) != len(lses):
        fail(f"outs: there are {len(outs)} of them and {len(lses)} of lses, it must be as many, one at least")
    if torch_tensor(outs[0]):
        import torch

        lse = torch.stack(list(lses)).double()
        total, weights = _weights(lse, torch)
        weights = weights.transpose(2, 3)[..., None]
        merged = (torch.stack(list(outs)).double() * weights).sum(0)
        return merged.to(outs[0].dtype), total.float()
    is_bf16 = outs[0].dtype == np.uint16
    wide = np.stack([from_bf16(out) if is_bf16 else out for out in outs]).astype(np.float64)
    total, weights = _weights(np.stack(lses).astype(np.float64), np)
    merged = (wide * np.swapaxes(weights, 2, 3)[..., None]).sum(0)
    return (to_bf16(merged) if is_bf16 else merged.astype(outs[0].dtype)), total.astype(np.float32)


def merge_ranks(out, lse, group=None):
    """merge() of what every rank of a torch.distributed group decoded: two all-reduces, the same result on each rank.

    out [batch, q_len, heads, rank] bf16 or fp32, lse [batch, heads, q_len] fp32: this rank's. On their device; NCCL for CUDA tensors."""
    import torch
    import torch.distributed as dist

    # NaN must outlive the maximum, which need not pass it on: it comes back with the sums below.
    top = torch.where(lse.isnan(), torch.full_like(lse, -torch.inf), lse)
    dist.all_reduce(top, dist.ReduceOp.MAX, group)
    weight = (lse - torch.where(top.isfinite(), top, torch.zeros_like(top))).exp()
    part = torch.cat((out.float() * weight.transpose(1, 2)[..., None], weight.transpose(1, 2)[..., None]), -1)
    dist.all_reduce(part, dist.ReduceOp.SUM, group)
    total = part[..., -1:]
    merged = torch.where(total == 0, torch.zeros_like(part[..., :-1]), part[..., :-1] / total)
    return merged.to(out.dtype), top + total[..., 0].transpose(1, 2).log()


def _weights(lse, xp):
    """(lse of all [..], weights [shards, ..]) of lse [shards, ..], a double array of numpy or torch, whose sums are 1 or, where there is no
    token, 0."""
    top = lse.max(0) if xp is np else lse.max(0).values
    finite = xp.where(top == -xp.inf, xp.zeros_like(top), top)
    weights = xp.exp(lse - finite)
    total = weights.sum(0)
    none = total == 0
    safe = xp.where(none, xp.ones_like(total), total)
    log = xp.where(none, xp.full_like(total, -xp.inf), finite + xp.log(safe))
    return log, weights / safe
