"""Plans of a layer's step, as layer.h has them: append with norm and RoPE, absorb, attend, up-project, project out; fetching and moving cached
tokens on the device."""

import ctypes as c

import numpy as np

from . import _structs as s
from ._arrays import Call, checked, dense, imported_torch, numpy_of, signature, torch_tensor, whole
from ._library import call, fail, function
from ._plans import SCHEDULE_FIELDS, PlanBase, give_number, put_strides, scale_of, strides_named

WEIGHTS = ("bf16", "fp8")  # in the order of snapmla_weight_type
ROPE_PAIRS = ("interleaved", "half")  # in the order of snapmla_rope_pairs
_NORMED, _ROTATED, _CUBLASLT = 1, 2, 4  # of a layer problem's flags: SNAPMLA_LAYER_…
_BLOCK = 128  # rows and columns of a factor of fp8 weights


def layer_problem(of, weights="bf16", rope_pairs="interleaved", normed=False, rotated=False, rope=None, cublaslt=False,
                  **fields):  # fmt: skip
    """A checked layer problem: DeepSeek-V3's around the attention `of`, which problem() made, with the fields that are given.

    `fields`: nope_dim, v_dim, norm_epsilon, hidden_size: with an output projection W_O to so many channels. `rope`: a dict of the angles' fields that differ, as dict(base=10000, factor=1): base, factor,
    original_context, beta_fast, beta_slow, mscale, mscale_all_dim. `normed`, `rotated`: latent and query come so already.
    `cublaslt`: W_O by cuBLASLt, where it is there and the weights are bf16; else by the generated kernel."""
    if not isinstance(of, s.Problem):
        fail(f"of: it is a {type(of).__name__}, it must be what problem() returns")
    out = s.LayerProblem()
    function("layer_problem_init")(c.byref(out))
    out.attention = of
    out.weight_type = _index("weights", weights, WEIGHTS)
    out.rope_pairs = _index("rope_pairs", rope_pairs, ROPE_PAIRS)
    out.flags = _NORMED * bool(normed) | _ROTATED * bool(rotated) | _CUBLASLT * bool(cublaslt)
    _set_fields("a layer problem", out, fields, ("nope_dim", "v_dim", "norm_epsilon", "hidden_size"))
    _set_fields("rope", out.rope, rope or {}, [name for name, _ in s.Rope._fields_])
    call("layer_problem_check", c.byref(out))
    return out


def rope_table(of, count, first=0):
    """Cosines and sines of positions first .. first + count - 1, [count, rope_dim] fp32, of a layer problem."""
    _check_problem(of)
    table = np.empty((whole("count", count), of.attention.rope_dim), np.float32)
    call("rope_table_fill", c.byref(of), whole("first", first, 0), len(table), table.ctypes.data)
    return table


