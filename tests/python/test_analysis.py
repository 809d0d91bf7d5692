"""snapmla analyze and bench/accuracy/analyze_checkpoint.py on a small checkpoint in two shards, against numpy: its singular values,
and an e4m3 of its own."""

import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import snapmla

HEADS, CONTENT, VALUE, RANK, ROPE, TOKENS = 3, 24, 40, 128, 64, 70
SCRIPTS = pathlib.Path("bench/accuracy").resolve()


def save(path, tensors):
    head, blobs, at = {}, [], 0
    for name, (kind, array) in tensors.items():
        blob = array.tobytes()
        head[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def e4m3(x):
    """x rounded to e4m3: three fraction bits from 2^-6 up, steps of 2^-9 below, ties to even, to 448 at most."""
    exponent = np.maximum(np.floor(np.log2(np.maximum(np.abs(x), 1e-30))), -6)
    step = 2.0 ** (exponent - 3)
    return np.clip(np.rint(x / step) * step, -448, 448)


def norm(x):
    return math.sqrt((x.astype(np.float64) ** 2).sum())


class Analysis(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        root = pathlib.Path(self.folder.name)
        rng = np.random.default_rng(5)
        self.latents, self.weights, index = {}, {}, {}
        dump = {}
        for layer in (1, 2):
            rows = rng.standard_normal((TOKENS, RANK)) * 2.0 ** rng.integers(-9, 2, RANK)
            self.latents[layer] = snapmla.from_bf16(snapmla.to_bf16(rows))
            dump[f"layers.{layer}.latent"] = ("BF16", snapmla.to_bf16(rows))
            dump[f"layers.{layer}.rope"] = ("BF16", snapmla.to_bf16(rng.standard_normal((TOKENS, ROPE))))
            self.weights[layer] = rng.standard_normal((HEADS * (CONTENT + VALUE), RANK)).astype(np.float32)
            name = f"language_model.model.layers.{layer}.self_attn.kv_b_proj.weight"
            index[name] = f"model-{layer}.safetensors"
            save(root / index[name], {name: ("F32", self.weights[layer])})
        index["language_model.model.layers.3.self_attn.kv_b_proj.weight"] = "not-there.safetensors"
        (root / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
        text = {"num_attention_heads": HEADS, "qk_nope_head_dim": CONTENT, "qk_rope_head_dim": ROPE}
        (root / "config.json").write_text(json.dumps({"text_config": text}))
        self.dump = root / "dump.safetensors"
        save(self.dump, dump)
        self.root = root

    def analyze(self, *options):
        command = [sys.executable, str(SCRIPTS / "analyze_checkpoint.py"), str(self.root), str(self.dump), *options]
        run = subprocess.run(command, capture_output=True, text=True)
        if "need LAPACK" in run.stderr:
            self.skipTest("there is no LAPACK")
        return run

    def test_it_agrees_with_numpy(self):
        run = self.analyze("--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        layers = json.loads(run.stdout)["layers"]
        self.assertEqual([layer["layer"] for layer in layers], [1, 2])
        for layer in layers:
            latent, up = self.latents[layer["layer"]].astype(np.float64), self.weights[layer["layer"]].astype(np.float64)
            scale = np.maximum(np.abs(latent).max(1, keepdims=True).astype(np.float32) / np.float32(448), 2.0**-40)
            error = e4m3((latent.astype(np.float32) / scale).astype(np.float64)) * scale - latent
            by_head = up.reshape(HEADS, CONTENT + VALUE, RANK)
            fp8 = next(f for f in layer["formats"] if f["format"] == "fp8_token")
            singular = np.linalg.svd(up, compute_uv=False)
            self.assertAlmostEqual(layer["up"]["cond"] / (singular[0] / singular[-1]), 1, 6)
            self.assertAlmostEqual(fp8["latent"] / (norm(error) / norm(latent)), 1, 5)
            self.check(layer["up"], fp8, up, latent, error, "layer")
            for head in range(HEADS):
                self.check(layer["heads"][head], fp8["heads"][head], by_head[head], latent, error, f"head {head}")

    def check(self, matrix, errors, up, latent, error, what):
        """up [columns, rank]. The visible parts by numpy's own projection."""
        _, singular, basis = np.linalg.svd(up, full_matrices=False)
        self.assertAlmostEqual(matrix["cond_visible"] / (singular[0] / singular[-1]), 1, 6, what)
        self.assertAlmostEqual(matrix["visible"] / (norm(latent @ basis.T) / norm(latent)), 1, 6, what)
        seen = norm(error @ up.T) / norm(latent @ up.T)
        self.assertAlmostEqual(errors["seen"] / seen, 1, 4, what)
        visible = norm(error @ basis.T) / norm(latent @ basis.T)
        self.assertAlmostEqual(errors["bound"] / (singular[0] / singular[-1] * visible), 1, 4, what)
        self.assertLessEqual(errors["seen"], errors["bound"] * (1 + 1e-9), what)
        self.assertLessEqual(errors["seen"], errors["bound_data"] * (1 + 1e-9), what)

    def test_options_reach_the_program_and_its_answer_comes_back(self):
        run = self.analyze("--recommend", "--json", "--", "--format", "fp8_token", "--budget", "0.0001")
        self.assertEqual(run.returncode, 1)
        self.assertIsNone(json.loads(run.stdout)["layers"][0]["recommended"])

    def test_a_layer_without_weights_is_named(self):
        save(self.dump, {"layers.9.latent": ("BF16", np.zeros((2, RANK), np.uint16))})
        run = self.analyze("--json")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("[9]", run.stderr)

    def test_a_dump_of_a_model_is_read(self):
        try:
            import torch
        except ImportError:
            self.skipTest("torch is missing")
        sys.path.insert(0, str(SCRIPTS))
        import dump_latents

        attention = torch.nn.Module()
        attention.kv_a_proj_with_mqa = torch.nn.Linear(8, RANK + ROPE)
        attention.kv_a_layernorm = torch.nn.RMSNorm(RANK)
        model = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Module(), attention])})
        with dump_latents.Dump(model, self.dump, tokens=10):
            for _ in range(3):
                out = attention.kv_a_proj_with_mqa(torch.randn(2, 3, 8))
                attention.kv_a_layernorm(out[..., :RANK])
        run = self.analyze("--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        layer = json.loads(run.stdout)["layers"][0]
        self.assertEqual((layer["layer"], layer["tokens"]), (1, 10))
        self.assertGreater(layer["formats"][0]["rope"], 0)


if __name__ == "__main__":
    unittest.main()
