#include "oracle_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "narrow_float.h"
#include "query_quant.h"
#include "rounded_p.h"
#include "status.h"
#include "tensor_scores.h"

enum { BLOCK_ROWS = 2, BLOCK_COLUMNS = 8 };

static const double LOG2_E = 1.4426950408889634074, LN_2 = 0.69314718055994530942;

snapmla_status smla_oracle_rows_create(const snapmla_problem *problem, smla_oracle_rows *rows) {
  *rows = (smla_oracle_rows){.facts = smla_kv_facts_of(problem->kv_format),
                             .latent_rank = problem->latent_rank,
                             .channels = problem->latent_rank + problem->rope_dim};
  size_t query = (size_t)SMLA_ORACLE_ROWS * (size_t)rows->channels;
  size_t out = (size_t)SMLA_ORACLE_ROWS * (size_t)rows->latent_rank;
  size_t scores = SMLA_ORACLE_ROWS * SMLA_TILE_TOKENS;
  size_t exponents = query + SMLA_TILE_TOKENS * (size_t)rows->channels;
  rows->memory = calloc(query + out + scores, sizeof *rows->memory);
  rows->query_exponents = calloc(exponents, sizeof *rows->query_exponents);
  if (!rows->memory || !rows->query_exponents) {
    smla_oracle_rows_destroy(rows);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu bytes for the oracle",
                     (query + out + scores) * sizeof(double) + exponents * sizeof(int16_t));
  }
  rows->query = rows->memory;
  rows->out = rows->query + query;
  rows->scores = rows->out + out;
  rows->key_exponents = rows->query_exponents + query;
  return SNAPMLA_OK;
}

void smla_oracle_rows_destroy(smla_oracle_rows *rows) {
  free(rows->memory);
  free(rows->query_exponents); /* and those of the keys behind them */
  *rows = (smla_oracle_rows){0};
}

/* The first channels are multiplied in e4m3, the others in bf16. */
static int32_t e4m3_channels(const smla_oracle_rows *rows) {
  return rows->facts->rope == SMLA_NUMBER_E4M3      ? rows->channels
         : rows->facts->content == SMLA_NUMBER_E4M3 ? rows->latent_rank
                                                    : 0;
}

static int find_exponents(const smla_oracle_rows *rows, int32_t width, const double *values, int16_t *exponents) {
  return smla_tensor_exponents(e4m3_channels(rows), rows->channels, width, values, exponents);
}

/* The row of a head as the kernel has it, or as it was given. Returns its scale. */
static double load_query(const smla_oracle_rows *rows, const uint16_t *nope, const uint16_t *rope, int query_terms,
                         double *query) {
  int32_t latent_rank = rows->latent_rank, rope_dim = rows->channels - latent_rank;
  if (!query_terms) {
    for (int32_t c = 0; c < latent_rank; c++) query[c] = smla_bf16_to_float(nope[c]);
    for (int32_t c = 0; c < rope_dim; c++) query[latent_rank + c] = smla_bf16_to_float(rope[c]);
    return 1.0;
  }
  return smla_query_row(rows->facts, query_terms, nope, latent_rank, rope, rope_dim, query);
}

void smla_oracle_rows_begin(smla_oracle_rows *rows, const snapmla_decode_args *args, int32_t b, int32_t token,
                            int32_t head, int32_t count, int query_terms, int round_p) {
  rows->count = count;
  rows->round_p = round_p;
  memset(rows->query, 0, (size_t)SMLA_ORACLE_ROWS * (size_t)rows->channels * sizeof *rows->query);
  memset(rows->out, 0, (size_t)SMLA_ORACLE_ROWS * (size_t)rows->latent_rank * sizeof *rows->out);
  const uint16_t *nope =
      (const uint16_t *)args->q_nope + b * args->q_nope_stride_batch + token * args->q_nope_stride_token;
  const uint16_t *rope =
      (const uint16_t *)args->q_rope + b * args->q_rope_stride_batch + token * args->q_rope_stride_token;
  for (int32_t r = 0; r < SMLA_ORACLE_ROWS; r++) {
    rows->reference[r] = -INFINITY;
    rows->exponentials[r] = rows->weight_sum[r] = rows->query_scale[r] = 0.0;
    if (r >= count) continue;
    size_t at = (size_t)r * (size_t)rows->channels;
    double sigma = load_query(rows, nope + (head + r) * args->q_nope_stride_head,
                              rope + (head + r) * args->q_rope_stride_head, query_terms, rows->query + at);
    rows->query_scale[r] = LOG2_E * (double)args->softmax_scale * sigma;
    if (round_p) rows->query_special[r] = find_exponents(rows, 1, rows->query + at, rows->query_exponents + at);
  }
}

