"""A layer's step as torch operators, on a GPU where torch sees one, else on the emulator: the calls' bits, compiled, replayed at growing
lengths, on other streams and devices; and what does not fit."""

import unittest

import numpy as np
import snapmla
from capture import KIND, ON_GPU, captured, late
from test_layer import HEADS, LENGTHS, LIMITS, PAGE, Q_LEN, RANK, ROPE, SCALE, TABLE, Case, Device, V, torch, wide

HIDDEN = 136  # channels of the layer's output
without_gpu = unittest.skipUnless(ON_GPU, "torch sees no GPU: streams and devices are not tested")
without_second = unittest.skipUnless(ON_GPU and torch.cuda.device_count() > 1, "torch sees one GPU at most: a second is not tested")


def same(got, want):
    """The same bits, wherever they are. NaN is like nothing."""
    return all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(got, want))


@unittest.skipIf(torch is None, "torch is not installed: operators of a layer's step are not tested")
class Step(unittest.TestCase):
    """Arrays of a case's last step on a device, and the operators' arguments of them."""

    def setUp(self):
        import snapmla.torch_ops  # noqa: F401

        self.ops = torch.ops.snapmla

    def device(self, *case, kind=KIND, left=Q_LEN, **more):
        device = Device(Case(*case, **more), kind)
        device.append_prompts(left=left)
        return device

    def inputs(self, device, to_come=0):
        """q, positions, latent, rope, slots and lengths of the step after which `to_come` tokens of each request are missing."""
        case, lengths = device.case, [n - to_come for n in LENGTHS]
        spans = [np.arange(n - Q_LEN, n) for n in lengths]
        latent, rope = (np.concatenate([rows[at] for rows, at in zip(of, spans)]) for of in (case.latent, case.rope))
        slots = np.concatenate([case.slots(b, at) for b, at in enumerate(spans)])
        positions = np.concatenate(spans).astype(np.int32)
        return [device.put(array) for array in (case.q, positions, latent, rope, slots, np.array(lengths, np.int32))]

    def results(self, device):
        """Room for out and lse."""
        tokens, hidden = len(LENGTHS) * Q_LEN, device.case.of.hidden_size
        out = device.empty(np.uint16, tokens, *((hidden,) if hidden else (HEADS, V)))
        return out, device.empty(np.float32, len(LENGTHS), HEADS, Q_LEN)

    def schedule(self, device, inputs):
        return dict(workspace=device.workspace, block_table=device.put(device.case.table), seqlens=inputs[5], index_counts=None,
                    plan=device.plan.number)  # fmt: skip

    def step(self, device, inputs, results):
        q, positions, latent, rope, slots, seqlens = inputs
        return dict(workspace=device.workspace, q=q, positions=positions, cache=device.cache, block_table=device.put(device.case.table),
                    seqlens=seqlens, softmax_scale=SCALE, out=results[0], latent=latent, rope=rope, slot_mapping=slots, lse=results[1],
                    indices=None, index_counts=None, plan=device.plan.number, weights=device.weights.number)  # fmt: skip

    def append(self, device):
        """Of the first request's prompt."""
        case, put, at = device.case, device.put, np.arange(LENGTHS[0] - Q_LEN)
        return dict(cache=device.cache, latent=put(case.latent[0][at]), rope=put(case.rope[0][at]), slot_mapping=put(case.slots(0, at)),
                    positions=put(at.astype(np.int32)), plan=device.plan.number, weights=device.weights.number)  # fmt: skip

    def taken(self, device, inputs=None):
        """out and lse of a step by the operators."""
        inputs, results = inputs or self.inputs(device), self.results(device)
        self.ops.layer_schedule(**self.schedule(device, inputs))
        self.ops.layer_step(**self.step(device, inputs, results))
        return results

    def check(self, device, results):
        """Against the model in double precision."""
        case = device.case
        kv_format = snapmla.Layout(case.of.attention).kv_format
        (want, want_lse), (out, lse) = case.expected(), (device.get(tensor) for tensor in results)
        self.assertLess(np.linalg.norm(wide(out) - want) / np.linalg.norm(want), LIMITS[kv_format])
        self.assertLess(np.abs(lse - want_lse).max(), 5e-3 if kv_format == "bf16" else 3e-2)


