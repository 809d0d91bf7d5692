"""Copying and fetching tokens of caches, numpy's and where torch is at hand torch's, against the library's host calls."""

import unittest
import weakref

import numpy as np
import snapmla

try:
    import torch
except ImportError:
    torch = None


def shape(name, rank, page_tokens, rope=64):
    return snapmla.problem(
        name, heads=8, latent_rank=rank, rope_dim=rope, page_tokens=page_tokens, max_batch=1, max_context=256
    )


class Tokens(unittest.TestCase):
    scale = 0.125

    def setUp(self):
        self.rng = np.random.default_rng(11)

    def random_cache(self, of, pages, extra=0):
        """Any bytes, so that a byte out of place shows; scales and bf16 finite as they are written by convert."""
        bytes_of_page = snapmla.Layout(of).page_bytes
        cache = self.rng.integers(0, 256, (pages, bytes_of_page + extra), dtype=np.uint8)
        as_rows = shape("bf16", of.latent_rank, 64, of.rope_dim)
        rows = np.zeros((1, snapmla.Layout(as_rows).page_bytes), np.uint8)
        rows.view(np.uint16)[...] = snapmla.to_bf16(self.rng.standard_normal((1, rows.shape[1] // 2)))
        slots = np.arange(pages * of.page_tokens)
        snapmla.convert_tokens(as_rows, rows, slots % 64, of, cache, slots, to_kv_scale=self.scale)
        return cache

    def ways(self):
        """Ways to hold a cache and slots: (name, cache to it, slots to it, back to numpy)"""
        yield "numpy", lambda a: a.copy(), lambda a: np.array(a, np.int64), np.asarray
        if torch is not None:
            devices = ["cpu"] + ["cuda:0"] * torch.cuda.is_available()
            for device in devices:
                yield (
                    device,
                    lambda a, d=device: torch.from_numpy(a.copy()).to(d),
                    (lambda a, d=device: torch.tensor(a, dtype=torch.int64, device=d)),
                    lambda t: t.cpu().numpy(),
                )

    def layouts(self):
        for name in (n for n in snapmla.kv_formats() if n != "fp8_tile"):
            for rank, page_tokens in ((128, 16), (512, 64), (256, 128)):
                yield shape(name, rank, page_tokens)
            for rope in (0, 32, 128):
                yield shape(name, 128, 16, rope)
        yield shape("fp8_tile", 512, 32)

    def test_every_format_of_the_library_has_its_row_here(self):
        self.assertEqual(sorted(snapmla.tokens._FORMATS), sorted(snapmla.kv_formats()))
        self.assertEqual(sorted(snapmla.flash_mla._CACHES), sorted(snapmla.kv_formats()))

    def test_fetched_tokens_are_those_that_the_library_reads(self):
        for of in self.layouts():
            cache = self.random_cache(of, 2, extra=128)
            slots = [0, 1, 9, 2 * of.page_tokens - 1, of.page_tokens, 7]
            want = snapmla.read_tokens(of, cache, slots, self.scale)
            for way, put, put_slots, back in self.ways():
                with self.subTest(way=way, layout=snapmla.Layout(of).kv_format, page=of.page_tokens):
                    got = snapmla.fetch_tokens(of, put(cache), put_slots(slots), self.scale)
                    for a, b in zip(got, want):
                        self.assertTrue((back(a).view(np.uint32) == b.view(np.uint32)).all())

    def test_copied_tokens_are_the_same_bits_and_no_other_byte_changes(self):
        for of in self.layouts():
            cache = self.random_cache(of, 2)
            last = 2 * of.page_tokens - 1
            slots, to_slots = [1, 2, 3, 9], [2, 3, last, of.page_tokens + 4]  # 2 and 3 are read before they are written
            words = snapmla.tokens._table(bytes(of))
            before = cache.view(np.uint32)
            want = before.copy()
            for a, b in zip(slots, to_slots):
                place = [divmod(slot, of.page_tokens) for slot in (a, b)]
                want[place[1][0], words[place[1][1]]] = before[place[0][0], words[place[0][1]]]
            for way, put, put_slots, back in self.ways():
                with self.subTest(way=way, layout=snapmla.Layout(of).kv_format, page=of.page_tokens):
                    copy = put(cache)
                    snapmla.copy_tokens(of, copy, put_slots(slots), put_slots(to_slots))
                    got = back(copy)
                    self.assertTrue((got.view(np.uint32) == want).all())
                    for a, b in zip(
                        snapmla.read_tokens(of, got, to_slots, self.scale),
                        snapmla.read_tokens(of, cache, slots, self.scale),
                    ):
                        self.assertTrue((a.view(np.uint32) == b.view(np.uint32)).all())

    def test_a_scale_of_0_counts_as_1(self):
        of, cache, slots = shape("fp8_tensor", 128, 16), None, [0, 5]
        cache = self.random_cache(of, 1)
        want = snapmla.read_tokens(of, cache, slots, 1.0)
        self.assertGreater(np.abs(want[0]).max(), 0)
        for got in (snapmla.fetch_tokens(of, cache, slots), snapmla.fetch_tokens(of, cache, slots, 0.0),
                    snapmla.read_tokens(of, cache, slots, 0.0)):  # fmt: skip
            for a, b in zip(got, want):
                self.assertTrue((a == b).all())

    @unittest.skipIf(torch is None, "torch is not installed: there is one kind of array")
    def test_caches_of_two_kinds_are_refused(self):
        of = shape("fp8_token", 128, 16)
        cache = self.random_cache(of, 1)
        with self.assertRaisesRegex(snapmla.ArgumentError, "to_cache: it is a torch tensor on cpu, .* a numpy array; move"):
            snapmla.copy_tokens(of, cache, np.array([0]), torch.tensor([1]), torch.from_numpy(cache.copy()))

    def test_a_token_has_every_byte_of_its_layout_and_shares_none(self):
        for of in self.layouts():
            words, layout = snapmla.tokens._table(bytes(of)), snapmla.Layout(of)
            self.assertEqual(len(np.unique(words)), words.size)
            self.assertLessEqual(words.max(), layout.page_bytes // 4 - 1)
            rank, rope = of.latent_rank, of.rope_dim
            self.assertEqual(words.size * 4, of.page_tokens * {"fp8_token": rank + 2 * rope + 4, "fp8_token_r4": rank * 3 // 2 + 2 * rope + 4, "bf16": 2 * (rank + rope), "fp8_tile": 656,
                                                              "fp8_tensor": rank + rope}[layout.kv_format])  # fmt: skip

    def test_a_host_cache_lives_while_it_is_read(self):
        of = shape("fp8_token", 128, 16)
        array = np.zeros((1, snapmla.Layout(of).page_bytes), np.uint8)
        alive, host = weakref.ref(array), snapmla.cache._host_cache(of, array, 0.0)
        del array
        self.assertIsNotNone(alive())
        del host
        self.assertIsNone(alive())

    def test_between_caches_of_other_page_sizes(self):
        of, to = shape("fp8_token", 128, 16), shape("fp8_token", 128, 128)
        cache, slots, to_slots = self.random_cache(of, 3), [0, 17, 47], [127, 3, 64]
        want = snapmla.read_tokens(of, cache, slots)
        for way, put, put_slots, back in self.ways():
            with self.subTest(way=way):
                target = put(np.zeros((1, snapmla.Layout(to).page_bytes), np.uint8))
                snapmla.copy_tokens(of, put(cache), put_slots(slots), put_slots(to_slots), target, to)
                for a, b in zip(snapmla.read_tokens(to, back(target), to_slots), want):
                    self.assertEqual(a.tobytes(), b.tobytes())

    def test_a_cache_handed_over_and_a_branch_of_it_decode_to_the_same_bits(self):
        of = shape("fp8_token", 128, 16)
        bf16 = lambda *shape: snapmla.to_bf16(self.rng.standard_normal(shape))  # noqa: E731
        q, latent, rope = bf16(1, 1, 8, 192), bf16(30, 128), bf16(30, 64)

        def decode(plan, cache, pages):
            out, workspace = np.zeros((1, 1, 8, 128), np.uint16), plan.workspace()
            step = np.array([pages], np.int32), np.array([30], np.int32)
            plan.schedule(workspace, *step)
            plan.decode(workspace, q[..., :128], q[..., 128:], cache, *step, 0.1, out)
            return out.tobytes()

        with snapmla.Context("emulator") as prefill, snapmla.Plan(prefill, of) as plan:
            cache = snapmla.new_cache(prefill, of, 4)
            plan.append(cache, latent, rope, np.r_[16:32, 48:62])  # pages 1 and 3
            want, fingerprint, sent = decode(plan, cache, [1, 3]), plan.layout.fingerprint, [bytes(cache[1]), bytes(cache[3])]
        with snapmla.Context("emulator") as context, snapmla.Plan(context, of) as plan:
            self.assertEqual(plan.layout.fingerprint, fingerprint)
            cache = snapmla.new_cache(context, of, 6)
            for page, data in zip((5, 0), sent):
                cache[page] = np.frombuffer(data, np.uint8)
            self.assertEqual(decode(plan, cache, [5, 0]), want)
            # A branch shares the whole page and has the tokens of the other for itself, to go on with its own.
            snapmla.copy_tokens(of, cache, np.arange(14), np.arange(32, 46))
            plan.append(cache, bf16(2, 128), bf16(2, 64), np.array([14, 15]))
            self.assertEqual(decode(plan, cache, [5, 2]), want)

    def test_more_tokens_than_are_indexed_at_once(self):
        of = shape("fp8_tensor", 128, 128)
        cache = self.random_cache(of, 2)
        slots = np.arange(20000) % 250
        latent, _ = snapmla.fetch_tokens(of, cache, slots, self.scale)
        self.assertTrue((latent[19999] == snapmla.read_tokens(of, cache, [19999 % 250], self.scale)[0][0]).all())
        target = np.zeros((20000 // 128 + 1, cache.shape[1]), np.uint8)
        snapmla.copy_tokens(of, cache, slots, np.arange(20000), target)
        self.assertEqual(
            *(snapmla.read_tokens(of, c, [s])[0].tobytes() for c, s in ((target, 19000), (cache, 19000 % 250)))
        )

    def test_what_does_not_fit_is_refused_by_name(self):
        of = shape("fp8_token", 128, 16)
        cache = self.random_cache(of, 1)
        for name, arguments in [
            ("slots", (cache, [16], [0])),
            ("slots", (cache, [-1], [0])),
            ("to_slots", (cache, [1], [16])),
            ("to_slots", (cache, [1], [1, 2])),
            ("slots", (cache, [0.5], [1])),
            ("cache", (cache[:, :-1], [0], [1])),
            ("cache", (cache.view(np.int8), [0], [1])),
            ("cache", ([1], [0], [1])),
            ("to: ", (cache, [0], [1], cache, shape("fp8_token", 256, 16))),
        ]:
            with self.subTest(name=name), self.assertRaisesRegex(snapmla.ArgumentError, "^" + name):
                snapmla.copy_tokens(of, *arguments)
        if torch is not None:
            with self.assertRaisesRegex(snapmla.ArgumentError, "slots"):
                snapmla.fetch_tokens(of, torch.from_numpy(cache), [0])


if __name__ == "__main__":
    unittest.main()
