"""The absorbed attention of one sequence by torch, as attend.py's ways are called."""

import torch


class Torch:
    """The same attention by torch, in fp32 from the same bf16 numbers (or in `dtype`), `chunk` rows at a time. `unrounded`: from latents
    and keys that no cache has rounded, which the model then gives in fp32; the query and what is returned stay bf16."""

    def __init__(self, shape, dtype=torch.float32, chunk=256, unrounded=False):
        self.scale, self.dtype, self.chunk, self.unrounded = shape.scale, dtype, chunk, unrounded
        self.sink_mass = []

    def __call__(self, query, query_rope, latent, rope):
        keys = torch.cat((latent, rope), -1).to(self.dtype)
        values = latent.to(self.dtype)
        rows = torch.cat((query, query_rope), -1).to(self.dtype)
        out, mass = [], 0
        with torch.autocast(query.device.type, enabled=False):
            for at in range(0, len(rows), self.chunk):
                q = rows[at : at + self.chunk]
                seen = at + len(q)
                logits = (q.flatten(0, 1) @ keys[:seen].T).float().unflatten(0, q.shape[:2]) * self.scale
                future = torch.ones(len(q), seen, dtype=torch.bool, device=q.device).triu(at + 1)
                p = logits.masked_fill_(future[:, None], -torch.inf).softmax(-1)
                mass = mass + p[..., 0].sum(0)
                out.append((p.to(self.dtype).flatten(0, 1) @ values[:seen]).unflatten(0, q.shape[:2]).to(query.dtype))
        self.sink_mass.append((mass / len(rows)).cpu())
        return torch.cat(out)
