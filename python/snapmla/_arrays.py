"""Arrays of callers as the library takes them: checked, and where the emulator needs it, copied in and out.

numpy has no bf16 and no e4m3: they are uint16 and uint8 there. A CPU torch tensor is taken as the numpy array of the same
memory; a CUDA tensor goes to the library as it is."""

import sys

import numpy as np

from ._library import fail

_BITS = {"bf16": np.uint16, "byte": np.uint8, "int32": np.int32, "int64": np.int64, "fp32": np.float32}
_TORCH = {
    "bf16": ("bfloat16",),
    "byte": ("uint8", "float8_e4m3fn"),
    "int32": ("int32",),
    "int64": ("int64",),
    "fp32": ("float32",),
}


def torch_tensor(array):
    """Whether it is a torch tensor; torch is not imported for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def checked(context, name, array, kinds, shape):
    """`array` with dtype, shape, device and stride checked. `shape`: None is any. CPU tensors come back as numpy arrays."""
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if torch_tensor(array):
        kind = str(array.dtype).replace("torch.", "")
        wanted = [text for k in kinds for text in _TORCH[k]]
        if kind not in wanted:
            fail(f"{name}: its dtype is torch.{kind}, it must be {_either(wanted)}; convert it with .to()")
        if context.is_emulator != (array.device.type == "cpu"):
            fail(f"{name}: it is on {array.device}, the context on {context.name}; move one of them")
        if not context.is_emulator and str(array.device) != context.name:
            fail(f"{name}: it is on {array.device}, the context on {context.name}; move one of them")
        got, strides = tuple(array.shape), tuple(array.stride())
        if context.is_emulator:
            array = _numpy_of(array)
    elif isinstance(array, np.ndarray):
        if not context.is_emulator:
            fail(f"{name}: it is a numpy array, the context on {context.name}; pass a torch tensor on that device")
        wanted = [_BITS[k] for k in kinds]
        if array.dtype not in wanted:
            text = _either([np.dtype(t).name + (" (the bits of bf16)" if t is np.uint16 else "") for t in wanted])
            fail(f"{name}: its dtype is {array.dtype}, it must be {text}; convert it")
        got, strides = array.shape, tuple(stride // array.itemsize for stride in array.strides)
    else:
        fail(f"{name}: it is a {type(array).__name__}, it must be a numpy array or a torch tensor")
    if len(got) != len(shape) or any(want is not None and want != have for want, have in zip(shape, got)):
        text = ", ".join("any" if want is None else str(want) for want in shape)
        fail(f"{name}: its shape is {list(got)}, it must be [{text}]")
    if got and got[-1] > 1 and strides[-1] != 1:
        fail(f"{name}: the stride of its last dimension is {strides[-1]}, it must be 1; make it contiguous")
    if any(stride < 0 for stride in strides):
        fail(f"{name}: it has a negative stride; make it contiguous")
    return array


def dense(name, array):
    """Fails unless all dimensions lie close."""
    contiguous = array.is_contiguous() if torch_tensor(array) else array.flags.c_contiguous
    if not contiguous:
        fail(f"{name}: it is not contiguous, it must be; make it contiguous")
    return array


def _either(words):
    return " or ".join(str(word) for word in words)


def _numpy_of(tensor):
    import torch

    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np.uint16)
    return tensor.numpy() if tensor.element_size() > 1 else tensor.view(torch.uint8).numpy()


def strides_of(array):
    """In elements."""
    if torch_tensor(array):
        return tuple(array.stride())
    return tuple(stride // array.itemsize for stride in array.strides)


class Staging:
    """The pointers of one call. On the emulator, whose kernels touch its own memory alone, other arrays are copied there;
    finish() copies back those that the call writes."""

    def __init__(self, context):
        self.context, self.copies, self.kept = context, [], []

    def place(self, array, writes=False):
        """(pointer, strides in elements) of an array that checked() returned; (None, strides) where it is empty."""
        if torch_tensor(array):
            return (array.data_ptr() if array.numel() else None), strides_of(array)
        if not array.size:
            return None, strides_of(array)
        if not self.context.holds(array):
            copy = self.context.empty(array.shape, array.dtype)
            copy[...] = array
            if writes:
                self.copies.append((array, copy))
            array = copy
        self.kept.append(array)
        return array.ctypes.data, strides_of(array)

    def finish(self):
        for array, copy in self.copies:
            array[...] = copy


def stream_of(context, stream):
    """A CUstream as a number: what is given, else torch's current stream of the device, else the default."""
    if stream is not None:
        return int(getattr(stream, "cuda_stream", stream))
    torch = sys.modules.get("torch")
    if torch is not None and not context.is_emulator:
        return torch.cuda.current_stream(int(context.name.split(":")[1])).cuda_stream
    return 0
