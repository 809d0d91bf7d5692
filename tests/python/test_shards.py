"""A request's cache in shards on emulated devices of their own, merged by lse, against double precision over all its tokens; merging by
itself; and a request of a million tokens."""

import math
import unittest

import numpy as np
import snapmla

RANK, ROPE, HEADS, PAGE, SCALE = 128, 64, 8, 16, 0.08


def bf16(rng, *shape):
    return snapmla.to_bf16(rng.standard_normal(shape))


def attention(q, latent, rope):
    """out [heads, rank], lse [heads] in double precision; q [heads, rank + rope]."""
    logits = q.astype(np.float64) @ np.concatenate([latent, rope], 1).astype(np.float64).T * SCALE
    if not logits.size:
        return np.zeros((len(q), RANK)), np.full(len(q), -np.inf)
    top = logits.max(1, keepdims=True)
    weights = np.exp(logits - top)
    total = weights.sum(1, keepdims=True)
    return weights @ latent.astype(np.float64) / total, (top + np.log(total))[:, 0]


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


class Device:
    """One shard: a device with a cache of its own."""

    def __init__(self, kv_format, pages, context=4096):
        self.context = snapmla.Context("emulator")
        self.problem = snapmla.problem(kv_format, heads=HEADS, latent_rank=RANK, page_tokens=PAGE, max_batch=4, max_context=context)
        self.plan = snapmla.Plan(self.context, self.problem)
        self.cache = snapmla.new_cache(self.context, self.problem, pages)
        self.workspace = self.plan.workspace()
        self.kv_scale = 6 / 448 if kv_format == "fp8_tensor" else 0.0

    def append(self, latent, rope, slots):
        self.plan.append(self.cache, latent, rope, np.asarray(slots, np.int64), kv_scale=self.kv_scale)

    def decode(self, query, table, lengths):
        """query [batch, heads, rank + rope] bf16 -> out fp32-wide bits, lse."""
        batch, lengths = len(lengths), np.asarray(lengths, np.int32)
        table = np.ascontiguousarray(np.broadcast_to(table, (batch, len(table))), np.int32)
        out, lse = np.zeros((batch, 1, HEADS, RANK), np.uint16), np.zeros((batch, HEADS, 1), np.float32)
        self.plan.schedule(self.workspace, table, lengths)
        self.plan.decode(self.workspace, query[:, None, :, :RANK], query[:, None, :, RANK:], self.cache, table, lengths, SCALE, out,
                         lse, kv_scale=self.kv_scale)  # fmt: skip
        return out, lse


