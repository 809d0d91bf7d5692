#include "trial_call.h"

#include <stdlib.h>
#include <string.h>

#include "size.h"
#include "status.h"

enum { BF16 = 2 };

/* splitmix64: https://prng.di.unimi.it/splitmix64.c */
static uint64_t bits_of(uint64_t seed, uint64_t index) {
  uint64_t z = seed * UINT64_C(0xd1342543de82ef95) + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* The sum of four uniform numbers, scaled: near enough to normal. */
float smla_trial_normal(uint64_t seed, uint64_t index) {
  uint64_t bits = bits_of(seed, index);
  int32_t sum = 0;
  for (int i = 0; i < 4; i++) sum += (int32_t)((bits >> (16 * i)) & 0xffff) - 0x8000;
  return (float)sum * (1.7320508f / 65536.0f);
}

uint16_t smla_trial_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

int32_t *smla_trial_shuffle(uint64_t seed, int32_t count) {
  int32_t *items = malloc((size_t)(count ? count : 1) * sizeof *items);
  if (!items) {
    smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a page table of %d pages", count);
    return NULL;
  }
  for (int32_t i = 0; i < count; i++) items[i] = i;
  for (int32_t i = count - 1; i > 0; i--) {
    int32_t k = (int32_t)(bits_of(seed, (uint64_t)i) % (uint64_t)(i + 1)), kept = items[i];
    items[i] = items[k];
    items[k] = kept;
  }
  return items;
}

unsigned char *smla_trial_pages(const snapmla_problem *problem, const snapmla_page_layout *layout, uint64_t seed,
                                int32_t count) {
  size_t bytes = (size_t)layout->page_bytes * (size_t)count;
  uint16_t *latent = malloc((size_t)problem->latent_rank * BF16), *rope = malloc((size_t)problem->rope_dim * BF16);
  unsigned char *pages = aligned_alloc(128, bytes);
  if (!latent || !rope || !pages) {
    smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %d pages", count);
    goto failed;
  }
  memset(pages, 0xff, bytes);
  for (int64_t slot = 0; slot < (int64_t)count * problem->page_tokens; slot++) {
    uint64_t first = (uint64_t)slot * 1024;
    for (int32_t c = 0; c < problem->latent_rank; c++)
      latent[c] = smla_trial_bf16(smla_trial_normal(seed, first + (uint64_t)c));
    for (int32_t c = 0; c < problem->rope_dim; c++)
      rope[c] = smla_trial_bf16(smla_trial_normal(seed, first + 768 + (uint64_t)c));
    if (snapmla_page_write(problem, pages, layout->page_bytes, count, slot, latent, rope)) goto failed;
  }
  free(latent);
  free(rope);
  return pages;
failed:
  free(latent);
  free(rope);
  free(pages);
  return NULL;
}

uint16_t *smla_trial_query(const snapmla_problem *problem, uint64_t seed, int32_t batch, size_t *bytes) {
  int64_t row = problem->latent_rank + problem->rope_dim;
  int64_t count = (int64_t)batch * problem->q_len * problem->heads * row;
  *bytes = (size_t)count * BF16;
  uint16_t *query = malloc(*bytes ? *bytes : 1);
  if (!query) {
    smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a query");
    return NULL;
  }
  for (int64_t i = 0; i < count; i++) query[i] = smla_trial_bf16(smla_trial_normal(seed, (uint64_t)i));
  return query;
}

void smla_trial_sinks(int32_t heads, float sinks[SMLA_TRIAL_MOST_HEADS]) {
  for (int32_t h = 0; h < heads; h++) sinks[h] = 5.0f + smla_trial_normal(4711, (uint64_t)h);
}

int32_t smla_trial_lists(const snapmla_problem *problem, int32_t batch) {
  return problem->max_indices ? batch * problem->q_len : batch;
}

void smla_trial_args(const snapmla_problem *problem, const snapmla_page_layout *layout, int32_t batch, int64_t pages,
                     int64_t entries, snapmla_decode_args *args) {
  int64_t row = problem->latent_rank + problem->rope_dim, heads = problem->heads, tokens = problem->q_len;
  *args = (snapmla_decode_args){
      .size = sizeof *args,
      .batch = batch,
      .q_nope_stride_head = row,
      .q_nope_stride_token = row * heads,
      .q_nope_stride_batch = row * heads * tokens,
      .q_rope_stride_head = row,
      .q_rope_stride_token = row * heads,
      .q_rope_stride_batch = row * heads * tokens,
      .page_stride = layout->page_bytes,
      .num_pages = pages,
      .block_table_stride = problem->max_indices ? 0 : entries,
      .indices_stride_token = problem->max_indices ? entries : 0,
      .indices_stride_batch = problem->max_indices ? entries * tokens : 0,
      .out_stride_head = problem->latent_rank,
      .out_stride_token = problem->latent_rank * heads,
      .out_stride_batch = problem->latent_rank * heads * tokens,
      .lse_stride_token = 1,
      .lse_stride_head = tokens,
      .lse_stride_batch = tokens * heads,
      .softmax_scale = 0.0721687836f / 1.7f, /* 1 / sqrt(192), and logits of deviation near 1 */
  };
}

snapmla_status smla_trial_call_create(snapmla_context *context, const snapmla_problem *problem,
                                      const snapmla_decode_args *args, int64_t tables, smla_trial_call *out) {
  smla_trial_call call = {.args = *args};
  size_t batch = (size_t)args->batch, rows = batch * (size_t)problem->q_len * (size_t)problem->heads;
  size_t lists = (size_t)smla_trial_lists(problem, args->batch);
  size_t entries = (size_t)(problem->max_indices ? args->indices_stride_token : args->block_table_stride);
  size_t bytes[SMLA_TRIAL_BUFFERS] = {
      [SMLA_TRIAL_Q] = rows * (size_t)(problem->latent_rank + problem->rope_dim) * BF16,
      [SMLA_TRIAL_TABLE] = (size_t)tables * lists * entries * sizeof(int32_t),
      [SMLA_TRIAL_LENGTHS] = lists * sizeof(int32_t),
      [SMLA_TRIAL_SINKS] = problem->flags & SNAPMLA_PROBLEM_SINKS ? (size_t)problem->heads * sizeof(float) : 0,
      [SMLA_TRIAL_OUT] = rows * (size_t)problem->latent_rank * BF16,
      [SMLA_TRIAL_LSE] = rows * sizeof(float),
  };
  snapmla_status status =
      smla_size_multiply("a trial's cache", (size_t)args->num_pages, (size_t)args->page_stride, &bytes[SMLA_TRIAL_KV]);
  for (int i = 0; i < SMLA_TRIAL_WORKSPACE && !status; i++)
    status = smla_guarded_create(context, bytes[i], &call.buffers[i]);
  float sinks[SMLA_TRIAL_MOST_HEADS];
  smla_trial_sinks(problem->heads, sinks);
  if (!status && problem->flags & SNAPMLA_PROBLEM_SINKS)
    status = smla_guarded_write(&call.buffers[SMLA_TRIAL_SINKS], 0, sinks, bytes[SMLA_TRIAL_SINKS]);
  if (status) {
    smla_trial_call_destroy(&call);
    return status;
  }
  call.args.q_nope = call.buffers[SMLA_TRIAL_Q].pointer;
  call.args.q_rope = (const uint16_t *)call.buffers[SMLA_TRIAL_Q].pointer + problem->latent_rank;
  call.args.kv = call.buffers[SMLA_TRIAL_KV].pointer;
  if (problem->max_indices) {
    call.args.indices = call.buffers[SMLA_TRIAL_TABLE].pointer;
    call.args.index_counts = call.buffers[SMLA_TRIAL_LENGTHS].pointer;
  } else {
    call.args.block_table = call.buffers[SMLA_TRIAL_TABLE].pointer;
    call.args.seqlens = call.buffers[SMLA_TRIAL_LENGTHS].pointer;
  }
  if (problem->flags & SNAPMLA_PROBLEM_SINKS) call.args.sinks = call.buffers[SMLA_TRIAL_SINKS].pointer;
  call.args.out = call.buffers[SMLA_TRIAL_OUT].pointer;
  call.args.lse = call.buffers[SMLA_TRIAL_LSE].pointer;
  *out = call;
  return SNAPMLA_OK;
}

snapmla_status smla_trial_call_workspace(snapmla_context *context, const snapmla_plan *plan, smla_trial_call *call) {
  smla_guarded *w = &call->buffers[SMLA_TRIAL_WORKSPACE];
  size_t bytes = snapmla_plan_workspace_bytes(plan);
  if (!w->buffer || w->bytes != bytes) { /* exactly, so that the guards are where the plan's workspace ends */
    smla_guarded_destroy(w);
    snapmla_status status = smla_guarded_create(context, bytes, w);
    if (status) return status;
  }
  call->args.workspace = w->pointer;
  call->args.workspace_bytes = bytes;
  return SNAPMLA_OK;
}

void smla_trial_call_destroy(smla_trial_call *call) {
  for (int i = 0; i < SMLA_TRIAL_BUFFERS; i++) smla_guarded_destroy(&call->buffers[i]);
}
