"""Two calls with the arguments, shapes and conventions of FlashMLA's get_mla_metadata and flash_mla_with_kvcache."""

import math
import re
import sys
import threading

import numpy as np

from . import _structs as s
from ._arrays import Call, Calls, checked, dense, signature, torch_tensor, whole
from ._library import ArgumentError, fail, kv_formats
from ._plans import scale_of
from .cache import SINKS, Layout, problem
from .context import Context
from .plan import DECODE_FIELDS, Plan

ROPE = 64


class Metadata:
    """What one step's calls share: the schedule, made by the first of them. A step needs one of its own."""

    def __init__(self):
        self.plan = self.workspace = self.batch = None


def get_mla_metadata(cache_seqlens=None, num_q_tokens_per_head_k=None, num_heads_k=1, *_, **__):
    """(tile_scheduler_metadata, num_splits). The first belongs to the lengths of one step and is filled by its first
    decode call, on that call's stream; num_splits is None: the schedule holds it."""
    if num_heads_k != 1:
        fail(f"num_heads_k: it is {num_heads_k}, it must be 1: MLA has one latent head")
    return Metadata(), None


_contexts, _plans, _shapes, _lock = {}, {}, Calls(), threading.RLock()  # by device's name; by that and the problem's bytes


def context_for(tensor):
    """The context that the calls use for an array's device: opened by the first that needs it."""
    device = str(tensor.device) if torch_tensor(tensor) and tensor.device.type == "cuda" else "emulator"
    with _lock:
        if device not in _contexts:
            _contexts[device] = Context(device)
        return _contexts[device]


def plan_for(context, of):
    """The plan that the calls use for a problem: made by the first that needs it."""
    key = context.name, bytes(of)
    with _lock:
        if key not in _plans:
            _plans[key] = Plan(context, of)
        return _plans[key]


def close():
    """Frees the contexts and plans that flash_mla_with_kvcache has made; later calls make them anew. No call may be running."""
    with _lock:
        _shapes.clear()
        for plan in _plans.values():
            plan.close()
        _plans.clear()
        for context in _contexts.values():
            context.close()
        _contexts.clear()


def flash_mla_with_kvcache(q, k_cache, block_table, cache_seqlens, head_dim_v, tile_scheduler_metadata, num_splits=None,
                           softmax_scale=None, causal=False, descale_q=None, descale_k=None, is_fp8_kvcache=False,
                           indices=None, topk_length=None, kv_format=None, max_context=None, attn_sink=None):  # fmt: skip
    """(out [batch, q_len, heads, head_dim_v] bf16, lse [batch, heads, q_len] fp32, +inf where a row sees no token).

    q [batch, q_len, heads, head_dim_v + 64] bf16; block_table [batch, blocks] and cache_seqlens [batch] int32; k_cache
    [num_blocks, block_size, 1, head_dim_v + 64] of bf16, or with is_fp8_kvcache of e4m3 under descale_k (a number, or one
    fp32 on the device); with kv_format="fp8_token" pages [num_pages, page_bytes] (docs/format.md). softmax_scale: the query's
    width to the power of -1/2 if None. Several query tokens are causal among themselves: then `causal` must be true.

    Sparse decoding: indices [batch, q_len, topk] int32, slots of the cache (page * page's tokens + offset), -1
    for none; topk_length [batch] int32: how many of each list count, all if None. block_table and cache_seqlens are not looked
    at and may be None.

    attn_sink [heads] fp32: out is multiplied by exp(lse) / (exp(lse) + exp(attn_sink)); lse is without it."""
    if not isinstance(tile_scheduler_metadata, Metadata):
        fail("tile_scheduler_metadata: it must be what get_mla_metadata returned; call it once a step")
    if descale_q is not None:
        fail("descale_q: the query is bf16 and has no scale; leave it out")
    number, pointer = scale_of(0.0 if descale_k is None else descale_k, "descale_k")
    if indices is not None:
        block_table = cache_seqlens = None
    arrays = q, k_cache, block_table, cache_seqlens, indices, topk_length, pointer, attn_sink
    key = (signature(arrays), head_dim_v, causal, descale_k is None, is_fp8_kvcache, kv_format, max_context)
    shape = _shapes.get(key, lambda: _Shape(*arrays, *key[1:]))
    plan, step, counts = shape.plan, tile_scheduler_metadata, shape.counts
    if topk_length is not None:
        counts = shape.counts_of(topk_length)
    if step.plan is plan and step.batch != shape.batch:
        fail(f"tile_scheduler_metadata: it was made for a batch of {step.batch}, this one is {shape.batch}; "
             "call get_mla_metadata once a step")  # fmt: skip
    if step.plan is not plan:
        step.plan, step.workspace, step.batch = plan, plan.workspace(q), shape.batch
        plan.schedule(step.workspace, block_table, cache_seqlens, counts)
    out, lse = shape.results(q)
    arrays = step.workspace, q, q, k_cache, block_table, cache_seqlens, out, lse, indices, counts, pointer, attn_sink
    scale = shape.scale if softmax_scale is None else softmax_scale
    shape.call.run(plan.handle, arrays, (("softmax_scale", scale), ("kv_scale", number)), None)
    if shape.torch is not None:
        lse.nan_to_num_(nan=math.nan, posinf=math.inf, neginf=math.inf)
    else:
        lse[lse == -math.inf] = math.inf
    return out, lse


