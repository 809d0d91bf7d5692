"""A model on disk: its shape and bf16 or fp32 weights, written aside and renamed."""

import dataclasses
import os

import torch
from model import Model, Shape


def save(model, path, dtype=torch.float32):
    weights = {name: value.to(dtype) for name, value in model.state_dict().items()}
    torch.save({"shape": dataclasses.asdict(model.shape), "weights": weights}, f"{path}.part")
    os.replace(f"{path}.part", path)


def load(path, device):
    file = torch.load(path, map_location=device, weights_only=True)
    model = Model(Shape(**file["shape"])).to(device)
    model.load_state_dict({name: value.float() for name, value in file["weights"].items()})
    return model.eval()
