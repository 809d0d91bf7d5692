"""Merging shards with torch's tensors, on a GPU where torch sees one, else on the emulator: the operator and shards.Ranks, replayed, on
other streams and devices, over processes; and what does not fit."""

import math
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np
import snapmla
from capture import KIND, ON_GPU, captured, late

try:
    import torch
except ImportError:
    torch = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "bench" / "common")]
import programs  # noqa: E402
import report_parts  # noqa: E402

EXAMPLE = str(ROOT / "examples" / "shards" / "decode.py")
RANK, ROPE, HEADS, PAGE, BATCH, SHARDS, SCALE = 128, 64, 8, 16, 3, 5, 0.08
without_gpu = unittest.skipUnless(ON_GPU, "torch sees no GPU: streams and devices are not tested")
without_second = unittest.skipUnless(ON_GPU and torch.cuda.device_count() > 1, "torch sees one GPU at most: a second is not tested")


def attend(q, tokens):
    """out [heads, RANK], lse [heads] in double precision of q [heads, RANK + ROPE] over tokens [n, RANK + ROPE]."""
    logits = q.double() @ tokens.double().T * SCALE
    return logits.softmax(-1) @ tokens[:, :RANK].double(), logits.logsumexp(-1)


@unittest.skipIf(torch is None, "torch is not installed: its tensors are not merged")
class Torch(unittest.TestCase):
    def setUp(self):
        import snapmla.torch_ops  # noqa: F401

        torch.manual_seed(5)
        self.plan = self.plan_on(KIND)

    def plan_on(self, device, kv_format="bf16"):
        of = snapmla.problem(kv_format, heads=HEADS, latent_rank=RANK, page_tokens=PAGE, max_batch=BATCH, max_context=256)
        return snapmla.Plan(snapmla.Context("emulator" if device == "cpu" else device), of)

    def normal(self, *shape, dtype=None, device=KIND, spread=1):
        return (spread * torch.randn(shape)).to(dtype or torch.bfloat16).to(device)


class Merge(Torch):
    def arguments(self, dtype=None, plan=None, device=KIND):
        outs = self.normal(SHARDS, BATCH, 1, HEADS, RANK, dtype=dtype, device=device)
        lses = self.normal(SHARDS, BATCH, HEADS, 1, dtype=torch.float32, device=device, spread=3)
        return dict(outs=outs, lses=lses, out=torch.zeros_like(outs[0]), lse=torch.zeros_like(lses[0]), plan=(plan or self.plan).number,
                    sinks=self.normal(HEADS, dtype=torch.float32, device=device))  # fmt: skip

    def check(self, given):
        """Against double precision: within a rounding of bf16, or of fp32."""
        outs, lses, sinks = (given[name].double().cpu().numpy() for name in ("outs", "lses", "sinks"))
        want, want_lse = snapmla.shards.merge(list(outs), list(lses), sinks)
        limit = 5e-6 if given["out"].dtype == torch.float32 else 2**-8
        got = given["out"].double().cpu().numpy()
        self.assertLess(np.abs(got - want).max(), limit * max(1, np.abs(want).max()))
        lse = given["lse"].cpu().numpy()
        finite = np.isfinite(want_lse)
        self.assertTrue((np.isfinite(lse) == finite).all() and finite.any())
        self.assertLess(np.abs(lse[finite] - want_lse[finite]).max(), 1e-5)

    def test_replays_merge_what_lies_there_then(self):
        for dtype in (torch.bfloat16, torch.float32):
            given = self.arguments(dtype)
            replay, _ = captured(lambda given=given: torch.ops.snapmla.merge(**given))
            for empty in ((), (0,), (1, 3), range(SHARDS)):
                with self.subTest(str(dtype), empty=list(empty)):
                    given["outs"].copy_(torch.randn_like(given["outs"]))
                    given["lses"].copy_(torch.randn_like(given["lses"]) * 3)
                    for shard in empty:  # of the last request
                        given["lses"][shard, -1] = -math.inf
                        given["outs"][shard, -1] = math.nan
                    given["out"].fill_(math.nan)
                    replay()
                    self.check(given)
                    self.assertEqual(bool((given["out"][-1] == 0).all()), len(empty) == SHARDS)

    def test_a_tensor_of_another_type(self):
        good = self.arguments()
        for name in ("outs", "lses", "out", "lse", "sinks"):
            with self.subTest(name), self.assertRaisesRegex(snapmla.ArgumentError, f"^{name}: its dtype is torch.float64"):
                torch.ops.snapmla.merge(**good | {name: good[name].double()})
        with self.assertRaisesRegex(snapmla.ArgumentError, "^out: its dtype is torch.float32"):  # unlike outs
            torch.ops.snapmla.merge(**good | dict(out=good["out"].float()))
        with self.assertRaisesRegex(snapmla.ArgumentError, "^plan: 999999"):
            torch.ops.snapmla.merge(**good | dict(plan=999999))

    @without_gpu
    def test_a_tensor_that_lies_elsewhere(self):
        good = self.arguments()
        for name in ("outs", "lses", "out", "lse", "sinks"):
            with self.subTest(name), self.assertRaisesRegex(snapmla.ArgumentError, f"^{name}: it is on cpu, the context on cuda:0"):
                torch.ops.snapmla.merge(**good | {name: good[name].cpu()})

    @without_gpu
    def test_a_side_stream_is_the_one_that_is_used(self):
        given = self.arguments()
        side, given["outs"] = late(given["outs"])
        with torch.cuda.stream(side):
            torch.ops.snapmla.merge(**given)
        side.synchronize()
        self.check(given)
        side, outs = late(given["outs"])
        given["out"].zero_()
        torch.cuda.synchronize()
        self.plan.merge(outs, *(given[name] for name in ("lses", "out", "lse", "sinks")), stream=side)
        side.synchronize()
        self.check(given)

    @without_second
    def test_a_second_device_that_is_not_the_current_one(self):
        plan = self.plan_on("cuda:1")
        given = self.arguments(plan=plan, device="cuda:1")
        torch.ops.snapmla.merge(**given)
        torch.cuda.synchronize(1)
        self.check(given)
        with self.assertRaisesRegex(snapmla.ArgumentError, "^outs: it is on cuda:0, the context on cuda:1"):
            torch.ops.snapmla.merge(**given | dict(outs=given["outs"].to("cuda:0")))


