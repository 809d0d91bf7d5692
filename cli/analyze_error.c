/* Norms and singular values of `analyze`. With C the latents as rows, E what a cache adds to them and W the up-projection,
 * keys and values are C W and what quantising adds to them is E W. All norms come from the Gram matrices C^T C and E^T E, [rank, rank]:
 * |E W|^2 = sum over columns w of w^T (E^T E) w. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyze.h"
#include "console.h"
#include "lapack.h"
#include "library.h"
#include "narrow.h"

static snapmla_status out_of_memory(const smla_layer *layer) {
  return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for its analysis", layer->number);
}

/* |X w|^2 summed over the columns of w [rank, count], from the Gram matrix of X; `room` [rank, count] is scratch. */
static double seen_by(const double *gram, const double *w, int rank, int count, double *room) {
  double sum = 0;
  smla_lapack_multiply(rank, count, rank, gram, w, 0, room);
  for (size_t i = 0; i < (size_t)rank * (size_t)count; ++i) sum += room[i] * w[i];
  return fmax(sum, 0);
}

static double trace(const double *gram, int rank) {
  double sum = 0;
  for (int i = 0; i < rank; ++i) sum += gram[(size_t)i * (size_t)rank + (size_t)i];
  return sum;
}

/* a / b, 0 where both are: nothing was there, and nothing was lost. */
static double ratio(double a, double b) { return a > 0 ? a / b : 0; }

/* A matrix of weights as analysed: its columns, and an orthonormal basis of what it sees. */
typedef struct view {
  const double *w; /* [rank, columns] */
  int columns, key_columns;
  int matrix_rank;
  double *basis; /* [rank, matrix_rank]; NULL: all of the space */
} view;

/* Singular values of w [rank, columns]; the basis is kept where the matrix does not see the whole space. */
static snapmla_status examine(const smla_layer *layer, view *v, const double *gram, smla_up *out) {
  int rank = layer->rank, least = rank < v->columns ? rank : v->columns;
  size_t count = (size_t)rank * (size_t)v->columns;
  double *copy = malloc(count * sizeof *copy), *s = malloc((size_t)least * sizeof *s), *u = NULL, *room = NULL;
  snapmla_status status = copy && s ? SNAPMLA_OK : out_of_memory(layer);
  if (status) goto out;
  u = malloc((size_t)rank * (size_t)least * sizeof *u);
  room = malloc((size_t)rank * (size_t)least * sizeof *room);
  if (!u || !room) {
    status = out_of_memory(layer);
    goto out;
  }
  memcpy(copy, v->w, count * sizeof *copy);
  status = smla_lapack_svd(rank, v->columns, copy, s, u);
  if (status) goto out;
  double tolerance = s[0] * DBL_EPSILON * (rank > v->columns ? rank : v->columns);
  for (out->matrix_rank = 0; out->matrix_rank < least && s[out->matrix_rank] > tolerance;) ++out->matrix_rank;
  out->largest = s[0];
  out->least = out->matrix_rank ? s[out->matrix_rank - 1] : 0;
  out->cond_visible = ratio(out->largest, out->least);
  out->cond = out->matrix_rank == rank ? out->cond_visible : INFINITY;
  out->visible = 1;
  v->matrix_rank = out->matrix_rank;
  if (out->matrix_rank < rank) {
    out->visible = sqrt(ratio(seen_by(gram, u, rank, out->matrix_rank, room), trace(gram, rank)));
    v->basis = u;
    u = NULL;
  }
out:
  free(copy);
  free(s);
  free(u);
  free(room);
  return status;
}

/* The norms of one matrix and one format. */
static void measure(const view *v, int rank, const smla_up *up, const double *gram, const double *error_gram,
                    double *room, smla_errors *out) {
  int values = v->columns - v->key_columns;
  const double *value_columns = v->w + (size_t)rank * (size_t)v->key_columns;
  double key = seen_by(gram, v->w, rank, v->key_columns, room),
         value = seen_by(gram, value_columns, rank, values, room);
  double key_error = seen_by(error_gram, v->w, rank, v->key_columns, room);
  double value_error = seen_by(error_gram, value_columns, rank, values, room);
  out->key = sqrt(ratio(key_error, key));
  out->value = sqrt(ratio(value_error, value));
  out->seen = sqrt(ratio(key_error + value_error, key + value));
  out->latent = sqrt(ratio(trace(error_gram, rank), trace(gram, rank)));
  out->latent_visible = out->latent;
  if (v->basis)
    out->latent_visible = sqrt(ratio(seen_by(error_gram, v->basis, rank, v->matrix_rank, room),
                                     seen_by(gram, v->basis, rank, v->matrix_rank, room)));
  out->bound = up->cond_visible * out->latent_visible;
  out->bound_data = out->latent * up->largest * sqrt(ratio(trace(gram, rank), key + value));
}