/* c[16][columns] += a[16][inner] · b[inner][columns], columns a multiple of 8. A block of the result stays in
 * registers; each element is summed in the order of `inner`. */
static void multiply_add(int32_t inner, int32_t columns, const double *restrict a, const double *restrict b,
                         double *restrict c) {
  for (int32_t r = 0; r < SMLA_ORACLE_ROWS; r += BLOCK_ROWS) {
    for (int32_t j = 0; j < columns; j += BLOCK_COLUMNS) {
      double sums[BLOCK_ROWS][BLOCK_COLUMNS] = {{0}};
      const double *a0 = a + (size_t)r * (size_t)inner, *a1 = a0 + inner, *column = b + j;
      for (int32_t k = 0; k < inner; k++, column += columns) {
        for (int32_t x = 0; x < BLOCK_COLUMNS; x++) {
          sums[0][x] += a0[k] * column[x];
          sums[1][x] += a1[k] * column[x];
        }
      }
      for (int32_t y = 0; y < BLOCK_ROWS; y++)
        for (int32_t x = 0; x < BLOCK_COLUMNS; x++)
          c[(size_t)(r + y) * (size_t)columns + (size_t)(j + x)] += sums[y][x];
    }
  }
}

/* 2^difference for an integer difference < 0 or -inf. */
static double power_of_two(double difference) { return difference > -1100.0 ? ldexp(1.0, (int)difference) : 0.0; }

/* Raises row r's reference to `reference` where that is larger, and rescales what the row holds. */
static void raise_reference(smla_oracle_rows *rows, int32_t r, double reference) {
  if (!(reference > rows->reference[r])) return;
  double factor = power_of_two(rows->reference[r] - reference);
  rows->reference[r] = reference;
  rows->exponentials[r] *= factor;
  rows->weight_sum[r] *= factor;
  double *out = rows->out + (size_t)r * (size_t)rows->latent_rank;
  for (int32_t c = 0; c < rows->latent_rank; c++) out[c] *= factor;
}

/* The least integer that no finite one of `logits` is above. */
static double reference_of(const double *logits, int32_t count) {
  double largest = -INFINITY;
  for (int32_t t = 0; t < count; t++)
    if (isfinite(logits[t]) && logits[t] > largest) largest = logits[t];
  return ceil(largest);
}

static double round_p(const smla_kv_facts *facts, double f, int tile_exponent) {
  return smla_kv_values(facts) == SMLA_NUMBER_E4M3 ? smla_round_p(f, tile_exponent) : smla_round_p16(f);
}

/* Turns row r's logits into the weights of the values; sums them and the exponentials. */
static void weigh(smla_oracle_rows *rows, int32_t r, double *scores, const smla_oracle_tile *tile) {
  double reference = isfinite(rows->reference[r]) ? rows->reference[r] : 0.0, largest = 0.0;
  for (int32_t t = 0; t < tile->count; t++) {
    double e = exp2(scores[t] - reference);
    rows->exponentials[r] += e;
    if (!rows->round_p) rows->weight_sum[r] += e;
    scores[t] = e * tile->scale[t] / tile->common_scale;
    if (isfinite(scores[t]) && scores[t] > largest) largest = scores[t];
  }
  for (int32_t t = tile->count; t < SMLA_TILE_TOKENS; t++) scores[t] = 0.0;
  int exponent = largest > 0.0 ? smla_exponent_of(largest) : 0;
  for (int32_t t = 0; t < tile->count; t++) {
    if (rows->round_p) scores[t] = round_p(rows->facts, scores[t], exponent);
    scores[t] *= tile->common_scale;
    if (rows->round_p) rows->weight_sum[r] += scores[t] / tile->scale[t];
  }
}

/* A sixteenth of the residuals' scores, sums of their own, added to those of row r. */
static void add_residual_scores(smla_oracle_rows *rows, int32_t r, const smla_oracle_tile *tile,
                                const smla_tensor_operand *query, const smla_tensor_operand *residual) {
  double sums[SMLA_TILE_TOKENS], *scores = rows->scores + r * SMLA_TILE_TOKENS;
  const smla_score_form form = {rows->latent_rank, rows->latent_rank, 0, 2};
  smla_tensor_scores(&form, query, residual, NULL, sums);
  for (int32_t t = 0; t < tile->count; t++) scores[t] = fmaf((float)sums[t], 1.0f / 16, (float)scores[t]);
}

