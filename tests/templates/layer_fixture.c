#include "layer_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "env.h"

enum { DEFAULT_SMS = 8 };

static void *array(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size);
  assert_non_null(p);
  return p;
}

void *layer_device_upload(layer_device *d, const void *data, size_t bytes) {
  assert_true(d->buffer_count < LAYER_BUFFERS);
  snapmla_buffer **buffer = &d->buffers[d->buffer_count++];
  must(snapmla_buffer_create(d->context, bytes ? bytes : 16, buffer));
  if (data && bytes) must(snapmla_buffer_write(*buffer, 0, data, bytes));
  return snapmla_buffer_pointer(*buffer);
}

/* Pages of a request lie apart and out of order; entries past a length are garbage. */
static void make_table(layer_device *d) {
  const layer_case *c = d->host;
  int32_t page = c->problem.attention.page_tokens, longest = 0;
  for (int32_t b = 0; b < c->batch; b++)
    if (c->lengths[b] > longest) longest = c->lengths[b];
  d->pages_per_request = longest / page + 2;
  d->num_pages = c->batch * d->pages_per_request;
  d->block_table = array((size_t)d->num_pages, sizeof *d->block_table);
  d->slots = array((size_t)c->tokens, sizeof *d->slots);
  for (int32_t b = 0; b < c->batch; b++) {
    int32_t *table = d->block_table + b * d->pages_per_request;
    for (int32_t i = 0; i < d->pages_per_request; i++)
      table[i] = i * page < c->lengths[b] ? (int32_t)(d->num_pages - 1 - (i * c->batch + b)) : -77777;
    for (int32_t t = 0; t < c->lengths[b]; t++) d->slots[c->row_of[b] + t] = (int64_t)table[t / page] * page + t % page;
  }
}

snapmla_buffer *layer_device_buffer(const layer_device *d, const void *pointer) {
  for (int i = 0; i < d->buffer_count; i++)
    if (snapmla_buffer_pointer(d->buffers[i]) == pointer) return d->buffers[i];
  fail_msg("no buffer is at %p", pointer);
  return NULL;
}

static void rewrite(layer_device *d, const void *pointer, const void *data, size_t bytes) {
  must(snapmla_buffer_write(layer_device_buffer(d, pointer), 0, data, bytes));
}

void layer_device_set_lengths(layer_device *d, const int32_t *lengths) {
  layer_case *c = d->host;
  const snapmla_problem *p = &c->problem.attention;
  size_t queries = (size_t)(c->batch * p->q_len), rank = (size_t)p->latent_rank, dim = (size_t)p->rope_dim;
  uint16_t *latent = array(queries * rank, 2), *rope = array(queries * dim, 2);
  int64_t *slots = array(queries, sizeof *slots);
  for (int32_t b = 0; b < c->batch; b++) c->lengths[b] = lengths[b];
  for (size_t t = 0; t < queries; t++) {
    int32_t b = (int32_t)t / p->q_len, at = c->lengths[b] - p->q_len + (int32_t)t % p->q_len;
    c->positions[t] = at < 0 ? 0 : at;
    slots[t] = at < 0 ? -1 : d->slots[c->row_of[b] + at];
    if (at < 0) continue;
    memcpy(latent + t * rank, c->latent + (size_t)(c->row_of[b] + at) * rank, rank * 2);
    memcpy(rope + t * dim, c->rope + (size_t)(c->row_of[b] + at) * dim, dim * 2);
  }
  rewrite(d, d->args.latent, latent, queries * rank * 2);
  rewrite(d, d->args.rope, rope, queries * dim * 2);
  rewrite(d, d->args.slot_mapping, slots, queries * sizeof *slots);
  rewrite(d, d->args.positions, c->positions, queries * sizeof *c->positions);
  rewrite(d, d->args.decode.seqlens, c->lengths, (size_t)c->batch * sizeof *c->lengths);
  free(latent), free(rope), free(slots);
}

