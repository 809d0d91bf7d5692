/* The layer in double precision: with K and V reconstructed as the model defines them (DeepSeek-V2, arXiv 2405.04434, section 2.1), and
 * with the up-projections absorbed into query and output (its section 2.1.2, last paragraph). One query head at a time; then, where the
 * problem has W_O, one channel of the output at a time. */
#include <snapmla/layer.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layer_args.h"
#include "narrow_float.h"
#include "parallel.h"
#include "status.h"

enum { BLOCK = 128, MOST_ROPE = 128 };

typedef struct job {
  const snapmla_layer_problem *problem;
  const snapmla_layer_args *args;
  const float *latent, *rope;
  const int64_t *row_of;
  int absorbed;
  double *out;
} job;

static int32_t tokens_of(const job *j) { return j->args->decode.batch * j->problem->attention.q_len; }

/* A matrix of weights as the problem stores them. */
typedef struct matrix {
  const void *base;
  int64_t stride;
  const float *scale;
  int64_t scale_stride;
} matrix;

static void load_weights(const job *j, const matrix *m, int64_t row, int32_t columns, double *out) {
  for (int32_t c = 0; c < columns; c++)
    out[c] = j->problem->weight_type == SNAPMLA_WEIGHT_BF16
                 ? smla_bf16_to_float(((const uint16_t *)m->base)[row * m->stride + c])
                 : (double)smla_e4m3_to_float(((const uint8_t *)m->base)[row * m->stride + c]) *
                       m->scale[row / BLOCK * m->scale_stride + c / BLOCK];
}

/* Row n of the head's W_UK (n < nope_dim) or W_UV (from nope_dim on), as doubles. */
static void load_row(const job *j, int32_t head, int32_t n, double *row) {
  const snapmla_layer_weights *w = j->args->weights;
  const matrix kv_b = {w->kv_b, w->kv_b_stride, w->kv_b_scale, w->kv_b_scale_stride};
  int64_t at = (int64_t)head * (j->problem->nope_dim + j->problem->v_dim) + n;
  load_weights(j, &kv_b, at, j->problem->attention.latent_rank, row);
}

