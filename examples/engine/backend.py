"""The attention backend of an engine, on the package alone: one cache, pages given to requests, a plan made ahead.

What a step reads and writes lies in arrays that are made once, with plan and workspace, before anything is captured: on a GPU a
step is one CUDA graph, captured at the largest batch, and serves every length up to the largest context; requests without
tokens have length 0. Arrays are torch tensors on a GPU, and on the emulator where `torch` says so, else numpy's."""

import numpy as np
import snapmla


class Backend:
    """One layer's cache and its calls. Requests are numbers 0 .. max_batch - 1; their pages are given as they grow."""

    def __init__(self, heads, latent_rank, max_batch, max_context, softmax_scale, page_tokens=16, kv_format="fp8_token",
                 device="emulator", torch=None):  # fmt: skip
        if device != "emulator" and torch is None:
            import torch
        self.torch, self.graph, self.softmax_scale = torch, None, softmax_scale
        self.problem = snapmla.problem(
            kv_format, heads=heads, latent_rank=latent_rank, page_tokens=page_tokens,
            max_batch=max_batch, max_context=max_context,
        )  # fmt: skip
        pages = -(-max_context // page_tokens)
        self.context = snapmla.Context(device)
        self.plan = snapmla.Plan(self.context, self.problem)  # slow; the calls below compile and allocate nothing
        self.table, self.lengths = self.array((max_batch, pages), "int32"), self.array((max_batch,), "int32")
        self.q_nope = self.array((max_batch, 1, heads, latent_rank), "bf16")
        self.q_rope = self.array((max_batch, 1, heads, self.problem.rope_dim), "bf16")
        self.out = self.array(self.q_nope.shape, "bf16")
        self.workspace = self.plan.workspace(like=self.table)
        self.cache = snapmla.new_cache(self.context, self.problem, max_batch * pages, like=self.table)
        # The host's copies, by which pages are given.
        self.host_table, self.host_lengths = np.zeros((max_batch, pages), np.int32), np.zeros(max_batch, np.int32)
        self.free = list(range(max_batch * pages))

    def array(self, shape, kind):
        """Zeros on the device: int32, int64 or bf16."""
        if self.torch is None:
            return self.context.zeros(shape, {"bf16": "uint16"}.get(kind, kind))
        device = "cpu" if self.context.is_emulator else self.context.name
        return self.torch.zeros(shape, dtype=getattr(self.torch, {"bf16": "bfloat16"}.get(kind, kind)), device=device)

    def put(self, target, values):
        """Host values (of bf16: the bits) into an array of the device."""
        if self.torch is None:
            target[...] = values
            return target
        values = self.torch.from_numpy(values.view(np.int16) if values.dtype == np.uint16 else values)
        return target.copy_(values.view(target.dtype) if target.dtype == self.torch.bfloat16 else values)

    def slot(self, request):
        """The slot of the request's next token, with a page for it."""
        page, offset = divmod(int(self.host_lengths[request]), self.problem.page_tokens)
        if offset == 0:
            self.host_table[request, page] = self.free.pop()
        self.host_lengths[request] += 1
        return int(self.host_table[request, page]) * self.problem.page_tokens + offset

    def append(self, requests, latent, rope):
        """New tokens, row i of request requests[i]: latent [n, rank], rope [n, 64] bf16 bits."""
        slots = np.array([self.slot(request) for request in requests], np.int64)
        rows = [self.put(self.array(a.shape, "bf16"), a) for a in (latent, rope)]
        self.plan.append(self.cache, *rows, self.put(self.array(slots.shape, "int64"), slots))
        self.put(self.table, self.host_table)
        self.put(self.lengths, self.host_lengths)

    def step(self):
        """A step of one layer; a model's other layers would repeat the decode."""
        self.plan.schedule(self.workspace, self.table, self.lengths)
        self.plan.decode(self.workspace, self.q_nope, self.q_rope, self.cache, self.table, self.lengths, self.softmax_scale,
                         self.out)  # fmt: skip

    def capture(self):
        """From now on a step is the replay of a graph, which reads the lengths of the day from where they always lie."""
        self.step()
        self.graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(self.graph):
            self.step()

    def forward(self, q_nope, q_rope):
        """One query token of every request: [max_batch, 1, heads, rank] and [.., 64] bf16 bits. Returns fp32."""
        self.put(self.q_nope, q_nope)
        self.put(self.q_rope, q_rope)
        if self.graph:
            self.graph.replay()
        else:
            self.step()
        if self.torch is None:
            return snapmla.from_bf16(self.out)
        return self.out.float().cpu().numpy()

    def close(self):
        self.graph = None
        self.plan.close()
        self.context.close()
