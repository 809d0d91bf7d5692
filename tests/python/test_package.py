"""The package on the emulator, against softmax attention in double precision over the dequantised cache."""

import gc
import glob
import math
import os
import threading
import unittest

import numpy as np
import snapmla

RANK, ROPE, HEADS, PAGE = 128, 64, 8, 16
# Relative L2, against the query as given: FP8 quantises it, which docs/accuracy.md's limits of the arithmetic leave out.
LIMITS = {"fp8_token": 5e-2, "fp8_tensor": 5e-2, "bf16": 1e-2}
try:
    import torch
except ImportError:
    torch = None


def bf16(rng, *shape):
    return snapmla.to_bf16(rng.standard_normal(shape))


def attention(q, latent, rope, scale):
    """out [heads, rank], lse [heads] of one query token: q [heads, rank + rope]."""
    keys = np.concatenate([latent, rope], axis=1).astype(np.float64)
    logits = snapmla.from_bf16(q).astype(np.float64) @ keys.T * scale
    top = logits.max(axis=1, keepdims=True)
    weights = np.exp(logits - top)
    total = weights.sum(axis=1, keepdims=True)
    return weights / total @ latent.astype(np.float64), (top + np.log(total))[:, 0]


def fields(**more):
    return dict(heads=HEADS, latent_rank=RANK, page_tokens=PAGE, max_batch=4, max_context=64) | more