static double dot(const double *a, const double *b, int32_t count) {
  double sum = 0;
  for (int32_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}

/* Turns `dim` bf16 channels by a position's angles; NaN for a position without any. */
static void turn(const snapmla_layer_problem *problem, const snapmla_layer_weights *weights, const uint16_t *x,
                 int32_t position, double *out) {
  int32_t dim = problem->attention.rope_dim, pairs = dim / 2;
  for (int32_t i = 0; i < dim; i++) out[i] = smla_bf16_to_float(x[i]);
  if (problem->flags & SNAPMLA_LAYER_ROTATED) return;
  int known = position >= 0 && position < weights->rope_positions;
  for (int32_t i = 0; i < pairs; i++) {
    int32_t a = problem->rope_pairs == SNAPMLA_ROPE_HALF ? i : 2 * i;
    int32_t b = problem->rope_pairs == SNAPMLA_ROPE_HALF ? i + pairs : a + 1;
    const float *row = known ? weights->rope_table + (int64_t)position * dim : NULL;
    double c = row ? (double)row[i] : NAN, s = row ? (double)row[pairs + i] : NAN, first = out[a], second = out[b];
    out[a] = first * c - second * s;
    out[b] = second * c + first * s;
  }
}

/* What a worker owns; all in one allocation. */
typedef struct scratch {
  double *memory;
  double *up;                     /* [nope_dim + v_dim][latent_rank] of the head */
  double *q;                      /* [nope_dim] */
  double *q_rope;                 /* [rope_dim] */
  double *q_latent, *mixed, *row; /* [latent_rank] */
  double *key, *value;            /* [nope_dim], [v_dim] of one token */
} scratch;

static snapmla_status scratch_create(const snapmla_layer_problem *problem, scratch *s) {
  size_t rank = (size_t)problem->attention.latent_rank, nope = (size_t)problem->nope_dim, v = (size_t)problem->v_dim;
  s->memory = calloc((nope + v) * rank + 2 * nope + MOST_ROPE + 3 * rank + v, sizeof *s->memory);
  if (!s->memory) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a layer's reference");
  s->up = s->memory;
  s->q = s->up + (nope + v) * rank;
  s->q_rope = s->q + nope;
  s->q_latent = s->q_rope + MOST_ROPE;
  s->mixed = s->q_latent + rank;
  s->row = s->mixed + rank;
  s->key = s->row + rank;
  s->value = s->key + nope;
  return SNAPMLA_OK;
}

/* The attention of query token t with a head whose weights are loaded. */
static void attend(const job *j, scratch *s, int32_t t, int32_t head) {
  const snapmla_layer_problem *problem = j->problem;
  const snapmla_problem *p = &problem->attention;
  int32_t rank = p->latent_rank, nope = problem->nope_dim, v = problem->v_dim, b = t / p->q_len;
  const uint16_t *q = (const uint16_t *)j->args->q + t * j->args->q_stride_token + head * j->args->q_stride_head;
  for (int32_t n = 0; n < nope; n++) s->q[n] = smla_bf16_to_float(q[n]);
  turn(problem, j->args->weights, q + nope, j->args->positions ? j->args->positions[t] : 0, s->q_rope);
  memset(s->q_latent, 0, (size_t)rank * sizeof *s->q_latent);
  for (int32_t n = 0; n < nope && j->absorbed; n++)
    for (int32_t c = 0; c < rank; c++) s->q_latent[c] += s->q[n] * s->up[n * rank + c];

  int32_t width = j->absorbed ? rank : v;
  double *mixed = j->absorbed ? s->mixed : j->out + ((int64_t)t * p->heads + head) * v, top = -INFINITY, sum = 0;
  memset(mixed, 0, (size_t)width * sizeof *mixed);
  int32_t seen = j->args->decode.seqlens[b] - p->q_len + t % p->q_len + 1;
  for (int32_t i = 0; i < seen; i++) {
    const float *latent = j->latent + (j->row_of[b] + i) * rank, *rope = j->rope + (j->row_of[b] + i) * p->rope_dim;
    for (int32_t c = 0; c < rank; c++) s->row[c] = latent[c];
    double logit = 0;
    for (int32_t c = 0; c < p->rope_dim; c++) logit += s->q_rope[c] * rope[c];
    const double *values = s->row;
    if (j->absorbed) {
      logit += dot(s->q_latent, s->row, rank);
    } else {
      for (int32_t n = 0; n < nope; n++) s->key[n] = dot(s->up + n * rank, s->row, rank);
      for (int32_t n = 0; n < v; n++) s->value[n] = dot(s->up + (nope + n) * rank, s->row, rank);
      logit += dot(s->q, s->key, nope);
      values = s->value;
    }
    logit *= (double)j->args->decode.softmax_scale;
    double rise = logit > top ? exp(top - logit) : 1, part = logit > top ? 1 : exp(logit - top);
    if (logit > top) top = logit;
    sum = sum * rise + part;
    for (int32_t c = 0; c < width; c++) mixed[c] = mixed[c] * rise + part * values[c];
  }
  if (j->args->decode.sinks) sum += exp((double)j->args->decode.sinks[head] - top);
  for (int32_t c = 0; c < width && seen > 0; c++) mixed[c] /= sum;
  if (!j->absorbed) return;
  double *out = j->out + ((int64_t)t * p->heads + head) * v;
  for (int32_t n = 0; n < v; n++) out[n] = dot(s->up + (nope + n) * rank, s->mixed, rank);
}

static snapmla_status work(void *user, smla_parallel_items *items) {
  const job *j = user;
  scratch s = {0};
  snapmla_status status = scratch_create(j->problem, &s);
  if (status) return status;
  for (int64_t head; (head = smla_parallel_next(items)) >= 0;) {
    for (int32_t n = 0; n < j->problem->nope_dim + j->problem->v_dim; n++)
      load_row(j, (int32_t)head, n, s.up + n * j->problem->attention.latent_rank);
    for (int32_t t = 0; t < tokens_of(j); t++) attend(j, &s, t, (int32_t)head);
  }
  free(s.memory);
  return SNAPMLA_OK;
}

/* What a worker of the output needs: the values of all tokens. */
typedef struct output_job {
  const job *layer;
  const double *values; /* [tokens, heads * v_dim] */
  double *out;          /* [tokens, hidden_size] */
} output_job;

static snapmla_status project(void *user, smla_parallel_items *items) {
  const output_job *o = user;
  const job *j = o->layer;
  const snapmla_layer_weights *w = j->args->weights;
  const matrix w_o = {w->o, w->o_stride, w->o_scale, w->o_scale_stride};
  int32_t count = j->problem->attention.heads * j->problem->v_dim;
  double *row = malloc((size_t)count * sizeof *row);
  if (!row) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a layer's reference");
  for (int64_t channel; (channel = smla_parallel_next(items)) >= 0;) {
    load_weights(j, &w_o, channel, count, row);
    for (int64_t t = 0; t < tokens_of(j); t++)
      o->out[t * j->problem->hidden_size + channel] = dot(o->values + t * count, row, count);
  }
  free(row);
  return SNAPMLA_OK;
}

/* The job's values, and from them the output. */
static snapmla_status run_with_output(job *j, double *out) {
  const snapmla_layer_problem *p = j->problem;
  double *values = calloc((size_t)tokens_of(j) * (size_t)p->attention.heads * (size_t)p->v_dim, sizeof *values);
  if (!values) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a layer's reference");
  output_job o = {j, values, out};
  j->out = values;
  snapmla_status status = smla_parallel_run(p->attention.heads, work, j);
  if (!status) status = smla_parallel_run(p->hidden_size, project, &o);
  free(values);
  return status;
}

snapmla_status snapmla_reference_layer(const snapmla_layer_problem *problem, const snapmla_layer_args *args,
                                       snapmla_layer_reference how, const float *latent, const float *rope,
                                       const int64_t *row_of, double *out_f64) {
  snapmla_status status = snapmla_layer_problem_check(problem);
  if (!status) status = smla_layer_args_check(problem, args, 0);
  if (status || args->decode.batch == 0) return status;
  if (problem->attention.max_indices)
    return smla_fail(SNAPMLA_UNSUPPORTED, "layer: the reference knows no index lists: set max_indices to 0");
  if (how != SNAPMLA_LAYER_EXPLICIT && how != SNAPMLA_LAYER_ABSORBED)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: reference %d is not known: use a snapmla_layer_reference",
                     (int)how);
  if (!latent || !rope || !row_of || !out_f64 || !args->decode.seqlens)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "layer: latent, rope, row_of, out_f64 and decode.seqlens are needed, and one is NULL");
  for (int32_t b = 0; b < args->decode.batch; b++)
    if (row_of[b] < 0 || args->decode.seqlens[b] < 0)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "layer: request %d begins at row %lld with %d tokens: neither may be negative", b,
                       (long long)row_of[b], args->decode.seqlens[b]);
  job j = {problem, args, latent, rope, row_of, how == SNAPMLA_LAYER_ABSORBED, out_f64};
  return problem->hidden_size ? run_with_output(&j, out_f64) : smla_parallel_run(problem->attention.heads, work, &j);
}