/* The keys' columns of all heads first, then the values': the order in which `measure` takes them. */
static double *keys_first(const smla_layer *l) {
  size_t rank = (size_t)l->rank, key = (size_t)l->content * rank, value = (size_t)l->value * rank,
         heads = (size_t)l->heads;
  double *out = malloc(heads * (key + value) * sizeof *out);
  for (size_t h = 0; out && h < heads; ++h) {
    memcpy(out + h * key, l->up + h * (key + value), key * sizeof *out);
    memcpy(out + heads * key + h * value, l->up + h * (key + value) + key, value * sizeof *out);
  }
  return out;
}

/* The Gram matrix of rows x [tokens, rank]; `x` row-major is column-major [rank, tokens]. */
static double *gram_of(const smla_layer *layer, const double *x) {
  double *out = malloc((size_t)layer->rank * (size_t)layer->rank * sizeof *out);
  if (out) smla_lapack_multiply(layer->rank, layer->rank, layer->tokens, x, x, 1, out);
  return out;
}

/* What a format does to the rows: E into `error` [tokens, rank], RoPE's error and the worst token. */
static void compare(const smla_layer *l, const float *latent, const float *rope, double *error,
                    smla_format_errors *out) {
  double rope_error = 0, rope_norm = 0;
  for (int32_t t = 0; t < l->tokens; ++t) {
    double lost = 0, norm = 0;
    for (int32_t c = 0; c < l->rank; ++c) {
      size_t i = (size_t)t * (size_t)l->rank + (size_t)c;
      double exact = (double)smla_widen_bf16(l->latent[i]);
      error[i] = (double)latent[i] - exact;
      lost += error[i] * error[i];
      norm += exact * exact;
    }
    out->worst_token = fmax(out->worst_token, sqrt(ratio(lost, norm)));
    for (int32_t c = 0; c < l->rope; ++c) {
      size_t i = (size_t)t * (size_t)l->rope + (size_t)c;
      double exact = (double)smla_widen_bf16(l->rope_rows[i]), off = (double)rope[i] - exact;
      rope_error += off * off;
      rope_norm += exact * exact;
    }
  }
  out->rope = sqrt(ratio(rope_error, rope_norm));
}

static snapmla_status analyze_format(const smla_settings *settings, const smla_layer *layer, const view *whole,
                                     const view *heads, const double *gram, double *room, smla_analysis *a,
                                     smla_format_errors *f) {
  float *latent = NULL, *rope = NULL;
  void *kv = NULL;
  int64_t page_stride, pages;
  double *error = malloc((size_t)layer->tokens * (size_t)layer->rank * sizeof *error), *error_gram = NULL;
  f->heads = calloc((size_t)layer->heads, sizeof *f->heads);
  snapmla_status status = error && f->heads ? SNAPMLA_OK : out_of_memory(layer);
  if (!status) status = smla_layer_store(layer, f, &latent, &rope, &kv, &page_stride, &pages);
  if (status) goto out;
  compare(layer, latent, rope, error, f);
  error_gram = gram_of(layer, error);
  if (!error_gram) {
    status = out_of_memory(layer);
    goto out;
  }
  measure(whole, layer->rank, &a->layer, gram, error_gram, room, &f->layer);
  for (int32_t h = 0; h < layer->heads; ++h)
    measure(&heads[h], layer->rank, &a->heads[h], gram, error_gram, room, &f->heads[h]);
  status = smla_layer_attend(settings, layer, f, kv, page_stride, pages);
out:
  free(error);
  free(error_gram);
  free(latent);
  free(rope);
  free(kv);
  return status;
}

/* The scale of a cache that has one: its largest number on e4m3's largest, as calibration has it. */
static float scale_for(const smla_settings *settings, const smla_layer *l) {
  float largest = 0;
  if (settings->kv_scale > 0) return (float)settings->kv_scale;
  for (size_t i = 0; i < (size_t)l->tokens * (size_t)l->rank; ++i)
    largest = fmaxf(largest, fabsf(smla_widen_bf16(l->latent[i])));
  for (size_t i = 0; i < (size_t)l->tokens * (size_t)l->rope; ++i)
    largest = fmaxf(largest, fabsf(smla_widen_bf16(l->rope_rows[i])));
  return largest > 0 ? largest / 448 : 1;
}

