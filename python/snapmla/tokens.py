"""Tokens of a cache where it is: copied bit for bit between slots, and fetched dequantised, by indexing of torch or numpy.

docs/format.md says where a token's bytes lie. Here that is one table for each layout: row t holds, for a token at place t of
its page, the places of its 4-byte words, in one order for all places, pages and page sizes: latent, RoPE, scale."""

import functools

import numpy as np

from ._arrays import imported_torch, torch_tensor
from ._library import fail
from .cache import Layout
from ._plans import scale_of

_WORD, _CHUNK, _SUBTILE = 4, 16, 128  # bytes
_AT_ONCE = 8192  # tokens: an index of 8 bytes for each word of them lies in memory at a time


def copy_tokens(of, cache, slots, to_slots, to_cache=None, to=None, check=True):
    """Copies tokens bit for bit, row i from slots[i] of `cache` to to_slots[i] of `to_cache` (the same cache if None):
    where prefixes are shared or a tree of drafts is cut. All are read before one is written, so that slots may be moved over
    each other; a slot written twice holds either token. `to` is the problem of to_cache if its page size is another; it must
    have the same format, rank and RoPE dim.

    cache [num_pages, page_bytes] uint8 and slots [n] int64, torch tensors on one device or numpy arrays. With `check` every
    slot must be one of the cache, which waits for a GPU; without, as a graph's capture needs it, they are taken as they are."""
    if to is not None and _kind(to) != _kind(of):
        fail(
            "to: its format, latent_rank and rope_dim must be those of the cache copied from; use convert_tokens, or fetch and append"
        )
    words, pages, page_tokens, table = _words("cache", of, cache)
    slots = _slots("slots", cache, slots, pages * page_tokens, check)
    if to_cache is None:
        to_cache = cache
    to_words, to_pages, to_page_tokens, to_table = _words("to_cache", to or of, to_cache)
    if _place(to_cache) != _place(cache):
        fail(f"to_cache: it is {_place(to_cache)}, the cache copied from {_place(cache)}; move one of them")
    to_slots = _slots("to_slots", to_cache, to_slots, to_pages * to_page_tokens, check)
    if len(slots) != len(to_slots):
        fail(f"to_slots: it has {len(to_slots)} entries, it must have those of slots, {len(slots)}")
    rows = _gather(words, slots, page_tokens, table)
    for first in range(0, len(to_slots), _AT_ONCE):
        at = to_slots[first : first + _AT_ONCE]
        to_words[(at // to_page_tokens)[:, None], to_table[at % to_page_tokens]] = rows[first : first + _AT_ONCE]


def fetch_tokens(of, cache, slots, kv_scale=0.0, check=True):
    """Tokens dequantised: latent [n, latent_rank], rope [n, rope_dim] fp32, of cache's device: what snapmla_cache_read gives of
    a host cache. kv_scale: of fp8_tensor, a number (0 counts as 1) or one fp32 of the device. Arguments as in copy_tokens."""
    words, pages, page_tokens, table = _words("cache", of, cache)
    rows = _gather(words, _slots("slots", cache, slots, pages * page_tokens, check), page_tokens, table)
    number, scale = scale_of(kv_scale)
    return _FORMATS[Layout(of).kv_format][1](of, rows, (number or 1.0) if scale is None else scale)


def _gather(words, slots, page_tokens, table):
    """[n, words of a token] int32"""
    parts = []
    for first in range(0, max(1, len(slots)), _AT_ONCE):
        at = slots[first : first + _AT_ONCE]
        parts.append(words[(at // page_tokens)[:, None], table[at % page_tokens]])
    if len(parts) == 1:
        return parts[0]
    return imported_torch("slots").cat(parts) if torch_tensor(parts[0]) else np.concatenate(parts)


def _words(name, of, cache):
    """(the cache as words [pages, words of a page], pages, tokens of a page, its table)"""
    page_bytes, on_torch = Layout(of).page_bytes, torch_tensor(cache)
    torch = imported_torch(name) if on_torch else None
    if not on_torch and not isinstance(cache, np.ndarray):
        fail(f"{name}: it is a {type(cache).__name__}, it must be a numpy array or a torch tensor")
    if cache.dtype != (torch.uint8 if on_torch else np.uint8) or cache.ndim != 2:
        fail(f"{name}: it must be uint8 [num_pages, page_bytes]; view it so")
    strides = cache.stride() if on_torch else cache.strides
    if cache.shape[1] < page_bytes or strides[1] != 1 or strides[0] % _WORD:
        fail(
            f"{name}: a page has {cache.shape[1]} bytes, it must have {page_bytes}, one after another, and begin at a multiple of {_WORD}"
        )
    words = cache[:, :page_bytes].view(torch.int32 if on_torch else np.int32)
    table = _table(bytes(of))
    return words, cache.shape[0], of.page_tokens, _on_device(bytes(of), str(cache.device)) if on_torch else table


def _slots(name, cache, slots, count, check):
    if torch_tensor(cache):
        torch = imported_torch(name)
        if not torch_tensor(slots) or slots.device != cache.device:
            fail(f"{name}: it must be a torch tensor on {cache.device}, where the cache is")
        if slots.dtype != torch.int64 or slots.ndim != 1:
            fail(f"{name}: it is {slots.dtype} {list(slots.shape)}, it must be int64 [n]")
    else:
        slots = np.asarray(slots)
        if slots.dtype.kind not in "iu" or slots.ndim != 1:
            fail(f"{name}: it is {slots.dtype} {list(slots.shape)}, it must be int64 [n]")
        slots = slots.astype(np.int64, copy=False)
    if check and len(slots) and bool(((slots < 0) | (slots >= count)).any()):
        fail(f"{name}: a slot is outside the cache, which has 0 to {count - 1}")
    return slots


def _place(cache):
    return f"a torch tensor on {cache.device}" if torch_tensor(cache) else "a numpy array"


def _kind(of):
    return of.kv_format, of.latent_rank, of.rope_dim


@functools.lru_cache(maxsize=64)
def _table(key):
    """[page_tokens, words of a token] int64, of the bytes of a problem."""
    from ._structs import Problem

    of = Problem.from_buffer_copy(key)
    layout = Layout(of)
    if layout.kv_format not in _FORMATS:
        fail(f"kv_format: tokens of {layout.kv_format} are not known here; known are {', '.join(_FORMATS)}")
    return _FORMATS[layout.kv_format][0](layout) // _WORD


@functools.lru_cache(maxsize=64)
def _on_device(key, device):
    return imported_torch("cache").from_numpy(_table(key)).to(device)


def _image_table(layout, residual=0):
    """Bytes of the words of a token in page images: swizzled subtiles, then RoPE's, whose rows may be narrower, half a byte a channel
    where there are residuals (`residual` bytes of each row of a subtile), then its scale."""
    tokens, rank, rope = layout.image_tokens, layout.latent_rank, 2 * layout.rope_dim
    t = np.arange(layout.page_tokens)[:, None]
    image, row = t // tokens * layout.image_bytes, t % tokens

    def subtiles(size, width):
        byte = np.arange(0, size, _WORD)[None]
        chunks = width // _CHUNK
        return (byte // width * tokens + row) * width + (byte % width ^ _CHUNK * (row * chunks // 8 % chunks))

    both = [image + subtiles(rank, _SUBTILE)]
    if rope:
        both.append(image + tokens * rank + subtiles(rope, min(rope, _SUBTILE)))
    byte = np.arange(0, rank // _SUBTILE * residual, _WORD)[None]
    rest = image + tokens * (rank + rope) + (byte // max(residual, 1) * tokens + row) * residual + byte % max(residual, 1)
    scale = image + tokens * (rank + rope + rank // _SUBTILE * residual) + 4 * row
    return np.concatenate([*both, rest, scale], axis=1).astype(np.int64)


def _row_table(layout):
    """Rows, one after another."""
    row = layout.page_bytes // layout.page_tokens
    return (np.arange(layout.page_tokens)[:, None] * row + np.arange(0, row, _WORD)[None]).astype(np.int64)


def _bytes_of(rows):
    return rows.view(imported_torch("cache").uint8) if torch_tensor(rows) else np.ascontiguousarray(rows).view(np.uint8)


def _bf16(part):
    """bf16 bytes as fp32."""
    if torch_tensor(part):
        torch = imported_torch("cache")
        return part.contiguous().view(torch.bfloat16).float()
    return (np.ascontiguousarray(part).view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _e4m3(part):
    """e4m3 bytes as fp32."""
    if torch_tensor(part):
        torch = imported_torch("cache")
        return part.contiguous().view(torch.float8_e4m3fn).float()
    return _E4M3[part]


def _e4m3_values():
    code = np.arange(256)
    exponent, fraction = code >> 3 & 15, code & 7
    value = np.where(exponent == 0, fraction * 2.0**-9, (8 + fraction) * 2.0 ** (exponent - 10.0))
    value[code & 0x7F == 0x7F] = np.nan
    return np.where(code & 0x80, -value, value).astype(np.float32)


_E4M3 = _e4m3_values()


def _residual_values():
    """[e4m3 number, four bits]: what the bits add to the number (docs/format.md)."""
    exponent, bits = (np.arange(256) >> 3 & 15)[:, None], np.arange(16)[None]
    size = np.where(exponent < 5, 0, ((bits & 7) + 0.5) * 2.0 ** (exponent - 14.0))
    return np.where(bits & 8, -size, size).astype(np.float32)


_RESIDUAL = _residual_values()


@functools.lru_cache(maxsize=16)
def _residuals_on(device):
    return imported_torch("cache").from_numpy(_RESIDUAL).to(device)


def _residual(content, packed):
    """What the residuals `packed`, two channels a byte, add to the numbers `content`."""
    if torch_tensor(content):
        torch = imported_torch("cache")
        bits = torch.stack((packed & 15, packed >> 4), dim=-1).reshape(content.shape)
        return _residuals_on(content.device)[content.long(), bits.long()]
    return _RESIDUAL[content, np.stack((packed & 15, packed >> 4), axis=-1).reshape(content.shape)]


def _token_scale(rows):
    return rows[:, -1:].view(imported_torch("cache").float32) if torch_tensor(rows) else rows[:, -1:].copy().view(np.float32)


def _fetch_fp8_token(of, rows, _):
    data, rank, scale = _bytes_of(rows), of.latent_rank, _token_scale(rows)
    return _e4m3(data[:, :rank]) * scale, _bf16(data[:, rank : rank + 2 * of.rope_dim]) * scale


def _fetch_fp8_token_r4(of, rows, _):
    data, rank, scale = _bytes_of(rows), of.latent_rank, _token_scale(rows)
    content, behind = data[:, :rank], rank + 2 * of.rope_dim
    latent = _e4m3(content) + _residual(content, data[:, behind : behind + rank // 2])
    return latent * scale, _bf16(data[:, rank:behind]) * scale


def _fetch_bf16(of, rows, _):
    both = _bf16(_bytes_of(rows))
    return both[:, : of.latent_rank], both[:, of.latent_rank :]


def _fetch_fp8_tensor(of, rows, kv_scale):
    both = _e4m3(_bytes_of(rows))
    both = both * kv_scale if torch_tensor(rows) else both * np.float32(kv_scale)
    return both[:, : of.latent_rank], both[:, of.latent_rank :]


def _fetch_fp8_tile(of, rows, _):
    data, rank = _bytes_of(rows), of.latent_rank
    scale = rows[:, rank // _WORD : rank // _WORD + rank // 128]
    scale = scale.contiguous().view(imported_torch("cache").float32) if torch_tensor(rows) else scale.copy().view(np.float32)
    latent = _e4m3(data[:, :rank]).reshape(len(rows), -1, 128) * scale[:, :, None]
    return latent.reshape(len(rows), rank), _bf16(data[:, rank + 4 * (rank // 128) :])


# A format's row: the table of a token's words, and what dequantises tokens whose words were gathered by it.
_FORMATS = {
    "fp8_token": (_image_table, _fetch_fp8_token),
    "fp8_token_r4": (functools.partial(_image_table, residual=_SUBTILE // 2), _fetch_fp8_token_r4),
    "bf16": (_row_table, _fetch_bf16),
    "fp8_tensor": (_row_table, _fetch_fp8_tensor),
    "fp8_tile": (_row_table, _fetch_fp8_tile),
}
