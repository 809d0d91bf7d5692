"""The package with torch tensors: on cuda:0 where torch sees one, else on the emulator; against softmax attention in double
precision, written in torch, over the dequantised cache.

    PYTHONPATH=python SNAPMLA_LIBRARY=build/release/lib/libsnapmla.so python3 tests/python/test_torch.py"""

import math
import unittest

import snapmla

try:
    import torch
except ImportError:
    torch = None

ON_GPU = torch is not None and torch.cuda.is_available()
DEVICE = "cuda:0" if ON_GPU else "cpu"
NAME = "cuda:0" if ON_GPU else "emulator"
RANK, HEADS, PAGE, LENGTHS = (512, 16, 64, (3000, 0, 65, 1000)) if ON_GPU else (128, 8, 16, (37, 0, 5, 16))
ROPE, WIDTH, BLOCKS = 64, RANK + 64, 48 if ON_GPU else 4
FORMATS = ("bf16", "fp8_tensor", "fp8_token")
# Relative L2, against the query as given: FP8 quantises it, which docs/accuracy.md's limits of the arithmetic leave out.
LIMITS = {"fp8_token": 6e-2, "fp8_tensor": 6e-2, "bf16": 1e-2}
LSE_LIMITS = {"fp8_token": 1e-1, "fp8_tensor": 1e-1, "bf16": 1e-2}  # of a list of one token it is the error of one logit
SCALE = 1 / 64  # of a cache in fp8_tensor
without_torch = unittest.skipIf(torch is None, "torch is not installed: torch tensors are not tested")
without_gpu = unittest.skipUnless(ON_GPU, "torch sees no GPU: graphs and streams are not tested")


def normal(*shape, device=DEVICE):
    return torch.randn(shape, dtype=torch.float32).bfloat16().to(device)


def attention(q, latent, rope, scale):
    """out [heads, rank], lse [heads] of one query token q [heads, rank + rope] over tokens, in double precision."""
    keys = torch.cat([latent, rope], 1).double()
    logits = q.double() @ keys.T * scale
    return torch.softmax(logits, 1) @ latent.double(), torch.logsumexp(logits, 1)


def problem(name, **more):
    size = dict(heads=HEADS, latent_rank=RANK, page_tokens=PAGE, max_batch=len(LENGTHS), max_context=PAGE * BLOCKS)
    return snapmla.problem(name, **(size | more))


