#include "workload.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "library.h"

enum { STREAM_SHUFFLE = 1, STREAM_GARBAGE = 2 };

snapmla_status smla_memory_check(const char *what, int64_t bytes) {
  long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGE_SIZE);
  int64_t memory;
  if (pages <= 0 || page_bytes <= 0 || __builtin_mul_overflow((int64_t)pages, (int64_t)page_bytes, &memory))
    return SNAPMLA_OK;
  if (bytes <= memory) return SNAPMLA_OK;
  return smla_console_fail(SNAPMLA_OUT_OF_MEMORY,
                           "%s would need %.1f GB, this machine has %.1f GB: give fewer requests or shorter ones", what,
                           (double)bytes * 1e-9, (double)memory * 1e-9);
}

static int64_t pages_of(const smla_workload *work, int32_t request) {
  int64_t page = work->problem.page_tokens;
  return (work->lengths.items[request] + page - 1) / page;
}

/* Deals the pages out in a shuffled order; what lies past a length is garbage, most of it no page at all. */
static void fill_table(smla_workload *work, int32_t *order, uint64_t seed) {
  int64_t next = 0;
  for (int64_t i = 0; i < work->num_pages; ++i) order[i] = (int32_t)i;
  for (int64_t i = work->num_pages - 1; i > 0; --i) {
    int64_t j = (int64_t)(smla_data_bits(seed, STREAM_SHUFFLE, (uint64_t)i) % (uint64_t)(i + 1));
    int32_t kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    int32_t *row = work->block_table + b * work->table_stride;
    for (int64_t i = 0; i < work->table_stride; ++i)
      row[i] = i < pages_of(work, b)
                   ? order[next++]
                   : (int32_t)smla_data_bits(seed, STREAM_GARBAGE, (uint64_t)(b * work->table_stride + i));
  }
}

snapmla_status smla_workload_place(smla_workload *work, uint64_t seed) {
  int64_t used = 0, widest = 0, table_bytes, cache_bytes;
  snapmla_status status = SNAPMLA_OK;
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    int64_t pages = pages_of(work, b);
    used += pages; /* at most 2^24 requests of 2^31 tokens */
    if (pages > widest) widest = pages;
  }
  work->page_stride = work->layout.page_bytes;
  work->num_pages = used + used / 16 + 1; /* some pages stay unused, that is, poisoned */
  work->table_stride = widest + 1;
  if (work->num_pages > INT32_MAX || __builtin_mul_overflow(work->num_pages, work->page_stride, &cache_bytes) ||
      __builtin_mul_overflow(work->table_stride * (int64_t)sizeof(int32_t), (int64_t)work->lengths.count, &table_bytes))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "the requests need %" PRId64
                             " pages, a cache has at most %d: give fewer requests or shorter ones",
                             work->num_pages, INT32_MAX);
  if (work->problem.max_indices && work->num_pages * work->problem.page_tokens > INT32_MAX)
    return smla_console_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "the requests need %" PRId64
        " pages of %d tokens, --sparse names at most 2^31 - 1 tokens: give fewer requests or shorter ones",
        work->num_pages, work->problem.page_tokens);
  status = smla_memory_check("the block table", table_bytes + work->num_pages * (int64_t)sizeof(int32_t));
  if (status) return status;
  int32_t *order = malloc((size_t)work->num_pages * sizeof *order);
  work->block_table = malloc((size_t)table_bytes);
  if (order && work->block_table)
    fill_table(work, order, seed);
  else
    status =
        smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %" PRId64 " bytes for the block table", table_bytes);
  free(order);
  return status;
}

smla_data smla_workload_data(const smla_settings *settings, smla_data otherwise) {
  if (settings->data >= 0) otherwise.kind = (smla_data_kind)settings->data;
  if (!isnan(settings->sigma)) otherwise.sigma = settings->sigma;
  if (!isnan(settings->value_offset)) otherwise.value_offset = settings->value_offset;
  return otherwise;
}

void smla_workload_set_data(smla_workload *work, const smla_settings *settings) {
  const snapmla_problem *p = &work->problem;
  double scale = isnan(settings->softmax_scale) ? 1 / sqrt(128.0 + p->rope_dim) : settings->softmax_scale;
  work->softmax_scale = scale;
  work->kv_scale = (float)settings->kv_scale;
  work->data.seed = settings->seed;
  work->data.softmax_scale = scale;
  work->data.heads = p->heads;
  work->data.q_len = p->q_len;
  work->data.latent_rank = p->latent_rank;
  work->data.rope_dim = p->rope_dim;
}

