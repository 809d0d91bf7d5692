"""What plans of problems and of layers have in common: how they are made, the room they want, and the arguments that both take."""

import ctypes as c
import itertools
import weakref

import numpy as np

from . import _structs as s
from ._arrays import Calls, checked, dense, imported_torch, torch_tensor
from ._library import call, fail, function
from .cache import Layout
from .context import Context, _Handle
from .pack import Pack

EFFORTS = ("estimate", "measure", "patient", "exhaustive")  # in the order of snapmla_effort

_numbers, _by_number = itertools.count(1), weakref.WeakValueDictionary()


def give_number(thing):
    """Sets its `number`, by which it is found while it lives: for what can pass no Python object."""
    thing.number = next(_numbers)
    _by_number[thing.number] = thing


def numbered(name, number, kind):
    """The object of a class whose `number` it is."""
    thing = _by_number.get(number)
    if not isinstance(thing, kind):
        fail(f"{name}: {number} is no {kind.__name__}'s number, or it is gone; keep the {kind.__name__}, and pass its `number`")
    return thing


class PlanBase(_Handle):
    """What plans have in common: `_attention` is the problem whose cache and lists calls are checked against."""

    def _make(self, context, kind, of, attention, pack, options):
        """Calls snapmla_<kind>_create, or where there is a pack <kind>_create_from_pack."""
        if not isinstance(context, Context):
            fail(f"context: it is a {type(context).__name__}, it must be a Context")
        self.layout = Layout(attention)
        given, out, owner = plan_options(**options), c.c_void_p(), context.owner
        if pack is None:
            call(f"{kind}_create", owner.handle, c.byref(of), c.byref(given), c.byref(out))
        else:
            if not isinstance(pack, Pack):
                fail(f"pack: it is a {type(pack).__name__}, it must be a Pack")
            if given.variant or given.effort or given.deadline_seconds:
                fail("pack: its plans are as they were exported; leave out variant, effort and deadline_seconds")
            call(f"{kind}_create_from_pack", owner.handle, pack.handle, c.byref(of), c.byref(out))
        self.context, self.problem, self._attention = context, of, attention
        self._raw = out.value
        self._finalizer = weakref.finalize(self, _destroy, kind, out.value, owner)
        self._finalizer.atexit = False
        self.workspace_bytes = function(f"{kind}_workspace_bytes")(self.handle)
        self._calls = Calls()
        give_number(self)

    def workspace(self, like=None):
        """Room for one step at a time, uint8: pass it to schedule() and to the decode() of every layer. On the emulator an
        array in its memory (a torch tensor over it where `like` is one), on a GPU a torch tensor."""
        if not self.context.is_emulator:
            torch = imported_torch("Plan.workspace")
            return torch.empty(self.workspace_bytes, dtype=torch.uint8, device=self.context.name)
        array = self.context.empty((self.workspace_bytes,), np.uint8)
        return imported_torch("Plan.workspace").from_numpy(array) if torch_tensor(like) else array

    def _workspace(self, workspace):
        (size,), _ = checked(self.context, "workspace", workspace, "byte", (None,))
        return size

    def _cache(self, cache):
        (pages, width), strides = checked(self.context, "cache", cache, "byte", (None, None))
        if width < self.layout.page_bytes:
            fail(f"cache: a page has {width} bytes, it must have {self.layout.page_bytes}")
        if pages > 1 and strides[0] < width:
            fail("cache: its pages overlap; pass one whose first stride is at least a page")
        return pages, strides[0] if pages > 1 else width

    def _lengths(self, block_table, seqlens, indices, index_counts):
        """(batch, stride of the table)"""
        if indices is not None or index_counts is not None:
            fail("indices: the plan is for dense decoding; make one for a problem with max_indices, or leave them out")
        (batch,), _ = checked(self.context, "seqlens", seqlens, "int32", (None,))
        dense("seqlens", seqlens)
        (_, width), strides = checked(self.context, "block_table", block_table, "int32", (batch, None))
        if batch > 1 and strides[0] < width:
            fail("block_table: its rows overlap; make it contiguous")
        return batch, strides[0] if batch > 1 else width

    def _counts(self, block_table, seqlens, index_counts):
        if block_table is not None or seqlens is not None:
            fail(
                "block_table: the plan is for sparse decoding, which looks at indices alone; pass None for it and for seqlens"
            )
        (batch, _), _ = checked(self.context, "index_counts", index_counts, "int32", (None, self._attention.q_len))
        dense("index_counts", index_counts)
        return batch

    def _schedule_args(self, workspace, block_table, seqlens, index_counts):
        if self._attention.max_indices:
            batch, table_stride = self._counts(block_table, seqlens, index_counts), 0
        else:
            batch, table_stride = self._lengths(block_table, seqlens, None, index_counts)
        return s.DecodeArgs(batch=batch, block_table_stride=table_stride, workspace_bytes=self._workspace(workspace))

    def _indices(self, indices, batch):
        """The strides of the lists."""
        of = self._attention
        (_, _, entries), strides = checked(self.context, "indices", indices, "int32", (batch, of.q_len, None))
        if entries > of.max_indices:
            fail(f"indices: its lists have {entries} entries, the plan is for at most {of.max_indices}")
        return strides

    def _sinks(self, sinks):
        if sinks is not None:
            checked(self.context, "sinks", sinks, "fp32", (self._attention.heads,))
            dense("sinks", sinks)

    def _kv_scale(self, kv_scale):
        if kv_scale is not None:
            checked(self.context, "kv_scale", kv_scale, "fp32", (1,) * len(kv_scale.shape))


# In the order of the arrays of schedule().
SCHEDULE_FIELDS = (
    ("workspace", (), True, 0),
    ("block_table", ("block_table_stride",), False, 0),
    ("seqlens", (), False, 0),
    ("index_counts", (), False, 0),
)


def strides_named(name, dimensions):
    return tuple(f"{name}_stride_{dimension}" for dimension in dimensions)


def put_strides(fields, name, strides, dimensions):
    fields.update(zip(strides_named(name, dimensions), strides))


def scale_of(kv_scale, name="kv_scale"):
    """(number, array or None) of what a caller gives as a scale."""
    if isinstance(kv_scale, (int, float, np.generic)):
        return float(kv_scale), None
    if hasattr(kv_scale, "dtype") and hasattr(kv_scale, "shape"):
        return 0.0, kv_scale
    fail(f"{name}: it is a {type(kv_scale).__name__}, it must be a number or an array of one fp32")


def plan_options(variant=None, effort="estimate", deadline_seconds=0.0):
    if effort not in EFFORTS:
        fail(f"effort: it is {effort!r}, it must be one of {', '.join(EFFORTS)}")
    return s.PlanOptions(
        variant=variant.encode() if variant else None, effort=EFFORTS.index(effort), deadline_seconds=deadline_seconds
    )


def _destroy(kind, plan, _owner):
    function(f"{kind}_destroy")(plan)