class LayerWeights:
    """A layer's weights and angles on a device, for every plan there of the same heads and weight type. Immutable while a step runs.

    kv_b [heads * (nope_dim + v_dim), latent_rank] as checkpoints hold kv_b_proj: bf16, or with weights="fp8" e4m3 (bytes), with
    kv_b_scale [rows / 128 rounded up, latent_rank / 128] fp32. norm [latent_rank] bf16, unless the latent comes normed. table: of
    rope_table(), fp32 [positions, rope_dim]; None: for positions 0 .. max_context - 1. o, where the
    problem has hidden_size: [hidden_size, heads * v_dim] as checkpoints hold o_proj, stored as kv_b is, with o_scale of its own blocks.

    On the emulator arrays are copied into its memory, once; on a GPU tensors are taken as they are."""

    def __init__(self, context, of, kv_b, norm=None, kv_b_scale=None, table=None, o=None, o_scale=None):
        _check_problem(of)
        attention, is_fp8 = of.attention, of.weight_type == WEIGHTS.index("fp8")
        rows = attention.heads * (of.nope_dim + of.v_dim)
        if table is None and not of.flags & _ROTATED:
            table = rope_table(of, attention.max_context)
            if not context.is_emulator:
                table = imported_torch("LayerWeights").from_numpy(table).to(context.name)
        self.context, self.shape, self.arrays = context, _weights_shape(of), []
        self.args = s.LayerWeights(rope_positions=0 if table is None else table.shape[0])
        self._matrix("kv_b", kv_b, kv_b_scale, is_fp8, rows, attention.latent_rank)
        if of.hidden_size:
            self._matrix("o", o, o_scale, is_fp8, of.hidden_size, attention.heads * of.v_dim)
        elif o is not None or o_scale is not None:
            fail("o: the problem has no output projection; leave o and o_scale out, or make the problem with hidden_size")
        if not of.flags & _NORMED:
            self._take("norm", norm, "bf16", (attention.latent_rank,))
        if not of.flags & _ROTATED:
            self._take("rope_table", table, "fp32", (None, attention.rope_dim), whole_rows=True)
        give_number(self)

    def _matrix(self, name, array, scale, is_fp8, rows, columns):
        self._take(name, array, "byte" if is_fp8 else "bf16", (rows, columns), name + "_stride")
        if is_fp8:
            blocks = -(-rows // _BLOCK), -(-columns // _BLOCK)
            self._take(name + "_scale", scale, "fp32", blocks, name + "_scale_stride")
        elif scale is not None:
            fail(f'{name}_scale: it is of e4m3 weights; leave it out, or make the problem with weights="fp8"')

    def _take(self, name, array, kind, shape, stride=None, whole_rows=False):
        if array is None:
            fail(f"{name}: it is None; a layer of this problem needs it")
        _, strides = checked(self.context, name, array, kind, shape)
        if self.context.is_emulator:
            host = numpy_of(array)
            array = self.context.empty(host.shape, host.dtype)
            array[...] = host
            strides, address = checked(self.context, name, array, kind, shape)[1], array.ctypes.data
        else:
            address = array.data_ptr()
        if whole_rows:
            dense(name, array)
        if stride:
            setattr(self.args, stride, strides[0])
        setattr(self.args, name, address)
        self.arrays.append(array)


class LayerPlan(PlanBase):
    """The plan of a layer problem on a device: its attention's kernels and the layer's own. Made, and thread-safe, as a Plan is; an
    override may name the layer's families too, as "query_absorb:stages=3".

    Token t of a step is query token t % q_len of request t // q_len; a step has batch * q_len of them, `tokens` below."""

    def __init__(self, context, of, variant=None, effort="estimate", deadline_seconds=0.0, pack=None):
        _check_problem(of)
        options = dict(variant=variant, effort=effort, deadline_seconds=deadline_seconds)
        self._make(context, "layer_plan", of, of.attention, pack, options)

    def variant(self, family):
        """The canonical text of the variant of a family: the layer's own, for the plan's most tokens, else the attention's."""
        name = family.encode()
        text = function("layer_plan_variant")(self.handle, name)
        if text is None:
            text = function("plan_variant")(function("layer_plan_attention")(self.handle), name)
        return text.decode() if text else None

    @property
    def library(self):
        """Who multiplies by W_O, as "cuBLASLt 13.0.1, PATH"; None where the generated kernel does, as without W_O."""
        text = function("layer_plan_library")(self.handle)
        return text.decode() if text else None

    def append(self, cache, latent, rope, slot_mapping, positions, weights, kv_scale=0.0, stream=None):
        """Norms, turns, quantises and writes any number of tokens: a prompt, or a chunk of one.

        latent [n, latent_rank] as the projection gives it, rope [n, rope_dim], not yet turned, bf16; positions [n] int32;
        slot_mapping [n] int64, negative: skip. cache [num_pages, page_bytes] bytes, changed in place."""
        number, pointer = scale_of(kv_scale)
        arrays = cache, latent, rope, slot_mapping, positions, pointer
        known = self._calls.get(("append", signature(arrays)), lambda: self._append_call(*arrays))
        known.run(self.handle, arrays, ((".kv_scale", number), ("weights", self._weights(weights))), stream)

    def schedule(self, workspace, block_table=None, seqlens=None, index_counts=None, stream=None):
        """Once a step, before the step() of every layer that shares the workspace: as Plan.schedule."""
        arrays = workspace, block_table, seqlens, index_counts
        known = self._calls.get(("schedule", signature(arrays)), lambda: self._schedule_call(*arrays))
        known.run(self.handle, arrays, (), stream)

    def step(self, workspace, weights, q, positions, cache, block_table, seqlens, softmax_scale, out, latent=None, rope=None,
             slot_mapping=None, lse=None, kv_scale=0.0, stream=None, indices=None, index_counts=None, sinks=None):  # fmt: skip
        """One layer of one step: appends the step's tokens, absorbs, attends, up-projects, and with hidden_size projects out.

        q [tokens, heads, nope_dim + rope_dim] bf16, RoPE not yet applied; positions [tokens] int32; out [tokens, heads, v_dim] bf16,
        with hidden_size [tokens, hidden_size].
        latent [tokens, latent_rank], rope [tokens, rope_dim] bf16, slot_mapping [tokens] int64: the new tokens; without slot_mapping
        they are in the cache. The rest as for Plan.decode: seqlens count the new tokens too."""
        number, pointer = scale_of(kv_scale)
        arrays = (workspace, q, positions, cache, block_table, seqlens, out, latent, rope, slot_mapping, lse, indices,
                  index_counts, pointer, sinks)  # fmt: skip
        known = self._calls.get(("step", signature(arrays)), lambda: self._step_call(*arrays))
        numbers = ((".softmax_scale", softmax_scale), (".kv_scale", number), ("weights", self._weights(weights)))
        known.run(self.handle, arrays, numbers, stream)

    def fetch(self, cache, slots, latent, rope, kv_scale=0.0, stream=None):
        """Cached tokens back as rows: latent [n, latent_rank], normed, and rope [n, rope_dim], turned, bf16, are written to. slots [n]
        int64; a row whose slot is negative or outside the cache is left alone."""
        number, pointer = scale_of(kv_scale)
        arrays = cache, slots, latent, rope, pointer
        known = self._calls.get(("fetch", signature(arrays)), lambda: self._fetch_call(*arrays))
        known.run(self.handle, arrays, (("kv_scale", number),), stream)

    def move(self, cache, slots, to_slots, stream=None):
        """Tokens of a cache to other slots of it, bit for bit: row i from slots[i] to to_slots[i], int64 [n]. A pair with a slot
        that is negative or outside the cache is skipped. No slot may be written that the same call reads elsewhere: copy_tokens can."""
        arrays = cache, slots, to_slots
        known = self._calls.get(("move", signature(arrays)), lambda: self._move_call(*arrays))
        known.run(self.handle, arrays, (), stream)

    def _weights(self, weights):
        if not isinstance(weights, LayerWeights):
            fail(f"weights: it is a {type(weights).__name__}, it must be a LayerWeights")
        if weights.context is not self.context or weights.shape != _weights_shape(self.problem):
            fail("weights: they are of another context or layer problem; make LayerWeights of this plan's")
        return c.addressof(weights.args)

    def _rows(self, name, array, tokens, width):
        (count, _), strides = checked(self.context, name, array, "bf16", (tokens, width))
        return count, strides[0]

    def _per_token(self, name, array, kind, tokens):
        (count,), _ = checked(self.context, name, array, kind, (tokens,))
        dense(name, array)
        return count

    def _append_call(self, cache, latent, rope, slot_mapping, positions, kv_scale):
        of = self._attention
        pages, page_stride = self._cache(cache)
        tokens, latent_stride = self._rows("latent", latent, None, of.latent_rank)
        _, rope_stride = self._rows("rope", rope, tokens, of.rope_dim)
        self._per_token("slot_mapping", slot_mapping, "int64", tokens)
        self._positions(positions, tokens)
        self._kv_scale(kv_scale)
        append = s.AppendArgs(tokens=tokens, latent_stride=latent_stride, rope_stride=rope_stride, page_stride=page_stride,
                              num_pages=pages)  # fmt: skip
        return Call(self.context, "layer_append", s.LayerAppendArgs(append=append), (
            (".kv", ("page_stride",), True, 0), (".latent", ("latent_stride",), False, 0), (".rope", ("rope_stride",), False, 0),
            (".slot_mapping", (), False, 0), ("positions", (), False, 0), (".kv_scale_pointer", (), False, 0),
        ))  # fmt: skip

    def _positions(self, positions, tokens):
        if positions is None and self.problem.flags & _ROTATED:
            return
        self._per_token("positions", positions, "int32", tokens)

    def _schedule_call(self, *arrays):
        args, fields = s.LayerArgs(decode=self._schedule_args(*arrays)), tuple(("." + f[0], *f[1:]) for f in SCHEDULE_FIELDS)
        return Call(self.context, "layer_schedule", args, fields)

    def _step_call(self, workspace, q, positions, cache, block_table, seqlens, out, latent, rope, slot_mapping, lse, indices,
                   index_counts, kv_scale, sinks):  # fmt: skip
        of, context, inner, outer = self._attention, self.context, {}, {}
        if of.max_indices:
            batch = self._counts(block_table, seqlens, index_counts)
            put_strides(inner, "indices", self._indices(indices, batch), ("batch", "token"))
        else:
            batch, inner["block_table_stride"] = self._lengths(block_table, seqlens, indices, index_counts)
        tokens = batch * of.q_len
        heads = [("q", q, self.problem.nope_dim + of.rope_dim)]
        if self.problem.hidden_size:
            _, outer["out_stride_token"] = self._rows("out", out, tokens, self.problem.hidden_size)
        else:
            heads.append(("out", out, self.problem.v_dim))
        for name, array, width in heads:
            _, strides = checked(context, name, array, "bf16", (tokens, of.heads, width))
            put_strides(outer, name, strides, ("token", "head"))
        self._positions(positions, tokens)
        if slot_mapping is not None:
            self._per_token("slot_mapping", slot_mapping, "int64", tokens)
            _, outer["latent_stride"] = self._rows("latent", latent, tokens, of.latent_rank)
            _, outer["rope_stride"] = self._rows("rope", rope, tokens, of.rope_dim)
        elif latent is not None or rope is not None:
            fail("slot_mapping: it is None, and the step's new tokens are given; pass their slots, or leave latent and rope out")
        if lse is not None:
            _, strides = checked(context, "lse", lse, "fp32", (batch, of.heads, of.q_len))
            put_strides(inner, "lse", strides, ("batch", "head", "token"))
        self._kv_scale(kv_scale)
        self._sinks(sinks)
        pages, page_stride = self._cache(cache)
        decode = s.DecodeArgs(batch=batch, page_stride=page_stride, num_pages=pages,
                              workspace_bytes=self._workspace(workspace), **inner)  # fmt: skip
        fields = _STEP_FIELDS if slot_mapping is not None else _STEP_OF_CACHED_FIELDS
        if self.problem.hidden_size:
            fields = tuple(("out", ("out_stride_token",), *f[2:]) if f[0] == "out" else f for f in fields)
        return Call(context, "layer_step", s.LayerArgs(decode=decode, **outer), fields)

    def _fetch_call(self, cache, slots, latent, rope, kv_scale):
        of = self._attention
        pages, page_stride = self._cache(cache)
        tokens = self._per_token("slots", slots, "int64", None)
        _, latent_stride = self._rows("latent", latent, tokens, of.latent_rank)
        _, rope_stride = self._rows("rope", rope, tokens, of.rope_dim)
        self._kv_scale(kv_scale)
        args = s.FetchArgs(tokens=tokens, latent_stride=latent_stride, rope_stride=rope_stride, page_stride=page_stride,
                           num_pages=pages)  # fmt: skip
        return Call(self.context, "layer_fetch", args, (
            ("kv", ("page_stride",), False, 0), ("slots", (), False, 0), ("latent", ("latent_stride",), True, 0),
            ("rope", ("rope_stride",), True, 0), ("kv_scale_pointer", (), False, 0),
        ))  # fmt: skip

    def _move_call(self, cache, slots, to_slots):
        pages, page_stride = self._cache(cache)
        tokens = self._per_token("slots", slots, "int64", None)
        self._per_token("to_slots", to_slots, "int64", tokens)
        args = s.MoveArgs(tokens=tokens, page_stride=page_stride, num_pages=pages)
        return Call(self.context, "layer_move", args, (
            ("kv", ("page_stride",), True, 0), ("from", (), False, 0), ("to", (), False, 0),
        ))  # fmt: skip


# In the order of the arrays of LayerPlan.step.
_STEP_FIELDS = (
    (".workspace", (), True, 0),
    ("q", strides_named("q", ("token", "head")), False, 0),
    ("positions", (), False, 0),
    (".kv", ("page_stride",), True, 0),
    (".block_table", ("block_table_stride",), False, 0),
    (".seqlens", (), False, 0),
    ("out", strides_named("out", ("token", "head")), True, 0),
    ("latent", ("latent_stride",), False, 0),
    ("rope", ("rope_stride",), False, 0),
    ("slot_mapping", (), False, 0),
    (".lse", strides_named("lse", ("batch", "head", "token")), True, 0),
    (".indices", strides_named("indices", ("batch", "token")), False, 0),
    (".index_counts", (), False, 0),
    (".kv_scale_pointer", (), False, 0),
    (".sinks", (), False, 0),
)
# A step that appends nothing leaves the cache as it is.
_STEP_OF_CACHED_FIELDS = tuple((f[0], f[1], f[2] and f[0] != ".kv", f[3]) for f in _STEP_FIELDS)


def _check_problem(of):
    if not isinstance(of, s.LayerProblem):
        fail(f"of: it is a {type(of).__name__}, it must be what layer_problem() returns")


def _weights_shape(of):
    """All that a layer's weights and angles depend on."""
    attention = of.attention
    flags = of.flags & ~_CUBLASLT
    return attention.heads, attention.latent_rank, attention.rope_dim, of.nope_dim, of.v_dim, of.hidden_size, of.weight_type, flags


def _index(name, value, names):
    if value not in names:
        fail(f"{name}: it is {value!r}, it must be one of {', '.join(names)}")
    return names.index(value)


def _set_fields(what, struct, fields, known):
    for name, value in fields.items():
        if name not in known:
            fail(f"{name}: {what} has no such field; it has {', '.join(known)}")
        try:
            setattr(struct, name, value)
        except TypeError:
            fail(f"{name}: it is {value!r}, it must be a number")