class Shards(unittest.TestCase):
    def sharded(self, kv_format, world, lengths):
        """(merged out [batch, heads, rank], lse [batch, heads], of one device out and lse, the oracle's) of requests that share their tokens."""
        rng = np.random.default_rng(world)
        most = max(lengths)
        latent, rope = bf16(rng, most, RANK), bf16(rng, most, ROPE)
        query = bf16(rng, len(lengths), HEADS, RANK + ROPE)
        pages = -(-most // PAGE)
        alone = Device(kv_format, pages)
        alone.append(latent, rope, range(most))
        outs, lses, prints = [], [], set()
        for rank in range(world):
            device = Device(kv_format, max(1, -(-pages // world)))
            prints.add(device.plan.fingerprint())
            mine = [t for t in range(most) if t // PAGE % world == rank]
            if mine:
                device.append(latent[mine], rope[mine], range(len(mine)))
            held = [int(snapmla.shards.share(length, world, rank, PAGE)) for length in lengths]
            self.assertEqual(held, [sum(t < length for t in mine) for length in lengths])
            out, lse = device.decode(query, np.arange(len(device.cache)), held)
            outs.append(out)
            lses.append(lse)
        self.assertEqual(len(prints), 1)
        snapmla.shards.check_fingerprints([device.plan.fingerprint()] * world)
        merged, total = np.zeros_like(outs[0]), np.zeros_like(lses[0])
        device.plan.merge(np.stack(outs), np.stack(lses), merged, total)
        plain, plain_lse = snapmla.shards.merge(outs, lses)
        self.assertLess(distance(snapmla.from_bf16(merged), snapmla.from_bf16(plain)), 1e-3)
        np.testing.assert_allclose(total, plain_lse, rtol=1e-6, atol=1e-6)
        whole, whole_lse = alone.decode(query, np.arange(pages), lengths)
        cached, cached_rope = snapmla.read_tokens(alone.problem, alone.cache, np.arange(most), kv_scale=alone.kv_scale)
        exact = [attention(snapmla.from_bf16(query[b]), cached[:n], cached_rope[:n]) for b, n in enumerate(lengths)]
        return ((snapmla.from_bf16(merged)[:, 0], total[..., 0]), (snapmla.from_bf16(whole)[:, 0], whole_lse[..., 0]),
                (np.stack([e[0] for e in exact]), np.stack([e[1] for e in exact])))  # fmt: skip

    def test_shards_merge_to_the_oracle(self):
        """Lengths that leave shards empty, end within a page and at its end. FP8's limit holds the query's price, too."""
        for kv_format, limit, lse_limit in (("bf16", 6e-3, 2e-3), ("fp8_token", 6e-2, 5e-2), ("fp8_tensor", 6e-2, 5e-2)):
            for world in (1, 2, 3):
                with self.subTest(kv_format=kv_format, world=world):
                    (out, lse), (whole, whole_lse), (exact, exact_lse) = self.sharded(kv_format, world, [0, 7, 32, 333])
                    self.assertTrue((out[0] == 0).all())
                    self.assertTrue((lse[0] == -np.inf).all())
                    self.assertLess(distance(out[1:], exact[1:]), limit)
                    self.assertLess(np.abs(lse[1:] - exact_lse[1:]).max(), lse_limit)
                    # The same quantised cache and query: the lse tells of a token lost or counted twice.
                    self.assertLess(np.abs(lse[1:] - whole_lse[1:]).max(), 1e-3)
                    self.assertLess(distance(out[1:], whole[1:]), 6e-3 if kv_format == "bf16" else 3.5e-2)

    def test_a_million_tokens(self):
        """Eight pages of 64 tokens, each 2048 times in the block table: the weights are those of 512 tokens, the lse is larger by ln 2048."""
        times = 2048
        problem = snapmla.problem("fp8_token", heads=HEADS, latent_rank=RANK, page_tokens=64, max_batch=1, max_context=1 << 20)
        context = snapmla.Context("emulator")
        plan = snapmla.Plan(context, problem)
        workspace, cache = plan.workspace(), snapmla.new_cache(context, problem, 8)
        rng = np.random.default_rng(9)
        plan.append(cache, bf16(rng, 512, RANK), bf16(rng, 512, ROPE), np.arange(512))
        query, results = bf16(rng, 1, 1, HEADS, RANK + ROPE), []
        for count in (1, times):
            table, lengths = np.tile(np.arange(8, dtype=np.int32), count)[None], np.array([512 * count], np.int32)
            out, lse = np.zeros((1, 1, HEADS, RANK), np.uint16), np.zeros((1, HEADS, 1), np.float32)
            plan.schedule(workspace, table, lengths)
            plan.decode(workspace, query[..., :RANK], query[..., RANK:], cache, table, lengths, SCALE, out, lse)
            results.append((snapmla.from_bf16(out), lse))
        (few, few_lse), (many, many_lse) = results
        self.assertLess(distance(many, few), 1e-2)
        self.assertLess(np.abs(many_lse - few_lse - math.log(times)).max(), 1e-4)


class Merge(unittest.TestCase):
    def exact_parts(self, pieces):
        rng = np.random.default_rng(4)
        latent, rope = rng.standard_normal((60, RANK)), rng.standard_normal((60, ROPE))
        q = rng.standard_normal((HEADS, RANK + ROPE)) * 8
        parts = [attention(q, latent[piece], rope[piece]) for piece in pieces]
        return [p[0][None, None] for p in parts], [p[1][None, :, None] for p in parts], attention(q, latent, rope)

    def test_it_is_exact(self):
        for pieces in ([range(0, 60)], [range(0, 1), range(1, 60)], [range(0, 60, 3), range(1, 60, 3), range(2, 60, 3), range(0)]):
            outs, lses, (out, lse) = self.exact_parts([list(p) for p in pieces])
            merged, total = snapmla.shards.merge(outs, lses)
            self.assertLess(distance(merged[0, 0], out), 1e-14)
            np.testing.assert_allclose(total[0, :, 0], lse, rtol=1e-6)

    def test_nan_is_not_lost(self):
        outs, lses, _ = self.exact_parts([[0, 1], [2, 3]])
        outs[1][0, 0, 3] = np.nan
        lses[1][0, 3] = np.nan
        merged, total = snapmla.shards.merge(outs, lses)
        self.assertTrue(np.isnan(merged[0, 0, 3]).all() and np.isnan(total[0, 3]).all())
        self.assertFalse(np.isnan(merged[0, 0, :3]).any() or np.isnan(total[0, :3]).any())

    def test_sinks_are_taken_in_once(self):
        outs, lses, (out, lse) = self.exact_parts([[0, 1], [], range(2, 60)])
        outs[1][...] = np.nan  # of an empty shard
        sinks = np.array([0, -np.inf, np.inf, 1e4, -1e4, 3, -3, 1], np.float32)
        merged, total = snapmla.shards.merge(outs, lses, sinks)
        with np.errstate(over="ignore"):
            share = 1 / (1 + np.exp(sinks - lse))
        np.testing.assert_allclose(merged[0, 0], out * share[:, None], rtol=1e-12)
        np.testing.assert_allclose(total[0, :, 0], lse, rtol=1e-6)
        none, _ = snapmla.shards.merge(outs[1:2], lses[1:2], sinks)
        self.assertTrue((none == 0).all())

    def test_a_plan_merges_what_lies_anywhere(self):
        """Strided views, fp32, results in the emulator's memory; and what does not fit."""
        context = snapmla.Context("emulator")
        problem = snapmla.problem("fp8_token", heads=HEADS, latent_rank=RANK, page_tokens=PAGE, max_batch=4, max_context=256)
        plan = snapmla.Plan(context, problem)
        rng = np.random.default_rng(3)
        wide = rng.standard_normal((2, 3, 1, HEADS, RANK + 8)).astype(np.float32)
        lses = rng.standard_normal((2, 3, HEADS + 1, 1)).astype(np.float32)
        sinks = rng.standard_normal(HEADS).astype(np.float32)
        outs, lses = wide[..., :RANK], lses[:, :, :HEADS]
        for given in (None, sinks):
            out, lse = context.empty((3, 1, HEADS, RANK), np.float32), np.zeros((3, HEADS, 1), np.float32)
            plan.merge(outs, lses, out, lse, sinks=given)
            expected, expected_lse = snapmla.shards.merge(list(outs), list(lses), given)
            np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(lse, expected_lse, rtol=1e-5, atol=1e-6)
        for text, arguments in (("outs: its dtype is float64", (outs.astype(float), lses, out)), ("lses: its shape", (outs, lses[:1], out)),
                                ("out: its dtype is uint16", (outs, lses, np.zeros((3, 1, HEADS, RANK), np.uint16))),
                                ("shards is 0", (outs[:0], lses[:0], out))):  # fmt: skip
            with self.assertRaisesRegex(ValueError, text):
                plan.merge(*arguments)

    def test_ranks_that_differ_are_named(self):
        prints = ["a" * 64] * 3
        snapmla.shards.check_fingerprints(prints)
        with self.assertRaisesRegex(ValueError, "rank 2 of 3 computes by another plan"):
            snapmla.shards.check_fingerprints(prints[:2] + ["b" * 64])
        for bad in ([], ["a" * 63], [None], ["g" * 64]):
            with self.assertRaisesRegex(ValueError, "fingerprint"):
                snapmla.shards.check_fingerprints(bad)

    def test_what_does_not_fit_is_refused(self):
        with self.assertRaisesRegex(ValueError, "as many"):
            snapmla.shards.merge([], [])
        with self.assertRaisesRegex(ValueError, "rank: it is 2, it must be 0 to 1"):
            snapmla.shards.share(5, 2, 2)


if __name__ == "__main__":
    unittest.main()
