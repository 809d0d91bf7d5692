#include "check_logits.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include <snapmla/reference.h>

#include "console.h"
#include "library.h"
#include "narrow.h"

enum { LANES = 16 };

/* Several sums side by side, so that the compiler may use vectors. `count` is a multiple of LANES or the rest is
 * added alone. */
static float dot(const float *a, const float *b, int32_t count) {
  float sums[LANES] = {0}, total = 0;
  int32_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int32_t k = 0; k < LANES; ++k) sums[k] += a[i + k] * b[i + k];
  for (; i < count; ++i) total += a[i] * b[i];
  for (int32_t k = 0; k < LANES; ++k) total += sums[k];
  return total;
}

/* The weights of a row in the tile at hand, and the sums over the tiles before. */
typedef struct row_sums {
  double p, p2; /* of this tile */
  double common, all;
} row_sums;

static void end_tile(row_sums *row) {
  if (row->p > 0) row->common += row->p2 * row->p2 / (row->p * row->p);
  row->all += row->p2;
  row->p = row->p2 = 0;
}

/* The queries of a request as rows of fp32, content and RoPE side by side; and room for one key after them. */
static float *widen_queries(const smla_workload *work, const snapmla_decode_args *args) {
  const snapmla_problem *p = &work->problem;
  const uint16_t *nope = args->q_nope, *rope = args->q_rope;
  size_t rows = (size_t)p->q_len * (size_t)p->heads, channels = (size_t)p->latent_rank + (size_t)p->rope_dim;
  float *query = malloc((rows + 1) * channels * sizeof *query);
  for (size_t r = 0; query && r < rows; ++r) {
    float *row = query + r * channels;
    for (int32_t c = 0; c < p->latent_rank; ++c) row[c] = smla_widen_bf16(*nope++);
    for (int32_t c = 0; c < p->rope_dim; ++c) row[p->latent_rank + c] = smla_widen_bf16(*rope++);
  }
  return query;
}

snapmla_status smla_check_logits(const smla_workload *work, const snapmla_decode_args *args, int32_t length,
                                 const double *lse, smla_logits *out) {
  enum { TILE = 64 };
  const snapmla_problem *p = &work->problem;
  int32_t rank = p->latent_rank, rows = p->q_len * p->heads, page = p->page_tokens, channels = rank + p->rope_dim;
  snapmla_status status = SNAPMLA_OK;
  double common = 0, all = 0;
  float *query = widen_queries(work, args);
  row_sums *sums = calloc((size_t)rows, sizeof *sums);
  *out = (smla_logits){0};
  if (!query || !sums) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the queries of a request");
    goto out;
  }
  const snapmla_cache cache = {sizeof cache, (void *)(uintptr_t)args->kv, args->page_stride, args->num_pages,
                               args->kv_scale};
  float *key = query + (size_t)rows * (size_t)channels;
  for (int32_t t = 0; t < length && !status; ++t) {
    int64_t slot = (int64_t)args->block_table[t / page] * page + t % page;
    status = smla_library_status(snapmla_cache_read(p, &cache, slot, key, key + rank));
    for (int32_t r = 0; r < rows && !status; ++r) {
      int32_t token = r / p->heads, head = r % p->heads;
      if (t >= length - p->q_len + token + 1) continue;
      double logit = (double)(dot(query + (size_t)r * (size_t)channels, key, channels) * args->softmax_scale);
      double weight = exp(logit - lse[head * p->q_len + token]);
      if (!(fabs(logit) <= out->largest)) out->largest = fabs(logit);
      sums[r].p += weight;
      sums[r].p2 += weight * weight;
    }
    if (t % TILE == TILE - 1 || t == length - 1)
      for (int32_t r = 0; r < rows; ++r) end_tile(&sums[r]);
  }
  for (int32_t r = 0; r < rows; ++r) {
    common += sums[r].common;
    all += sums[r].all;
  }
  if (length > TILE && all > 0) out->share = common / all;
out:
  free(sums);
  free(query);
  return status;
}
