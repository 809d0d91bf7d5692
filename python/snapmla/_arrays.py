"""Arrays of callers as the library takes them: checked once for each signature, and where the emulator needs it, copied in
and out.

numpy has no bf16 and no e4m3: they are uint16 and uint8 there. A CPU torch tensor is taken as the numpy array of the same
memory; a CUDA tensor goes to the library as it is."""

import ctypes as c
import operator
import sys

import numpy as np

from ._library import call, fail

_NUMPY = {"bf16": np.uint16, "byte": np.uint8, "int32": np.int32, "int64": np.int64, "fp32": np.float32}
_TORCH = {
    "bf16": ("bfloat16",),
    "byte": ("uint8", "float8_e4m3fn"),
    "int32": ("int32",),
    "int64": ("int64",),
    "fp32": ("float32",),
}
_MOST_CALLS = 1024  # signatures that a plan remembers


def torch_tensor(array):
    """Whether it is a torch tensor; torch is not imported for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def imported_torch(what):
    """torch, which the program must have imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        fail(f"{what}: memory of a GPU is torch's, and torch is not imported; import it first")
    return torch


def signature(arrays):
    """All that decides whether arrays fit and how they are passed, which is everything but their addresses."""
    return tuple([_signature(array) for array in arrays])


def _signature(array):
    if array is None:
        return None
    if isinstance(array, np.ndarray):
        return array.dtype, array.shape, array.strides
    try:
        return array.dtype, array.shape, array.stride(), array.device
    except AttributeError:
        return object()  # like no other: what is no array is checked, and refused, every time


def checked(context, name, array, kinds, shape):
    """(shape, strides in elements) of an array whose dtype, shape, device and strides fit. In `shape`, None is any; a `shape`
    of None is any of any rank."""
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if torch_tensor(array):
        kind = str(array.dtype).replace("torch.", "")
        wanted = [text for k in kinds for text in _TORCH[k]]
        if kind not in wanted:
            fail(f"{name}: its dtype is torch.{kind}, it must be {_either(wanted)}; convert it with .to()")
        at = "emulator" if array.device.type == "cpu" else str(array.device)
        if at != context.name:
            fail(f"{name}: it is on {array.device}, the context on {context.name}; move one of them")
        got = tuple(array.shape)
    elif isinstance(array, np.ndarray):
        if not context.is_emulator:
            fail(f"{name}: it is a numpy array, the context on {context.name}; pass a torch tensor on that device")
        wanted = [_NUMPY[k] for k in kinds]
        if array.dtype not in wanted:
            text = _either([np.dtype(t).name + (" (the bits of bf16)" if t is np.uint16 else "") for t in wanted])
            fail(f"{name}: its dtype is {array.dtype}, it must be {text}; convert it")
        got = array.shape
    else:
        fail(f"{name}: it is a {type(array).__name__}, it must be a numpy array or a torch tensor")
    strides = strides_of(array)
    shape = (None,) * len(got) if shape is None else shape
    if len(got) != len(shape) or any(want is not None and want != have for want, have in zip(shape, got)):
        text = ", ".join("any" if want is None else str(want) for want in shape)
        fail(f"{name}: its shape is {list(got)}, it must be [{text}]")
    if 0 in got:  # no stride of it is used
        return got, strides
    if got and got[-1] > 1 and strides[-1] != 1:
        fail(f"{name}: the stride of its last dimension is {strides[-1]}, it must be 1; make it contiguous")
    if any(stride < 0 for stride in strides):
        fail(f"{name}: it has a negative stride; make it contiguous")
    return got, strides


def dense(name, array):
    """Fails unless all dimensions lie close."""
    contiguous = array.is_contiguous() if torch_tensor(array) else array.flags.c_contiguous
    if not contiguous:
        fail(f"{name}: it is not contiguous, it must be; make it contiguous")


