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

enum {
  PIECE_TILES = 64, /* tiles of a request that a worker takes at least, where there are fewer rows than cores */
  MOST_PARTS = 64   /* parts of all rows together: what they hold is kept until all are done */
};

/* One decode: its items are parts of (request, query token, block of heads), each of some of the tokens. */
typedef struct job {
  const snapmla_problem *problem;
  const snapmla_decode_args *args;
  const smla_oracle_source *source;
  int query_terms, round_p; /* 0 terms: the query as given */
  double *out;              /* [batch, q_len, heads, latent_rank] */
  double *lse;              /* [batch, heads, q_len] or NULL */
  int64_t parts;            /* of each block of rows; a matter of the problem's size alone, not of the machine */
  smla_oracle_rows *sums;   /* [blocks of rows, parts]; NULL with one part */
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

/* A block of rows: heads head .. head + count - 1 of a query token. */
typedef struct row_block {
  int32_t b, token, head, count;
} row_block;

static row_block block_of(const job *j, int64_t index) {
  int32_t blocks = blocks_of_heads(j->problem), q_len = j->problem->q_len;
  row_block block = {.b = (int32_t)(index / blocks / q_len),
                     .token = (int32_t)(index / blocks % q_len),
                     .head = (int32_t)(index % blocks) * SMLA_ORACLE_ROWS};
  int32_t left = j->problem->heads - block.head;
  block.count = left < SMLA_ORACLE_ROWS ? left : SMLA_ORACLE_ROWS;
  return block;
}

static int64_t block_count(const job *j) {
  return (int64_t)j->args->batch * j->problem->q_len * blocks_of_heads(j->problem);
}

static int64_t tiles_of(const job *j, const row_block *at) {
  if (!smla_oracle_query_is_good(j->source, at->b, at->token)) return 0;
  return ((int64_t)smla_oracle_query_tokens(j->source, at->b, at->token) + SMLA_TILE_TOKENS - 1) / SMLA_TILE_TOKENS;
}

/* Adds the tiles of one part. */
static void add_part(const job *j, const row_block *at, int64_t part, smla_oracle_rows *rows, smla_oracle_tile *tile) {
  smla_oracle_rows_begin(rows, j->args, at->b, at->token, at->head, at->count, j->query_terms, j->round_p);
  int64_t tiles = tiles_of(j, at), last = tiles * (part + 1) / j->parts;
  for (int64_t i = tiles * part / j->parts; i < last; i++) {
    int32_t first = (int32_t)i * SMLA_TILE_TOKENS, left = smla_oracle_query_tokens(j->source, at->b, at->token) - first;
    smla_oracle_tile_load(j->source, at->b, at->token, first, left < SMLA_TILE_TOKENS ? left : SMLA_TILE_TOKENS, tile);
    smla_oracle_rows_add(rows, tile);
  }
}

/* Hands a block's result over, `rows` having seen all of its tokens. */
static void finish_block(const job *j, const row_block *at, smla_oracle_rows *rows) {
  const snapmla_problem *problem = j->problem;
  int32_t latent_rank = problem->latent_rank;
  double *out = j->out + (((int64_t)at->b * problem->q_len + at->token) * problem->heads + at->head) * latent_rank;
  double lse[SMLA_ORACLE_ROWS];
  if (smla_oracle_query_is_good(j->source, at->b, at->token)) {
    smla_oracle_rows_finish(rows, j->args->sinks ? j->args->sinks + at->head : NULL, lse);
    memcpy(out, rows->out, (size_t)at->count * (size_t)latent_rank * sizeof *out);
  } else {
    for (int32_t r = 0; r < at->count; r++) lse[r] = NAN;
    for (int64_t i = 0; i < (int64_t)at->count * latent_rank; i++) out[i] = NAN;
  }
  for (int32_t r = 0; j->lse && r < at->count; r++)
    j->lse[((int64_t)at->b * problem->heads + at->head + r) * problem->q_len + at->token] = lse[r];
}

static void decode_item(const job *j, int64_t item, scratch *s) {
  row_block at = block_of(j, item / j->parts);
  smla_oracle_rows *rows = j->sums ? &j->sums[item] : &s->rows;
  add_part(j, &at, item % j->parts, rows, &s->tile);
  if (!j->sums) finish_block(j, &at, rows);
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

/* So many parts that one long request keeps the cores busy. */
static int64_t parts_of(const job *j) {
  int64_t blocks = block_count(j), longest = 0;
  for (int64_t i = 0; i < blocks; i += blocks_of_heads(j->problem)) {
    row_block at = block_of(j, i);
    int64_t tiles = tiles_of(j, &at);
    if (tiles > longest) longest = tiles;
  }
  int64_t parts = longest / PIECE_TILES, most = blocks ? MOST_PARTS / blocks : 1;
  if (parts > most) parts = most;
  return parts > 1 ? parts : 1;
}

static void free_sums(job *j) {
  for (int64_t i = 0; j->sums && i < block_count(j) * j->parts; i++) smla_oracle_rows_destroy(&j->sums[i]);
  free(j->sums);
  j->sums = NULL;
}

static snapmla_status make_sums(job *j) {
  size_t count = (size_t)(block_count(j) * j->parts); /* at most MOST_PARTS */
  if (j->parts == 1) return SNAPMLA_OK;
  j->sums = calloc(count, sizeof *j->sums);
  if (!j->sums) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the oracle's sums");
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < count && !status; i++) status = smla_oracle_rows_create(j->problem, &j->sums[i]);
  return status;
}

static snapmla_status run(job *j) {
  if (!j->out && j->args->batch > 0)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "reference: out_f64 is NULL: pass batch * q_len * heads * latent_rank doubles");
  j->parts = parts_of(j);
  snapmla_status status = make_sums(j);
  if (!status) status = smla_parallel_run(block_count(j) * j->parts, work, j);
  for (int64_t i = 0; j->sums && i < block_count(j) && !status; i++) {
    row_block at = block_of(j, i);
    smla_oracle_rows *all = &j->sums[i * j->parts];
    for (int64_t part = 1; part < j->parts; part++) smla_oracle_rows_merge(all, all + part);
    finish_block(j, &at, all);
  }
  free_sums(j);
  return status;
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
