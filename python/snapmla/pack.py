"""Packs: kernels that were exported, for plans without a compiler."""

import ctypes as c
import os

from . import _structs as s
from ._library import call, fail, function
from .context import _Handle

_KEY_BYTES = 32


class Pack(_Handle):
    """A pack's kernels and the problems they serve: a path, or the bytes of the file. Plans made from it outlive it.

    `keys`: public keys, 32 bytes each, by one of which it must be signed. `allow_host_code`: kernels for the emulator, which are
    code that runs in this process, may be loaded. `require_device_class`: no plan that was tuned for another device class."""

    def __init__(self, path, keys=(), allow_host_code=False, require_device_class=False):
        if any(not isinstance(key, bytes) or len(key) != _KEY_BYTES for key in keys):
            fail(f"keys: each must be {_KEY_BYTES} bytes, as 'snapmla pack keygen' makes them; bytes.fromhex() reads its text")
        options = s.PackOptions(
            keys=b"".join(keys) or None,
            key_count=len(keys),
            allow_host_code=bool(allow_host_code),
            require_device_class=bool(require_device_class),
        )
        out = c.c_void_p()
        if isinstance(path, (bytes, bytearray)):
            call("pack_open_memory", bytes(path), len(path), c.byref(options), c.byref(out))
        else:
            call("pack_open", os.fsencode(path), c.byref(options), c.byref(out))
        self._own(out.value, function("pack_close"))
