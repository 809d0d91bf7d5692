"""Plans: append, schedule and decode, as plan.h has them."""

import ctypes as c

from . import _structs as s
from ._arrays import Call, checked, dense, signature
from ._library import call, function
from ._plans import SCHEDULE_FIELDS, PlanBase, put_strides, scale_of, strides_named


class Plan(PlanBase):
    """A problem bound to its variants on a device. Slow to make: expands, compiles and loads kernels. Thread-safe as plan.h
    says: calls may run at once where each has a workspace of its own.

    `variant`: an override, as "mla_decode:stages=3". `effort`: "estimate" takes what was tuned before, else the cost model;
    "measure", "patient" and "exhaustive" tune where nothing so good is known, which takes seconds to minutes, and remember it;
    `deadline_seconds` ends that with the best so far (0: none). `pack`: a Pack whose kernels are taken, in place of all these.

    What decides whether arguments fit (types, shapes, strides, devices) is looked at once for each combination and
    remembered; a call after that hands over pointers and numbers, which the library checks. A kv_scale is a number, or an
    array of one fp32, which the device reads."""

    def __init__(self, context, of, variant=None, effort="estimate", deadline_seconds=0.0, pack=None):
        self._make(context, "plan", of, of, pack, dict(variant=variant, effort=effort, deadline_seconds=deadline_seconds))

    def variant(self, family):
        """The canonical text of the variant of a family ("mla_decode"), None if the plan has none."""
        text = function("plan_variant")(self.handle, family.encode())
        return text.decode() if text else None

    def fingerprint(self):
        """Equal exactly where two plans compute alike: ranks that share a request compare theirs before the first step."""
        out = c.create_string_buffer(65)
        call("plan_fingerprint", self.handle, out)
        return out.value.decode()

    def append(self, cache, latent, rope, slot_mapping, kv_scale=0.0, stream=None):
        """Quantises rows and writes them at their slots; negative slots are skipped.

        cache [num_pages, page_bytes] bytes, changed in place; latent [tokens, latent_rank], rope [tokens, rope_dim] bf16;
        slot_mapping [tokens] int64."""
        number, pointer = scale_of(kv_scale)
        arrays = cache, latent, rope, slot_mapping, pointer
        key = "append", signature(arrays)
        known = self._calls.get(key, lambda: self._append_call(*arrays))
        known.run(self.handle, arrays, (("kv_scale", number),), stream)

    def schedule(self, workspace, block_table=None, seqlens=None, index_counts=None, stream=None):
        """Once a step, before decode(): splits from the lengths. block_table [batch, pages], seqlens [batch] int32; in
        sparse decoding index_counts [batch, q_len] int32 instead of both."""
        arrays = workspace, block_table, seqlens, index_counts
        key = "schedule", signature(arrays)
        known = self._calls.get(key, lambda: Call(self.context, "plan_schedule", self._schedule_args(*arrays), SCHEDULE_FIELDS))
        known.run(self.handle, arrays, (), stream)

    def decode(self, workspace, q_nope, q_rope, cache, block_table, seqlens, softmax_scale, out, lse=None, kv_scale=0.0,
               stream=None, indices=None, index_counts=None, sinks=None):  # fmt: skip
        """Attention of one layer. q_nope [batch, q_len, heads, latent_rank], q_rope [.., rope_dim] and out (as q_nope) bf16;
        lse [batch, heads, q_len] fp32, natural logarithm, or None. A request of length 0: zeros, and -inf in lse.

        Sparse decoding, where the problem has max_indices: block_table and seqlens are None, indices [batch, q_len, entries]
        int32 are slots of the cache (-1: none), index_counts [batch, q_len] int32 how many of each list count.

        sinks [heads] fp32, where the problem's flags have SINKS: out is multiplied by exp(lse) / (exp(lse) + exp(sink)), and
        lse is without them."""
        number, pointer = scale_of(kv_scale)
        arrays = workspace, q_nope, q_rope, cache, block_table, seqlens, out, lse, indices, index_counts, pointer, sinks
        key = "decode", signature(arrays)
        known = self._calls.get(key, lambda: self._decode_call(*arrays))
        known.run(self.handle, arrays, (("softmax_scale", softmax_scale), ("kv_scale", number)), stream)

    def merge(self, outs, lses, out, lse=None, sinks=None, stream=None):
        """Merges what decode() gave on different shards of a cache for the same queries (shards.h). outs [shards, batch, q_len, heads,
        latent_rank] and out, as one of them, all bf16 or all fp32; lses [shards, batch, heads, q_len] and lse, as one of them, fp32, natural
        logarithms, -inf where a shard holds no token. The plan's problem has no SINKS, so that the shards decode without; sinks
        [heads] fp32 are taken in here: out is multiplied by exp(lse) / (exp(lse) + exp(sink))."""
        arrays = outs, lses, out, lse, sinks
        key = "merge", signature(arrays)
        known = self._calls.get(key, lambda: self._merge_call(*arrays))
        known.run(self.handle, arrays, (), stream)

    def _append_call(self, cache, latent, rope, slot_mapping, kv_scale):
        of = self.problem
        pages, page_stride = self._cache(cache)
        (tokens, _), latent_strides = checked(self.context, "latent", latent, "bf16", (None, of.latent_rank))
        _, rope_strides = checked(self.context, "rope", rope, "bf16", (tokens, of.rope_dim))
        checked(self.context, "slot_mapping", slot_mapping, "int64", (tokens,))
        dense("slot_mapping", slot_mapping)
        self._kv_scale(kv_scale)
        args = s.AppendArgs(tokens=tokens, latent_stride=latent_strides[0], rope_stride=rope_strides[0],
                            page_stride=page_stride, num_pages=pages)  # fmt: skip
        return Call(self.context, "plan_append", args, (
            ("kv", ("page_stride",), True, 0), ("latent", ("latent_stride",), False, 0), ("rope", ("rope_stride",), False, 0),
            ("slot_mapping", (), False, 0), ("kv_scale_pointer", (), False, 0),
        ))  # fmt: skip

    def _decode_call(
        self, workspace, q_nope, q_rope, cache, block_table, seqlens, out, lse, indices, index_counts, kv_scale, sinks
    ):
        of, context, fields = self.problem, self.context, {}
        if of.max_indices:
            batch = self._counts(block_table, seqlens, index_counts)
            put_strides(fields, "indices", self._indices(indices, batch), ("batch", "token"))
        else:
            batch, fields["block_table_stride"] = self._lengths(block_table, seqlens, indices, index_counts)
        rows = (batch, of.q_len, of.heads)
        pages, page_stride = self._cache(cache)
        for name, array, width in (
            ("q_nope", q_nope, of.latent_rank),
            ("q_rope", q_rope, of.rope_dim),
            ("out", out, of.latent_rank),
        ):
            _, strides = checked(context, name, array, "bf16", rows + (width,))
            put_strides(fields, name, strides, ("batch", "token", "head"))
        if lse is not None:
            _, strides = checked(context, "lse", lse, "fp32", (batch, of.heads, of.q_len))
            put_strides(fields, "lse", strides, ("batch", "head", "token"))
        self._kv_scale(kv_scale)
        self._sinks(sinks)
        args = s.DecodeArgs(batch=batch, page_stride=page_stride, num_pages=pages,
                            workspace_bytes=self._workspace(workspace), **fields)  # fmt: skip
        return Call(context, "plan_decode", args, DECODE_FIELDS)

    def _merge_call(self, outs, lses, out, lse, sinks):
        of, context, fields = self.problem, self.context, {}
        rows = (None, of.q_len, of.heads, of.latent_rank)
        (shards, batch, *_), strides = checked(context, "outs", outs, ("bf16", "fp32"), (None,) + rows)
        put_strides(fields, "outs", strides, ("shard", "batch", "token", "head"))
        _, strides = checked(context, "lses", lses, "fp32", (shards, batch, of.heads, of.q_len))
        put_strides(fields, "lses", strides, ("shard", "batch", "head", "token"))
        is_fp32 = str(outs.dtype).endswith("float32")
        _, strides = checked(context, "out", out, "fp32" if is_fp32 else "bf16", (batch,) + rows[1:])
        put_strides(fields, "out", strides, ("batch", "token", "head"))
        if lse is not None:
            _, strides = checked(context, "lse", lse, "fp32", (batch, of.heads, of.q_len))
            put_strides(fields, "lse", strides, ("batch", "head", "token"))
        self._sinks(sinks)
        return Call(context, "plan_merge", s.MergeArgs(shards=shards, batch=batch, is_fp32=is_fp32, **fields), MERGE_FIELDS)


# In the order of the arrays of Plan.decode.
DECODE_FIELDS = (
    ("workspace", (), True, 0),
    ("q_nope", strides_named("q_nope", ("batch", "token", "head")), False, 0),
    ("q_rope", strides_named("q_rope", ("batch", "token", "head")), False, 0),
    ("kv", ("page_stride",), False, 0),
    ("block_table", ("block_table_stride",), False, 0),
    ("seqlens", (), False, 0),
    ("out", strides_named("out", ("batch", "token", "head")), True, 0),
    ("lse", strides_named("lse", ("batch", "head", "token")), True, 0),
    ("indices", strides_named("indices", ("batch", "token")), False, 0),
    ("index_counts", (), False, 0),
    ("kv_scale_pointer", (), False, 0),
    ("sinks", (), False, 0),
)


# In the order of the arrays of Plan.merge.
MERGE_FIELDS = (
    ("outs", strides_named("outs", ("shard", "batch", "token", "head")), False, 0),
    ("lses", strides_named("lses", ("shard", "batch", "head", "token")), False, 0),
    ("out", strides_named("out", ("batch", "token", "head")), True, 0),
    ("lse", strides_named("lse", ("batch", "head", "token")), True, 0),
    ("sinks", (), False, 0),
)
