"""Problems, and the caches that follow from them: layouts, and tokens of caches in host memory."""

import ctypes as c

import numpy as np

from . import _structs as s
from ._arrays import imported_torch, torch_tensor, whole
from ._library import call, fail, function, kv_format, kv_format_name


SINKS, BATCH_INVARIANT = 2, 4  # of a problem's flags: SNAPMLA_PROBLEM_…


def problem(kv_format_name="fp8_token", **fields):
    """A checked problem: DeepSeek-V3's shape, with the fields that are given (problem.h names them)."""
    out = s.Problem()
    function("problem_init")(c.byref(out))
    out.kv_format = kv_format(kv_format_name)
    known = [name for name, _ in s.Problem._fields_ if name not in ("size", "kv_format")]
    for name, value in fields.items():
        if name not in known:
            fail(f"{name}: a problem has no such field; it has kv_format_name, {', '.join(known)}")
        try:
            setattr(out, name, value)
        except TypeError:
            fail(f"{name}: it is {value!r}, it must be a whole number")
    call("problem_check", c.byref(out))
    return out


class Layout:
    """Where things lie in a page of a problem's cache. Equal fingerprints: caches may be handed over page by page."""

    def __init__(self, of):
        if not isinstance(of, s.Problem):
            fail(f"of: it is a {type(of).__name__}, it must be what problem() returns")
        out = s.PageLayout()
        call("page_layout_get", c.byref(of), c.byref(out))
        self.kv_format, self.page_tokens, self.latent_rank, self.rope_dim = (
            kv_format_name(of.kv_format), of.page_tokens, of.latent_rank, of.rope_dim,
        )  # fmt: skip
        self.page_bytes, self.bytes_per_token, self.image_tokens = out.page_bytes, out.bytes_per_token, out.image_tokens
        self.image_bytes, self.fingerprint = out.image_bytes, out.fingerprint.decode()


def new_cache(context, of, num_pages, like=None):
    """An empty cache [num_pages, page_bytes] uint8, every byte 0xff: on the emulator an array in its memory (a torch tensor
    over it where `like` is one), on a GPU a torch tensor."""
    shape = whole("num_pages", num_pages), Layout(of).page_bytes
    if not context.is_emulator:
        torch = imported_torch("new_cache")
        return torch.full(shape, 0xFF, dtype=torch.uint8, device=context.name)
    array = context.empty(shape, np.uint8)
    return imported_torch("new_cache").from_numpy(array) if torch_tensor(like) else array


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
    read, rounded to bf16 and written anew, one row after another, so that a format equal to the first may round anew
    (copy_tokens keeps the bits)."""
    slots, to_slots = np.ascontiguousarray(slots, np.int64), np.ascontiguousarray(to_slots, np.int64)
    if slots.ndim != 1 or slots.shape != to_slots.shape:
        fail(
            f"to_slots: its shape is {list(to_slots.shape)}, it must be that of slots, {list(slots.shape)}, of one dimension"
        )
    cache, to_cache = _host_cache(of, cache, kv_scale), _host_cache(to, to_cache, to_kv_scale)
    call("cache_convert", c.byref(of), c.byref(cache), slots.ctypes.data, c.byref(to), c.byref(to_cache),
         to_slots.ctypes.data, len(slots))  # fmt: skip


def _host_cache(of, cache, kv_scale):
    if torch_tensor(cache) and cache.device.type == "cpu":
        cache = cache.numpy()
    if not isinstance(cache, np.ndarray) or cache.dtype != np.uint8 or cache.ndim != 2:
        fail("cache: it must be an array of uint8 in host memory, [num_pages, page_bytes]; view it so")
    if cache.shape[1] < Layout(of).page_bytes or cache.strides[1] != 1:
        fail(f"cache: a page has {cache.shape[1]} bytes, it must have {Layout(of).page_bytes}, one after another")
    out = s.Cache(kv=cache.ctypes.data, page_stride=cache.strides[0], num_pages=cache.shape[0], kv_scale=kv_scale)
    out.array = cache  # lives as long: the caller may have no other reference
    return out
