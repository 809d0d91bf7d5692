"""A layer's step on the emulator, or where torch sees one on a GPU, against the model in double precision: K and V reconstructed."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np
import snapmla

try:
    import torch
except ImportError:
    torch = None

HEADS, RANK, ROPE, NOPE, V, PAGE, Q_LEN = 3, 128, 64, 64, 192, 16, 2
LENGTHS, TABLE, PAGES = [37, 20], [[5, 1, 3], [4, 0, 0]], 7  # with the step's tokens; page 2 and page 6 are nobody's
LIMITS = {"fp8_token": 6e-2, "bf16": 1e-2}  # relative L2, the rounding of tokens and query included
SCALE = (NOPE + ROPE) ** -0.5


def bf16(rng, *shape, spread=1.0):
    return snapmla.to_bf16(rng.standard_normal(shape) * spread)


def wide(bits):
    return snapmla.from_bf16(bits).astype(np.float64)


def turned(rows, positions):
    """RoPE in double precision: rows [n, ..., ROPE], pairs of neighbours."""
    angles = np.multiply.outer(np.asarray(positions, float), 10000.0 ** (-2 * np.arange(ROPE // 2) / ROPE))
    angles = angles.reshape(len(rows), *[1] * (rows.ndim - 2), ROPE // 2)
    even, odd = rows[..., ::2], rows[..., 1::2]
    out = np.empty_like(rows)
    out[..., ::2] = even * np.cos(angles) - odd * np.sin(angles)
    out[..., 1::2] = odd * np.cos(angles) + even * np.sin(angles)
    return out


def e4m3(code):
    """Values of e4m3 without NaN, as they are defined."""
    exponent, fraction = code >> 3 & 15, code & 7
    value = np.where(exponent == 0, fraction / 8 * 2.0**-6, (1 + fraction / 8) * 2.0 ** (exponent.astype(float) - 7))
    return np.where(code & 0x80, -value, value)


class Case:
    """Weights, prompts and the step's tokens on the host."""

    def __init__(self, kv_format="fp8_token", weights="bf16", seed=3, hidden=0):
        rng = np.random.default_rng(seed)
        attention = snapmla.problem(
            kv_format, heads=HEADS, q_len=Q_LEN, latent_rank=RANK, page_tokens=PAGE, max_batch=2, max_context=64
        )
        self.of = snapmla.layer_problem(attention, weights=weights, nope_dim=NOPE, v_dim=V, rope=dict(factor=1.0), hidden_size=hidden)  # fmt: skip
        rows = HEADS * (NOPE + V)
        if weights == "fp8":
            self.kv_b = rng.integers(0, 256, (rows, RANK)).astype(np.uint8) & 0xBF  # magnitudes below 2
            self.kv_b_scale = rng.uniform(0.05, 0.2, (rows // 128, RANK // 128)).astype(np.float32)
            self.weights = e4m3(self.kv_b) * np.repeat(np.repeat(self.kv_b_scale.astype(float), 128, 0), 128, 1)
        else:
            self.kv_b, self.kv_b_scale = bf16(rng, rows, RANK, spread=RANK**-0.5), None
            self.weights = wide(self.kv_b)
        self.o = self.o_scale = None
        if hidden and weights == "fp8":
            self.o = rng.integers(0, 256, (hidden, HEADS * V)).astype(np.uint8) & 0xBF
            self.o_scale = rng.uniform(0.05, 0.2, (-(-hidden // 128), -(-HEADS * V // 128))).astype(np.float32)
            factors = np.repeat(np.repeat(self.o_scale.astype(float), 128, 0), 128, 1)
            self.output = e4m3(self.o) * factors[:hidden, : HEADS * V]
        elif hidden:
            self.o = bf16(rng, hidden, HEADS * V, spread=(HEADS * V) ** -0.5)
            self.output = wide(self.o)
        self.norm = snapmla.to_bf16(1 + 0.1 * rng.standard_normal(RANK))
        self.latent = [bf16(rng, n, RANK) for n in LENGTHS]
        self.rope = [bf16(rng, n, ROPE) for n in LENGTHS]
        self.q = bf16(rng, len(LENGTHS) * Q_LEN, HEADS, NOPE + ROPE)
        self.positions = np.array([n - Q_LEN + i for n in LENGTHS for i in range(Q_LEN)], np.int32)
        self.table, self.seqlens = np.array(TABLE, np.int32), np.array(LENGTHS, np.int32)

    def slots(self, request, positions):
        return np.array([TABLE[request][t // PAGE] * PAGE + t % PAGE for t in positions], np.int64)

    def rows(self, request):
        """The latent normed and the key turned, in double precision."""
        latent = wide(self.latent[request])
        latent = latent * wide(self.norm) / np.sqrt((latent**2).mean(axis=1, keepdims=True) + 1e-6)
        return latent, turned(wide(self.rope[request]), np.arange(LENGTHS[request]))

    def expected(self):
        """out [tokens, HEADS, V] or [tokens, hidden], lse [batch, HEADS, Q_LEN]: K and V of every token and head, as the model is defined."""
        w = self.weights.reshape(HEADS, NOPE + V, RANK)
        out, lse = np.empty((len(LENGTHS) * Q_LEN, HEADS, V)), np.empty((len(LENGTHS), HEADS, Q_LEN))
        query_rope = turned(wide(self.q)[..., NOPE:], self.positions)
        for t in range(len(out)):
            request, seen = t // Q_LEN, self.positions[t] + 1
            latent, rope = (rows[:seen] for rows in self.rows(request))
            for h in range(HEADS):
                keys = np.concatenate([latent @ w[h, :NOPE].T, rope], axis=1)
                logits = keys @ np.concatenate([wide(self.q)[t, h, :NOPE], query_rope[t, h]]) * SCALE
                p = np.exp(logits - logits.max())
                out[t, h] = p / p.sum() @ (latent @ w[h, NOPE:].T)
                lse[request, h, t % Q_LEN] = logits.max() + np.log(p.sum())
        return (out if self.o is None else out.reshape(len(out), -1) @ self.output.T), lse


class Device:
    """A plan and the case's arrays where its kernels take them: numpy's, torch's of the CPU, or a GPU's ("cuda:0")."""

    def __init__(self, case, kind="numpy", **options):
        self.kind, self.case = kind, case
        self.context = snapmla.Context(kind if kind.startswith("cuda") else "emulator")
        self.plan = snapmla.LayerPlan(self.context, case.of, **options)
        scale = None if case.kv_b_scale is None else self.put(case.kv_b_scale)
        kv_b = self.put(case.kv_b)
        o = None if case.o is None else self.put(case.o)
        o_scale = None if case.o_scale is None else self.put(case.o_scale)
        self.weights = snapmla.LayerWeights(self.context, case.of, kv_b, self.put(case.norm), scale, o=o, o_scale=o_scale)
        self.cache = snapmla.new_cache(self.context, case.of.attention, PAGES, like=kv_b)
        self.workspace = self.plan.workspace(like=kv_b)

    def put(self, array):
        if self.kind == "numpy":
            return array
        array = np.ascontiguousarray(array)
        tensor = torch.from_numpy(array.view(np.int16) if array.dtype == np.uint16 else array)
        tensor = tensor.view(torch.bfloat16) if array.dtype == np.uint16 else tensor
        return tensor.to(self.kind)

    def get(self, array):
        if self.kind == "numpy":
            return np.asarray(array)
        array = array.cpu()
        return array.view(torch.int16).numpy().view(np.uint16) if array.dtype == torch.bfloat16 else array.numpy()

    def empty(self, dtype, *shape):
        return self.put(np.zeros(shape, dtype))

    def append_prompts(self, chunk=16, left=Q_LEN):
        """All but the last `left` tokens, which are the step's, in chunks."""
        for request, length in enumerate(LENGTHS):
            for first in range(0, length - left, chunk):
                at = np.arange(first, min(first + chunk, length - left))
                self.plan.append(
                    self.cache, self.put(self.case.latent[request][at]), self.put(self.case.rope[request][at]),
                    self.put(self.case.slots(request, at)), self.put(at.astype(np.int32)), self.weights,
                )  # fmt: skip

    def step(self, appends=True):
        """out and lse of the step, which appends its tokens."""
        case, put = self.case, self.put
        tokens = len(LENGTHS) * Q_LEN
        shape = (case.of.hidden_size,) if case.o is not None else (HEADS, V)
        out, lse = self.empty(np.uint16, tokens, *shape), self.empty(np.float32, len(LENGTHS), HEADS, Q_LEN)
        table, seqlens = put(case.table), put(case.seqlens)
        new = {}
        if appends:
            last = [range(n - Q_LEN, n) for n in LENGTHS]
            new = dict(
                latent=put(np.concatenate([rows[-Q_LEN:] for rows in case.latent])),
                rope=put(np.concatenate([rows[-Q_LEN:] for rows in case.rope])),
                slot_mapping=put(np.concatenate([case.slots(b, at) for b, at in enumerate(last)])),
            )
        self.plan.schedule(self.workspace, table, seqlens)
        self.plan.step(self.workspace, self.weights, put(case.q), put(case.positions), self.cache, table, seqlens, SCALE, out,
                       lse=lse, **new)  # fmt: skip
        return self.get(out), self.get(lse)


class Layer(unittest.TestCase):
    def kinds(self):
        yield "numpy"
        if torch is not None:
            yield "cpu"
            if torch.cuda.is_available():
                yield "cuda:0"

    def test_a_step_is_the_model_s(self):
        for kind in self.kinds():
            for kv_format, weights, hidden in (
                ("fp8_token", "bf16", 0), ("bf16", "bf16", 0), ("fp8_token", "fp8", 0), ("bf16", "bf16", 136), ("fp8_token", "fp8", 136),
            ):  # fmt: skip
                with self.subTest(kind=kind, kv_format=kv_format, weights=weights, hidden=hidden):
                    case = Case(kv_format, weights, hidden=hidden)
                    device = Device(case, kind)
                    device.append_prompts()
                    out, lse = device.step()
                    want, want_lse = case.expected()
                    error = np.linalg.norm(wide(out) - want) / np.linalg.norm(want)
                    self.assertLess(error, LIMITS[kv_format])
                    self.assertLess(np.abs(lse - want_lse).max(), 5e-3 if kv_format == "bf16" else 3e-2)
                    again, _ = device.step(appends=False)  # its tokens are in the cache
                    self.assertTrue((again == out).all())

    def test_the_table_holds_the_angles(self):
        case = Case()
        table = snapmla.rope_table(case.of, 5, first=7)
        angles = np.multiply.outer(np.arange(7.0, 12), 10000.0 ** (-2 * np.arange(ROPE // 2) / ROPE))
        np.testing.assert_allclose(table, np.concatenate([np.cos(angles), np.sin(angles)], axis=1), atol=1e-7)

    def test_fetching_and_moving_are_those_of_the_token_calls(self):
        """On the device as by indexing: the same rows but for their rounding to bf16, and the same bytes."""
        for kind in self.kinds():
            for kv_format in ("fp8_token", "bf16"):
                with self.subTest(kind=kind, kv_format=kv_format):
                    case = Case(kv_format)
                    device = Device(case, kind)
                    device.append_prompts()
                    of, put = case.of.attention, device.put
                    slots = case.slots(0, range(LENGTHS[0] - Q_LEN))
                    latent, rope = device.empty(np.uint16, len(slots), RANK), device.empty(np.uint16, len(slots), ROPE)
                    device.plan.fetch(device.cache, put(slots), latent, rope)
                    rows = snapmla.fetch_tokens(of, device.cache, put(slots))
                    for got, want in zip((latent, rope), rows):
                        want = want.cpu().numpy() if kind != "numpy" else want
                        self.assertTrue((device.get(got) == snapmla.to_bf16(want)).all())
                    exact, _ = case.rows(0)
                    near = wide(device.get(latent)) - exact[: len(slots)]
                    self.assertLess(np.linalg.norm(near) / np.linalg.norm(exact), 4e-2)
                    copy = device.cache.copy() if kind == "numpy" else device.cache.clone()
                    to_slots = np.arange(2 * PAGE, 2 * PAGE + 9)
                    snapmla.copy_tokens(of, copy, put(slots[3:12]), put(to_slots))
                    self.assertFalse((device.get(copy) == device.get(device.cache)).all())
                    device.plan.move(device.cache, put(slots[3:12]), put(to_slots))
                    self.assertTrue((device.get(copy) == device.get(device.cache)).all())

    def test_a_row_whose_slot_is_none_is_left_alone(self):
        device = Device(Case())
        device.append_prompts()
        slots = np.array([-1, 5 * PAGE, PAGES * PAGE], np.int64)
        latent, rope = np.full((3, RANK), 7, np.uint16), np.full((3, ROPE), 7, np.uint16)
        device.plan.fetch(device.cache, slots, latent, rope)
        self.assertTrue((latent[[0, 2]] == 7).all() and (rope[[0, 2]] == 7).all() and (latent[1] != 7).any())

    def test_plans_of_a_pack_give_the_same_bits(self):
        for kind in self.kinds():
            for hidden in (0, 136):
                if kind != "cpu":
                    with self.subTest(kind=kind, hidden=hidden):
                        self.check_pack(Case(hidden=hidden), dict(hidden=hidden), kind)

    def check_pack(self, case, more, kind):
        problem = dict(heads=HEADS, q_len=Q_LEN, latent_rank=RANK, page_tokens=PAGE, max_batch=4, max_context=64)
        with tempfile.TemporaryDirectory() as folder:
            problems, path = pathlib.Path(folder, "problems.json"), pathlib.Path(folder, "kernels.smlapack")
            problems.write_text(json.dumps([problem | more | dict(layer=[True], nope_dim=NOPE, v_dim=V), problem]))
            subprocess.run([os.environ["SNAPMLA_PROGRAM"], "export", "--problems", str(problems), "--target",
                            "sm90a" if kind == "cuda:0" else "emulator", "-o", str(path)], check=True, capture_output=True)  # fmt: skip
            compiled = Device(case, kind)
            with snapmla.Pack(path, allow_host_code=True) as pack:
                packed = Device(case, kind, pack=pack)
                plan = snapmla.Plan(packed.context, case.of.attention, pack=pack)
                other = snapmla.layer_problem(case.of.attention, nope_dim=NOPE, v_dim=128)
                with self.assertRaisesRegex(snapmla.Error, "has no plan for heads=3,"):
                    snapmla.LayerPlan(packed.context, other, pack=pack)
                with self.assertRaisesRegex(snapmla.ArgumentError, "leave out variant"):
                    snapmla.LayerPlan(packed.context, case.of, variant="query_absorb:stages=3", pack=pack)
            with self.assertRaisesRegex(snapmla.ArgumentError, "Pack is closed"):
                snapmla.LayerPlan(packed.context, case.of, pack=pack)
            if kind != "cuda:0":
                with self.assertRaisesRegex(snapmla.ArgumentError, "allow_host_code"):
                    snapmla.LayerPlan(packed.context, case.of, pack=snapmla.Pack(path.read_bytes()))
            with self.assertRaisesRegex(snapmla.Error, "is not signed"):
                snapmla.Pack(path, keys=[bytes(32)])
        families = "query_absorb", "mla_decode", "mla_combine", "value_project", "output_project"
        alike = all(packed.plan.variant(family) == compiled.plan.variant(family) for family in families)
        self.assertEqual(plan.variant("mla_decode"), packed.plan.variant("mla_decode"))
        self.assertTrue(alike or kind == "cuda:0")  # of no device class a pack has the default variants
        results, (want, _) = [], case.expected()
        for device in (compiled, packed):
            device.append_prompts()
            results.append(device.step())
            self.assertLess(np.linalg.norm(wide(results[-1][0]) - want) / np.linalg.norm(want), LIMITS["fp8_token"])
        for one, other in zip(*results):
            self.assertTrue(not alike or (one.view(np.uint8) == other.view(np.uint8)).all())


class Refusals(unittest.TestCase):
    def refuse(self, message, call, *arguments, **more):
        with self.assertRaisesRegex(snapmla.ArgumentError, message):
            call(*arguments, **more)

    def test_problems_and_weights(self):
        case = Case()
        attention = case.of.attention
        self.refuse("it must be what problem", snapmla.layer_problem, 3)
        self.refuse("weights: it is 'int4'", snapmla.layer_problem, attention, weights="int4")
        self.refuse("rope_pairs: it is 'all'", snapmla.layer_problem, attention, rope_pairs="all")
        self.refuse("v_dim is 100", snapmla.layer_problem, attention, v_dim=100)
        self.refuse("hidden_size is 12", snapmla.layer_problem, attention, hidden_size=12)
        self.refuse("vdim: a layer problem has no such field", snapmla.layer_problem, attention, vdim=64)
        self.refuse("theta: rope has no such field", snapmla.layer_problem, attention, rope=dict(theta=3))
        self.refuse("it must be what layer_problem", snapmla.rope_table, attention, 3)
        context = snapmla.Context("emulator")
        make = snapmla.LayerWeights
        self.refuse("kv_b: its shape", make, context, case.of, case.kv_b[:-1], case.norm)
        self.refuse("norm: it is None", make, context, case.of, case.kv_b)
        self.refuse("kv_b_scale: it is of e4m3", make, context, case.of, case.kv_b, case.norm, np.ones((6, 1), np.float32))
        self.refuse("o: the problem has no output", make, context, case.of, case.kv_b, case.norm, o=case.kv_b)
        out = Case(hidden=136)
        self.refuse("o: it is None", make, context, out.of, out.kv_b, out.norm)
        self.refuse("o: its shape", make, context, out.of, out.kv_b, out.norm, o=out.o[:, :-8])
        self.refuse("o_scale: it is of e4m3", make, context, out.of, out.kv_b, out.norm, o=out.o, o_scale=np.ones((2, 5), np.float32))
        self.refuse("it must be what layer_problem", snapmla.LayerPlan, context, attention)

    def test_calls(self):
        case = Case()
        device = Device(case)
        tokens = len(LENGTHS) * Q_LEN
        out = np.zeros((tokens, HEADS, V), np.uint16)
        latent, rope = np.zeros((tokens, RANK), np.uint16), np.zeros((tokens, ROPE), np.uint16)

        def step(**more):
            given = dict(workspace=device.workspace, weights=device.weights, q=case.q, positions=case.positions,
                         cache=device.cache, block_table=case.table, seqlens=case.seqlens, softmax_scale=SCALE, out=out)  # fmt: skip
            device.plan.step(**given | more)

        self.refuse("q: its shape", step, q=case.q[:, :2])
        self.refuse("positions: its dtype is int64", step, positions=case.positions.astype(np.int64))
        self.refuse("out: its shape", step, out=out[:, :, :V - 1])
        self.refuse("slot_mapping: it is None", step, latent=latent, rope=rope)
        self.refuse("latent: its shape", step, latent=latent[1:], rope=rope, slot_mapping=np.zeros(tokens, np.int64))
        wide_out = Device(Case(hidden=136))
        self.refuse("of another context or layer problem", step, weights=wide_out.weights)
        self.assertIsNone(wide_out.plan.library)
        self.refuse("weights: it is a ndarray", step, weights=case.kv_b)
        other = snapmla.LayerWeights(snapmla.Context("emulator"), case.of, case.kv_b, case.norm)
        self.refuse("of another context", step, weights=other)
        self.refuse("workspace_bytes", step, workspace=device.workspace[:256])
        self.refuse("indices: the plan is for dense", step, indices=np.zeros((2, 2, 4), np.int32))
        self.refuse("to_slots: its shape", device.plan.move, device.cache, np.zeros(3, np.int64), np.zeros(2, np.int64))
        device.plan.close()
        self.refuse("LayerPlan is closed", step)


if __name__ == "__main__":
    unittest.main()
