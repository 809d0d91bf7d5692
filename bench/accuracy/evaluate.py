#!/usr/bin/env python3
"""evaluate.py MODEL.pt TOKENS.npz OUTDIR: perplexity and retrieval of a model of train.py, decoding by our kernels with every KV format,
paired token by token with our own bf16 and with torch. Writes, and renews after every sequence: perplexity.csv (sums by
blocks), needles.csv (every answer), summary.json and summary.txt.

A case is FORMAT[/LEVEL][/single], torch_fp32[/unrounded] or torch_bf16: a format of the cache; balanced or max; single for the kernel that
takes one tile at a time (the ablation, evaluated after all others); unrounded for latents and RoPE keys in fp32, as the norm and the rotation
leave them, in place of the bf16 that all other ways start from: what bf16 differs from it by is the noise of a bf16 cache. bf16 is the
baseline, always there. With --resume what OUTDIR holds of an earlier run of the same model, lengths and block is kept, and only what it
lacks of the cases is evaluated.

Scenarios: plain; sink (the first token's logit raised by 12); outliers and severe (a few channels of the cache 2^6 and 2^12 times as large,
the weights that read them as much smaller: the model computes the same). Every position of the text is decoded, see attend.py."""

import argparse
import csv
import hashlib
import json
import math
import pathlib
import sys
import time

import cases
import checkpoint
import needles
import noise
import numpy as np
import paired
import snapmla
import tokens as data
import torch
from attend import Decode, Largest, Torch
from interval import percent
from scenarios import SCENARIOS, prepare

BASE = cases.BASE
TEXT_PART, NEEDLE_PART = 0.78, 0.9  # of the time, when text and needles end; single ways have the rest


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--length", type=int, default=32768)
    parser.add_argument("--sequences", type=int, default=16, help="held-out sequences at most")
    parser.add_argument("--needle-lengths", type=int, nargs="*", default=(4096, 8192, 16384, 32768))
    parser.add_argument("--needle-sequences", type=int, default=4)
    parser.add_argument("--needles", type=int, default=32, help="in a sequence, at even depths")
    parser.add_argument("--seconds", type=float, default=200, help="no sequence is begun later; most of it is for text, then needles, then /single")
    parser.add_argument("--cases", nargs="+", help="all formats of the build, with levels those of fp8_token and fp8_token_r4, bf16/single, fp8_token/single, torch")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


