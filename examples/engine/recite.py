"""A model of one attention layer that recites: it reads texts, is given how each begins, and continues it byte by byte.

No weight is trained. A token's latent holds two random codes: of the seven bytes before it, and of itself. The query is the code
of the last seven bytes, which in these texts stand nowhere twice with different followers, so that attention finds where they
stood and returns the byte that followed. Each step is also done in double precision on the latents before they were quantised,
and must choose the same byte.

    PYTHONPATH=python SNAPMLA_LIBRARY=build/release/lib/libsnapmla.so python3 examples/engine/recite.py [--device cuda:0]

recites once over an FP8 cache and once over bf16, and says what each differs from double precision; on a GPU each step is a CUDA
graph's replay."""

import argparse

import numpy as np
import snapmla
from backend import Backend

HEADS, RANK, ROPE, SEEN, SCALE = 8, 256, 64, 7, 24.0
TEXTS = (
    b"Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse",
    b"It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.",
)
rng = np.random.default_rng(1)
BYTE = rng.standard_normal((256, RANK // 2)) / np.sqrt(RANK // 2)


def code_of(context):
    """Of the last bytes: random numbers, the same for the same bytes."""
    seed = int.from_bytes(bytes(context[-SEEN:]), "little") + (len(context[-SEEN:]) << 8 * SEEN)
    return np.random.default_rng(seed).standard_normal(RANK // 2) / np.sqrt(RANK // 2)


def latent_of(context, byte):
    return np.concatenate([code_of(context), BYTE[byte]])


def query_of(context):
    return np.concatenate([code_of(context), np.zeros(RANK // 2)])


def recite(texts=TEXTS, start=12, count=None, kv_format="fp8_token", device="emulator", torch=None):
    """(what was recited for each text, the largest relative error of a step)"""
    count = count or min(len(text) for text in texts) - start
    backend = Backend(HEADS, RANK, len(texts), 128, SCALE, kv_format=kv_format, device=device, torch=torch)
    if device != "emulator":
        backend.capture()
    memory = []
    for request, text in enumerate(texts):
        rows = np.array([latent_of(text[:t], text[t]) for t in range(len(text))])
        memory.append(rows)
        backend.append([request] * len(text), snapmla.to_bf16(rows), np.zeros((len(text), ROPE), np.uint16))
    said, worst = [bytearray(text[:start]) for text in texts], 0.0
    for _ in range(count):
        queries = np.array([query_of(context) for context in said])
        q = np.repeat(queries[:, None, None], HEADS, axis=2)
        q_rope = np.zeros((len(texts), 1, HEADS, ROPE), np.uint16)
        out = backend.forward(snapmla.to_bf16(q), q_rope)[:, 0].mean(axis=1)
        for request in range(len(texts)):
            weights = np.exp(SCALE * (memory[request] @ queries[request]))
            exact = weights / weights.sum() @ memory[request]
            worst = max(worst, np.linalg.norm(out[request] - exact) / np.linalg.norm(exact))
            byte, exact_byte = (int(np.argmax(BYTE @ v[RANK // 2 :])) for v in (out[request], exact))
            if byte != exact_byte:
                raise SystemExit(
                    f"{kv_format} chose {byte:#x}, double precision {exact_byte:#x}, after {bytes(said[request])}"
                )
            said[request].append(byte)
    backend.close()
    return [bytes(text) for text in said], worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="emulator", help="cuda:N or emulator")
    parser.add_argument("--torch", action="store_true", help="torch tensors on the emulator too")
    given = parser.parse_args()
    torch = __import__("torch") if given.torch or given.device != "emulator" else None
    for kv_format in ("fp8_token", "bf16"):
        said, worst = recite(kv_format=kv_format, device=given.device, torch=torch)
        print(f"{kv_format}, at most {worst:.1e} from double precision:")
        for text in said:
            print(f"  {text.decode()}")


if __name__ == "__main__":
    main()
