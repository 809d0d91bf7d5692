"""Ways to compute the absorbed attention of one sequence, all positions at once: our kernels on a quantised cache, and torch (torch_attend.py).

Each is called with query [tokens, heads, rank], query_rope [tokens, heads, rope], latent [tokens, rank], rope [tokens, rope] (bf16), and
returns [tokens, heads, rank]: row t has seen tokens 0..t. Row t of ours is what decoding token t gives after tokens 0..t were appended:
the cache of a token depends on that token alone, so that it makes no difference that later ones lie in it already."""

import pathlib
import sys

import snapmla
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from programs import single_buffered  # noqa: E402
from torch_attend import Torch  # noqa: E402, F401


class Decode:
    """Our kernels: the sequence is appended once, then every position is a request of its own on the same pages, with
    the length position + 1; `batch` of them in a call. `single`: by the kernel that takes one tile at a time, not pipelined."""

    def __init__(self, kv_format, shape, context, most_tokens, batch=512, page=64, accuracy=0, single=False, device="cuda:0"):
        self.shape, self.page, self.batch, self.kv_scale = shape, page, min(batch, most_tokens), 0.0
        self.kv_format = kv_format
        problem = snapmla.problem(
            kv_format, heads=shape.heads, latent_rank=shape.rank, rope_dim=shape.rope, page_tokens=page, accuracy=accuracy,
            max_batch=self.batch, max_context=most_tokens,
        )  # fmt: skip
        self.plan = snapmla.Plan(context, problem)
        if single:
            self.plan = snapmla.Plan(context, problem, variant=single_buffered(self.plan.variant("mla_decode")))
        self.workspace = self.plan.workspace()
        layout = snapmla.Layout(problem)
        self.bytes_per_token = layout.bytes_per_token
        pages = -(-most_tokens // page)
        if context.is_emulator:
            self.cache = snapmla.new_cache(context, problem, pages)
        else:
            self.cache = torch.full((pages, layout.page_bytes), 255, dtype=torch.uint8, device=device)
        self.table = torch.arange(pages, dtype=torch.int32, device=device).repeat(self.batch, 1)
        self.positions = torch.arange(most_tokens, dtype=torch.int64, device=device)

    def append(self, latent, rope, first):
        self.plan.append(self.cache, latent.contiguous(), rope.contiguous(),
                         self.positions[first : first + len(latent)], kv_scale=self.kv_scale)  # fmt: skip

    def decode(self, query, query_rope, first):
        """Rows first, first + 1, … of what append() was given, [rows, heads, ..]."""
        rows = len(query)
        out = torch.empty(query.shape, dtype=torch.bfloat16, device=query.device)
        for at in range(0, rows, self.batch):
            part = slice(at, min(rows, at + self.batch))
            count = part.stop - part.start
            lengths = (self.positions[first + part.start : first + part.stop] + 1).to(torch.int32)
            self.plan.schedule(self.workspace, self.table[:count], lengths)
            self.plan.decode(self.workspace, query[part, None], query_rope[part, None], self.cache, self.table[:count], lengths,
                             self.shape.scale, out[part, None], kv_scale=self.kv_scale)  # fmt: skip
        return out

    def __call__(self, query, query_rope, latent, rope):
        self.append(latent, rope, 0)
        return self.decode(query.contiguous(), query_rope.contiguous(), 0)


class Largest:
    """Notes the largest magnitude of a cached number, and lets another attend."""

    def __init__(self, attend):
        self.attend, self.largest = attend, 0.0

    def __call__(self, query, query_rope, latent, rope):
        self.largest = max(self.largest, float(latent.abs().max()), float(rope.abs().max()))
        return self.attend(query, query_rope, latent, rope)
