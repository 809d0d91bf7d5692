/* The double-precision oracle: what every decode kernel is compared with. docs/accuracy.md says what the modes mean. */
#include <snapmla/reference.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode_args.h"
#include "oracle_rows.h"
#include "oracle_tile.h"
#include "parallel.h"
#include "query_quant.h"
#include "status.h"

/* One decode: its items are (request, query token, block of heads). */
typedef struct job {
  const snapmla_problem *problem;
  const snapmla_decode_args *args;
  const smla_oracle_source *source;
  int query_terms, round_p; /* 0 terms: the query as given */
  double *out;              /* [batch, q_len, heads, latent_rank] */
  double *lse;              /* [batch, heads, q_len] or NULL */
} job;

/* What one worker owns. */
typedef struct scratch {
  smla_oracle_rows rows;
  smla_oracle_tile tile;
} scratch;

static snapmla_status scratch_create(const snapmla_problem *problem, scratch *s) {
  *s = (scratch){0};
  snapmla_status status = smla_oracle_rows_create(problem, &s->rows);
  if (status) return status;
  size_t keys = (size_t)(problem->latent_rank + problem->rope_dim) * SMLA_TILE_TOKENS;
  size_t values = (size_t)problem->latent_rank * SMLA_TILE_TOKENS;
  size_t residual = smla_kv_facts_of(problem->kv_format)->has_residual ? values : 0;
  s->tile.keys = malloc((keys + values + residual) * sizeof *s->tile.keys);
  if (!s->tile.keys) {
    smla_oracle_rows_destroy(&s->rows);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu bytes for the oracle",
                     (keys + values + residual) * sizeof(double));
  }
  s->tile.values = s->tile.keys + keys;
  if (residual) s->tile.residual = s->tile.values + values;
  return SNAPMLA_OK;
}

static void scratch_destroy(scratch *s) {
  smla_oracle_rows_destroy(&s->rows);
  free(s->tile.keys); /* and the values and residuals behind them */
}

static int32_t blocks_of_heads(const snapmla_problem *problem) {
  return (problem->heads + SMLA_ORACLE_ROWS - 1) / SMLA_ORACLE_ROWS;
}

static void decode_item(const job *j, int64_t item, scratch *s) {
  const snapmla_problem *problem = j->problem;
  int32_t blocks = blocks_of_heads(problem), latent_rank = problem->latent_rank;
  int32_t head = (int32_t)(item % blocks) * SMLA_ORACLE_ROWS;
  int32_t token = (int32_t)(item / blocks % problem->q_len), b = (int32_t)(item / blocks / problem->q_len);
  int32_t count = problem->heads - head < SMLA_ORACLE_ROWS ? problem->heads - head : SMLA_ORACLE_ROWS;
  double *out = j->out + (((int64_t)b * problem->q_len + token) * problem->heads + head) * latent_rank;
  double lse[SMLA_ORACLE_ROWS];

  if (smla_oracle_query_is_good(j->source, b, token)) {
    int32_t visible = smla_oracle_query_tokens(j->source, b, token);
    smla_oracle_rows_begin(&s->rows, j->args, b, token, head, count, j->query_terms, j->round_p);
    for (int32_t first = 0; first < visible; first += SMLA_TILE_TOKENS) {
      int32_t tokens = visible - first < SMLA_TILE_TOKENS ? visible - first : SMLA_TILE_TOKENS;
      smla_oracle_tile_load(j->source, b, token, first, tokens, &s->tile);
      smla_oracle_rows_add(&s->rows, &s->tile);
    }
    smla_oracle_rows_finish(&s->rows, j->args->sinks ? j->args->sinks + head : NULL, lse);
    memcpy(out, s->rows.out, (size_t)count * (size_t)latent_rank * sizeof *out);
  } else {
    for (int32_t r = 0; r < count; r++) lse[r] = NAN;
    for (int64_t i = 0; i < (int64_t)count * latent_rank; i++) out[i] = NAN;
  }
  for (int32_t r = 0; j->lse && r < count; r++)
    j->lse[((int64_t)b * problem->heads + head + r) * problem->q_len + token] = lse[r];
}

static snapmla_status work(void *user, smla_parallel_items *items) {
  const job *j = user;
  scratch s;
  snapmla_status status = scratch_create(j->problem, &s);
  if (status) return status;
  for (int64_t item; (item = smla_parallel_next(items)) >= 0;) decode_item(j, item, &s);
  scratch_destroy(&s);
  return SNAPMLA_OK;
}

static snapmla_status run(job *j) {
  if (!j->out && j->args->batch > 0)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "reference: out_f64 is NULL: pass batch * q_len * heads * latent_rank doubles");
  return smla_parallel_run((int64_t)j->args->batch * j->problem->q_len * blocks_of_heads(j->problem), work, j);
}

snapmla_status snapmla_reference_decode(const snapmla_problem *problem, const snapmla_decode_args *args,
                                        snapmla_reference_mode mode, double *out_f64, double *lse_f64) {
  snapmla_status status = snapmla_problem_check(problem);
  if (!status) status = smla_decode_args_check(problem, args, 0);
  if (status) return status;
  if (mode != SNAPMLA_REFERENCE_QUANTIZED && mode != SNAPMLA_REFERENCE_ROUNDED_P &&
      mode != SNAPMLA_REFERENCE_EXACT_QUERY)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "reference: mode %d is not known: use a snapmla_reference_mode",
                     (int)mode);
  if (mode == SNAPMLA_REFERENCE_ROUNDED_P && problem->accuracy != SNAPMLA_ACCURACY_FAST)
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "reference: the mode that rounds P is of level fast, and the problem's level is %s: compare with "
                     "SNAPMLA_REFERENCE_QUANTIZED",
                     snapmla_accuracy_name(problem->accuracy));
  smla_oracle_source source = smla_oracle_source_of(problem, args, NULL, NULL, NULL);
  source.as_kernel = mode == SNAPMLA_REFERENCE_ROUNDED_P;
  job j = {.problem = problem,
           .args = args,
           .source = &source,
           .query_terms = mode == SNAPMLA_REFERENCE_EXACT_QUERY ? 0 : smla_query_terms(problem->accuracy),
           .round_p = mode == SNAPMLA_REFERENCE_ROUNDED_P,
           .out = out_f64,
           .lse = lse_f64};
  return run(&j);
}

snapmla_status snapmla_reference_decode_dense(const snapmla_problem *problem, const snapmla_decode_args *args,
                                              const float *latent, const float *rope, const int64_t *row_of,
                                              double *out_f64, double *lse_f64) {
  snapmla_status status = snapmla_problem_check(problem);
  if (!status) status = smla_decode_args_check_query(problem, args, 0);
  if (status) return status;
  int without_rope = !rope && problem->rope_dim;
  if (args->batch > 0 && (!latent || without_rope || !row_of))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "reference: %s is NULL: pass the unquantised rows and where requests begin",
                     !latent        ? "latent"
                     : without_rope ? "rope"
                                    : "row_of");
  for (int32_t b = 0; b < args->batch; b++)
    if (row_of[b] < 0)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "reference: row_of[%d] is %lld, it must be the row of the first token, 0 or more", b,
                       (long long)row_of[b]);
  smla_oracle_source source = smla_oracle_source_of(problem, args, latent, rope, row_of);
  job j = {.problem = problem, .args = args, .source = &source, .out = out_f64, .lse = lse_f64};
  return run(&j);
}