static void fill_args(layer_device *d) {
  layer_case *c = d->host;
  const snapmla_problem *p = &c->problem.attention;
  size_t queries = (size_t)(c->batch * p->q_len);
  snapmla_layer_args *a = &d->args;
  *a = c->args;
  a->q = layer_device_upload(d, c->q, c->q_count * 2);
  a->positions = layer_device_upload(d, NULL, queries * sizeof *c->positions);
  a->latent = layer_device_upload(d, NULL, queries * (size_t)p->latent_rank * 2);
  a->latent_stride = p->latent_rank;
  a->rope = layer_device_upload(d, NULL, queries * (size_t)p->rope_dim * 2);
  a->rope_stride = p->rope_dim;
  a->slot_mapping = layer_device_upload(d, NULL, queries * sizeof *a->slot_mapping);
  a->out_stride_head = c->problem.v_dim;
  a->out_stride_token = (int64_t)layer_case_width(c);
  a->out = layer_device_upload(d, NULL, queries * (size_t)a->out_stride_token * 2);
  a->decode.kv = d->kv;
  a->decode.kv_scale = d->kv_scale;
  a->decode.page_stride = d->page_stride;
  a->decode.num_pages = d->num_pages;
  a->decode.block_table = layer_device_upload(d, d->block_table, (size_t)d->num_pages * sizeof *d->block_table);
  a->decode.block_table_stride = d->pages_per_request;
  a->decode.seqlens = layer_device_upload(d, NULL, (size_t)c->batch * sizeof *c->lengths);
  if (a->decode.sinks)
    a->decode.sinks = layer_device_upload(d, a->decode.sinks, (size_t)p->heads * sizeof *a->decode.sinks);
  a->decode.workspace_bytes = snapmla_layer_plan_workspace_bytes(d->plan);
  a->decode.workspace = layer_device_upload(d, NULL, a->decode.workspace_bytes);
  int32_t lengths[LAYER_CASE_REQUESTS];
  memcpy(lengths, c->lengths, sizeof lengths);
  layer_device_set_lengths(d, lengths);
}

layer_device layer_device_create(layer_case *host, snapmla_emulator_order order, uint64_t seed, const char *variant) {
  return layer_device_create_of(host, order, seed, variant, DEFAULT_SMS);
}

layer_device layer_device_create_of(layer_case *host, snapmla_emulator_order order, uint64_t seed, const char *variant,
                                    int32_t sms) {
  const char *device = smla_env(SMLA_ENV_TEST_TARGET);
  layer_device d = {.host = host,
                    .kv_scale = host->problem.attention.kv_format == SNAPMLA_KV_FP8_TENSOR ? 0.03125f : 0};
  const snapmla_context_options options = {.size = sizeof options,
                                           .device = device ? device : "emulator",
                                           .emulator_order = order,
                                           .emulator_seed = seed,
                                           .emulator_sms = sms};
  must(snapmla_context_create(&options, &d.context));
  const snapmla_plan_options plan_options = {.size = sizeof plan_options, .variant = variant};
  must(snapmla_layer_plan_create(d.context, &host->problem, &plan_options, &d.plan));
  const snapmla_problem *p = &host->problem.attention;
  snapmla_page_layout layout = {.size = sizeof layout};
  must(snapmla_page_layout_get(p, &layout));
  d.page_stride = layout.page_bytes;
  make_table(&d);
  d.kv = layer_device_upload(&d, NULL, (size_t)(d.num_pages * d.page_stride));
  d.kv_buffer = d.buffers[d.buffer_count - 1];
  size_t tokens = (size_t)host->tokens;
  d.latent = layer_device_upload(&d, host->latent, tokens * (size_t)p->latent_rank * 2);
  d.rope = layer_device_upload(&d, host->rope, tokens * (size_t)p->rope_dim * 2);
  d.slot_mapping = layer_device_upload(&d, d.slots, tokens * sizeof *d.slots);
  d.positions = layer_device_upload(&d, host->token_positions, tokens * sizeof *host->token_positions);
  d.weights = host->weights;
  d.weights.kv_b = layer_device_upload(&d, host->kv_b, host->kv_b_bytes);
  d.weights.kv_b_scale = host->kv_b_scale ? layer_device_upload(&d, host->kv_b_scale, host->scale_count * 4) : NULL;
  if (host->o) d.weights.o = layer_device_upload(&d, host->o, host->o_bytes);
  if (host->o_scale) d.weights.o_scale = layer_device_upload(&d, host->o_scale, host->o_scale_count * 4);
  d.weights.norm = layer_device_upload(&d, host->norm, (size_t)p->latent_rank * 2);
  d.weights.rope_table = layer_device_upload(&d, host->table, host->table_count * 4);
  fill_args(&d);
  d.args.weights = NULL; /* the struct moves: set at each call */
  return d;
}