class Operators(Step):
    def test_they_are_the_calls(self):
        device = self.device(hidden=HIDDEN)
        want = device.step()
        device.cache.zero_()
        device.append_prompts()
        device.cache[TABLE[0]] = 0  # the first request's pages, which the operator fills again
        self.ops.layer_append(**self.append(device))
        got = self.taken(device)
        self.assertTrue(all((device.get(a) == b).all() for a, b in zip(got, want)) and (want[0] != 0).any())
        self.check(device, got)

    def test_opcheck(self):
        device = self.device(hidden=HIDDEN)
        device.workspace.zero_()  # NaN in a copy would equal nothing
        inputs = self.inputs(device)
        schedule, step = self.schedule(device, inputs), self.step(device, inputs, self.results(device))
        self.ops.layer_schedule(**schedule)
        for name, arguments in (("append", self.append(device)), ("schedule", schedule), ("step", step)):
            with self.subTest(name):
                said = torch.library.opcheck(getattr(self.ops, "layer_" + name), (), arguments)
                self.assertEqual(set(said.values()), {"SUCCESS"})

    def test_a_compiled_step_has_no_break_and_the_same_bits(self):
        device = self.device(hidden=HIDDEN)

        def run(schedule, step):
            self.ops.layer_schedule(**schedule)
            self.ops.layer_step(**step)
            return step["out"] * 2, step["lse"] + 1

        def arguments():
            inputs = self.inputs(device)
            return self.schedule(device, inputs), self.step(device, inputs, self.results(device))

        want = run(*arguments())
        self.assertTrue(same(torch.compile(run, fullgraph=True, backend="aot_eager")(*arguments()), want))

    def test_fake_tensors_pass(self):
        """Without a plan: the operators' meta functions, which tracing calls."""
        from torch._subclasses.fake_tensor import FakeTensorMode

        device = self.device(hidden=HIDDEN)
        inputs = self.inputs(device)
        with FakeTensorMode():
            for name, given in (("append", self.append(device)), ("schedule", self.schedule(device, inputs)),
                                ("step", self.step(device, inputs, self.results(device)))):  # fmt: skip
                fake = {key: torch.empty_strided(a.shape, a.stride(), dtype=a.dtype, device=a.device) if torch.is_tensor(a) else a
                        for key, a in given.items()}  # fmt: skip
                numbers = {key: 0 for key in ("plan", "weights") if key in given}
                self.assertIsNone(getattr(self.ops, "layer_" + name)(**fake | numbers))


class Graphs(Step):
    """Replays of a capture; on the emulator the operators again, on the same memory."""

    STEPS = 4  # of Q_LEN tokens each, up to the case's lengths

    def replayed(self, kv_format, weights, hidden):
        device, other = (self.device(kv_format, weights, hidden=hidden, left=self.STEPS * Q_LEN) for _ in range(2))
        inputs, results = self.inputs(device, (self.STEPS - 1) * Q_LEN), self.results(device)
        schedule, step = self.schedule(device, inputs), self.step(device, inputs, results)

        def take():
            self.ops.layer_schedule(**schedule)
            self.ops.layer_step(**step)

        replay, _ = captured(take)
        inputs[4].fill_(-1)
        inputs[5].zero_()
        replay()  # no request: nothing is appended, and nothing is seen
        self.assertTrue((results[0] == 0).all() and (results[1] == -np.inf).all())
        before = None
        for to_come in range((self.STEPS - 1) * Q_LEN, -1, -Q_LEN):
            for tensor, now in zip(inputs, self.inputs(device, to_come)):
                tensor.copy_(now)
            for tensor in results:
                tensor.fill_(np.nan)
            replay()
            self.assertTrue(same(results, self.taken(other, self.inputs(other, to_come))))
            self.assertFalse(before is not None and torch.equal(results[0], before))
            before = results[0].clone()
        self.check(device, results)

    def test_one_capture_serves_growing_lengths(self):
        for kv_format, weights, hidden in (("fp8_token", "bf16", HIDDEN), ("bf16", "bf16", 0), ("fp8_token", "fp8", HIDDEN)):
            with self.subTest(kv_format=kv_format, weights=weights, hidden=hidden):
                self.replayed(kv_format, weights, hidden)

    def test_prompts_are_appended_moved_and_fetched_in_a_graph(self):
        device, other = self.device(left=max(LENGTHS)), self.device(left=max(LENGTHS))
        slots, to_slots = device.put(device.case.slots(0, range(9))), device.put(np.arange(2 * PAGE, 2 * PAGE + 9))  # nobody's
        rows = [[at.empty(np.uint16, 9, width) for width in (RANK, ROPE)] for at in (device, other)]

        def take(of, append, latent, rope):
            self.ops.layer_append(**append)
            of.plan.move(of.cache, slots, to_slots)
            of.plan.fetch(of.cache, to_slots, latent, rope)

        append = self.append(device)
        replay, _ = captured(lambda: take(device, append, *rows[0]))
        device.cache.zero_()
        for tensor in rows[0]:
            tensor.zero_()
        replay()
        other.cache.zero_()
        take(other, self.append(other), *rows[1])
        self.assertTrue(same([device.cache, *rows[0]], [other.cache, *rows[1]]) and all(tensor.any() for tensor in rows[0]))


