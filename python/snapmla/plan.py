"""Problems, caches and plans: append, schedule and decode, as plan.h has them."""

import ctypes as c
import weakref

import numpy as np

from . import _structs as s
from ._arrays import Staging, checked, dense, stream_of, strides_of, torch_tensor
from ._library import call, fail, function, kv_format
from .context import _Handle


def problem(kv_format_name="fp8_token", **fields):
    """A checked problem: DeepSeek-V3's shape, with the fields that are given (problem.h names them)."""
    out = s.Problem()
    function("problem_init")(c.byref(out))
    out.kv_format = kv_format(kv_format_name)
    known = [name for name, _ in s.Problem._fields_ if name not in ("size", "kv_format")]
    for name, value in fields.items():
        if name not in known:
            fail(f"{name}: a problem has no such field; it has kv_format_name, {', '.join(known)}")
        setattr(out, name, value)
    call("problem_check", c.byref(out))
    return out


class Layout:
    """Where things lie in a page of a problem's cache. Equal fingerprints: caches may be handed over page by page."""

    def __init__(self, of):
        out = s.PageLayout()
        call("page_layout_get", c.byref(of), c.byref(out))
        self.page_bytes, self.bytes_per_token = out.page_bytes, out.bytes_per_token
        self.fingerprint = out.fingerprint.decode()


def new_cache(context, of, num_pages):
    """An empty cache for the emulator: [num_pages, page_bytes] uint8 in its memory."""
    return context.empty((num_pages, Layout(of).page_bytes), np.uint8)


def read_tokens(of, cache, slots, kv_scale=0.0):
    """Tokens of a host cache [num_pages, page_bytes], dequantised: latent [n, latent_rank], rope [n, rope_dim] fp32."""
    cache = _host_cache(of, cache, kv_scale)
    slots = np.asarray(slots, np.int64)
    latent, rope = np.empty((len(slots), of.latent_rank), np.float32), np.empty((len(slots), of.rope_dim), np.float32)
    for i, slot in enumerate(slots):
        call("cache_read", c.byref(of), c.byref(cache), int(slot), latent[i].ctypes.data, rope[i].ctypes.data)
    return latent, rope


def convert_tokens(of, cache, slots, to, to_cache, to_slots, kv_scale=0.0, to_kv_scale=0.0):
    """Copies tokens of a host cache, row i from slots[i] to to_slots[i], also into another format or page size: each is
    read, rounded to bf16 and written anew, one row after another, so that a format equal to the first may round anew."""
    slots, to_slots = np.ascontiguousarray(slots, np.int64), np.ascontiguousarray(to_slots, np.int64)
    if slots.ndim != 1 or slots.shape != to_slots.shape:
        fail(f"to_slots: its shape is {list(to_slots.shape)}, it must be that of slots, {list(slots.shape)}, of one dimension")
    cache, to_cache = _host_cache(of, cache, kv_scale), _host_cache(to, to_cache, to_kv_scale)
    call("cache_convert", c.byref(of), c.byref(cache), slots.ctypes.data, c.byref(to), c.byref(to_cache),
         to_slots.ctypes.data, len(slots))  # fmt: skip


def _host_cache(of, cache, kv_scale):
    if not isinstance(cache, np.ndarray) or cache.dtype != np.uint8 or cache.ndim != 2:
        fail("cache: it must be a numpy array of uint8, [num_pages, page_bytes]; view it so")
    if cache.shape[1] < Layout(of).page_bytes or cache.strides[1] != 1:
        fail(f"cache: a page has {cache.shape[1]} bytes, it must have {Layout(of).page_bytes}, one after another")
    return s.Cache(kv=cache.ctypes.data, page_stride=cache.strides[0], num_pages=cache.shape[0], kv_scale=kv_scale)




