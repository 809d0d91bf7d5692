/* The index lists of sparse decoding: what an indexer would have chosen, made of the lengths alone. */
#include "workload.h"

static int32_t divisor(int32_t a, int32_t b) {
  while (b) {
    int32_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* Tokens that query token `query` may choose among. */
static int32_t visible(const smla_workload *work, int32_t step, int32_t request, int32_t query) {
  int32_t tokens = smla_workload_length(work, step, request) - work->problem.q_len + query + 1;
  return tokens < 0 ? 0 : tokens;
}

int32_t smla_workload_count(const smla_workload *work, int32_t step, int32_t request, int32_t query) {
  int32_t tokens = visible(work, step, request, query);
  return tokens < work->problem.max_indices ? tokens : work->problem.max_indices;
}

int32_t smla_workload_chosen(const smla_workload *work, int32_t step, int32_t request, int32_t query, int32_t entry) {
  int32_t tokens = visible(work, step, request, query);
  int32_t stride = (int32_t)(tokens * 0.618); /* spreads the chosen ones, however many there are */
  if (stride < 1) stride = 1;
  while (divisor(tokens, stride) != 1) ++stride;
  return (int32_t)((int64_t)entry * stride % tokens);
}
