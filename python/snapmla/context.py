"""A device, and arrays in memory that its kernels may touch."""

import bisect
import ctypes as c
import threading
import weakref

import numpy as np

from . import _structs as s
from ._library import call, fail, function


def to_bf16(array):
    """float32 to bf16 as numpy has it: uint16 bits, to nearest even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = ((bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16).astype(np.uint16)
    return np.where(np.isnan(bits.view(np.float32)), np.uint16(0x7FC0), rounded)


def from_bf16(bits):
    """bf16 bits (uint16) to float32: exact."""
    return (np.ascontiguousarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32)


class _Handle:
    """Owns a C object until close(), the end of a `with`, or the last reference."""

    def _own(self, handle, destroy):
        self._finalizer = weakref.finalize(self, destroy, handle)
        self._finalizer.atexit = False  # the end of the process frees all, in no order that the driver must bear
        self._raw = handle

    @property
    def handle(self):
        if not self._finalizer.alive:
            fail(f"{type(self).__name__} is closed; make another")
        return self._raw

    def close(self):
        """Frees it now. A second call does nothing."""
        self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Context(_Handle):
    """The C context. What is made from it holds a reference, so that it goes last."""

    def __init__(self, options):
        out = c.c_void_p()
        call("context_create", c.byref(options), c.byref(out))
        self._own(out.value, function("context_destroy"))
        # Of the arrays in its memory: starts, sorted; ends by start. A collection of garbage within a call frees arrays, and
        # so enters here once more in one thread.
        self._starts, self._ends, self._lock = [], {}, threading.RLock()

    def note_memory(self, address, size):
        with self._lock:
            self._ends[address] = address + size
            bisect.insort(self._starts, address)

    def forget_memory(self, address):
        with self._lock:
            self._starts.remove(address)
            self._ends.pop(address)

    def holds_address(self, address):
        with self._lock:
            at = bisect.bisect_right(self._starts, address)
            return at > 0 and address < self._ends.get(self._starts[at - 1], 0)


class Context:
    """Opens a device: "emulator", "cuda:N", or None for cuda:0 where it works, else the emulator. Thread-safe.

    close() marks it closed; the device goes with the last plan and array that were made from it."""

    def __init__(self, device=None, emulator_sms=0, emulator_threads=0):
        if device is not None and not isinstance(device, str):
            fail(f'device: it is {device!r}, it must be a text, as "cuda:0" or "emulator"')
        options = s.ContextOptions(
            device=device.encode() if device else None, emulator_sms=emulator_sms, emulator_threads=emulator_threads
        )
        self._owner = _Context(options)
        info = s.DeviceInfo()
        call("context_info", self._owner.handle, c.byref(info))
        self.name, self.product = info.name.decode(), info.product.decode()
        self.is_emulator, self.multiprocessors = bool(info.is_emulator), info.multiprocessors
        self.ordinal = None if self.is_emulator else int(self.name.split(":")[1])

    @property
    def owner(self):
        if self._owner is None:
            fail("Context is closed; make another")
        return self._owner

    def close(self):
        self._owner = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def empty(self, shape, dtype):
        """An array of the emulator's memory, every byte 0xff: a read of what was not written shows as NaN.

        numpy views keep it alive. Arrays made elsewhere are copied in and out by every call; these are not."""
        if not self.is_emulator:
            fail(f"Context.empty: {self.name} has no memory that numpy can hold; open Context('emulator')")
        array = np.empty(shape, dtype)  # for its checks of shape and dtype
        if not array.size:
            return array
        out = c.c_void_p()
        owner = self.owner
        call("buffer_create", owner.handle, array.nbytes, c.byref(out))
        address = function("buffer_pointer")(out.value)
        memory = (c.c_char * array.nbytes).from_address(address)
        owner.note_memory(address, array.nbytes)
        weakref.finalize(memory, _release, out.value, address, owner).atexit = False
        return np.frombuffer(memory, dtype=array.dtype).reshape(array.shape)

    def zeros(self, shape, dtype):
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def holds_address(self, address):
        """Whether it lies in memory of this context."""
        return self._owner is not None and self._owner.holds_address(address)


def _release(buffer, address, owner):
    owner.forget_memory(address)
    function("buffer_destroy")(buffer)
