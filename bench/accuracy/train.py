#!/usr/bin/env python3
"""train.py TOKENS.npz OUTDIR --seconds 220: trains the model of model.py for so long, and writes OUTDIR/model.pt (again every half
minute) and OUTDIR/train.csv. Most of the time in short sequences, the last part in long ones. Half of the sequences hold needles
(needles.py), and half of them a sink (model.py). Needs PyTorch; a GPU for more than a trial."""

import argparse
import csv
import math
import pathlib
import time

import checkpoint
import needles
import tokens as data
import torch
from model import Model, Shape

MOST_SINK = 12.0  # nats


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=220)
    parser.add_argument("--steps", type=int, help="so many steps instead, of each length")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--lengths", type=int, nargs=2, default=(2048, 32768))
    parser.add_argument("--batch", type=int, default=32768, help="tokens of a step")
    parser.add_argument("--long", type=float, default=0.3, help="the part of the time that long sequences get")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def batch_of(tokens, length, count, vocab, generator):
    """Sequences [count, length + 1], the weights of their targets [count, length], the sinks [count]."""
    device = tokens.device
    starts = torch.randint(len(tokens) - length - 1, (count, 1), generator=generator, device=device)
    rows = tokens[starts + torch.arange(length + 1, device=device)]
    rows[:, 0] = 0
    # With one sequence a step every second step has needles, else every second sequence.
    weights = torch.ones(count, length + 1, device=device)
    chosen = torch.rand(count, generator=generator, device=device) < 0.5
    some = rows[chosen]
    if len(some):
        weights[chosen] = needles.strew(some, max(1, length // 64), vocab, generator)
        rows[chosen] = some
    nats = torch.rand(count, generator=generator, device=device) * 2 * MOST_SINK - MOST_SINK
    return rows, weights[:, 1:], nats.clamp(min=0)


def main():
    o = options_of()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    vocab, training, held_out = data.load(o.tokens)
    training = torch.tensor(training, device=o.device)
    generator = torch.Generator(o.device).manual_seed(2)
    model = Model(Shape(vocab, layers=o.layers, dim=o.dim, heads=o.heads)).to(o.device)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters, {len(training)} tokens", flush=True)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() < 2]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
                                  lr=o.rate, betas=(0.9, 0.95), fused=o.device.startswith("cuda"))  # fmt: skip
    begun = saved = told = time.monotonic()
    step = seen = 0
    with open(o.out / "train.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["seconds", "step", "tokens", "length", "loss_text", "loss_needle_values"])
        while True:
            done = step / (2 * o.steps) if o.steps else (time.monotonic() - begun) / o.seconds
            if done >= 1:
                break
            length = o.lengths[done >= (0.5 if o.steps else 1 - o.long)]
            count = max(1, o.batch // length)
            rate = o.rate * min(1, (step + 1) / 150) * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * done)))
            for group in optimiser.param_groups:
                group["lr"] = rate
            rows, weights, nats = batch_of(training, length, count, vocab, generator)
            targets = rows[:, 1:].flatten()
            with torch.autocast(torch.device(o.device).type, torch.bfloat16):
                hidden = model(rows[:, :-1], nats / model.shape.scale)
            losses = model.losses(hidden.flatten(0, 1), targets)
            (losses * weights.flatten()).sum().div(weights.sum()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step, seen = step + 1, seen + rows.shape[0] * length
            now = time.monotonic()
            if now - told > 5 or step == 1:
                told = now
                values = values_of(rows)
                table.writerow([f"{now - begun:.1f}", step, seen, length, f"{mean(losses, weights.flatten() * ~values):.4f}",
                                f"{mean(losses, weights.flatten() * values):.4f}"])  # fmt: skip
                file.flush()
            if now - saved > 30:
                saved = now
                checkpoint.save(model, o.out / "model.pt", torch.bfloat16)
    checkpoint.save(model, o.out / "model.pt", torch.bfloat16)
    print(f"{step} steps, {seen} tokens, {time.monotonic() - begun:.0f} s", flush=True)


def values_of(rows):
    """Which targets [flat] are values of a needle."""
    out = torch.zeros_like(rows, dtype=torch.bool)
    mark = rows == needles.IS
    for i in range(1, needles.VALUE + 1):
        out[:, i:] |= mark[:, :-i]
    return out[:, 1:].flatten()


def mean(values, weights):
    return float((values.detach() * weights).sum() / weights.sum().clamp(min=1e-9))


if __name__ == "__main__":
    main()
