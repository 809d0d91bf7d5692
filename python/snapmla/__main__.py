"""python -m snapmla: what the package finds here, and whether it computes right, on the emulator."""

import sys

import numpy as np

from . import Context, flash_mla_with_kvcache, from_bf16, get_mla_metadata, to_bf16, version


def main():
    print(f"snapmla {version()}, numpy {np.__version__}")
    with Context("emulator") as context:
        print(f"emulator: {context.product}, {context.multiprocessors} multiprocessors")
    try:
        with Context("cuda:0") as context:
            print(f"cuda:0: {context.product}, {context.multiprocessors} multiprocessors")
    except RuntimeError as error:
        print(f"cuda:0: {error}")
    rng = np.random.default_rng(1)
    q, kv = (to_bf16(rng.standard_normal(shape)) for shape in ((1, 1, 16, 576), (1, 64, 1, 576)))
    table, lengths = np.zeros((1, 1), np.int32), np.array([50], np.int32)
    out, lse = (from_bf16(a) if a.dtype == np.uint16 else a
                for a in flash_mla_with_kvcache(q, kv, table, lengths, 512, get_mla_metadata()[0]))  # fmt: skip
    logits = from_bf16(q)[0, 0] @ from_bf16(kv)[0, :50, 0].T * 576**-0.5
    weights = np.exp(logits)
    want = weights / weights.sum(1, keepdims=True) @ from_bf16(kv)[0, :50, 0, :512]
    error = float(np.linalg.norm(out[0, 0] - want) / np.linalg.norm(want))
    print(f"an attention of 16 heads over 50 tokens on the emulator: relative error {error:.1e}")
    return 0 if error < 1e-2 and np.isfinite(lse).all() else 1


if __name__ == "__main__":
    sys.exit(main())