/* How a kernel of level fast forms scores: in two parts, but with RoPE of e4m3 of none or 128 channels in four (docs/format.md). */
static smla_score_form score_form(const smla_oracle_rows *rows) {
  int32_t rope_dim = rows->channels - rows->latent_rank;
  int in_four = rows->facts->rope == SMLA_NUMBER_E4M3 && (rope_dim == 0 || rope_dim == 128);
  return (smla_score_form){e4m3_channels(rows), rows->latent_rank, rope_dim, in_four ? 4 : 2};
}

/* The scores of the tile as a kernel has them, in the rows in use. */
static void score_as_kernel(smla_oracle_rows *rows, const smla_oracle_tile *tile) {
  smla_tensor_operand keys = {tile->keys, rows->key_exponents,
                              find_exponents(rows, SMLA_TILE_TOKENS, tile->keys, rows->key_exponents)};
  const double *groups = rows->facts->scaling == SMLA_SCALING_GROUP ? tile->group_scale[0] : NULL;
  const smla_score_form form = score_form(rows);
  for (int32_t r = 0; r < rows->count; r++) {
    size_t at = (size_t)r * (size_t)rows->channels;
    smla_tensor_operand query = {rows->query + at, rows->query_exponents + at, rows->query_special[r]};
    smla_tensor_scores(&form, &query, &keys, groups, rows->scores + r * SMLA_TILE_TOKENS);
  }
  if (!tile->residual) return;
  smla_tensor_operand residual = {tile->residual, rows->key_exponents,
                                  smla_tensor_exponents(rows->latent_rank, rows->latent_rank, SMLA_TILE_TOKENS,
                                                        tile->residual, rows->key_exponents)};
  for (int32_t r = 0; r < rows->count; r++) {
    size_t at = (size_t)r * (size_t)rows->channels;
    smla_tensor_operand query = {rows->query + at, rows->query_exponents + at, rows->query_special[r]};
    add_residual_scores(rows, r, tile, &query, &residual);
  }
}

void smla_oracle_rows_add(smla_oracle_rows *rows, const smla_oracle_tile *tile) {
  memset(rows->scores, 0, SMLA_ORACLE_ROWS * SMLA_TILE_TOKENS * sizeof *rows->scores);
  if (rows->round_p)
    score_as_kernel(rows, tile);
  else
    multiply_add(rows->channels, SMLA_TILE_TOKENS, rows->query, tile->keys, rows->scores);
  for (int32_t r = 0; r < rows->count; r++) {
    double *scores = rows->scores + r * SMLA_TILE_TOKENS;
    for (int32_t t = 0; t < tile->count; t++)
      scores[t] = tile->unseen[t] ? -INFINITY : scores[t] * (rows->query_scale[r] * tile->scale[t]);
    raise_reference(rows, r, reference_of(scores, tile->count));
    weigh(rows, r, scores, tile);
  }
  multiply_add(SMLA_TILE_TOKENS, rows->latent_rank, rows->scores, tile->values, rows->out);
}

void smla_oracle_rows_merge(smla_oracle_rows *rows, const smla_oracle_rows *other) {
  for (int32_t r = 0; r < rows->count; r++) {
    raise_reference(rows, r, other->reference[r]);
    double below = other->reference[r] - rows->reference[r]; /* NaN where neither saw a finite logit */
    double factor = below < 0.0 ? power_of_two(below) : 1.0;
    size_t at = (size_t)r * (size_t)rows->latent_rank;
    rows->exponentials[r] += factor * other->exponentials[r];
    rows->weight_sum[r] += factor * other->weight_sum[r];
    for (int32_t c = 0; c < rows->latent_rank; c++) rows->out[at + (size_t)c] += factor * other->out[at + (size_t)c];
  }
}

/* The tokens' part of a denominator that has exp(sink) besides: 1 / (1 + exp(sink - lse)). */
static double tokens_share(double sink, double lse) {
  return sink == -INFINITY || lse == -INFINITY ? 1.0 : 1.0 / (1.0 + exp(sink - lse));
}

void smla_oracle_rows_finish(smla_oracle_rows *rows, const float *sinks, double lse[SMLA_ORACLE_ROWS]) {
  for (int32_t r = 0; r < rows->count; r++) {
    double *out = rows->out + (size_t)r * (size_t)rows->latent_rank;
    double reference = isfinite(rows->reference[r]) ? rows->reference[r] : 0.0;
    lse[r] = LN_2 * (reference + log2(rows->exponentials[r]));
    if (rows->weight_sum[r] == 0.0) continue;
    double share = sinks ? tokens_share((double)sinks[r], lse[r]) : 1.0;
    for (int32_t c = 0; c < rows->latent_rank; c++) out[c] = out[c] / rows->weight_sum[r] * share;
  }
}
