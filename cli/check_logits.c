#include "check_logits.h"

#include <math.h>
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

/* Rows that see the same tokens: all of a request, causally, or those of a query token with a list. */
typedef struct row_group {
  int32_t first, count; /* rows */
  int32_t tokens;
  const int32_t *list; /* NULL: the tokens of the request */
} row_group;

static row_group group_of(const snapmla_problem *p, const snapmla_decode_args *args, int32_t length, int32_t index) {
  if (!p->max_indices) return (row_group){.count = p->q_len * p->heads, .tokens = length};
  return (row_group){.first = index * p->heads,
                     .count = p->heads,
                     .tokens = args->index_counts[index],
                     .list = args->indices + index * args->indices_stride_token};
}

static int64_t slot_of(const snapmla_problem *p, const snapmla_decode_args *args, const row_group *group, int32_t t) {
  if (group->list) return group->list[t];
  return (int64_t)args->block_table[t / p->page_tokens] * p->page_tokens + t % p->page_tokens;
}

snapmla_status smla_check_logits(const smla_workload *work, const snapmla_decode_args *args, int32_t length,
                                 const double *lse, smla_logits *out) {
  enum { TILE = 64 };
  const snapmla_problem *p = &work->problem;
  int32_t rank = p->latent_rank, rows = p->q_len * p->heads, channels = rank + p->rope_dim, longest = 0;
  snapmla_status status = SNAPMLA_OK;
  double common = 0, all = 0;
  float *query = widen_queries(work, args);
  row_sums *sums = calloc((size_t)rows, sizeof *sums);
  *out = (smla_logits){0};
  if (!query || !sums) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the queries of a request");
    goto out;
  }
  float *key = query + (size_t)rows * (size_t)channels;
  for (int32_t i = 0; i < (p->max_indices ? p->q_len : 1); ++i) {
    const row_group group = group_of(p, args, length, i);
    const int32_t end = group.first + group.count;
    if (group.tokens > longest) longest = group.tokens;
    for (int32_t t = 0; t < group.tokens && !status; ++t) {
      status = smla_library_status(snapmla_page_read(p, args->kv, args->page_stride, args->num_pages,
                                                     slot_of(p, args, &group, t), key, key + rank));
      for (int32_t r = group.first; r < end && !status; ++r) {
        int32_t token = r / p->heads, head = r % p->heads;
        if (!group.list && t >= length - p->q_len + token + 1) continue;
        double logit = (double)(dot(query + (size_t)r * (size_t)channels, key, channels) * args->softmax_scale);
        double weight = exp(logit - lse[head * p->q_len + token]);
        if (!(fabs(logit) <= out->largest)) out->largest = fabs(logit);
        sums[r].p += weight;
        sums[r].p2 += weight * weight;
      }
      if (t % TILE == TILE - 1 || t == group.tokens - 1)
        for (int32_t r = group.first; r < end; ++r) end_tile(&sums[r]);
    }
  }
  for (int32_t r = 0; r < rows; ++r) {
    common += sums[r].common;
    all += sums[r].all;
  }
  if (longest > TILE && all > 0) out->share = common / all;
out:
  free(sums);
  free(query);
  return status;
}