snapmla_status smla_workload_synthetic(const smla_settings *settings, smla_lengths *lengths, smla_data data,
                                       smla_workload *out) {
  *out = (smla_workload){.lengths = *lengths, .steps = settings->steps ? settings->steps : 1, .data = data};
  *lengths = (smla_lengths){0};
  snapmla_status status = smla_problem_read(settings, &out->lengths, &out->problem);
  if (!status) status = smla_problem_verify(&out->problem);
  if (!status) {
    out->layout.size = sizeof out->layout;
    status = smla_library_status(snapmla_page_layout_get(&out->problem, &out->layout));
  }
  if (!status) {
    smla_workload_set_data(out, settings);
    out->value_offset = data.value_offset;
    status = smla_workload_place(out, settings->seed);
  }
  if (status) smla_workload_free(out);
  return status;
}

void smla_workload_free(smla_workload *work) {
  smla_lengths_free(&work->lengths);
  free(work->block_table);
  free(work->q_nope);
  free(work->q_rope);
  free(work->latent);
  free(work->rope);
  free(work->first_row);
  free(work->kv);
  for (size_t i = 0; i < work->metadata_count; ++i) {
    free(work->metadata[i].key);
    free(work->metadata[i].value);
  }
  free(work->metadata);
  *work = (smla_workload){0};
}

int32_t smla_workload_length(const smla_workload *work, int32_t step, int32_t request) {
  int64_t later = (int64_t)(work->steps - 1 - step) * work->problem.q_len;
  int64_t length = work->lengths.items[request] - later;
  return length < 0 ? 0 : (int32_t)length;
}

int64_t smla_workload_slot(const smla_workload *work, int32_t request, int32_t token) {
  int64_t page = work->problem.page_tokens;
  return work->block_table[request * work->table_stride + token / page] * page + token % page;
}

void smla_workload_token(const smla_workload *work, int32_t request, int32_t token, uint16_t *latent, uint16_t *rope) {
  size_t rank = (size_t)work->problem.latent_rank, dim = (size_t)work->problem.rope_dim;
  if (!work->latent) {
    smla_data_token(&work->data, request, token, latent, rope);
    return;
  }
  size_t row = (size_t)(work->first_row[request] + token);
  memcpy(latent, work->latent + row * rank, rank * sizeof *latent);
  if (dim) memcpy(rope, work->rope + row * dim, dim * sizeof *rope);
}

void smla_workload_query(const smla_workload *work, int32_t step, int32_t request, uint16_t *nope, uint16_t *rope) {
  size_t rows = (size_t)work->problem.q_len * (size_t)work->problem.heads;
  size_t rank = rows * (size_t)work->problem.latent_rank, dim = rows * (size_t)work->problem.rope_dim;
  if (!work->q_nope) {
    smla_data_query(&work->data, step, request, nope, rope);
    return;
  }
  memcpy(nope, work->q_nope + (size_t)request * rank, rank * sizeof *nope);
  if (dim) memcpy(rope, work->q_rope + (size_t)request * dim, dim * sizeof *rope);
}

void smla_workload_sinks(const smla_workload *work, float sinks[SMLA_MOST_HEADS]) {
  for (int32_t h = 0; h < work->problem.heads; ++h)
    sinks[h] = h % 4 == 3 ? -INFINITY : (float)(log(work->problem.max_context) + h % 4 - 1);
}

int64_t smla_workload_bytes(const smla_workload *work) {
  const snapmla_problem *p = &work->problem;
  int64_t images = 0, image_tokens = work->layout.image_tokens;
  int64_t rows = (int64_t)work->lengths.count * p->q_len * p->heads, chosen = 0;
  int64_t row_bytes = (int64_t)sizeof(uint16_t) * (2 * p->latent_rank + p->rope_dim) + (int64_t)sizeof(float);
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    images += (work->lengths.items[b] + image_tokens - 1) / image_tokens;
    for (int32_t q = 0; q < p->q_len; ++q) chosen += smla_workload_count(work, work->steps - 1, b, q);
  }
  int64_t cache =
      p->max_indices ? (int64_t)((double)chosen * work->layout.bytes_per_token) : images * work->layout.image_bytes;
  return cache + rows * row_bytes;
}