def strides_of(array):
    """In elements."""
    if torch_tensor(array):
        return tuple(array.stride())
    return tuple(stride // array.itemsize for stride in array.strides)


def numpy_of(array):
    """The numpy array of a CPU tensor's memory; a numpy array itself."""
    if not torch_tensor(array):
        return array
    torch = sys.modules["torch"]
    array = array.detach()
    if array.dtype == torch.bfloat16:
        return array.view(torch.int16).numpy().view(np.uint16)
    return array.view(torch.uint8).numpy() if array.dtype == torch.float8_e4m3fn else array.numpy()


def whole(name, value, least=1):
    """`value` as an int. Fails unless it is a whole number of at least `least`."""
    try:
        value = operator.index(value)
    except TypeError:
        fail(f"{name}: it is {value!r}, it must be a whole number")
    if value < least:
        fail(f"{name}: it is {value}, it must be at least {least}")
    return value


def _either(words):
    return " or ".join(str(word) for word in words)


class Call:
    """A call of the library for arrays of one signature: its struct but for pointers and numbers.

    `fields`: for each array its pointer's field, those of its strides, whether the call writes to it, and how many bytes
    from its start the pointer is. A field of the struct that args.launch() is begins with a dot; the strides of its array
    are there too."""

    def __init__(self, context, name, args, fields):
        self.context, self.name = context, name
        self.fields = [(f[0][0] == ".", f[0].lstrip("."), *f[1:]) for f in fields]
        self.struct, self.template = type(args), bytes(args)

    def run(self, handle, arrays, numbers, stream):
        args = self.struct.from_buffer_copy(self.template)
        inner = args.launch()
        for field, value in numbers:
            try:
                setattr(inner if field[0] == "." else args, field.lstrip("."), value)
            except TypeError:
                fail(f"{field.lstrip('.')}: it is {value!r}, it must be a number")
        if self.context.is_emulator:
            self._run_staged(handle, args, inner, arrays)
            return
        for (is_inner, field, _, _, offset), array in zip(self.fields, arrays):
            if array is not None:
                setattr(inner if is_inner else args, field, array.data_ptr() + offset)
        call_on_gpu(self.context, self.name, handle, args, stream)

    def _run_staged(self, handle, args, inner, arrays):
        """The emulator's kernels touch its own memory alone: other arrays are copied there, and back if they are written to."""
        kept, back = [], []
        for (is_inner, field, stride_fields, writes, offset), array in zip(self.fields, arrays):
            if array is None:
                continue
            into = inner if is_inner else args
            address = array.data_ptr() if torch_tensor(array) else array.__array_interface__["data"][0]
            if not self.context.holds_address(address):
                array = numpy_of(array)
                if not array.size:
                    continue
                copy = self.context.empty(array.shape, array.dtype)
                copy[...] = array
                kept.append(copy)
                if writes:
                    back.append((array, copy))
                for stride_field, stride in zip(stride_fields, strides_of(copy)):
                    setattr(into, stride_field, stride * copy.itemsize if stride_field == "page_stride" else stride)
                address = copy.__array_interface__["data"][0]
            setattr(into, field, address + offset)
        call(self.name, handle, c.byref(args))
        for array, copy in back:
            array[...] = copy


def call_on_gpu(context, name, handle, args, stream):
    """On `stream` or torch's current one, with the context's device the current one for the call."""
    torch = sys.modules["torch"]
    launch = args.launch()
    if stream is None:
        raw = getattr(
            torch._C, "_cuda_getCurrentRawStream", None
        )  # what compiled torch code asks: no Stream object is made
        launch.stream = raw(context.ordinal) if raw else torch.cuda.current_stream(context.ordinal).cuda_stream
    else:
        launch.stream = int(getattr(stream, "cuda_stream", stream))
    if torch.cuda.current_device() == context.ordinal:
        call(name, handle, c.byref(args))
        return
    with torch.cuda.device(context.ordinal):
        call(name, handle, c.byref(args))


class Calls:
    """The calls of a plan by signature. A lost race makes one twice."""

    def __init__(self):
        self._known = {}

    def clear(self):
        self._known = {}

    def get(self, key, make):
        known = self._known.get(key)
        if known is None:
            known = make()
            if len(self._known) >= _MOST_CALLS:
                self._known = {}
            self._known[key] = known
        return known