class Ranks(Torch):
    """One rank, whose group is of this process alone; several are the example's."""

    def setUp(self):
        super().setUp()
        import torch.distributed as dist

        if ON_GPU:
            torch.cuda.set_device(0)
        dist.init_process_group("nccl" if ON_GPU else "gloo", store=dist.HashStore(), rank=0, world_size=1)
        self.addCleanup(dist.destroy_process_group)
        self.most = 200
        self.tokens, self.q = self.normal(self.most, RANK + ROPE), self.normal(1, 1, HEADS, RANK + ROPE)
        self.ranks, self.workspace = snapmla.shards.Ranks(self.plan, 1), self.plan.workspace(self.q)
        pages = -(-self.most // PAGE)
        self.table = torch.arange(pages, dtype=torch.int32, device=KIND)[None]
        self.length = torch.zeros(1, dtype=torch.int32, device=KIND)
        self.cache = snapmla.new_cache(self.plan.context, self.plan.problem, pages, like=self.q)
        self.plan.append(self.cache, self.tokens[:, :RANK], self.tokens[:, RANK:], torch.arange(self.most, device=KIND))

    def step(self, q=None, **on):
        q = self.q if q is None else q
        self.plan.schedule(self.workspace, self.table, self.length, **on)
        self.plan.decode(self.workspace, q[..., :RANK], q[..., RANK:], self.cache, self.table, self.length, SCALE, self.ranks.out,
                         self.ranks.lse, **on)  # fmt: skip
        return self.ranks.merge(**on)

    def check(self, out, lse, tokens):
        want, want_lse = attend(self.q[0, 0], self.tokens[:tokens])
        self.assertLess(((out[0, 0].double() - want).norm() / want.norm()).item(), 1e-2)
        self.assertLess((lse[0, :, 0] - want_lse).abs().max().item(), 1e-3)

    def test_one_capture_of_the_exchange_serves_growing_lengths(self):
        replay, (out, lse) = captured(self.step, **(dict(capture_error_mode="thread_local") if ON_GPU else {}))
        for tokens in (0, 1, PAGE, 65, self.most):
            with self.subTest(tokens=tokens):
                self.length.fill_(tokens)
                want = [tensor.clone() for tensor in self.step()]
                for tensor in (out, lse, self.ranks.out, self.ranks.lse):
                    tensor.fill_(math.nan)
                replay()
                self.assertTrue(torch.equal(out, want[0]) and torch.equal(lse, want[1]))
                if tokens:
                    self.check(out, lse, tokens)
                else:
                    self.assertTrue((out == 0).all() and (lse == -math.inf).all())
        del replay  # NCCL's communicator waits for graphs that hold it

    @without_gpu
    def test_a_stream_that_is_given_is_the_exchange_s_too(self):
        self.length.fill_(self.most)
        results = *self.step(), self.ranks.out, self.ranks.lse
        for handle in (lambda side: side, lambda side: side.cuda_stream):
            for tensor in results:
                tensor.fill_(math.nan)
            side, q = late(self.q)
            out, lse = self.step(q, stream=handle(side))
            side.synchronize()
            self.check(out, lse, self.most)

    def test_tensors_are_not_for_the_merge_without_a_device(self):
        with self.assertRaisesRegex(ValueError, "merge them by Plan.merge"):
            snapmla.shards.merge([torch.zeros(1, 1, HEADS, RANK)], [torch.zeros(1, HEADS, 1)])


@unittest.skipIf(torch is None, "torch is not installed: nothing is timed")
class Times(unittest.TestCase):
    def test_rows_unseen_do_not_count_and_a_row_is_of_its_steps(self):
        sys.path.insert(0, str(pathlib.Path(EXAMPLE).parent))
        self.addCleanup(sys.path.remove, str(pathlib.Path(EXAMPLE).parent))
        import figures

        rows = iter([1000.0] * figures.UNSEEN + [float(ms) for ms in reversed(range(1, figures.ROWS + 1))])  # 21, 20, … 1 ms
        event, call = mock.Mock(), mock.Mock()
        event.elapsed_time.side_effect = lambda _: next(rows)
        with mock.patch.object(figures.dist, "barrier"), mock.patch.object(figures.torch.cuda, "Event", return_value=event):
            self.assertEqual(figures.microseconds(call, 10), (1100.0, 500.0))  # of 1 … 21 ms by ten: 11; quartiles 6 and 16
        self.assertEqual(call.call_count, 10 * (figures.UNSEEN + figures.ROWS))


@unittest.skipIf(torch is None, "torch is not installed: processes are not started")
class Processes(unittest.TestCase):
    """The example: a device of its own for each process, GPUs where there are enough, else emulated ones."""

    def on_gpus(self, world):
        return ON_GPU and torch.cuda.device_count() >= world

    def run_example(self, world, *more):
        device = [] if self.on_gpus(world) else ["--emulator"]
        return subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(world), EXAMPLE, "--context",
             "1,200", "--heads", "8", "--latent", "128", "--format", "bf16", *device, *more], capture_output=True, text=True)  # fmt: skip

    def test_they_merge_to_double_precision(self):
        for world, more in ((2, []), (2, ["--graph"]), (3, ["--sinks"]), (3, ["--sinks", "--graph"])):
            if "--graph" in more and not self.on_gpus(world):
                continue  # the emulator has none: it would make the same calls again
            with self.subTest(world=world, more=more):
                run = self.run_example(world, *more)
                self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
                way = "a graph" if "--graph" in more else "calls"
                self.assertEqual(run.stdout.count(f"on {world} ranks, bf16, by {way}: "), 2, run.stdout)

    def test_a_graph_that_the_emulator_lacks_is_told_and_the_file_says_what_it_is_of(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "shards.csv"
            run = self.run_example(1, "--emulator", "--graph", "--csv", str(path))
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            self.assertEqual(run.stderr.count("--graph: the emulator has no CUDA graphs"), 1, run.stderr)
            self.assertEqual(run.stdout.count(", by calls: "), 2, run.stdout)
            notes, rows = programs.read(path)
            self.assertEqual([note.split(": ")[0] for note in notes], ["date", "command", "device", "torch", "the emulator", "build"])
            self.assertEqual([(row["tokens"], row["way"], row["step_us"]) for row in rows], [("1", "calls", ""), ("200", "calls", "")])
            page = "\n".join(report_parts.shards_part(pathlib.Path(folder), "emulator"))
            self.assertIn("| 200 | 1 | 8 | bf16 | calls | – | – | – |", page)
            self.assertIn("decode.py --context 1,200", page)

    def test_numbers_below_one_are_refused_with_what_to_give(self):
        for option, text, remedy in (("--context", "0", "as 1,65,262144"), ("--context", "65,-1", "as 1,65,262144"), ("--context", "", "as 1,65,262144"),
                                     ("--repeat", "0", "leave it out for 20")):  # fmt: skip
            with self.subTest(option, text=text):
                run = subprocess.run([sys.executable, EXAMPLE, f"{option}={text}"], capture_output=True, text=True)
                self.assertEqual(run.returncode, 2)
                self.assertRegex(run.stderr, f"argument {option}: '{text}' .*{remedy}")

    def test_all_of_them_stop_where_a_plan_differs(self):
        run = self.run_example(2, "--variant-of-rank", "1:mla_decode:stages=2")
        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(run.stderr.count("Error: rank 1 of 2 computes by another plan"), 2, run.stderr)


if __name__ == "__main__":
    print(f"on {torch.cuda.get_device_name(0) if ON_GPU else 'the emulator' if torch else 'nothing: torch is missing'}")
    unittest.main()
