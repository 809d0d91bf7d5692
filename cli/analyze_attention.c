/* A layer's rows in a cache of a format, and what attention on it returns: the oracle, with and without that format. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/reference.h>

#include "analyze.h"
#include "console.h"
#include "library.h"
#include "narrow.h"

snapmla_status smla_layer_store(const smla_layer *layer, const smla_format_errors *format, float **latent, float **rope,
                                void **kv, int64_t *page_stride, int64_t *num_pages) {
  const snapmla_problem *p = &format->problem;
  snapmla_page_layout layout = {.size = sizeof layout};
  snapmla_status status = smla_library_status(snapmla_page_layout_get(p, &layout));
  if (status) return status;
  size_t tokens = (size_t)layer->tokens;
  *num_pages = (layer->tokens + p->page_tokens - 1) / p->page_tokens;
  *page_stride = layout.page_bytes;
  *kv = aligned_alloc(128, (size_t)(*num_pages * *page_stride));
  *latent = malloc(tokens * (size_t)layer->rank * sizeof **latent);
  *rope = malloc(tokens * (size_t)layer->rope * sizeof **rope);
  if (!*kv || !*latent || !*rope)
    return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for its cache", layer->number);
  memset(*kv, 255, (size_t)(*num_pages * *page_stride));
  snapmla_cache cache = {.size = sizeof cache,
                         .kv = *kv,
                         .page_stride = *page_stride,
                         .num_pages = *num_pages,
                         .kv_scale = format->kv_scale};
  for (size_t t = 0; !status && t < tokens; ++t) {
    status = snapmla_cache_write(p, &cache, (int64_t)t, layer->latent + t * (size_t)layer->rank,
                                 layer->rope_rows + t * (size_t)layer->rope);
    if (!status)
      status =
          snapmla_cache_read(p, &cache, (int64_t)t, *latent + t * (size_t)layer->rank, *rope + t * (size_t)layer->rope);
  }
  return smla_library_status(status);
}

/* Values of attention [queries, heads, value] from latents [queries, heads, rank]. */
static void up_project(const smla_layer *l, const double *latent, double *out) {
  size_t rank = (size_t)l->rank, per_head = (size_t)(l->content + l->value) * rank;
  for (size_t row = 0; row < (size_t)l->queries * (size_t)l->heads; ++row) {
    const double *w = l->up + row % (size_t)l->heads * per_head + (size_t)l->content * rank, *x = latent + row * rank;
    for (size_t i = 0; i < (size_t)l->value; ++i) {
      double sum = 0;
      for (size_t c = 0; c < rank; ++c) sum += x[c] * w[i * rank + c];
      out[row * (size_t)l->value + i] = sum;
    }
  }
}

/* Relative L2 of all heads, and of each. */
static double compare(const smla_layer *l, const double *got, const double *exact, double *heads) {
  double lost = 0, norm = 0;
  for (size_t h = 0; h < (size_t)l->heads; ++h) {
    double head_lost = 0, head_norm = 0;
    for (size_t q = 0; q < (size_t)l->queries; ++q)
      for (size_t i = 0; i < (size_t)l->value; ++i) {
        size_t at = (q * (size_t)l->heads + h) * (size_t)l->value + i;
        head_lost += (got[at] - exact[at]) * (got[at] - exact[at]);
        head_norm += exact[at] * exact[at];
      }
    heads[h] = head_lost > 0 ? sqrt(head_lost / head_norm) : 0;
    lost += head_lost;
    norm += head_norm;
  }
  return lost > 0 ? sqrt(lost / norm) : 0;
}

/* The levels that round P to e4m3 are known to the oracle; the finer ones are shown as if P were exact: what they add is within their
 * limits of docs/accuracy.md. */
static snapmla_reference_mode mode_of(snapmla_accuracy level) {
  return level == SNAPMLA_ACCURACY_FAST ? SNAPMLA_REFERENCE_ROUNDED_P : SNAPMLA_REFERENCE_QUANTIZED;
}