class Evaluation:
    def __init__(self, o):
        self.o, self.begun = o, time.monotonic()
        self.model = checkpoint.load(o.model, o.device)
        self.shape = self.model.shape
        vocab, training, held_out = data.load(o.tokens)
        self.training = training
        self.text = torch.tensor(data.sequences(held_out, o.length, o.sequences), device=o.device)
        emulated = o.device == "cpu"
        self.context = snapmla.Context("emulator" if emulated else o.device)
        self.ways, self.single, self.left_out = {}, set(), {}
        self.exact, self.unrounded = Torch(self.shape), Torch(self.shape, unrounded=True)
        for case in cases.chosen(o.cases, snapmla.kv_formats()):
            self.add(case)
        self.kept = cases.Kept(o.out, self.settings(), o.resume)
        self.blocks = self.kept.blocks  # (scenario, way): {sequence: blocks of paired.blocks_of}
        self.sink_mass, self.answers = {}, self.kept.answers
        self.kv_scales = {}

    def settings(self):
        """What must be the same for figures to stand beside each other."""
        digest = hashlib.sha256(self.o.model.read_bytes()).hexdigest()
        return {"model": digest, "length": self.o.length, "block": self.o.block, "needles": self.o.needles}

    def add(self, case):
        """One Decode for all layers: each appends its whole sequence before it reads. Levels that the build lacks are noted."""
        if case.torch:
            attend = {cases.EXACT: self.exact, cases.UNROUNDED: self.unrounded}.get(case.name)
            self.ways[case.name] = attend and [attend] * self.shape.layers  # bf16: its own, not absorbed
            return
        most = max([self.o.length, *self.o.needle_lengths])
        try:
            decode = Decode(case.kv_format, self.shape, self.context, most, self.o.batch, accuracy=case.level, single=case.single,
                            device=self.o.device)  # fmt: skip
        except snapmla.Error as error:
            if not case.level and not case.single:
                raise
            self.left_out[case.name] = str(error)
            return
        self.ways[case.name] = [decode] * self.shape.layers
        if case.single:
            self.single.add(case.name)
        say(f"{case.name}: {decode.bytes_per_token:g} bytes a token, {decode.plan.variant('mla_decode')}")

    def hidden(self, row, nats, attend):
        sink = torch.full((1,), nats / self.shape.scale, device=row.device)
        with torch.autocast(row.device.type, torch.bfloat16):
            return self.model(row[None], sink, attend=attend)[0].float()

    def calibrate(self, name, nats):
        """The scales of fp8_tensor, one a layer: the largest number that a sequence of the training text puts there, and a quarter of
        headroom, over e4m3's largest. Found once a scenario."""
        if name not in self.kv_scales:
            self.kv_scales[name] = self.find_scales(nats)
        for way, attend in self.ways.items():
            if way.startswith("fp8_tensor"):
                self.ways[way] = [Scaled(attend[0], scale) for scale in self.kv_scales[name]]

    def find_scales(self, nats):
        length = min(self.o.length, 4096)
        row = torch.tensor(data.sequences(self.training, length, 1, seed=7)[0], device=self.o.device)
        watch = [Largest(Torch(self.shape)) for _ in self.model.blocks]
        self.hidden(row, nats, watch)
        return [max(w.largest, 1e-6) * 1.25 / 448 for w in watch]

    def scenario(self, name):
        nats = prepare(self.model, name)
        self.calibrate(name, nats)
        return nats

    def left(self, part):
        return time.monotonic() - self.begun < self.o.seconds * part

    def losses(self, row, nats, way):
        return self.model.losses(self.hidden(row, nats, self.ways[way])[:-1], row[1:]).double().cpu().numpy()

    def named(self, single):
        return [way for way in self.ways if (way in self.single) == single]

    def perplexity(self, ways, part):
        """Of the first sequence always, of the next while less than `part` of the time is over."""
        for i, row in enumerate(self.text):
            for name in self.o.scenarios:
                nats = self.scenario(name)
                if i and not self.left(part):
                    return
                wanted = [way for way in ways if i not in self.blocks.get((name, way), {})
                          and not (way.startswith("torch") and SCENARIOS[name][1])]  # powers of two: torch's numbers without outliers
                if not wanted:
                    continue
                self.exact.sink_mass.clear()
                base, exact = self.losses(row, nats, BASE), None
                for way in wanted:
                    losses = base if way == BASE else self.losses(row, nats, way)
                    exact = losses if way == cases.EXACT else exact
                    beside = exact if way == cases.UNROUNDED else None
                    self.blocks.setdefault((name, way), {})[i] = paired.blocks_of(losses, base, self.o.block, beside)
                if self.exact.sink_mass:
                    mass = torch.stack(self.exact.sink_mass).mean(1)
                    self.sink_mass.setdefault(name, []).append([round(float(m), 4) for m in mass])
            self.write()
            say(f"text {i + 1} of {len(self.text)}, {time.monotonic() - self.begun:.0f} s")

    def needles(self, ways, part):
        """Over the lengths again and again, until the sequences are done or the time is."""
        for k in range(self.o.needle_sequences):
            for length in self.o.needle_lengths:
                if k and not self.left(part):
                    return
                self.one_haystack(length, k, ways)
            self.write()
            say(f"needles {k + 1} of {self.o.needle_sequences}, {time.monotonic() - self.begun:.0f} s")

    def one_haystack(self, length, k, ways):
        nats = self.scenario("plain")
        generator = torch.Generator(self.o.device).manual_seed(1000 * k + length)
        text = self.text.flatten()
        text = text[(k * length) % (len(text) - length + 1) :][:length]
        count = min(self.o.needles, (length - 1) // (3 * needles.LENGTH))
        row, starts = needles.haystack(text, count, self.shape.vocab, generator)
        row[0] = 0
        at = starts[:, None] + torch.arange(needles.VALUE, device=row.device)
        done = {a[3] for a in self.answers if a[:2] == (length, k)}
        for way in ways:
            if way in done:
                continue
            hidden = self.hidden(row, nats, self.ways[way])[at - 1]
            right = (self.model.logits(hidden).argmax(-1) == row[at]).all(1)
            losses = self.model.losses(hidden.flatten(0, 1), row[at].flatten()).unflatten(0, at.shape).sum(1)
            for i in range(count):
                self.answers.append((length, k, round((i + 0.5) / count, 4), way, int(right[i]), float(losses[i])))

    def pairs(self, name, way, base):
        """[(block, the baseline's)] of the sequences that both have."""
        mine, others = self.blocks.get((name, way), {}), self.blocks.get((name, base), {})
        return [pair for i in sorted(mine.keys() & others.keys()) for pair in zip(mine[i], others[i])]

    def summary(self):
        out = {
            "device": self.context.product or self.context.name, "torch": torch.__version__, "snapmla": snapmla.version(),
            "shape": vars(self.shape), "settings": self.settings(), "length": self.o.length, "left_out": self.left_out,
            "kv_scales": self.kv_scales, "seconds": time.monotonic() - self.begun, "perplexity": [], "needles": [],
            "sink_mass": {**self.kept.sink_mass, **{name: np.mean(rows, 0).round(4).tolist() for name, rows in self.sink_mass.items()}},
        }  # fmt: skip
        blocks = noise.blocks_of((name, way, i, *b[:4]) for (name, way), sequences in self.blocks.items() for i, every in sequences.items() for b in every)
        for (name, way), sequences in self.blocks.items():
            every = [b for blocks in sequences.values() for b in blocks]
            nats, tokens = sum(b[2] for b in every), sum(b[1] for b in every)
            entry = {"scenario": name, "way": way, "perplexity": math.exp(nats / tokens), "sequences": len(sequences)}
            decode = self.ways.get(way)
            if decode and hasattr(decode[0], "bytes_per_token"):
                entry["bytes_per_token"] = decode[0].bytes_per_token
            for base in (BASE, cases.EXACT):
                pairs = self.pairs(name, way, base)
                if way != base and pairs:
                    compared = entry[f"against_{base}"] = paired.compare_blocks(*zip(*pairs), squares=3 if base == BASE else 4)
                    if math.isnan(compared["token_rms"]):
                        del compared["token_rms"]  # blocks know it against the baseline, and of the unrounded way
            low, by_context = 0, []
            for high in (1024, 4096, 16384, 1 << 30):
                pairs = [pair for pair in self.pairs(name, way, BASE) if low <= pair[0][0] < high]
                if way != BASE and pairs:
                    by_context.append({"from": low, "to": max(b[0] + b[1] for b, _ in pairs), **paired.compare_blocks(*zip(*pairs))})
                low = high
            entry["by_context"] = by_context
            judged = noise.judge(blocks, name, way)
            if judged:
                entry["noise"] = judged
            out["perplexity"].append(entry)
        for length in sorted({a[0] for a in self.answers}):
            for way in dict.fromkeys(a[3] for a in self.answers if a[0] == length):
                mine = [a for a in self.answers if a[0] == length and a[3] == way]
                base = [a for a in self.answers if a[0] == length and a[3] == BASE and a[1] in {m[1] for m in mine}]
                depths = sorted({a[2] for a in mine})
                thirds = [[a[4] for a in mine if low <= a[2] < low + 1 / 3 + 1e-9] for low in (0, 1 / 3, 2 / 3)]
                mean, half = paired.interval([a[5] - b[5] for a, b in zip(mine, base)])
                out["needles"].append({
                    "length": length, "way": way, "asked": len(mine), "depths": len(depths),
                    "right": sum(a[4] for a in mine) / len(mine), "right_by_depth": [float(np.mean(t)) if t else None for t in thirds],
                    "nats": float(np.mean([a[5] for a in mine])), "nats_against_bf16": mean, "nats_half_width": half,
                    "answers_changed": sum(a[4] != b[4] for a, b in zip(mine, base)),
                })  # fmt: skip
        return out

    def write(self):
        with open(self.o.out / "perplexity.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["scenario", "sequence", "first_token", "tokens", "way", "nats", "squares", "squares_exact"])
            for (name, way), sequences in self.blocks.items():
                for i, blocks in sequences.items():
                    table.writerows([name, i, at, count, way, f"{nats:.6f}", f"{squares:.6e}", "" if math.isnan(exact) else f"{exact:.6e}"]
                                    for at, count, nats, squares, exact in blocks)  # fmt: skip
        with open(self.o.out / "needles.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["length", "sequence", "depth", "way", "right", "nats"])
            table.writerows((*a[:2], f"{a[2]:.4f}", *a[3:5], f"{a[5]:.5f}") for a in self.answers)
        summary = self.summary()
        (self.o.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        (self.o.out / "summary.txt").write_text(table_of(summary))


class Scaled:
    """A Decode under the scale of one layer."""

    def __init__(self, decode, kv_scale):
        self.inner = decode.inner if isinstance(decode, Scaled) else decode
        self.kv_scale, self.bytes_per_token = kv_scale, self.inner.bytes_per_token

    def __call__(self, *arguments):
        self.inner.kv_scale = self.kv_scale
        return self.inner(*arguments)


def noise_lines(entries):
    """Each way's change beside what bf16 itself makes (noise.py)."""
    lines = ["", f"{'scenario':10}{'way':22}{'change':>18}{'of bf16 itself':>20}{'no larger':>10}{'rms':>9}{'of bf16 itself':>15}{'no wider':>9}"]
    for e in entries:
        if "noise" in e and "single" not in e["way"]:
            n = e["noise"]
            change, own = (f"{percent(n[p + 'nats']):+.4f} ± {percent(n[p + 'half_width']):.4f}" for p in ("", "own_"))
            lines.append(f"{e['scenario']:10}{e['way']:22}{change:>18}{own:>20}{n['no_larger']:>10}{n['rms']:9.5f}{n['own_rms']:15.5f}{n['no_wider']:>9}")
        if e["way"] == cases.UNROUNDED and "token_rms" in e.get(f"against_{cases.EXACT}", {}):
            d = e[f"against_{cases.EXACT}"]
            lines.append(f"{e['scenario']:10}the rounding alone, without bf16's kernel: {-d['perplexity_percent']:+.4f} ± "
                         f"{percent(d['nats_half_width']):.4f} %, rms {d['token_rms']:.5f}")  # fmt: skip
    return lines if len(lines) > 2 else []


def table_of(summary):
    lines = [f"{summary['device']}, torch {summary['torch']}; contexts to {summary['length']} tokens", "",
             f"{'scenario':10}{'way':22}{'perplexity':>11}  {'change against our bf16, 95 %':34}{'a token, rms':>13}{'tokens':>9}  +0.1 %"]  # fmt: skip
    for e in summary["perplexity"]:
        d = e.get(f"against_{BASE}")
        change = (f"{d['perplexity_percent']:+.4f} % ({d['perplexity_percent_low']:+.4f} to "
                  f"{d['perplexity_percent_high']:+.4f})") if d else ""  # fmt: skip
        lines.append(f"{e['scenario']:10}{e['way']:22}{e['perplexity']:11.4f}  {change:34}"
                     + (f"{d['token_rms']:13.5f}{d['tokens']:9}  {d['gate']}" if d else ""))  # fmt: skip
    lines += noise_lines(summary["perplexity"])
    lines += ["", f"{'needles in':>10}  {'way':22}{'right':>8}{'asked':>7}  {'first, middle, last third':27}{'changed':>8}{'nats against bf16':>24}"]
    for e in summary["needles"]:
        thirds = "  ".join("-" if t is None else f"{t:6.3f}" for t in e["right_by_depth"])
        lines.append(f"{e['length']:10}  {e['way']:22}{e['right']:8.3f}{e['asked']:7}  {thirds:27}{e['answers_changed']:8}"
                     f"{e['nats_against_bf16']:+15.4f} ± {e['nats_half_width']:.4f}")  # fmt: skip
    return "\n".join(lines) + "\n"


def say(text):
    print(text, flush=True)


def main():
    o = options_of()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("highest")
    evaluation = Evaluation(o)
    main, single = evaluation.named(False), evaluation.named(True)
    evaluation.perplexity(main, TEXT_PART)
    evaluation.needles(main, NEEDLE_PART)
    if single:
        evaluation.perplexity(single, 1)
        evaluation.needles(single, 1)
    evaluation.write()
    print((o.out / "summary.txt").read_text())


if __name__ == "__main__":
    main()
