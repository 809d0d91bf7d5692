#include "layer_case.h"

#include <math.h>
#include <stdlib.h>

#include "cmocka_all.h"

#include "narrow_float.h"

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static double next_normal(uint64_t *state) {
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) sum += (double)(next_random(state) >> 11) * 0x1p-53;
  return sum;
}

static void *array(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size);
  assert_non_null(p);
  return p;
}

static uint16_t *normal_rows(uint64_t *random, size_t count, double spread, double mean) {
  uint16_t *rows = array(count, sizeof *rows);
  for (size_t i = 0; i < count; i++) rows[i] = smla_bf16_from_float((float)(mean + spread * next_normal(random)));
  return rows;
}

/* rows x columns of deviation 1 / sqrt(columns) or so, as the problem stores weights. */
static void make_matrix(const layer_case *c, uint64_t *random, size_t rows, size_t columns, void **out, size_t *bytes,
                        float **scale, size_t *scale_count) {
  double spread = 1 / sqrt((double)columns);
  if (c->problem.weight_type == SNAPMLA_WEIGHT_BF16) {
    *bytes = rows * columns * 2;
    *out = normal_rows(random, rows * columns, spread, 0);
    return;
  }
  *scale_count = (rows + 127) / 128 * ((columns + 127) / 128);
  *bytes = rows * columns;
  uint8_t *w = array(rows * columns, 1);
  *scale = array(*scale_count, sizeof **scale);
  for (size_t i = 0; i < *scale_count; i++)
    (*scale)[i] = (float)(spread / 64 * (1 + (double)(next_random(random) % 1000) / 500));
  for (size_t i = 0; i < rows * columns; i++) w[i] = smla_e4m3_from_float((float)(40 * next_normal(random)));
  *out = w;
}

static void make_weights(layer_case *c, uint64_t *random) {
  const snapmla_problem *p = &c->problem.attention;
  size_t rows = (size_t)(p->heads * (c->problem.nope_dim + c->problem.v_dim)), rank = (size_t)p->latent_rank;
  make_matrix(c, random, rows, rank, &c->kv_b, &c->kv_b_bytes, &c->kv_b_scale, &c->scale_count);
  c->norm = normal_rows(random, rank, 0.1, 1);
  int32_t longest = 1;
  for (int32_t b = 0; b < c->batch; b++)
    if (c->lengths[b] > longest) longest = c->lengths[b];
  c->table_count = (size_t)longest * (size_t)p->rope_dim;
  c->table = array(c->table_count, sizeof *c->table);
  if (!(c->problem.flags & SNAPMLA_LAYER_ROTATED))
    assert_int_equal(snapmla_rope_table_fill(&c->problem, 0, longest, c->table), SNAPMLA_OK);
  c->weights = (snapmla_layer_weights){.kv_b = c->kv_b,
                                       .kv_b_stride = (int64_t)rank,
                                       .kv_b_scale = c->kv_b_scale,
                                       .kv_b_scale_stride = (int64_t)rank / 128,
                                       .norm = c->norm,
                                       .rope_table = c->table,
                                       .rope_positions = longest};
}

/* W_O, of numbers of its own, so that the rest is the same with it and without. */
static void make_output_weights(layer_case *c, uint64_t random) {
  if (!c->problem.hidden_size) return;
  size_t values = (size_t)(c->problem.attention.heads * c->problem.v_dim);
  make_matrix(c, &random, (size_t)c->problem.hidden_size, values, &c->o, &c->o_bytes, &c->o_scale, &c->o_scale_count);
  c->weights.o = c->o;
  c->weights.o_stride = (int64_t)values;
  c->weights.o_scale = c->o_scale;
  c->weights.o_scale_stride = ((int64_t)values + 127) / 128;
}

void layer_case_create(layer_case *c, uint64_t seed) {
  uint64_t random = seed * 2654435761u + 99;
  const snapmla_problem *p = &c->problem.attention;
  make_weights(c, &random);
  make_output_weights(c, seed + 12345);
  for (int32_t b = 0; b < c->batch; b++) {
    c->row_of[b] = c->tokens;
    c->tokens += c->lengths[b];
  }
  c->latent = normal_rows(&random, (size_t)c->tokens * (size_t)p->latent_rank, 3, 0);
  c->rope = normal_rows(&random, (size_t)c->tokens * (size_t)p->rope_dim, 2, 0);
  c->token_positions = array((size_t)c->tokens, sizeof *c->token_positions);
  for (int32_t b = 0; b < c->batch; b++)
    for (int32_t i = 0; i < c->lengths[b]; i++) c->token_positions[c->row_of[b] + i] = i;
  int32_t queries = c->batch * p->q_len, head = c->problem.nope_dim + p->rope_dim;
  c->q_count = (size_t)(queries * p->heads * head);
  c->q = normal_rows(&random, c->q_count, 1, 0);
  c->positions = array((size_t)queries, sizeof *c->positions);
  for (int32_t t = 0; t < queries; t++) {
    int32_t position = c->lengths[t / p->q_len] - p->q_len + t % p->q_len;
    c->positions[t] = position < 0 ? 0 : position;
  }
  c->args = (snapmla_layer_args){.size = sizeof c->args,
                                 .weights = &c->weights,
                                 .q = c->q,
                                 .q_stride_token = (int64_t)p->heads * head,
                                 .q_stride_head = head,
                                 .positions = c->positions};
  c->args.decode.size = sizeof c->args.decode;
  c->args.decode.batch = c->batch;
  c->args.decode.seqlens = c->lengths;
  c->args.decode.softmax_scale = (float)(1 / sqrt(head));
}

void layer_case_destroy(layer_case *c) {
  free(c->latent), free(c->rope), free(c->token_positions), free(c->q), free(c->positions), free(c->kv_b);
  free(c->kv_b_scale), free(c->table), free(c->norm), free(c->o), free(c->o_scale);
}

size_t layer_case_width(const layer_case *c) {
  return (size_t)(c->problem.hidden_size ? c->problem.hidden_size : c->problem.attention.heads * c->problem.v_dim);
}

void layer_case_rows(const layer_case *c, float **latent, float **rope) {
  size_t rank = (size_t)c->problem.attention.latent_rank, dim = (size_t)c->problem.attention.rope_dim;
  double *row = array(rank + dim, sizeof *row);
  *latent = array((size_t)c->tokens * rank, sizeof **latent);
  *rope = array((size_t)c->tokens * dim, sizeof **rope);
  for (size_t t = 0; t < (size_t)c->tokens; t++) {
    assert_int_equal(snapmla_reference_layer_row(&c->problem, &c->weights, c->latent + t * rank, c->rope + t * dim,
                                                 c->token_positions[t], row, row + rank),
                     SNAPMLA_OK);
    for (size_t i = 0; i < rank; i++) (*latent)[t * rank + i] = (float)row[i];
    for (size_t i = 0; i < dim; i++) (*rope)[t * dim + i] = (float)row[rank + i];
  }
  free(row);
}

double layer_case_distance(const uint16_t *values, const double *expected, size_t count) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < count; i++) {
    double value = smla_bf16_to_float(values[i]);
    if (!isfinite(value)) fail_msg("element %zu is %g", i, value);
    error += (value - expected[i]) * (value - expected[i]);
    norm += expected[i] * expected[i];
  }
  return sqrt(norm > 0 ? error / norm : error);
}
