"""Tensors as a safetensors file."""

import json
import struct

import torch


def write(path, tensors):
    """tensors: {name: bf16 or fp32 tensor}."""
    head, blobs, at = {}, [], 0
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous().cpu()
        kind, bits = ("BF16", torch.int16) if tensor.dtype == torch.bfloat16 else ("F32", torch.int32)
        blob = tensor.view(bits).numpy().tobytes()
        head[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
