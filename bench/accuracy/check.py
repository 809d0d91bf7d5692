#!/usr/bin/env python3
"""check.py [--tokens 200] [--device cuda:0]: that the evaluation's way to decode, a whole sequence at once, is what a server does:
with every format, appends token after token, decodes each, and compares with all positions at once, and both with torch in fp32."""

import argparse
import sys

import snapmla
import torch
from attend import Decode, Torch
from model import Shape

# Relative L2. At once and one by one differ where a request is split otherwise; torch reads the unquantised cache.
APART, FROM_TORCH = {"bf16": 6e-3}, {"bf16": 6e-3}


def error(a, b):
    return float((a.double() - b.double()).norm() / b.double().norm())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    o = parser.parse_args()
    torch.set_float32_matmul_precision("highest")
    context = snapmla.Context("emulator" if o.device == "cpu" else o.device)
    shape = Shape(vocab=8)
    generator = torch.Generator().manual_seed(3)
    def normal(*size):
        return torch.randn(*size, generator=generator).to(torch.bfloat16).to(o.device)
    data = normal(o.tokens, shape.heads, shape.rank), normal(o.tokens, shape.heads, shape.rope), normal(o.tokens, shape.rank), normal(o.tokens, shape.rope)
    exact = Torch(shape)(*data)
    wrong = 0
    for kv_format in snapmla.kv_formats():
        at_once = Decode(kv_format, shape, context, o.tokens, device=o.device)
        one_by_one = Decode(kv_format, shape, context, o.tokens, batch=1, device=o.device)
        at_once.kv_scale = one_by_one.kv_scale = 6 / 448
        got, rows = at_once(*data), []
        for t in range(o.tokens):
            query, query_rope, latent, rope = (x[t : t + 1] for x in data)
            one_by_one.append(latent, rope, t)
            rows.append(one_by_one.decode(query, query_rope, t))
        apart, far = error(torch.cat(rows), got), error(got, exact)
        ok = apart <= APART.get(kv_format, 3.5e-2) and far <= FROM_TORCH.get(kv_format, 0.12)
        wrong += not ok
        print(f"{kv_format}: at once and one by one {apart:.2e} apart, {far:.2e} from torch in fp32: {'ok' if ok else 'WRONG'}",
              flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