static snapmla_status list_formats(const smla_settings *settings, const smla_layer *l, smla_analysis *a) {
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.heads = l->heads;
  problem.latent_rank = l->rank;
  problem.rope_dim = l->rope;
  problem.max_batch = l->queries;
  problem.max_context = l->tokens;
  snapmla_status first = SNAPMLA_OK;
  for (int k = 0; snapmla_kv_format_name((snapmla_kv_format)k) && a->format_count < SMLA_ANALYZE_FORMATS; ++k) {
    const char *name = snapmla_kv_format_name((snapmla_kv_format)k);
    if (settings->format && strcmp(settings->format, name)) continue;
    problem.kv_format = (snapmla_kv_format)k;
    smla_format_errors *f = &a->formats[a->format_count];
    for (int level = 0; snapmla_accuracy_name((snapmla_accuracy)level) && f->levels < SMLA_ANALYZE_LEVELS; ++level) {
      problem.accuracy = (snapmla_accuracy)level;
      snapmla_status status = snapmla_problem_check(&problem);
      if (status && !first) first = smla_library_status(status);
      if (!status) f->level[f->levels++] = (snapmla_accuracy)level;
    }
    if (!f->levels) continue;
    f->problem = problem;
    f->problem.accuracy = f->level[0];
    f->kv_scale = scale_for(settings, l);
    ++a->format_count;
  }
  if (a->format_count) return SNAPMLA_OK;
  return first ? first
               : smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--format %.80s is not known: leave it out for all",
                                   settings->format ? settings->format : "");
}

snapmla_status smla_layer_analyze(const smla_settings *settings, const smla_layer *layer, smla_analysis *out) {
  size_t rank = (size_t)layer->rank, per_head = (size_t)(layer->content + layer->value);
  view whole = {.columns = layer->heads * (layer->content + layer->value),
                .key_columns = layer->heads * layer->content};
  view *heads = calloc((size_t)layer->heads, sizeof *heads);
  double *exact = malloc((size_t)layer->tokens * rank * sizeof *exact), *gram = NULL, *sorted = keys_first(layer);
  size_t columns = (size_t)whole.columns > rank ? (size_t)whole.columns : rank;
  double *room = malloc(columns * rank * sizeof *room);
  *out = (smla_analysis){0};
  out->heads = calloc((size_t)layer->heads, sizeof *out->heads);
  snapmla_status status = smla_lapack_open();
  if (!status && (!heads || !exact || !sorted || !room || !out->heads)) status = out_of_memory(layer);
  if (!status) status = list_formats(settings, layer, out);
  if (status) goto out;
  for (size_t i = 0; i < (size_t)layer->tokens * rank; ++i) exact[i] = (double)smla_widen_bf16(layer->latent[i]);
  gram = gram_of(layer, exact);
  if (!gram) {
    status = out_of_memory(layer);
    goto out;
  }
  whole.w = sorted;
  status = examine(layer, &whole, gram, &out->layer);
  for (int32_t h = 0; !status && h < layer->heads; ++h) {
    heads[h] =
        (view){.w = layer->up + (size_t)h * per_head * rank, .columns = (int)per_head, .key_columns = layer->content};
    status = examine(layer, &heads[h], gram, &out->heads[h]);
    smla_console_progress("layer %" PRId32 ": head %" PRId32 " of %" PRId32, layer->number, h + 1, layer->heads);
  }
  for (int i = 0; !status && i < out->format_count; ++i)
    status = analyze_format(settings, layer, &whole, heads, gram, room, out, &out->formats[i]);
out:
  for (int32_t h = 0; heads && h < layer->heads; ++h) free(heads[h].basis);
  free(whole.basis);
  free(heads);
  free(exact);
  free(gram);
  free(sorted);
  free(room);
  return status;
}

void smla_analysis_free(smla_analysis *analysis) {
  for (int i = 0; i < SMLA_ANALYZE_FORMATS; ++i) {
    free(analysis->formats[i].heads);
    for (int level = 0; level < SMLA_ANALYZE_LEVELS; ++level) free(analysis->formats[i].attention_heads[level]);
  }
  free(analysis->heads);
  *analysis = (smla_analysis){0};
}

int smla_analysis_recommend(const smla_analysis *analysis, double budget, int *format, int *level) {
  int found = 0;
  for (int f = 0; f < analysis->format_count; ++f)
    for (int v = 0; v < analysis->formats[f].levels; ++v) {
      if (!(analysis->formats[f].attention[v] <= budget)) continue;
      double bytes = analysis->formats[f].bytes_per_token;
      if (found && bytes >= analysis->formats[*format].bytes_per_token) continue;
      *format = f;
      *level = v;
      found = 1;
    }
  return !found;
}