@without_gpu
class Streams(Step):
    def test_a_side_stream_is_the_one_that_is_used(self):
        device = self.device(hidden=HIDDEN)
        want, inputs, results = self.taken(device), self.inputs(device), self.results(device)
        schedule, step = self.schedule(device, inputs), self.step(device, inputs, results)
        side, step["q"] = late(inputs[0])
        with torch.cuda.stream(side):
            self.ops.layer_schedule(**schedule)
            self.ops.layer_step(**step)
        side.synchronize()
        self.assertTrue(same(results, want))

    def test_a_stream_that_is_given(self):
        device = self.device(hidden=HIDDEN)
        want, inputs, results = self.taken(device), self.inputs(device), self.results(device)
        schedule, step = self.schedule(device, inputs), self.step(device, inputs, results) | dict(weights=device.weights)
        side, step["q"] = late(inputs[0])
        for arguments in (schedule, step):
            arguments.pop("plan")
        device.plan.schedule(**schedule, stream=side)
        device.plan.step(**step, stream=side)
        side.synchronize()
        self.assertTrue(same(results, want))

    @without_second
    def test_a_second_device_that_is_not_the_current_one(self):
        first, second = self.device(hidden=HIDDEN), self.device(hidden=HIDDEN, kind="cuda:1")
        self.assertEqual(torch.cuda.current_device(), 0)
        got = self.taken(second)
        torch.cuda.synchronize(1)
        self.assertEqual(got[0].device, torch.device("cuda:1"))
        self.assertTrue(same(got, self.taken(first)))
        with self.assertRaisesRegex(snapmla.ArgumentError, "^q: it is on cuda:0, the context on cuda:1"):
            self.ops.layer_step(**self.step(second, self.inputs(second), got) | dict(q=self.inputs(first)[0]))


class Refusals(Step):
    def test_numbers_of_other_things_are_refused(self):
        device = self.device()
        append = self.append(device)
        for name in ("plan", "weights"):
            with self.assertRaisesRegex(snapmla.ArgumentError, f"^{name}: "):
                self.ops.layer_append(**append | {name: append["weights" if name == "plan" else "plan"]})
        with self.assertRaisesRegex(snapmla.ArgumentError, "is no Plan's number"):
            self.ops.schedule(**self.schedule(device, self.inputs(device)))

    def refuse(self, change, message):
        """Every tensor of every operator, changed, is refused by its name."""
        device = self.device(hidden=HIDDEN)
        inputs = self.inputs(device)
        for operator, good in (("append", self.append(device)), ("schedule", self.schedule(device, inputs)),
                               ("step", self.step(device, inputs, self.results(device)))):  # fmt: skip
            for name, tensor in good.items():
                if torch.is_tensor(tensor):
                    with self.subTest(operator, name=name), self.assertRaisesRegex(snapmla.ArgumentError, f"^{name}: {message}"):
                        getattr(self.ops, "layer_" + operator)(**good | {name: change(tensor)})

    def test_a_tensor_of_another_type(self):
        self.refuse(lambda tensor: tensor.to(torch.float64), "its dtype is torch.float64, it must be")

    @without_gpu
    def test_a_tensor_that_lies_elsewhere(self):
        self.refuse(lambda tensor: tensor.cpu(), "it is on cpu, the context on cuda:0; move one of them")

    def test_a_tensor_of_another_shape(self):
        device = self.device(hidden=HIDDEN)
        step = self.step(device, self.inputs(device), self.results(device))
        for name in ("q", "positions", "block_table", "out", "latent", "rope", "slot_mapping", "lse"):
            with self.subTest(name), self.assertRaisesRegex(snapmla.ArgumentError, f"^{name}: its shape is"):
                self.ops.layer_step(**step | {name: step[name][1:]})
        with self.assertRaisesRegex(snapmla.ArgumentError, "^cache: a page has"):
            self.ops.layer_step(**step | dict(cache=device.cache[:, :64]))


if __name__ == "__main__":
    print(f"on {torch.cuda.get_device_name(0) if ON_GPU else 'the emulator' if torch else 'nothing: torch is missing'}")
    unittest.main()