class Plan(_Handle):
    """A problem bound to its variants on a device. Slow to make: expands, compiles and loads kernels. Thread-safe as plan.h
    says: calls may run at once where each has a workspace of its own.

    `variant`: an override, as "mla_decode:stages=3"."""

    def __init__(self, context, of, variant=None):
        options = s.PlanOptions(variant=variant.encode() if variant else None)
        out = c.c_void_p()
        owner = context.owner
        call("plan_create", owner.handle, c.byref(of), c.byref(options), c.byref(out))
        self.context, self.problem = context, of
        self._raw = out.value
        self._finalizer = weakref.finalize(self, _destroy, out.value, owner)
        self._finalizer.atexit = False
        self.workspace_bytes = function("plan_workspace_bytes")(self.handle)

    def variant(self, family):
        """The canonical text of the variant of a family ("mla_decode"), None if the plan has none."""
        text = function("plan_variant")(self.handle, family.encode())
        return text.decode() if text else None

    def fingerprint(self):
        """Equal exactly where two plans compute alike: ranks that share a request compare theirs before the first step."""
        out = c.create_string_buffer(65)
        call("plan_fingerprint", self.handle, out)
        return out.value.decode()

    def workspace(self, like=None):
        """Room for one step at a time: pass it to schedule() and to the decode() of every layer."""
        if self.context.is_emulator:
            return self.context.zeros((self.workspace_bytes,), np.uint8)
        import torch

        return torch.zeros(self.workspace_bytes, dtype=torch.uint8, device=self.context.name)

    def append(self, cache, latent, rope, slot_mapping, kv_scale=0.0, stream=None):
        """Quantises rows and writes them at their slots; negative slots are skipped.

        cache [num_pages, page_bytes] bytes, changed in place; latent [tokens, latent_rank], rope [tokens, rope_dim] bf16;
        slot_mapping [tokens] int64."""
        of = self.problem
        cache = self._cache(cache)
        latent = checked(self.context, "latent", latent, "bf16", (None, of.latent_rank))
        rope = checked(self.context, "rope", rope, "bf16", (latent.shape[0], of.rope_dim))
        slots = dense("slot_mapping", checked(self.context, "slot_mapping", slot_mapping, "int64", (latent.shape[0],)))
        stage = Staging(self.context)
        kv, kv_strides = stage.place(cache, writes=True)
        latent_at, latent_strides = stage.place(latent)
        rope_at, rope_strides = stage.place(rope)
        args = s.AppendArgs(
            tokens=latent.shape[0], latent=latent_at, latent_stride=latent_strides[0], rope=rope_at,
            rope_stride=rope_strides[0], slot_mapping=stage.place(slots)[0], kv=kv, page_stride=kv_strides[0],
            num_pages=cache.shape[0], stream=stream_of(self.context, stream), kv_scale=kv_scale,
        )  # fmt: skip
        call("plan_append", self.handle, c.byref(args))
        stage.finish()

    def schedule(self, workspace, block_table, seqlens, stream=None):
        """Once a step, before decode(): splits from the lengths. block_table [batch, pages], seqlens [batch] int32."""
        block_table, seqlens = self._lengths(block_table, seqlens)
        stage = Staging(self.context)
        args = s.DecodeArgs(
            batch=seqlens.shape[0], block_table=stage.place(block_table)[0], block_table_stride=block_table.shape[1],
            seqlens=stage.place(seqlens)[0], stream=stream_of(self.context, stream), **self._workspace(stage, workspace),
        )  # fmt: skip
        call("plan_schedule", self.handle, c.byref(args))
        stage.finish()

    def decode(self, workspace, q_nope, q_rope, cache, block_table, seqlens, softmax_scale, out, lse=None, kv_scale=0.0,
               stream=None):  # fmt: skip
        """Attention of one layer. q_nope [batch, q_len, heads, latent_rank], q_rope [.., rope_dim] and out (as q_nope) bf16;
        lse [batch, heads, q_len] fp32, natural logarithm, or None. A request of length 0: zeros, and -inf in lse."""
        of = self.problem
        block_table, seqlens = self._lengths(block_table, seqlens)
        batch = seqlens.shape[0]
        rows = (batch, of.q_len, of.heads)
        cache = self._cache(cache)
        q_nope = checked(self.context, "q_nope", q_nope, "bf16", rows + (of.latent_rank,))
        q_rope = checked(self.context, "q_rope", q_rope, "bf16", rows + (of.rope_dim,))
        out = checked(self.context, "out", out, "bf16", rows + (of.latent_rank,))
        stage = Staging(self.context)
        fields = self._workspace(stage, workspace)
        kv, kv_strides = stage.place(cache)
        for name, array, writes in (("q_nope", q_nope, False), ("q_rope", q_rope, False), ("out", out, True)):
            fields[name], strides = stage.place(array, writes)
            for i, dimension in enumerate(("batch", "token", "head")):
                fields[f"{name}_stride_{dimension}"] = strides[i]
        if lse is not None:
            lse = checked(self.context, "lse", lse, "fp32", (batch, of.heads, of.q_len))
            fields["lse"], strides = stage.place(lse, writes=True)
            for i, dimension in enumerate(("batch", "head", "token")):
                fields[f"lse_stride_{dimension}"] = strides[i]
        args = s.DecodeArgs(
            batch=batch, kv=kv, page_stride=kv_strides[0], num_pages=cache.shape[0],
            block_table=stage.place(block_table)[0], block_table_stride=block_table.shape[1],
            seqlens=stage.place(seqlens)[0], softmax_scale=softmax_scale, kv_scale=kv_scale,
            stream=stream_of(self.context, stream), **fields,
        )  # fmt: skip
        call("plan_decode", self.handle, c.byref(args))
        stage.finish()

    def _workspace(self, stage, workspace):
        workspace = checked(self.context, "workspace", workspace, "byte", (None,))
        # A copy would lose the schedule between two calls.
        if not torch_tensor(workspace) and not self.context.holds(workspace):
            fail("workspace: it is not in the context's memory; take what Plan.workspace() returns")
        return {"workspace": stage.place(workspace)[0], "workspace_bytes": workspace.shape[0]}

    def _cache(self, cache):
        cache = checked(self.context, "cache", cache, "byte", (None, None))
        if cache.shape[1] < Layout(self.problem).page_bytes:
            fail(f"cache: a page has {cache.shape[1]} bytes, it must have {Layout(self.problem).page_bytes}")
        if cache.shape[0] > 1 and strides_of(cache)[0] < cache.shape[1]:
            fail("cache: its pages overlap; pass one whose first stride is at least a page")
        return cache

    def _lengths(self, block_table, seqlens):
        seqlens = dense("seqlens", checked(self.context, "seqlens", seqlens, "int32", (None,)))
        block_table = checked(self.context, "block_table", block_table, "int32", (seqlens.shape[0], None))
        return dense("block_table", block_table), seqlens


def _destroy(plan, _owner):
    function("plan_destroy")(plan)