snapmla_status snapmla_reference_layer_row(const snapmla_layer_problem *problem, const snapmla_layer_weights *weights,
                                           const uint16_t *latent, const uint16_t *rope, int32_t position,
                                           double *latent_f64, double *rope_f64) {
  snapmla_status status = snapmla_layer_problem_check(problem);
  if (status) return status;
  int normed = (problem->flags & SNAPMLA_LAYER_NORMED) != 0, rotated = (problem->flags & SNAPMLA_LAYER_ROTATED) != 0;
  if (!weights || !latent || !rope || !latent_f64 || !rope_f64 || (!normed && !weights->norm) ||
      (!rotated && !weights->rope_table))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "layer: weights (norm, rope_table), latent, rope and room for both are "
                     "needed, and one is NULL");
  int32_t rank = problem->attention.latent_rank;
  double squares = 0;
  for (int32_t c = 0; c < rank; c++) {
    latent_f64[c] = smla_bf16_to_float(latent[c]);
    squares += latent_f64[c] * latent_f64[c];
  }
  double by = 1 / sqrt(squares / rank + (double)problem->norm_epsilon);
  for (int32_t c = 0; c < rank && !normed; c++)
    latent_f64[c] *= by * smla_bf16_to_float(((const uint16_t *)weights->norm)[c]);
  turn(problem, weights, rope, position, rope_f64);
  return SNAPMLA_OK;
}
