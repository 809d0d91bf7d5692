/* A whole decode step through the public API on the emulator, and its distance to the oracle. */
#ifndef SMLA_TESTS_TEMPLATES_FIXTURE_H
#define SMLA_TESTS_TEMPLATES_FIXTURE_H

#include <stdint.h>

#include <snapmla/snapmla.h>

enum { max_requests = 16 };

/* What the random cache and query look like. */
typedef enum data_kind {
  data_normal, /* logits of standard deviation sigma */
  data_sink,   /* the logit of token sink_at sigma ln 2 above the rest: it outweighs one of them 2^sigma times */
  data_peak, /* logits of standard deviation sigma by RoPE alone, that of token sink_at 4 ln 2 above some 30,000 others */
  data_uniform, /* logits of standard deviation 0.01 */
  data_outlier, /* some RoPE channels of the key near +-1000, the query's small there */
  data_empty /* every third token is zeros, whose scale is the least there is; the others' logits are sigma ln 2 above */
} data_kind;

/* Fills the index list of query token `query` (request * q_len + token) of a case with problem.max_indices, and returns its
 * count. `slots` are those of the request's `tokens` tokens; `entries` has max_indices entries, filled with garbage. */
typedef int32_t (*list_filler)(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries);

typedef struct decode_case {
  snapmla_problem problem;
  int32_t batch;
  int32_t lengths[max_requests];
  data_kind kind;
  double sigma;
  int32_t sink_at;   /* of data_sink and data_peak, in requests that have it */
  double magnitude;  /* 0: 1; of the cache's numbers, which the softmax's scale undoes in the logits */
  double value_mean; /* of the latent channels; their standard deviation is 1, or 0.2 where the mean is not 0 */
  uint64_t seed;
  snapmla_emulator_order order;
  uint64_t order_seed;
  const float *sinks;       /* [heads], with SNAPMLA_PROBLEM_SINKS */
  int skip_comparison;      /* nonzero: no oracle is asked */
  float kv_scale;           /* of formats with one scale for the whole cache; 0: 1 */
  int32_t sms;              /* 0: the emulator's default */
  const char *variant;      /* NULL: the problem's own */
  int32_t bad_page_request; /* the block-table entry of this request's last token points outside the cache; -1: none */
  int32_t bad_pages_back;   /* or an entry so many before it */
  int32_t
      table_entries; /* a row of the table that the decode call is given, shorter than what the schedule was told; 0: the same */
  list_filler fill_list; /* where problem.max_indices is set: no table and no lengths are given then */
  int32_t nan_query;     /* the query token that its list is meant to make NaN; -1: none */
} decode_case;

typedef struct decode_result {
  uint16_t *out; /* [batch, q_len, heads, latent] bf16 */
  float *lse;    /* [batch, heads, q_len] */
  size_t out_count, lse_count;
  uint32_t status_word;
  /* Against the oracle of the same quantised data, the worst request of those that are not meant to be NaN: */
  double rel_l2, rel_l2_rounded, lse_excess; /* lse_excess: largest |error| / (1e-3 + 5e-4 max |logit|) */
  double rel_l2_beyond; /* rel_l2 without what rounding the oracle's output to bf16 costs, in squares */
} decode_result;

/* What a case is of: a row of the tests' tables. */
typedef struct decode_shape {
  int32_t heads, q_len, latent, page;
  const char *variant; /* NULL: the problem's own */
} decode_shape;
void decode_case_reshape(decode_case *c, const decode_shape *shape);

/* A case of 16 heads, latent 512, one decode token, page 64, sigma 1. */
decode_case decode_case_default(void);

/* How many random orders to try of `orders`: a GPU has but its own, and is asked once. */
uint64_t decode_case_orders(uint64_t orders);

/* Makes the data, appends it in uneven chunks, schedules, decodes and compares; fails the running test on any error.
 * The caller frees the result. */
decode_result decode_case_run(const decode_case *c);
void decode_result_free(decode_result *r);

/* Fails the running test unless the case keeps the limits, cut up over many multiprocessors and whole on one. `rounded`, the distance
 * to the oracle that rounds P, is asked of the whole alone: that oracle knows no pieces, which the kernel normalises each by itself
 * and merges by their unrounded sums (docs/accuracy.md). A GPU has the multiprocessors it has, and decodes once. */
void expect_limits_kept(const char *name, decode_case c, double limit, double rounded);

/* Fails the running test unless a plan of the case, on the emulator, takes its variant; or, with `says`, refuses it in words that have that
 * in them. */
void expect_variant(const decode_case *c, const char *says);

/* Fails the running test unless both results are the same bits. */
void expect_same_bits(const decode_result *a, const decode_result *b);

/* A right kernel gives the same bits whenever its asynchronous work completes: eagerly, late, and in `seeds` random orders. */
void expect_same_in_any_order(decode_case c, uint64_t seeds);

#endif
