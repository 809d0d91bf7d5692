#include "check_logits.h"

#include <math.h>
#include <stdlib.h>

#include <snapmla/reference.h>

#include "console.h"
#include "library.h"
#include "narrow.h"

enum { LANES = 16 };

/* Several sums side by side, so that the compiler may use vectors. `count` is a multiple of LANES or the rest is added alone. */
static float dot(const float *a, const float *b, int32_t count) {
  float sums[LANES] = {0}, total = 0;
  int32_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int32_t k = 0; k < LANES; ++k) sums[k] += a[i + k] * b[i + k];
  for (; i < count; ++i) total += a[i] * b[i];
  for (int32_t k = 0; k < LANES; ++k) total += sums[k];
  return total;
}

snapmla_status smla_check_max_logit(const smla_workload *work, const snapmla_decode_args *args, int32_t length,
                                    double *max_logit) {
  const snapmla_problem *p = &work->problem;
  int32_t rank = p->latent_rank, dim = p->rope_dim, rows = p->q_len * p->heads, page = p->page_tokens;
  size_t channels = (size_t)rank + (size_t)dim;
  const uint16_t *nope = args->q_nope, *rope = args->q_rope;
  snapmla_status status = SNAPMLA_OK;
  float largest = 0;
  float *query = malloc(((size_t)rows + 1) * channels * sizeof *query);
  if (!query) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the queries of a request");
  float *key = query + (size_t)rows * channels;
  for (int32_t r = 0; r < rows; ++r) {
    for (int32_t c = 0; c < rank; ++c) query[(size_t)r * channels + (size_t)c] = smla_widen_bf16(*nope++);
    for (int32_t c = 0; c < dim; ++c) query[(size_t)r * channels + (size_t)(rank + c)] = smla_widen_bf16(*rope++);
  }
  for (int32_t t = 0; t < length && !status; ++t) {
    int64_t slot = (int64_t)args->block_table[t / page] * page + t % page;
    status =
        smla_library_status(snapmla_page_read(p, args->kv, args->page_stride, args->num_pages, slot, key, key + rank));
    for (int32_t r = 0; r < rows && !status; ++r) {
      float logit = fabsf(dot(query + (size_t)r * channels, key, (int32_t)channels));
      if (!(logit <= largest)) largest = logit;
    }
  }
  *max_logit = (double)(largest * args->softmax_scale);
  free(query);
  return status;
}