class Cache:
    """A cache of one format on a device: requests of LENGTHS in scattered pages, every other byte 0xff."""

    def __init__(self, name, lengths=LENGTHS, device=DEVICE):
        self.name, self.of, self.lengths = name, problem(name), lengths
        pages = len(lengths) * BLOCKS
        self.table = torch.randperm(pages, dtype=torch.int32).reshape(len(lengths), BLOCKS).to(device)
        self.seqlens = torch.tensor(lengths, dtype=torch.int32, device=device)
        self.kv_scale = SCALE if name == "fp8_tensor" else 0.0
        context = snapmla.Context("emulator" if device == "cpu" else device)
        self.plan = snapmla.Plan(context, self.of)
        self.pages = snapmla.new_cache(context, self.of, pages, like=self.table)
        slots = torch.cat([self.slots(b, n) for b, n in enumerate(lengths)])
        self.plan.append(self.pages, normal(len(slots), RANK, device=device), normal(len(slots), ROPE, device=device), slots,
                         self.kv_scale)  # fmt: skip

    def slots(self, b, count):
        at = torch.arange(count, device=self.table.device)
        return self.table[b, at // PAGE].long() * PAGE + at % PAGE

    def tokens(self, slots):
        return snapmla.fetch_tokens(self.of, self.pages, slots, self.kv_scale or 1.0)

    def shaped(self):
        """As flash_mla_with_kvcache takes it."""
        if self.name == "fp8_token":
            return self.pages
        dtype = torch.bfloat16 if self.name == "bf16" else torch.float8_e4m3fn
        return self.pages.view(dtype).view(len(self.pages), PAGE, 1, WIDTH)


def flash(cache, q, step=None, **more):
    arguments = dict(causal=True, kv_format=cache.name, descale_k=cache.kv_scale or None) | more
    step = step or snapmla.get_mla_metadata()[0]
    return snapmla.flash_mla_with_kvcache(q, cache.shaped(), cache.table, cache.seqlens, RANK, step, **arguments)


@without_torch
class Torch(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(7)

    def same(self, got, want):
        for a, b in zip(got, want):
            self.assertTrue(torch.equal(a.view(torch.int16), b.view(torch.int16)))

    def near(self, name, out, lse, q, latent, rope):
        """One query token's results."""
        want, want_lse = attention(q, latent, rope, WIDTH**-0.5)
        error = (out.double() - want).norm() / want.norm()
        self.assertLess(error.item(), LIMITS[name], name)
        self.assertLess((lse.double() - want_lse).abs().max().item(), LSE_LIMITS[name], name)


class Attention(Torch):
    def check(self, name, q_len, **more):
        cache, q = Cache(name), normal(len(LENGTHS), q_len, HEADS, WIDTH)
        out, lse = flash(cache, q, **more)
        self.assertEqual((out.shape, out.dtype, out.device), (q.shape[:3] + (RANK,), torch.bfloat16, q.device))
        self.assertEqual((lse.shape, lse.dtype, lse.device), ((len(LENGTHS), HEADS, q_len), torch.float32, q.device))
        for b, n in enumerate(LENGTHS):
            for i in range(q_len):
                seen = max(0, n - q_len + i + 1)
                if seen == 0:
                    self.assertTrue((out[b, i] == 0).all() and (lse[b, :, i] == math.inf).all())
                else:
                    self.near(name, out[b, i], lse[b, :, i], q[b, i], *cache.tokens(cache.slots(b, seen)))

    def test_every_format(self):
        for name in FORMATS:
            with self.subTest(name):
                self.check(name, 1)

    def test_several_query_tokens_are_causal(self):
        self.check("fp8_token", 2)
        self.check("bf16", 3)

    def test_a_scale_on_the_device(self):
        self.check("fp8_tensor", 1, descale_k=torch.tensor([SCALE], device=DEVICE))
        self.check("fp8_tensor", 1, descale_k=torch.tensor(SCALE, device=DEVICE))

    def test_views_are_taken_as_they_are(self):
        cache, q = Cache("bf16"), normal(len(LENGTHS), 1, HEADS, WIDTH)
        want = flash(cache, q)
        wide = torch.full((len(LENGTHS), 1, 2 * HEADS, WIDTH + 64), math.nan, dtype=torch.bfloat16, device=DEVICE)
        wide[:, :, ::2, :WIDTH] = q
        table = torch.full((len(LENGTHS), BLOCKS + 5), 1 << 30, dtype=torch.int32, device=DEVICE)
        table[:, :BLOCKS] = cache.table
        cache.table = table[:, :BLOCKS]
        self.same(flash(cache, wide[:, :, ::2, :WIDTH]), want)

    def test_one_schedule_serves_the_layers_of_a_step(self):
        cache, step = Cache("fp8_token"), snapmla.get_mla_metadata()[0]
        for _ in range(3):
            q = normal(len(LENGTHS), 1, HEADS, WIDTH)
            self.same(flash(cache, q, step), flash(cache, q))

    def test_appended_by_an_operator_the_cache_is_the_same(self):
        import snapmla.torch_ops  # noqa: F401

        cache = Cache("fp8_token")
        rows, rope, slots = normal(3, RANK), normal(3, ROPE), torch.tensor([5, -1, 2 * PAGE], device=DEVICE)
        one, other = cache.pages.clone(), cache.pages.clone()
        cache.plan.append(one, rows, rope, slots)
        torch.ops.snapmla.append(other, rows, rope, slots, cache.plan.number)
        self.assertTrue(torch.equal(one, other) and not torch.equal(one, cache.pages))


class Sparse(Torch):
    topk = 40

    def lists(self, cache, q_len):
        """Slots in any order, -1 among them; the last query token of the last request sees none."""
        lists = torch.full((len(LENGTHS), q_len, self.topk), -1, dtype=torch.int32)
        for b, n in enumerate(LENGTHS):
            for i in range(q_len):
                chosen = cache.slots(b, n).cpu()[torch.randperm(n)[: self.topk - 3]]
                lists[b, i, torch.randperm(self.topk)[: len(chosen)]] = chosen.int()
        lists[-1, -1] = -1
        return lists.to(DEVICE)

    def check(self, cache, q, lists, out, lse):
        for b in range(len(LENGTHS)):
            for i in range(q.shape[1]):
                slots = lists[b, i][lists[b, i] >= 0].long()
                if len(slots):
                    self.near(cache.name, out[b, i], lse[b, :, i], q[b, i], *cache.tokens(slots))
                else:
                    self.assertTrue((out[b, i] == 0).all() and (lse[b, :, i] == math.inf).all())

    def test_lists_of_slots(self):
        cache = Cache("fp8_token")
        for q_len in (1, 2):
            q, lists = normal(len(LENGTHS), q_len, HEADS, WIDTH), self.lists(cache, q_len)
            self.check(cache, q, lists, *flash(cache, q, indices=lists))
            step = snapmla.get_mla_metadata()[0]
            without = snapmla.flash_mla_with_kvcache(
                q, cache.pages, None, None, RANK, step, kv_format="fp8_token", indices=lists
            )
            self.same(without, flash(cache, q, indices=lists))

    def test_every_format(self):
        for name in FORMATS:
            with self.subTest(name):
                cache, q = Cache(name), normal(len(LENGTHS), 1, HEADS, WIDTH)
                lists = self.lists(cache, 1)
                self.check(cache, q, lists, *flash(cache, q, indices=lists))

    def test_lists_of_several_lengths(self):
        cache = Cache("fp8_token")
        for q_len in (1, 2):
            q, lists = normal(len(LENGTHS), q_len, HEADS, WIDTH), self.lists(cache, q_len)
            lengths = torch.tensor([self.topk, 0, 7, 1], dtype=torch.int32, device=DEVICE)
            out, lse = flash(cache, q, indices=lists, topk_length=lengths)
            for b, n in enumerate(lengths.tolist()):
                lists[b, :, n:] = -1
            self.check(cache, q, lists, out, lse)

    def test_by_a_plan(self):
        cache, q_len = Cache("fp8_token"), 1
        plan = snapmla.Plan(cache.plan.context, problem("fp8_token", max_indices=64))
        q, lists = normal(len(LENGTHS), q_len, HEADS, WIDTH), self.lists(cache, q_len)
        counts = torch.full((len(LENGTHS), q_len), self.topk, dtype=torch.int32, device=DEVICE)
        padded = torch.full((len(LENGTHS), q_len, 64), 1 << 30, dtype=torch.int32, device=DEVICE)
        padded[:, :, : self.topk] = lists
        out, lse = torch.empty_like(q[..., :RANK]), torch.empty(len(LENGTHS), HEADS, q_len, device=DEVICE)
        workspace = plan.workspace(q)
        plan.schedule(workspace, index_counts=counts)
        plan.decode(workspace, q[..., :RANK], q[..., RANK:], cache.pages, None, None, WIDTH**-0.5, out, lse, indices=padded,
                    index_counts=counts)  # fmt: skip
        lse[lse == -math.inf] = math.inf
        self.check(cache, q, lists, out, lse)


class Refusals(Torch):
    def test_what_does_not_fit_is_refused_by_name(self):
        cache, q = Cache("bf16"), normal(len(LENGTHS), 1, HEADS, WIDTH)
        good = dict(q=q, k_cache=cache.shaped(), block_table=cache.table, cache_seqlens=cache.seqlens, head_dim_v=RANK,
                    tile_scheduler_metadata=snapmla.get_mla_metadata()[0])  # fmt: skip
        elsewhere = "cpu" if ON_GPU else "meta"
        for name, bad in [
            ("q", q.float()),
            ("q", q[..., :-1]),
            ("q", q.transpose(2, 3)),
            ("k_cache", cache.shaped().half()),
            ("k_cache", cache.shaped().to(elsewhere)),
            ("k_cache", cache.shaped()[:, :, :, :RANK]),
            ("block_table", cache.table.long()),
            ("block_table", cache.table.to(elsewhere)),
            ("block_table", cache.table[:1]),
            ("cache_seqlens", cache.seqlens.to(elsewhere)),
            ("cache_seqlens", cache.seqlens[:1]),
            ("cache_seqlens", cache.seqlens.repeat_interleave(2)[::2]),
            ("descale_k", torch.ones(1, device=DEVICE)),
            ("indices", torch.zeros((len(LENGTHS), 1, 4), dtype=torch.int64, device=DEVICE)),
            ("topk_length", torch.ones(len(LENGTHS), dtype=torch.int32, device=DEVICE)),
        ]:
            with self.subTest(name, bad=str(bad.dtype)), self.assertRaisesRegex(snapmla.ArgumentError, name):
                snapmla.flash_mla_with_kvcache(**(good | {name: bad}))
        for name, bad in [
            ("kv_format", dict(kv_format="fp8_token")),
            ("descale_k", dict(is_fp8_kvcache=True, descale_k="1")),
        ]:
            with self.subTest(name), self.assertRaises(snapmla.ArgumentError):
                snapmla.flash_mla_with_kvcache(**(good | bad))

    def test_a_plan_refuses_the_other_kind_of_decoding(self):
        cache = Cache("fp8_token")
        lists = torch.zeros((len(LENGTHS), 1), dtype=torch.int32, device=DEVICE)
        with self.assertRaisesRegex(snapmla.ArgumentError, "index_counts|indices"):
            cache.plan.schedule(cache.plan.workspace(lists), index_counts=lists)
        sparse = snapmla.Plan(cache.plan.context, problem("fp8_token", max_indices=64))
        with self.assertRaisesRegex(snapmla.ArgumentError, "block_table"):
            sparse.schedule(sparse.workspace(lists), cache.table, cache.seqlens)

    def test_a_number_without_a_plan(self):
        import snapmla.torch_ops  # noqa: F401

        with self.assertRaisesRegex(snapmla.ArgumentError, "plan: 999999"):
            torch.ops.snapmla.schedule(torch.zeros(4), None, None, None, 999999)


class Operators(Torch):
    def calls(self):
        import snapmla.torch_ops  # noqa: F401

        ops, cache = torch.ops.snapmla, Cache("fp8_token")
        number, q = cache.plan.number, normal(len(LENGTHS), 1, HEADS, WIDTH)
        # A copy of the results' memory is compared, NaN included: it is written first.
        workspace = torch.zeros(cache.plan.workspace_bytes, dtype=torch.uint8, device=DEVICE)
        out, lse = torch.zeros_like(q[..., :RANK]), torch.zeros(len(LENGTHS), HEADS, 1, device=DEVICE)
        cache.plan.schedule(workspace, cache.table, cache.seqlens)
        rows = Cache("bf16")
        tensor = Cache("fp8_tensor")
        written = cache.slots(max(range(len(LENGTHS)), key=LENGTHS.__getitem__), 1).int()  # NaN would equal nothing
        lists = written.reshape(1, 1, 1).repeat(len(LENGTHS), 1, 8)
        yield ops.append, (cache.pages, normal(3, RANK), normal(3, ROPE), torch.tensor([0, -1, 9], device=DEVICE), number)
        yield ops.schedule, (workspace, cache.table, cache.seqlens, None, number)
        for one in (lse, None):
            yield ops.decode, (workspace, q[..., :RANK], q[..., RANK:], cache.pages, cache.table, cache.seqlens, 0.1, out, one,
                               None, None, number)  # fmt: skip
        yield ops.flash_mla, (q, rows.shaped(), rows.table, rows.seqlens, RANK)
        yield ops.flash_mla, (q, tensor.pages.view(tensor.pages.shape[0], PAGE, 1, WIDTH), tensor.table, tensor.seqlens, RANK, None,
                              False, "fp8_tensor", torch.tensor([SCALE], device=DEVICE))  # fmt: skip
        yield ops.flash_mla, (q, cache.pages, None, None, RANK, 0.1, False, "fp8_token", None, lists)
        yield ops.merge, self.shards(cache)

    def shards(self, cache):
        """Of merge: results of two shards, of which the second holds nothing of the last request."""
        outs, lses = normal(2, len(LENGTHS), 1, HEADS, RANK), normal(2, len(LENGTHS), HEADS, 1).float()
        lses[1, -1] = -math.inf
        return outs, lses, torch.zeros_like(outs[0]), torch.zeros_like(lses[0]), cache.plan.number, normal(HEADS).float()

    def test_shards_are_merged_as_by_the_plan(self):
        import snapmla.torch_ops  # noqa: F401

        cache = Cache("fp8_token")
        outs, lses, out, lse, number, sinks = self.shards(cache)
        torch.ops.snapmla.merge(outs, lses, out, lse, number, sinks)
        want, want_lse = torch.empty_like(out), torch.empty_like(lse)
        cache.plan.merge(outs, lses, want, want_lse, sinks)
        self.same((out, lse), (want, want_lse))
        self.assertLess((lse - torch.logsumexp(lses, 0)).abs().max().item(), 1e-3)
        self.assertTrue((out[:-1] != outs[0, :-1]).any())

    def test_the_operator_takes_what_the_function_takes(self):
        import snapmla.torch_ops  # noqa: F401

        cache, counts = Cache("fp8_token"), torch.tensor([3, 0, 8, 1], dtype=torch.int32, device=DEVICE)
        q = normal(len(LENGTHS), 1, HEADS, WIDTH)
        written = cache.slots(max(range(len(LENGTHS)), key=LENGTHS.__getitem__), 8).int()
        lists = written.reshape(1, 1, 8).repeat(len(LENGTHS), 1, 1)
        want = flash(cache, q, indices=lists, topk_length=counts)
        got = torch.ops.snapmla.flash_mla(q, cache.pages, None, None, RANK, None, True, "fp8_token", None, lists, None, counts)
        self.same(got, want)
        rows = Cache("fp8_tensor")
        scale = torch.tensor([SCALE], device=DEVICE)
        want = flash(rows, q, kv_format=None, is_fp8_kvcache=True, descale_k=scale)
        got = torch.ops.snapmla.flash_mla(q, rows.shaped(), rows.table, rows.seqlens, RANK, None, True, None, scale, None, None,
                                          None, True)  # fmt: skip
        self.same(got, want)

    def test_opcheck(self):
        for operator, arguments in self.calls():
            with self.subTest(str(operator)):
                said = torch.library.opcheck(operator, arguments)
                self.assertEqual(set(said.values()), {"SUCCESS"})

    def test_a_compiled_step_has_no_break_and_the_same_bits(self):
        import snapmla.torch_ops  # noqa: F401

        cache = Cache("fp8_token")
        number, workspace = cache.plan.number, cache.plan.workspace(cache.table)

        def step(pages, q, latent, rope, slots, table, seqlens):
            torch.ops.snapmla.append(pages, latent, rope, slots, number)
            torch.ops.snapmla.schedule(workspace, table, seqlens, None, number)
            out, lse = torch.empty_like(q[..., :RANK]), q.new_empty((q.shape[0], HEADS, 1), dtype=torch.float32)
            torch.ops.snapmla.decode(
                workspace, q[..., :RANK], q[..., RANK:], pages, table, seqlens, 0.1, out, lse, None, None, number
            )
            return out * 2, lse

        q, latent, rope = normal(len(LENGTHS), 1, HEADS, WIDTH), normal(1, RANK), normal(1, ROPE)
        arguments = q, latent, rope, cache.slots(2, LENGTHS[2])[-1:], cache.table, cache.seqlens
        want = step(cache.pages.clone(), *arguments)
        got = torch.compile(step, fullgraph=True, backend="aot_eager")(cache.pages.clone(), *arguments)
        self.same(got, want)

    def test_fake_tensors_have_the_shapes_of_real_ones(self):
        import snapmla.torch_ops  # noqa: F401
        from torch._subclasses.fake_tensor import FakeTensorMode

        with FakeTensorMode():
            q = torch.empty(3, 2, HEADS, WIDTH, dtype=torch.bfloat16, device=DEVICE)
            kv = torch.empty(5, PAGE, 1, WIDTH, dtype=torch.bfloat16, device=DEVICE)
            table, lengths = torch.empty(3, 4, dtype=torch.int32), torch.empty(3, dtype=torch.int32)
            out, lse = torch.ops.snapmla.flash_mla(q, kv, table, lengths, RANK, None, True)
        self.assertEqual((out.shape, lse.shape), ((3, 2, HEADS, RANK), (3, HEADS, 2)))
        self.assertEqual((out.dtype, lse.dtype), (torch.bfloat16, torch.float32))


@without_gpu
class Graphs(Torch):
    def replays(self, cache, call):
        """Captures call(q), and compares replays at other lengths with eager calls."""
        q = normal(len(LENGTHS), 1, HEADS, WIDTH)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            call(q)  # the plan, and what else is made once
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = call(q)
        most = torch.tensor(LENGTHS, dtype=torch.int32, device=DEVICE)
        for part in (0.01, 0.1, 0.5, 0.9, 1.0):
            cache.seqlens.copy_((most * part).int())
            q.copy_(normal(*q.shape))
            graph.replay()
            self.same(results, call(q))

    def test_replays_at_growing_lengths(self):
        for name in FORMATS:
            with self.subTest(name):
                cache = Cache(name)
                self.replays(cache, lambda q, cache=cache: flash(cache, q))

    def test_replays_of_lists(self):
        cache = Cache("fp8_token")
        lists = Sparse.lists(Sparse(), cache, 1)
        self.replays(cache, lambda q: flash(cache, q, indices=lists))

    def test_replays_of_operators(self):
        import snapmla.torch_ops  # noqa: F401

        cache = Cache("bf16")
        self.replays(cache, lambda q: torch.ops.snapmla.flash_mla(q, cache.shaped(), cache.table, cache.seqlens, RANK))

    def test_tokens_are_copied_in_a_graph(self):
        cache = Cache("fp8_token")
        slots, to = torch.arange(40, device=DEVICE), torch.arange(100, 140, device=DEVICE)
        want = cache.pages.clone()
        snapmla.copy_tokens(cache.of, want, slots, to)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            snapmla.copy_tokens(cache.of, cache.pages, slots, to, check=False)
        graph.replay()
        self.assertTrue(torch.equal(cache.pages, want))


@without_gpu
class Streams(Torch):
    def test_a_side_stream_is_the_one_that_is_used(self):
        for name in FORMATS:
            cache, q = Cache(name), normal(len(LENGTHS), 1, HEADS, WIDTH)
            want = flash(cache, q)
            late, side = torch.zeros_like(q), torch.cuda.Stream()
            torch.cuda.synchronize()
            with torch.cuda.stream(side):
                torch.cuda._sleep(50_000_000)  # on another stream the query would be read before it is written
                late.copy_(q)
                got = flash(cache, late)
            side.synchronize()
            self.same(got, want)

    def test_a_stream_that_is_given(self):
        cache, q = Cache("fp8_token"), normal(len(LENGTHS), 1, HEADS, WIDTH)
        want, side, late = flash(cache, q)[0], torch.cuda.Stream(), torch.zeros_like(q)
        out, workspace = torch.empty_like(want), cache.plan.workspace()
        torch.cuda.synchronize()
        with torch.cuda.stream(side):
            torch.cuda._sleep(50_000_000)
            late.copy_(q)
        cache.plan.schedule(workspace, cache.table, cache.seqlens, stream=side)
        cache.plan.decode(workspace, late[..., :RANK], late[..., RANK:], cache.pages, cache.table, cache.seqlens, WIDTH**-0.5,
                          out, stream=side)  # fmt: skip
        side.synchronize()
        self.same([out], [want])

    @unittest.skipUnless(ON_GPU and torch.cuda.device_count() > 1, "torch sees one GPU: a second is not tested")
    def test_a_second_device_that_is_not_the_current_one(self):
        torch.manual_seed(3)
        first, q = Cache("fp8_token"), normal(len(LENGTHS), 1, HEADS, WIDTH)
        want = flash(first, q)
        torch.manual_seed(3)
        second = Cache("fp8_token", device="cuda:1")
        self.assertEqual(torch.cuda.current_device(), 0)
        got = flash(second, q.to("cuda:1"))
        self.assertEqual(got[0].device, torch.device("cuda:1"))
        self.same([t.cpu() for t in got], [t.cpu() for t in want])
        with self.assertRaisesRegex(snapmla.ArgumentError, "k_cache"):
            flash(second, q)


if __name__ == "__main__":
    print(f"on {torch.cuda.get_device_name(0) if ON_GPU else 'the emulator' if torch else 'nothing: torch is missing'}")
    unittest.main()