void layer_device_destroy(layer_device *d) {
  for (int i = 0; i < d->buffer_count; i++) snapmla_buffer_destroy(d->buffers[i]);
  snapmla_layer_plan_destroy(d->plan);
  snapmla_context_destroy(d->context);
  free(d->block_table), free(d->slots);
}

void layer_device_append(layer_device *d, int64_t first, int64_t count) {
  const snapmla_problem *p = &d->host->problem.attention;
  const snapmla_layer_append_args args = {.size = sizeof args,
                                          .append = {.size = sizeof args.append,
                                                     .tokens = count,
                                                     .latent = (const uint16_t *)d->latent + first * p->latent_rank,
                                                     .latent_stride = p->latent_rank,
                                                     .rope = (const uint16_t *)d->rope + first * p->rope_dim,
                                                     .rope_stride = p->rope_dim,
                                                     .slot_mapping = (const int64_t *)d->slot_mapping + first,
                                                     .kv = d->kv,
                                                     .page_stride = d->page_stride,
                                                     .num_pages = d->num_pages,
                                                     .kv_scale = d->kv_scale},
                                          .positions = (const int32_t *)d->positions + first,
                                          .weights = &d->weights};
  must(snapmla_layer_append(d->plan, &args));
}

uint16_t *layer_device_step(layer_device *d) {
  const layer_case *c = d->host;
  d->args.weights = &d->weights;
  must(snapmla_layer_schedule(d->plan, &d->args));
  must(snapmla_layer_step(d->plan, &d->args));
  size_t bytes = (size_t)(c->batch * c->problem.attention.q_len * d->args.out_stride_token) * 2;
  uint16_t *out = array(bytes, 1);
  must(snapmla_buffer_read(layer_device_buffer(d, d->args.out), 0, out, bytes));
  return out;
}

void layer_device_cached(const layer_device *d, float **latent, float **rope) {
  const snapmla_problem *p = &d->host->problem.attention;
  size_t bytes = (size_t)(d->num_pages * d->page_stride), tokens = (size_t)d->host->tokens;
  uint8_t *kv = array(bytes, 1);
  must(snapmla_buffer_read(d->kv_buffer, 0, kv, bytes));
  const snapmla_cache cache = {sizeof cache, kv, d->page_stride, d->num_pages, d->kv_scale};
  *latent = array(tokens * (size_t)p->latent_rank, sizeof **latent);
  *rope = array(tokens * (size_t)p->rope_dim, sizeof **rope);
  for (size_t t = 0; t < tokens; t++)
    must(snapmla_cache_read(p, &cache, d->slots[t], *latent + t * (size_t)p->latent_rank,
                            *rope + t * (size_t)p->rope_dim));
  free(kv);
}

double layer_device_distance(const layer_device *d, snapmla_layer_reference how, const uint16_t *out) {
  const layer_case *c = d->host;
  size_t count = (size_t)(c->batch * c->problem.attention.q_len) * layer_case_width(c);
  float *latent, *rope;
  double *expected = array(count, sizeof *expected);
  layer_device_cached(d, &latent, &rope);
  must(snapmla_reference_layer(&c->problem, &c->args, how, latent, rope, c->row_of, expected));
  double error = layer_case_distance(out, expected, count);
  free(latent), free(rope), free(expected);
  return error;
}

void layer_device_make_lists(layer_device *d) {
  const layer_case *c = d->host;
  int32_t most = c->problem.attention.max_indices, queries = c->batch * c->problem.attention.q_len;
  int32_t *entries = malloc((size_t)(queries * most) * sizeof *entries),
          *counts = calloc((size_t)queries, sizeof *counts);
  assert_true(entries && counts);
  for (int32_t i = 0; i < queries * most; i++) entries[i] = -77777;
  for (int32_t t = 0; t < queries; t++)
    for (int32_t b = t / c->problem.attention.q_len, i = t % 2; i < c->lengths[b] && counts[t] < most; i += 2)
      entries[t * most + counts[t]++] = (int32_t)d->slots[c->row_of[b] + i];
  d->args.decode.indices = layer_device_upload(d, entries, (size_t)(queries * most) * sizeof *entries);
  d->args.decode.index_counts = layer_device_upload(d, counts, (size_t)queries * sizeof *counts);
  d->args.decode.indices_stride_token = most;
  d->args.decode.indices_stride_batch = (int64_t)most * c->problem.attention.q_len;
  free(entries), free(counts);
}