class _Shape:
    """What calls with arrays of one signature have in common: checked, planned, and the library's struct filled."""

    def __init__(self, q, k_cache, block_table, cache_seqlens, indices, topk_length, kv_scale, attn_sink, head_dim_v, causal,
                 no_scale, is_fp8_kvcache, kv_format, max_context):  # fmt: skip
        kv_format = kv_format or (_fp8_rows(k_cache, head_dim_v) if is_fp8_kvcache else "bf16")
        known = [name for name in kv_formats() if name in _CACHES]
        if kv_format not in known:
            fail(f"kv_format: {kv_format} is not one of those that this call takes: {', '.join(known)}")
        if not no_scale and kv_format != "fp8_tensor":
            fail(f"descale_k: {kv_format} has no scale of the cache; leave it out")
        head_dim_v = whole("head_dim_v", head_dim_v)
        max_context = None if max_context is None else whole("max_context", max_context)
        context = context_for(q)
        (batch, q_len, heads, width), q_strides = checked(context, "q", q, "bf16", (None, None, None, head_dim_v + ROPE))
        if q_len > 1 and not causal and indices is None:
            fail(f"causal: {q_len} query tokens are causal among themselves; pass causal=True")
        kind, pages_of = _CACHES[kv_format]
        shape, cache_strides = checked(context, "k_cache", k_cache, kind, None)
        if 0 in shape:
            fail(f"k_cache: its shape is {list(shape)}, it must have a page at least")
        tokens = pages_of(kv_format, k_cache, shape, cache_strides, head_dim_v)
        size = dict(heads=heads, q_len=q_len, latent_rank=head_dim_v, page_tokens=tokens, max_batch=_power_of_two(batch))
        fields = {}
        if attn_sink is not None:
            checked(context, "attn_sink", attn_sink, "fp32", (heads,))
            dense("attn_sink", attn_sink)
            size["flags"] = SINKS
        if indices is None:
            if topk_length is not None:
                fail("topk_length: it belongs to indices, which are None; leave it out")
            _, table_strides = checked(context, "block_table", block_table, "int32", (batch, None))
            checked(context, "cache_seqlens", cache_seqlens, "int32", (batch,))
            dense("cache_seqlens", cache_seqlens)
            blocks = block_table.shape[1]
            fields["block_table_stride"] = table_strides[0] if batch > 1 else blocks
            if batch and not blocks:
                fail("block_table: it has no column; it must have one for each page of the longest request")
            size["max_context"] = _power_of_two(max_context or max(1, blocks * tokens))
        else:
            (_, _, topk), strides = checked(context, "indices", indices, "int32", (batch, q_len, None))
            fields["indices_stride_batch"], fields["indices_stride_token"] = strides[:2]
            size["max_indices"], size["max_context"] = topk, 1
            if topk_length is not None:
                checked(context, "topk_length", topk_length, "int32", (batch,))
        self.plan = plan_for(context, _problem(kv_format, size))
        if kv_scale is not None:
            checked(context, "descale_k", kv_scale, "fp32", (1,) * len(kv_scale.shape))
        self.torch = sys.modules["torch"] if torch_tensor(q) else None
        self.scale, self.q_len, self.batch = width**-0.5, q_len, batch
        self.out_shape, self.lse_shape = (batch, q_len, heads, head_dim_v), (batch, heads, q_len)
        self.counts = None if indices is None else self._full((batch, q_len), indices.shape[2], q)
        for name in ("q_nope", "q_rope"):
            fields.update(zip((f"{name}_stride_batch", f"{name}_stride_token", f"{name}_stride_head"), q_strides))
        args = s.DecodeArgs(
            batch=batch, num_pages=shape[0], workspace_bytes=self.plan.workspace_bytes,
            page_stride=(cache_strides[0] if shape[0] > 1 else math.prod(shape[1:])) * k_cache.itemsize,
            out_stride_batch=q_len * heads * head_dim_v, out_stride_token=heads * head_dim_v, out_stride_head=head_dim_v,
            lse_stride_batch=heads * q_len, lse_stride_head=q_len, lse_stride_token=1, **fields,
        )  # fmt: skip
        rope = tuple(("q_rope", f[1], f[2], 2 * head_dim_v) if f[0] == "q_rope" else f for f in DECODE_FIELDS)
        self.call = Call(context, "plan_decode", args, rope)

    def _full(self, shape, value, q):
        if self.torch is None:
            return np.full(shape, value, np.int32)
        return self.torch.full(shape, value, dtype=self.torch.int32, device=q.device)

    def counts_of(self, topk_length):
        """[batch, q_len] of [batch]"""
        counts = topk_length[:, None]
        if self.q_len == 1:
            return counts
        return counts.repeat(1, self.q_len) if self.torch is not None else np.repeat(counts, self.q_len, axis=1)

    def results(self, q):
        if self.torch is None:
            return np.empty(self.out_shape, np.uint16), np.empty(self.lse_shape, np.float32)
        empty = self.torch.empty
        return (
            empty(self.out_shape, dtype=q.dtype, device=q.device),
            empty(self.lse_shape, dtype=self.torch.float32, device=q.device),
        )