class Flash(unittest.TestCase):
    """flash_mla_with_kvcache: three requests, of 37, 0 and 5 tokens."""

    lengths, table = [37, 0, 5], [[5, 1, 3, 0], [0, 0, 0, 0], [4, 0, 0, 0]]

    def setUp(self):
        self.rng = np.random.default_rng(7)
        self.q = bf16(self.rng, 3, 1, HEADS, RANK + ROPE)

    def cache(self, name):
        """A cache with its tokens, appended by the package, and everything else poisoned (0xff)."""
        of = snapmla.problem(name, **fields())
        with snapmla.Context("emulator") as context, snapmla.Plan(context, of) as plan:
            cache = snapmla.new_cache(context, of, 6)
            slots = [self.table[b][t // PAGE] * PAGE + t % PAGE for b, n in enumerate(self.lengths) for t in range(n)]
            scale = 1 / 64 if name == "fp8_tensor" else 0.0
            latent, rope = bf16(self.rng, len(slots), RANK), bf16(self.rng, len(slots), ROPE)
            plan.append(cache, latent, rope, np.array(slots, np.int64), kv_scale=scale)
            back = snapmla.read_tokens(of, cache, slots, scale)
            self.assertLess(np.abs(back[0] - snapmla.from_bf16(latent)).max(), 0.15)
            return np.array(cache), back, scale

    def run_format(self, name):
        cache, (latent, rope), scale = self.cache(name)
        shaped = {"fp8_token": cache, "fp8_tensor": cache.reshape(6, PAGE, 1, -1)}.get(name)
        if shaped is None:
            shaped = cache.view(np.uint16).reshape(6, PAGE, 1, RANK + ROPE)
        metadata, splits = snapmla.get_mla_metadata(np.array(self.lengths, np.int32), HEADS, 1)
        out, lse = snapmla.flash_mla_with_kvcache(
            self.q, shaped, np.array(self.table, np.int32), np.array(self.lengths, np.int32), RANK, metadata, splits,
            kv_format=name, descale_k=scale or None,
        )  # fmt: skip
        self.assertEqual((out.shape, lse.shape), ((3, 1, HEADS, RANK), (3, HEADS, 1)))
        first = 0
        for b, n in enumerate(self.lengths):
            got = snapmla.from_bf16(out[b, 0])
            if not n:
                self.assertTrue((got == 0).all() and (lse[b] == math.inf).all())
                continue
            rows = slice(first, first + n)
            first += n
            want, want_lse = attention(self.q[b, 0], latent[rows], rope[rows], (RANK + ROPE) ** -0.5)
            self.assertLess(np.linalg.norm(got - want) / np.linalg.norm(want), LIMITS[name], (name, b))
            self.assertLess(np.abs(lse[b, :, 0] - want_lse).max(), 5e-2, (name, b))

    def test_fp8_token(self):
        self.run_format("fp8_token")

    def test_bf16(self):
        self.run_format("bf16")

    def test_fp8_tensor(self):
        self.run_format("fp8_tensor")

    def test_fp8_tile_by_its_rows_of_656_bytes(self):
        of, rng = snapmla.problem("fp8_tile", **fields(latent_rank=512)), self.rng
        with snapmla.Context("emulator") as context, snapmla.Plan(context, of) as plan:
            cache = snapmla.new_cache(context, of, 2)
            latent = bf16(rng, 20, 512)
            plan.append(cache, latent, bf16(rng, 20, ROPE), np.arange(20))
            values, rope = snapmla.read_tokens(of, cache, np.arange(20))
            q = bf16(rng, 1, 1, HEADS, 512 + ROPE)
            rows = np.array(cache).reshape(2, PAGE, 1, 656)
        out, lse = snapmla.flash_mla_with_kvcache(
            q, rows, np.array([[0, 1]], np.int32), np.array([20], np.int32), 512, snapmla.get_mla_metadata()[0], is_fp8_kvcache=True
        )
        want, want_lse = attention(q[0, 0], values, rope, (512 + ROPE) ** -0.5)
        self.assertLess(np.linalg.norm(snapmla.from_bf16(out[0, 0]) - want) / np.linalg.norm(want), 5e-2)
        self.assertLess(np.abs(lse[0, :, 0] - want_lse).max(), 5e-2)
        chosen = [19, -1, 3, 3, 0, 17, -1]
        out, lse = snapmla.flash_mla_with_kvcache(
            q, rows, None, None, 512, snapmla.get_mla_metadata()[0], is_fp8_kvcache=True, indices=np.array([[chosen]], np.int32)
        )
        named = [slot for slot in chosen if slot >= 0]
        want, want_lse = attention(q[0, 0], values[named], rope[named], (512 + ROPE) ** -0.5)
        self.assertLess(np.linalg.norm(snapmla.from_bf16(out[0, 0]) - want) / np.linalg.norm(want), 5e-2)
        self.assertLess(np.abs(lse[0, :, 0] - want_lse).max(), 1e-1)

    def test_lists_of_slots(self):
        cache, (latent, rope), _ = self.cache("fp8_token")
        slots = [self.table[b][t // PAGE] * PAGE + t % PAGE for b, n in enumerate(self.lengths) for t in range(n)]
        chosen = [[0, 41, 7, 19, 36, 7], [], [37, 5]]  # rows of `slots`, of any request, one twice
        lists = np.full((3, 1, 9), -1, np.int32)
        for b, rows in enumerate(chosen):
            lists[b, 0, 1 : 1 + len(rows)] = [slots[row] for row in rows]
        for lengths in (None, np.array([5, 9, 0], np.int32)):
            step, _ = snapmla.get_mla_metadata()
            out, lse = snapmla.flash_mla_with_kvcache(self.q, cache, None, None, RANK, step, kv_format="fp8_token",
                                                      indices=lists, topk_length=lengths)  # fmt: skip
            for b, rows in enumerate(chosen):
                rows = rows if lengths is None else rows[: max(0, lengths[b] - 1)]
                got = snapmla.from_bf16(out[b, 0])
                if not rows:
                    self.assertTrue((got == 0).all() and (lse[b] == math.inf).all())
                    continue
                want, want_lse = attention(self.q[b, 0], latent[rows], rope[rows], (RANK + ROPE) ** -0.5)
                self.assertLess(np.linalg.norm(got - want) / np.linalg.norm(want), LIMITS["fp8_token"], b)
                self.assertLess(np.abs(lse[b, :, 0] - want_lse).max(), 1e-1, b)

    def test_a_sink_takes_its_share_of_the_output_and_none_of_the_lse(self):
        cache, _, _ = self.cache("fp8_token")
        args = self.q, cache, np.array(self.table, np.int32), np.array(self.lengths, np.int32), RANK
        step = snapmla.get_mla_metadata
        plain, lse = snapmla.flash_mla_with_kvcache(*args, step()[0], kv_format="fp8_token")
        sinks = np.linspace(-2, 6, HEADS, dtype=np.float32)
        sinks[0] = -math.inf
        out, with_sinks = snapmla.flash_mla_with_kvcache(*args, step()[0], kv_format="fp8_token", attn_sink=sinks)
        np.testing.assert_array_equal(lse, with_sinks)
        np.testing.assert_array_equal(out[:, :, 0], plain[:, :, 0])
        for b in (0, 2):
            share = 1 / (1 + np.exp(sinks - lse[b, :, 0]))
            want = snapmla.from_bf16(plain[b, 0]) * share[:, None]
            self.assertLess(np.abs(snapmla.from_bf16(out[b, 0]) - want).max(), 2**-7 * np.abs(want).max())
        self.assertTrue((snapmla.from_bf16(out[1]) == 0).all())
        with self.assertRaisesRegex(snapmla.ArgumentError, "attn_sink"):
            snapmla.flash_mla_with_kvcache(*args, step()[0], kv_format="fp8_token", attn_sink=sinks[1:])

    def test_what_does_not_fit_is_refused_by_name(self):
        table, lengths = np.zeros((3, 1), np.int32), np.ones(3, np.int32)
        cache = np.zeros((1, PAGE, 1, RANK + ROPE), np.uint16)
        good = dict(q=self.q, k_cache=cache, block_table=table, cache_seqlens=lengths, head_dim_v=RANK,
                    tile_scheduler_metadata=snapmla.get_mla_metadata()[0])  # fmt: skip
        for name, bad in [
            ("q", self.q.astype(np.float32)),
            ("q", self.q[..., :-1]),
            ("q", np.asfortranarray(self.q)),
            ("q", [1]),
            ("k_cache", cache.view(np.uint8)),
            ("k_cache", cache[..., :-1]),
            ("block_table", table.astype(np.int64)),
            ("block_table", table[:2]),
            ("cache_seqlens", lengths[:2]),
            ("tile_scheduler_metadata", None),
            ("indices", table),
            ("topk_length", lengths),
            ("descale_k", "1"),
            ("descale_q", 1.0),
            ("kv_format", "fp4"),
            ("k_cache", None),
            ("k_cache", cache[:0]),
            ("k_cache", np.zeros((1, 15, 1, RANK + ROPE), np.uint16)),
            ("block_table", table[:, :0]),
            ("head_dim_v", "128"),
            ("head_dim_v", None),
            ("softmax_scale", "1"),
            ("softmax_scale", math.nan),
            ("max_context", 0),
            ("max_context", "all"),
            ("indices", np.zeros((3, 2, 4), np.int32)),
        ]:
            with self.subTest(name=name, bad=type(bad)), self.assertRaisesRegex(snapmla.ArgumentError, name):
                snapmla.flash_mla_with_kvcache(**(good | {name: bad}))
        with self.assertRaisesRegex(snapmla.ArgumentError, "fp8_token, bf16, fp8_tensor"):
            snapmla.flash_mla_with_kvcache(**(good | {"kv_format": "fp4"}))
        with self.assertRaisesRegex(ValueError, "causal"):
            snapmla.flash_mla_with_kvcache(**(good | {"q": np.zeros((3, 2, HEADS, RANK + ROPE), np.uint16)}))

    def test_many_query_tokens_are_causal(self):
        cache, (latent, rope), _ = self.cache("bf16")
        cache, count = cache.view(np.uint16).reshape(6, PAGE, 1, RANK + ROPE), 20
        q = bf16(self.rng, 3, count, HEADS, RANK + ROPE)
        arguments = q, cache, np.array(self.table, np.int32), np.array(self.lengths, np.int32), RANK, snapmla.get_mla_metadata()[0]
        out, lse = snapmla.flash_mla_with_kvcache(*arguments, kv_format="bf16", causal=True)
        self.assertEqual((out.shape, lse.shape), ((3, count, HEADS, RANK), (3, HEADS, count)))
        for b, first, n in ((0, 0, 37), (1, 37, 0), (2, 37, 5)):
            for i in range(count):
                seen = max(0, n - count + i + 1)
                got = snapmla.from_bf16(out[b, i])
                if not seen:
                    self.assertTrue((got == 0).all() and (lse[b, :, i] == math.inf).all())
                    continue
                want, _ = attention(q[b, i], latent[first : first + seen], rope[first : first + seen], (RANK + ROPE) ** -0.5)
                self.assertLess(np.linalg.norm(got - want) / np.linalg.norm(want), LIMITS["bf16"], (b, i))
        with self.assertRaisesRegex(snapmla.Error, "q_len is 129, it must be 1 to 128"):
            snapmla.flash_mla_with_kvcache(np.repeat(q, 7, axis=1)[:, :129], *arguments[1:5], snapmla.get_mla_metadata()[0], causal=True)

    def test_a_step_of_another_batch_needs_metadata_of_its_own(self):
        cache = self.cache("bf16")[0].view(np.uint16).reshape(6, PAGE, 1, -1)
        step, lengths, table = snapmla.get_mla_metadata()[0], np.array(self.lengths + [3], np.int32), np.array(self.table + [[5, 0, 0, 0]], np.int32)
        snapmla.flash_mla_with_kvcache(self.q, cache, table[:3], lengths[:3], RANK, step)
        four = np.concatenate([self.q, self.q[:1]])  # of the same plan: batches are rounded up
        with self.assertRaisesRegex(snapmla.ArgumentError, "tile_scheduler_metadata: it was made for a batch of 3, this one is 4"):
            snapmla.flash_mla_with_kvcache(four, cache, table, lengths, RANK, step)
        out, lse = snapmla.flash_mla_with_kvcache(four, cache, table, lengths, RANK, snapmla.get_mla_metadata()[0])
        self.assertTrue(np.isfinite(lse[3]).all())

    @unittest.skipIf(torch is None, "torch is not installed: its tensors are not tested")
    def test_torch_tensors_give_the_same_bits(self):
        cache = self.cache("bf16")[0].view(np.uint16).reshape(6, PAGE, 1, -1)
        arguments = np.array(self.table, np.int32), np.array(self.lengths, np.int32), RANK
        want, _ = snapmla.flash_mla_with_kvcache(self.q, cache, *arguments, snapmla.get_mla_metadata()[0])
        q, kv = (torch.from_numpy(a.view(np.int16)).view(torch.bfloat16) for a in (self.q, cache))
        tensors = [torch.from_numpy(a) for a in arguments[:2]]
        got, _ = snapmla.flash_mla_with_kvcache(q, kv, *tensors, RANK, snapmla.get_mla_metadata()[0])
        self.assertTrue((got.view(torch.int16).numpy().view(np.uint16) == want).all())


class Handles(unittest.TestCase):
    def setUp(self):
        self.context = snapmla.Context("emulator")
        self.of = snapmla.problem(**fields())

    def test_a_closed_handle_is_refused(self):
        plan = snapmla.Plan(self.context, self.of)
        plan.close()
        plan.close()
        with self.assertRaisesRegex(snapmla.ArgumentError, "Plan is closed"):
            plan.variant("mla_decode")
        self.context.close()
        with self.assertRaisesRegex(snapmla.ArgumentError, "Context is closed"):
            self.context.empty((4,), np.uint8)

    def test_an_array_and_a_plan_outlive_their_closed_context(self):
        array, plan = self.context.zeros((1000,), np.uint8), snapmla.Plan(self.context, self.of)
        self.context.close()
        del self.context
        gc.collect()
        array[:] = 3
        self.assertEqual(int(array[10:20].sum()), 30)
        self.assertIn("mla_decode", plan.variant("mla_decode"))

    def test_a_problem_and_a_format_are_refused_by_name(self):
        with self.assertRaisesRegex(snapmla.ArgumentError, "heads"):
            snapmla.problem(heads=0)
        with self.assertRaisesRegex(snapmla.ArgumentError, "no such field"):
            snapmla.problem(hands=1)
        with self.assertRaisesRegex(snapmla.ArgumentError, "fp8_token"):
            snapmla.problem("fp4")

    def test_what_is_no_problem_context_or_count_is_refused_by_name(self):
        for name, call in [
            ("of", lambda: snapmla.Plan(self.context, None)),
            ("of", lambda: snapmla.Layout(3)),
            ("context", lambda: snapmla.Plan(None, self.of)),
            ("device", lambda: snapmla.Context(3)),
            ("device", lambda: snapmla.Context("gpu")),
            ("effort", lambda: snapmla.Plan(self.context, self.of, effort="great")),
            ("num_pages", lambda: snapmla.new_cache(self.context, self.of, -1)),
            ("num_pages", lambda: snapmla.new_cache(self.context, self.of, "many")),
            ("heads", lambda: snapmla.problem(heads=2.5)),
        ]:
            with self.subTest(name=name), self.assertRaisesRegex(snapmla.ArgumentError, name):
                call()

    @unittest.skipUnless("SNAPMLA_CACHE_DIR" in os.environ, "SNAPMLA_CACHE_DIR is not set: nothing is tuned into a home")
    def test_a_plan_is_tuned_and_what_was_found_is_remembered(self):
        with snapmla.Context("emulator", emulator_sms=2) as context:
            of = snapmla.problem(**fields(max_batch=1, latent_rank=256))
            with snapmla.Plan(context, of, effort="measure", deadline_seconds=60) as tuned, snapmla.Plan(context, of) as after:
                self.assertEqual(tuned.variant("mla_decode"), after.variant("mla_decode"))
                found = os.path.join(os.environ["SNAPMLA_CACHE_DIR"], "*", "tune", "emulator-2sm*", "*", "*.json")
                self.assertGreater(len(glob.glob(found)), 1)

    def test_an_empty_batch_has_empty_results(self):
        cache = np.zeros((1, PAGE, 1, RANK + ROPE), np.uint16)
        out, lse = snapmla.flash_mla_with_kvcache(np.zeros((0, 1, HEADS, RANK + ROPE), np.uint16), cache, np.zeros((0, 1), np.int32),
                                                  np.zeros(0, np.int32), RANK, snapmla.get_mla_metadata()[0])  # fmt: skip
        self.assertEqual((out.shape, lse.shape), ((0, 1, HEADS, RANK), (0, HEADS, 1)))

    def test_the_fingerprint_is_the_documented_one(self):
        layout = snapmla.Layout(snapmla.problem())
        self.assertEqual(layout.fingerprint, "af8fc3931a7afd38bbf0f40a6137a83107cb70c002729897c92ca3b2a677a141")

    def test_append_skips_negative_slots_and_writes_through_foreign_arrays(self):
        with snapmla.Plan(self.context, self.of) as plan:
            cache = np.zeros((2, snapmla.Layout(self.of).page_bytes), np.uint8)  # not the context's: copied in and out
            rows = snapmla.to_bf16(np.ones((2, RANK)))
            plan.append(cache, rows, snapmla.to_bf16(np.ones((2, ROPE))), np.array([17, -1]))
            latent, _ = snapmla.read_tokens(self.of, cache, [17, 0])
            self.assertTrue((latent[0] == 1).all() and (latent[1] == 0).all())
            self.assertTrue((cache[0] == 0).all())

    def test_a_mapped_file_is_an_array_like_any_other(self):
        """numpy's memmap is a subclass of its ndarray: what was checked for one must not pass for another."""
        import tempfile

        of, rng = snapmla.problem("bf16", **fields()), np.random.default_rng(3)
        with snapmla.Context("emulator") as context, snapmla.Plan(context, of) as plan, tempfile.TemporaryDirectory() as folder:

            def mapped(shape, dtype):
                return np.memmap(f"{folder}/{len(shape)}-{shape[0]}-{shape[-1]}", dtype, "w+", shape=shape)

            cache = snapmla.new_cache(context, of, 1)
            for count in (1, 8):
                latent, rope = mapped((count, RANK), np.uint16), mapped((count, ROPE), np.uint16)
                latent[...], rope[...] = bf16(rng, count, RANK), bf16(rng, count, ROPE)
                plan.append(cache, latent, rope, np.arange(count))
                back = snapmla.read_tokens(of, cache, np.arange(count))
                self.assertTrue((back[0] == snapmla.from_bf16(latent)).all())
            with self.assertRaisesRegex(snapmla.ArgumentError, "latent: its dtype is float32"):
                plan.append(cache, mapped((8, RANK), np.float32), rope, np.arange(8))

    def test_tokens_are_copied_between_slots_and_into_bf16(self):
        rng, to = np.random.default_rng(5), snapmla.problem("bf16", **fields())
        with snapmla.Plan(self.context, self.of) as plan:
            cache = snapmla.new_cache(self.context, self.of, 2)
            rows = np.zeros((1, snapmla.Layout(to).page_bytes), np.uint8)
            plan.append(cache, bf16(rng, 3, RANK), bf16(rng, 3, ROPE), np.arange(3))
            snapmla.convert_tokens(self.of, cache, [0, 2], self.of, cache, [20, 21])
            snapmla.convert_tokens(self.of, cache, [2], to, rows, [7])
            latent, rope = snapmla.read_tokens(self.of, cache, [0, 2])
            moved, moved_rope = snapmla.read_tokens(self.of, cache, [20, 21])
            self.assertLess(np.abs(moved - latent).max(), 0.02)
            self.assertLess(np.abs(moved_rope - rope).max(), 0.02)
            plain, _ = snapmla.read_tokens(to, rows, [7])
            self.assertTrue((snapmla.to_bf16(latent[1]) == snapmla.to_bf16(plain[0])).all())
        with self.assertRaisesRegex(snapmla.ArgumentError, "to_slots"):
            snapmla.convert_tokens(self.of, cache, [0, 2], self.of, cache, [1])
        with self.assertRaisesRegex(snapmla.ArgumentError, "slot"):
            snapmla.read_tokens(self.of, cache, [99])

    def test_threads_with_workspaces_of_their_own(self):
        rng = np.random.default_rng(3)
        with snapmla.Plan(self.context, self.of) as plan:
            cache = snapmla.new_cache(self.context, self.of, 1)
            plan.append(cache, bf16(rng, 9, RANK), bf16(rng, 9, ROPE), np.arange(9))
            q, results = bf16(rng, 1, 1, HEADS, RANK + ROPE), []
            table, lengths = np.zeros((1, 1), np.int32), np.array([9], np.int32)

            def work():
                for _ in range(5):
                    workspace, out = plan.workspace(), np.zeros((1, 1, HEADS, RANK), np.uint16)
                    plan.schedule(workspace, table, lengths)
                    plan.decode(workspace, q[..., :RANK], q[..., RANK:], cache, table, lengths, 0.1, out)
                    results.append(out.tobytes())

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual((len(results), len(set(results))), (20, 1))
            self.assertNotEqual(set(results[0]), {0})


class Leaks(unittest.TestCase):
    def resident(self):
        gc.collect()
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def test_ten_thousand_calls_leave_memory_as_it_was(self):
        # Of every kind; the decode calls, whose kernels the emulator runs in milliseconds, are one in forty.
        of = snapmla.problem(**fields(max_batch=1, max_context=PAGE))
        with snapmla.Context("emulator", emulator_sms=1, emulator_threads=1) as context, snapmla.Plan(context, of) as plan:
            foreign, cache = np.zeros((1, plan.layout.page_bytes), np.uint8), snapmla.new_cache(context, of, 1)
            rows, rope, slots = np.zeros((1, RANK), np.uint16), np.zeros((1, ROPE), np.uint16), np.zeros(1, np.int64)
            q, out = np.zeros((1, 1, HEADS, RANK + ROPE), np.uint16), np.zeros((1, 1, HEADS, RANK), np.uint16)
            table, lengths, workspace = np.zeros((1, 1), np.int32), np.ones(1, np.int32), plan.workspace()
            bf16_cache = np.zeros((1, PAGE, 1, RANK + ROPE), np.uint16)
            flash = [bf16_cache, table, lengths, RANK]

            def refused(call, *arguments, **named):
                try:
                    call(*arguments, **named)
                except snapmla.ArgumentError:
                    return
                self.fail("not refused")

            def decode():
                plan.schedule(workspace, table, lengths)
                plan.decode(workspace, q[..., :RANK], q[..., RANK:], cache, table, lengths, 0.1, out)

            cheap = [
                lambda: plan.append(foreign, rows, rope, slots),
                lambda: plan.append(cache, rows, rope, slots),
                lambda: plan.schedule(workspace, table, lengths),
                lambda: refused(plan.append, cache, rows, rope, slots[::-1][:0]),
                lambda: refused(plan.decode, workspace, q, q, cache, table, lengths, 0.1, out),
                lambda: refused(plan.decode, workspace, q[..., :RANK], q[..., RANK:], cache, table, lengths, math.inf, out),
                lambda: refused(snapmla.flash_mla_with_kvcache, q[:, :, :, 1:], *flash, snapmla.get_mla_metadata()[0]),
                lambda: refused(snapmla.problem, heads=0),
                lambda: snapmla.problem(**fields()),
                lambda: snapmla.Layout(of),
                lambda: context.zeros((500,), np.uint8),
                lambda: snapmla.copy_tokens(of, cache, [0], [1]),
                lambda: snapmla.fetch_tokens(of, cache, [0]),
                lambda: snapmla.read_tokens(of, cache, [0]),
            ]
            costly = [decode, lambda: snapmla.flash_mla_with_kvcache(q, *flash, snapmla.get_mla_metadata()[0])]

            def calls(count):
                for i in range(count):
                    (costly[i // 40 % 2] if i % 40 == 0 else cheap[i % len(cheap)])()

            calls(2000)
            grown = []
            for _ in range(5):
                before = self.resident()
                calls(2000)
                grown.append(self.resident() - before)
            # An allocator takes memory in steps; a leak grows each time: of 64 bytes a call by 125 KiB, of 1 KiB a decode call by 50.
            self.assertLess(min(grown), 45, grown)


if __name__ == "__main__":
    unittest.main()
