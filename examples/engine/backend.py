"""The attention backend of an engine, on the package alone: one cache, pages given to requests, a plan made ahead.

An engine that captures graphs makes the backend, and with it plan and workspace, before it captures a step."""

import numpy as np
import snapmla


class Backend:
    """One layer's cache and its calls. Requests are numbers 0 .. max_batch - 1; their pages are given as they grow."""

    def __init__(self, heads, latent_rank, max_batch, max_context, page_tokens=16, device="emulator"):
        self.problem = snapmla.problem(
            "fp8_token", heads=heads, latent_rank=latent_rank, page_tokens=page_tokens,
            max_batch=max_batch, max_context=max_context,
        )  # fmt: skip
        pages = -(-max_context // page_tokens)
        self.context = snapmla.Context(device)
        self.plan = snapmla.Plan(self.context, self.problem)
        self.workspace = self.plan.workspace()
        self.cache = snapmla.new_cache(self.context, self.problem, max_batch * pages)
        self.table = np.zeros((max_batch, pages), np.int32)
        self.lengths = np.zeros(max_batch, np.int32)
        self.free = list(range(max_batch * pages))

    def slot(self, request):
        """The slot of the request's next token, with a page for it."""
        page, offset = divmod(int(self.lengths[request]), self.problem.page_tokens)
        if offset == 0:
            self.table[request, page] = self.free.pop()
        self.lengths[request] += 1
        return int(self.table[request, page]) * self.problem.page_tokens + offset

    def slots(self, request):
        """Those of all its tokens, in order."""
        at = np.arange(self.lengths[request])
        return self.table[request, at // self.problem.page_tokens] * self.problem.page_tokens + at % self.problem.page_tokens

    def append(self, requests, latent, rope):
        """New tokens, row i of request requests[i]: latent [n, rank], rope [n, 64] bf16."""
        slots = np.array([self.slot(request) for request in requests], np.int64)
        self.plan.append(self.cache, latent, rope, slots)

    def forward(self, q_nope, q_rope, softmax_scale):
        """One query token of every request: [max_batch, 1, heads, rank] and [.., 64] bf16. Returns fp32."""
        out = np.empty(q_nope.shape, np.uint16)
        self.plan.schedule(self.workspace, self.table, self.lengths)
        self.plan.decode(self.workspace, q_nope, q_rope, self.cache, self.table, self.lengths, softmax_scale, out)
        return snapmla.from_bf16(out)

    def close(self):
        self.plan.close()
        self.context.close()