# The argument that a problem's field comes from.
_FIELD_OF = {"heads": "q", "q_len": "q", "max_batch": "q", "latent_rank": "head_dim_v", "page_tokens": "k_cache",
             "max_context": "max_context", "max_indices": "indices"}  # fmt: skip


def _problem(kv_format, size):
    try:
        return problem(kv_format, **size)
    except ArgumentError as error:
        named = re.match(r"problem: (\w+)", str(error))
        fail(f"{_FIELD_OF.get(named[1], named[1]) if named else 'q'}: {error}")


def _power_of_two(n):
    return 1 << max(0, n - 1).bit_length()


def _images(kv_format, k_cache, shape, strides, rank):
    """Tokens per page of a cache of page images."""
    if len(shape) != 2:
        fail(f"k_cache: of {kv_format} it is [num_pages, page_bytes], not {list(shape)}")
    if shape[0] > 1 and strides[0] < shape[1]:
        fail("k_cache: its pages overlap; make it contiguous")
    for tokens in (16, 32, 64, 128):
        if Layout(_problem(kv_format, dict(latent_rank=rank, page_tokens=tokens))).page_bytes == shape[1]:
            return tokens
    fail(f"k_cache: pages of {shape[1]} bytes are not of {kv_format} with head_dim_v {rank}: see docs/format.md")


def _rows(kv_format, k_cache, shape, strides, rank):
    """Tokens per page of a cache of rows."""
    width = _row_width(kv_format, rank)
    if len(shape) != 4 or shape[2:] != (1, width):
        fail(f"k_cache: its shape is {list(shape)}, it must be [num_blocks, block_size, 1, {width}]")
    if shape[1] > 1 and strides[1] != width or shape[0] > 1 and strides[0] < shape[1] * width:
        fail("k_cache: the rows of a block are not one after another; make it contiguous")
    return shape[1]


def _fp8_rows(k_cache, rank):
    """What is_fp8_kvcache means: rows of 656 bytes, those of the sparse calls, or e4m3 under one scale."""
    return "fp8_tile" if rank == 512 and tuple(k_cache.shape)[3:] == (656,) else "fp8_tensor"


def _row_width(kv_format, rank):
    """Elements of a token's row, as the cache's dtype counts them."""
    row = Layout(_problem(kv_format, dict(latent_rank=rank, page_tokens=64))).bytes_per_token
    return int(row) // (2 if _CACHES[kv_format][0] == "bf16" else 1)


# A format that this call takes: the kind of its elements, and what finds the tokens of a page.
_CACHES = {
    "fp8_token": ("byte", _images), "fp8_token_r4": ("byte", _images), "bf16": ("bf16", _rows), "fp8_tensor": ("byte", _rows),
    "fp8_tile": ("byte", _rows),
}  # fmt: skip
