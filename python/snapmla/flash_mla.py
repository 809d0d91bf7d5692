"""Two calls with the arguments, shapes and conventions of FlashMLA's get_mla_metadata and flash_mla_with_kvcache."""

import math
import threading

import numpy as np

from ._arrays import checked, torch_tensor
from ._library import fail, kv_formats
from .context import Context
from .plan import Layout, Plan, problem

ROPE = 64


class Metadata:
    """What one step's calls share: the schedule, made by the first of them. A step needs one of its own."""

    def __init__(self):
        self.plan = self.workspace = None


def get_mla_metadata(cache_seqlens=None, num_q_tokens_per_head_k=None, num_heads_k=1, *_, **__):
    """(tile_scheduler_metadata, num_splits). The first belongs to the lengths of one step and is filled by its first
    decode call, on that call's stream; num_splits is None: the schedule holds it."""
    if num_heads_k != 1:
        fail(f"num_heads_k: it is {num_heads_k}, it must be 1: MLA has one latent head")
    return Metadata(), None


_contexts, _plans, _lock = {}, {}, threading.Lock()  # by device's name; by that and the problem's bytes


def _context_for(q):
    device = str(q.device) if torch_tensor(q) and q.device.type == "cuda" else "emulator"
    with _lock:
        if device not in _contexts:
            _contexts[device] = Context(device)
        return _contexts[device]


def _plan_for(context, of):
    key = context.name, bytes(of)
    with _lock:
        if key not in _plans:
            _plans[key] = Plan(context, of)
        return _plans[key]


def close():
    """Frees the contexts and plans that flash_mla_with_kvcache has made; later calls make them anew. No call may be running."""
    with _lock:
        for plan in _plans.values():
            plan.close()
        _plans.clear()
        for context in _contexts.values():
            context.close()
        _contexts.clear()


def _power_of_two(n):
    return 1 << max(0, n - 1).bit_length()


def _cache_pages(k_cache, kv_format, rank):
    """(the cache as [num_pages, page bytes] of bytes, tokens per page)"""
    if kv_format == "fp8_token":
        if k_cache.ndim != 2:
            fail(f"k_cache: of fp8_token it is [num_pages, page_bytes], not {list(k_cache.shape)}")
        for tokens in (16, 32, 64, 128):
            of = problem(kv_format, latent_rank=rank, page_tokens=tokens)
            if Layout(of).page_bytes == k_cache.shape[1]:
                return k_cache, tokens
        fail(f"k_cache: pages of {k_cache.shape[1]} bytes are not of fp8_token with head_dim_v {rank}: see docs/format.md")
    if k_cache.ndim != 4 or tuple(k_cache.shape[2:]) != (1, rank + ROPE):
        fail(f"k_cache: its shape is {list(k_cache.shape)}, it must be [num_blocks, block_size, 1, {rank + ROPE}]")
    tokens = k_cache.shape[1]
    contiguous = k_cache.is_contiguous() if torch_tensor(k_cache) else k_cache.flags.c_contiguous
    if not contiguous:
        fail("k_cache: it is not contiguous, it must be; make it contiguous")
    flat = k_cache.reshape(k_cache.shape[0], -1)
    if torch_tensor(flat):
        import torch

        return flat.view(torch.uint8), tokens
    return flat.view(np.uint8), tokens


def flash_mla_with_kvcache(q, k_cache, block_table, cache_seqlens, head_dim_v, tile_scheduler_metadata, num_splits=None,
                           softmax_scale=None, causal=False, descale_q=None, descale_k=None, is_fp8_kvcache=False,
                           indices=None, kv_format=None, max_context=None):  # fmt: skip
    """(out [batch, q_len, heads, head_dim_v] bf16, lse [batch, heads, q_len] fp32, +inf where a row sees no token).

    q [batch, q_len, heads, head_dim_v + 64] bf16; block_table [batch, blocks] and cache_seqlens [batch] int32; k_cache
    [num_blocks, block_size, 1, head_dim_v + 64] of bf16, or with is_fp8_kvcache of e4m3 under descale_k (a number);
    with kv_format="fp8_token" pages [num_pages, page_bytes] (docs/format.md). softmax_scale: the query's width to
    the power of -1/2 if None. Several query tokens are causal among themselves: then `causal` must be true."""
    kv_format = kv_format or ("fp8_tensor" if is_fp8_kvcache else "bf16")
    if kv_format not in kv_formats() or kv_format not in ("fp8_token", "bf16", "fp8_tensor"):
        fail(f"kv_format: {kv_format} is not one of those that this call takes: {', '.join(kv_formats())}")
    if indices is not None:
        fail("indices: this call takes no index lists; leave it out")
    if descale_q is not None:
        fail("descale_q: the query is bf16 and has no scale; leave it out")
    if descale_k is not None and kv_format != "fp8_tensor":
        fail(f"descale_k: {kv_format} has no scale of the cache; leave it out")
    if not isinstance(tile_scheduler_metadata, Metadata):
        fail("tile_scheduler_metadata: it must be what get_mla_metadata returned; call it once a step")
    context = _context_for(q)
    q = checked(context, "q", q, "bf16", (None, None, None, head_dim_v + ROPE))
    batch, q_len, heads, width = q.shape
    if q_len > 1 and not causal:
        fail(f"causal: {q_len} query tokens are causal among themselves; pass causal=True")
    kind = "bf16" if kv_format == "bf16" else "byte"
    k_cache = checked(context, "k_cache", k_cache, kind, (None,) * len(k_cache.shape))
    cache, tokens = _cache_pages(k_cache, kv_format, head_dim_v)
    block_table = checked(context, "block_table", block_table, "int32", (batch, None))
    cache_seqlens = checked(context, "cache_seqlens", cache_seqlens, "int32", (batch,))
    of = problem(
        kv_format, heads=heads, q_len=q_len, latent_rank=head_dim_v, page_tokens=tokens,
        max_batch=_power_of_two(batch), max_context=_power_of_two(max_context or max(1, block_table.shape[1] * tokens)),
    )  # fmt: skip
    plan = _plan_for(context, of)
    step = tile_scheduler_metadata
    if step.plan is not plan:
        step.plan, step.workspace = plan, plan.workspace()
        plan.schedule(step.workspace, block_table, cache_seqlens)
    if torch_tensor(q):
        import torch

        out = torch.empty(q.shape[:3] + (head_dim_v,), dtype=q.dtype, device=q.device)
        lse = torch.empty((batch, heads, q_len), dtype=torch.float32, device=q.device)
    else:
        out, lse = np.empty(q.shape[:3] + (head_dim_v,), np.uint16), np.empty((batch, heads, q_len), np.float32)
    plan.decode(step.workspace, q[..., :head_dim_v], q[..., head_dim_v:], cache, block_table, cache_seqlens,
                width**-0.5 if softmax_scale is None else softmax_scale, out, lse, kv_scale=descale_k or 0.0)  # fmt: skip
    lse[lse == -math.inf] = math.inf
    return out, lse