snapmla_status smla_layer_attend(const smla_settings *settings, const smla_layer *layer, smla_format_errors *format,
                                 const void *kv, int64_t page_stride, int64_t num_pages) {
  size_t queries = (size_t)layer->queries, heads = (size_t)layer->heads, rank = (size_t)layer->rank,
         rows = (size_t)layer->tokens, entries = (size_t)num_pages;
  double *out = malloc(queries * heads * rank * sizeof *out),
         *exact = malloc(queries * heads * (size_t)layer->value * sizeof *exact),
         *got = malloc(queries * heads * (size_t)layer->value * sizeof *got);
  float *latent = malloc(rows * rank * sizeof *latent), *rope = malloc(rows * (size_t)layer->rope * sizeof *rope);
  int32_t *table = malloc(queries * entries * sizeof *table), *lengths = malloc(queries * sizeof *lengths);
  int64_t *row_of = calloc(queries, sizeof *row_of);
  snapmla_page_layout layout = {.size = sizeof layout};
  snapmla_status status = SNAPMLA_OK;
  if (!out || !exact || !got || !latent || !rope || !table || !lengths || !row_of)
    status =
        smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for its attention", layer->number);
  if (!status) status = smla_library_status(snapmla_page_layout_get(&format->problem, &layout));
  if (status) goto out;
  format->bytes_per_token = layout.bytes_per_token;
  for (size_t i = 0; i < rows * rank; ++i) latent[i] = smla_widen_bf16(layer->latent[i]);
  for (size_t i = 0; i < rows * (size_t)layer->rope; ++i) rope[i] = smla_widen_bf16(layer->rope_rows[i]);
  for (size_t i = 0; i < queries * entries; ++i) table[i] = (int32_t)(i % entries);
  for (size_t i = 0; i < queries; ++i) lengths[i] = layer->tokens;
  int64_t per_head = layer->rank, rope_head = layer->rope;
  snapmla_decode_args args = {
      .size = sizeof args,
      .batch = layer->queries,
      .q_nope = layer->q_nope,
      .q_nope_stride_batch = layer->heads * per_head,
      .q_nope_stride_token = layer->heads * per_head,
      .q_nope_stride_head = per_head,
      .q_rope = layer->q_rope,
      .q_rope_stride_batch = layer->heads * rope_head,
      .q_rope_stride_token = layer->heads * rope_head,
      .q_rope_stride_head = rope_head,
      .kv = kv,
      .page_stride = page_stride,
      .num_pages = num_pages,
      .block_table = table,
      .block_table_stride = num_pages,
      .seqlens = lengths,
      .softmax_scale =
          (float)(isnan(settings->softmax_scale) ? 1 / sqrt(layer->content + layer->rope) : settings->softmax_scale),
      .kv_scale = format->kv_scale,
  };
  status =
      smla_library_status(snapmla_reference_decode_dense(&format->problem, &args, latent, rope, row_of, out, NULL));
  if (status) goto out;
  up_project(layer, out, exact);
  for (int v = 0; v < format->levels; ++v) {
    snapmla_problem problem = format->problem;
    problem.accuracy = format->level[v];
    format->attention_heads[v] = calloc(heads, sizeof *format->attention_heads[v]);
    if (!format->attention_heads[v]) {
      status =
          smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "layer %" PRId32 ": out of memory for its heads", layer->number);
      goto out;
    }
    status = smla_library_status(snapmla_reference_decode(&problem, &args, mode_of(format->level[v]), out, NULL));
    if (status) goto out;
    up_project(layer, out, got);
    format->attention[v] = compare(layer, got, exact, format->attention_heads[v]);
  }
out:
  free(out);
  free(exact);
  free(got);
  free(latent);
  free(rope);
  free(table);
  free(lengths);
  free(row_of);
  return status;
}
