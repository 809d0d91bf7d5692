"""A small language model with Multi-head Latent Attention, each head of DeepSeek-V3's shape: latent 512, RoPE 64, content and
values 128. Attention is that of its paper; what differs is the number of heads and layers, and a sink that can be turned up:

The last latent channel is 0 for every token but the first of a sequence, whose `sink` is what training and evaluation set. Every
query looks at it with the same weight, so that sink = n * sqrt(192) adds n to the logit of the first token, as the massive activations
of large models do. Training draws n anew for each sequence, so a model that has one still works."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Shape:
    vocab: int
    layers: int = 4
    dim: int = 512
    heads: int = 8
    hidden: int = 1536
    rank: int = 512
    rope: int = 64
    content: int = 128
    value: int = 128
    rope_base: float = 500000.0

    @property
    def scale(self):
        """Of the softmax: the query's width, not absorbed, to the power of -1/2."""
        return (self.content + self.rope) ** -0.5


def rotate(x, cos, sin):
    """RoPE on [.., tokens, (heads,) rope] by half-splits, in fp32; cos and sin broadcast to half of it."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        s = self.shape = shape
        self.query = nn.Linear(s.dim, s.heads * (s.content + s.rope), bias=False)
        self.down = nn.Linear(s.dim, s.rank + s.rope, bias=False)
        self.gain = nn.Parameter(torch.ones(s.rank))
        self.key_up = nn.Parameter(torch.randn(s.heads, s.content - 1, s.rank - 1) * s.rank**-0.5)
        self.value_up = nn.Parameter(torch.randn(s.heads, s.value, s.rank - 1) * s.rank**-0.5)
        self.out = nn.Linear(s.heads * s.value, s.dim, bias=False)
        # What a cached channel is multiplied by, and the weights that read it divided: powers of two change no result in exact
        # arithmetic, nor a bit in bf16, but what a quantiser has to bear.
        self.register_buffer("latent_units", torch.ones(s.rank))
        self.register_buffer("rope_units", torch.ones(s.rope))

    def up_projections(self):
        """W_UK [heads, content, rank] and W_UV [heads, value, rank], as a cache in its units is read with."""
        s = self.shape
        key = F.pad(self.key_up, (0, 1, 0, 1))
        key = key + F.pad(key.new_ones(1, 1, 1), (s.rank - 1, 0, s.content - 1, 0))
        return key / self.latent_units, F.pad(self.value_up, (0, 1)) / self.latent_units

    def project(self, x, sink, cos, sin):
        """x [batch, tokens, dim], sink [batch] -> query content and RoPE [batch, tokens, heads, ..], latent and RoPE of the
        keys [batch, tokens, ..]: these two in fp32, as the norm and the rotation leave them, for a cache to round."""
        s = self.shape
        query = self.query(x).unflatten(-1, (s.heads, s.content + s.rope))
        content, rope = query.split((s.content, s.rope), -1)
        content = torch.cat((content[..., :-1], torch.ones_like(content[..., :1])), -1)
        latent, key = self.down(x).split((s.rank, s.rope), -1)
        latent = F.rms_norm(latent.float(), (s.rank,)) * self.gain
        channel = torch.zeros(x.shape[:2] + (1,), device=x.device)
        channel[:, 0, 0] = sink
        latent = torch.cat((latent[..., :-1], channel), -1) * self.latent_units
        rope = rotate(rope, cos[:, None], sin[:, None]) / self.rope_units
        key = rotate(key, cos, sin) * self.rope_units
        return content, rope.to(query.dtype), latent, key

    def forward(self, x, sink, cos, sin, attend=None):
        """attend(query [tokens, heads, rank], query_rope, latent [tokens, rank], rope) -> [tokens, heads, rank], absorbed, for a
        batch of one; None: keys and values are made and torch attends, which has a gradient. Latents and keys are given in the
        type of the query, but to an attend that says `unrounded` in fp32."""
        s = self.shape
        content, rope, latent, key = self.project(x, sink, cos, sin)
        if not getattr(attend, "unrounded", False):
            latent, key = latent.to(content.dtype), key.to(content.dtype)
        key_up, value_up = (w.to(content.dtype) for w in self.up_projections())
        if attend is None:
            k = torch.einsum("btr,hdr->bthd", latent, key_up)
            k = torch.cat((k, key[:, :, None].expand(-1, -1, s.heads, -1)), -1)
            v = torch.einsum("btr,hdr->bthd", latent, value_up)
            q = torch.cat((content, rope), -1)
            # Padded to the key's width: not every kernel of torch takes values of another.
            v = F.pad(v, (0, q.shape[-1] - s.value))
            o = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), is_causal=True, scale=s.scale)
            o = o.transpose(1, 2)[..., : s.value]
        else:
            query = torch.einsum("thd,hdr->thr", content[0], key_up)
            o = torch.einsum("thr,hdr->thd", attend(query, rope[0], latent[0], key[0]).to(value_up.dtype), value_up)[None]
        return self.out(o.flatten(-2))


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.attention = Attention(shape)
        self.gate_up = nn.Linear(shape.dim, 2 * shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.dim, bias=False)
        self.norms = nn.Parameter(torch.ones(2, shape.dim))

    def forward(self, x, *arguments, **named):
        width = x.shape[-1:]
        x = x + self.attention(F.rms_norm(x, width) * self.norms[0], *arguments, **named)
        gate, up = self.gate_up(F.rms_norm(x, width) * self.norms[1]).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab, shape.dim)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.dim))
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                deep = name.endswith(("out.weight", "down.weight")) and "attention.down" not in name
                nn.init.normal_(parameter, std=0.02 * ((2 * shape.layers) ** -0.5 if deep else 1))

    def forward(self, tokens, sink, attend=None):
        """tokens [batch, length], sink [batch] -> what the head reads [batch, length, dim]. attend: one callable a layer."""
        s = self.shape
        frequency = s.rope_base ** (-torch.arange(0, s.rope, 2, device=tokens.device) / s.rope)
        angle = torch.arange(tokens.shape[1], device=tokens.device)[:, None] * frequency
        cos, sin = angle.cos(), angle.sin()
        x = self.embedding(tokens)
        for i, block in enumerate(self.blocks):
            x = block(x, sink, cos, sin, attend=attend[i] if attend else None)
        return F.rms_norm(x, x.shape[-1:]) * self.norm

    def losses(self, hidden, targets, chunk=8192):
        """-log p of targets [tokens], fp32; hidden [tokens, dim]. The logits are of the embedding, in fp32."""
        out = []
        for h, t in zip(hidden.split(chunk), targets.split(chunk)):
            out.append(F.cross_entropy(self.logits(h), t, reduction="none"))
        return torch.cat(out)

    def logits(self, hidden):
        with torch.autocast(hidden.device.type, enabled=False):
            return hidden.float() @ self.embedding.weight.float().T


def make_outliers(model, exponent, channels=4, seed=1):
    """Makes `channels` latent channels and one pair of RoPE's of every layer larger by 2^exponent (RoPE: by half the exponent),
    and what reads them smaller: the model computes the same. exponent 0 undoes it."""
    generator = torch.Generator().manual_seed(seed)
    for block in model.blocks:
        a = block.attention
        a.latent_units.fill_(1.0)
        a.rope_units.fill_(1.0)
        chosen = torch.randperm(model.shape.rank - 1, generator=generator)[:channels]
        a.latent_units[chosen.to(a.latent_units.device)] = 2.0**exponent
        half = model.shape.rope // 2
        pair = int(torch.randint(half, (1,), generator=generator))
        a.rope_units[pair] = a.rope_units[pair + half] = 2.0 ** (exponent // 2)
