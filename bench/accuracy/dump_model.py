#!/usr/bin/env python3
"""dump_model.py MODEL.pt TOKENS.npz OUT.safetensors [--scenario plain] [--length 1024] [--queries 64]: what `snapmla analyze` reads of a model of
train.py. Of each layer the latents and RoPE keys of the first tokens of held-out text as a cache gets them, the queries of the tokens that
follow, which see them all, and W_UK and W_UV as a cache in its units is read with; under a scenario of evaluate.py. Needs PyTorch, and no GPU."""

import argparse
import pathlib

import checkpoint
import tensor_dump
import tokens as data
import torch
from scenarios import SCENARIOS, prepare
from torch_attend import Torch


class Kept:
    """Notes what attention is given, and lets torch attend."""

    def __init__(self, shape):
        self.attend = Torch(shape)

    def __call__(self, *given):
        self.given = given
        return self.attend(*given)


def tensors_of(model, name, row, count):
    """row [tokens]: the first are cached, the last `count` ask."""
    nats = prepare(model, name)
    watch = [Kept(model.shape) for _ in model.blocks]
    device = row.device
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        model(row[None], torch.full((1,), nats / model.shape.scale, device=device), attend=watch)
    out = {}
    for i, (block, kept) in enumerate(zip(model.blocks, watch)):
        query, query_rope, latent, rope = kept.given
        key_up, value_up = (w.detach().float() for w in block.attention.up_projections())
        layer = {"latent": latent[:-count], "rope": rope[:-count], "w_uk": key_up, "w_uv": value_up,
                 "q_nope": query[-count:], "q_rope": query_rope[-count:]}  # fmt: skip
        out.update({f"layers.{i}.{what}": tensor for what, tensor in layer.items()})
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--scenario", default="plain", choices=list(SCENARIOS))
    parser.add_argument("--length", type=int, default=1024, help="tokens in the cache")
    parser.add_argument("--queries", type=int, default=64, help="queries of the tokens after them")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    o = parser.parse_args()
    model = checkpoint.load(o.model, o.device)
    held_out = data.load(o.tokens)[2]
    row = torch.tensor(data.sequences(held_out, o.length + o.queries, 1)[0], device=o.device)
    tensor_dump.write(o.out, tensors_of(model, o.scenario, row, o.queries))
    print(f"{o.out}: {len(model.blocks)} layers, {o.length} tokens, {o.queries} queries, {o.scenario}")


if __name__ == "__main__":
    main()
