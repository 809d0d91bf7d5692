/* A cache of random tokens, written by the library's own append. The same few thousand tokens repeat, so that filling
 * gigabytes takes seconds. */
#include <stdlib.h>

#include "decode.h"
#include "narrow_float.h"
#include "status.h"

enum { SOURCE_TOKENS = 4096 };

static float next_value(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  /* the sum of four uniform numbers: near enough to a normal one */
  float sum = 0;
  for (int i = 0; i < 4; i++) sum += (float)((*state >> (8 + 12 * i)) & 0xfff) / 4096 - 0.5f;
  return 1.7f * sum;
}

/* Random bf16 into new device memory. */
static snapmla_status random_rows(bench *b, size_t count, uint64_t seed, bench_memory *out) {
  uint16_t *values = malloc(count * sizeof *values);
  if (!values) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu random numbers", count);
  uint64_t state = seed;
  for (size_t i = 0; i < count; i++) values[i] = smla_bf16_from_float(next_value(&state));
  snapmla_status status = bench_memory_open(b, count * sizeof *values, out);
  if (!status) status = b->device->ops->copy_in(b->device, out->pointer, values, count * sizeof *values);
  free(values);
  return status;
}

/* Tokens first .. first + count of the cache. */
static snapmla_status append(bench *b, snapmla_plan *plan, snapmla_append_args *args, const bench_memory *slots,
                             int64_t first, int64_t count) {
  int64_t numbers[SOURCE_TOKENS];
  for (int64_t i = 0; i < count; i++) numbers[i] = first + i;
  snapmla_status status = b->device->ops->copy_in(b->device, slots->pointer, numbers, (size_t)count * sizeof *numbers);
  args->tokens = count;
  if (!status) status = snapmla_plan_append(plan, args);
  return status ? status : b->device->ops->stream_synchronize(b->device, b->stream);
}

snapmla_status cache_open(bench *b, snapmla_kv_format format, int64_t pages, cache *out) {
  bench_memory latent = {0}, rope = {0}, slots = {0};
  snapmla_plan *plan = NULL;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.kv_format = format;
  const int64_t page_bytes = format_page_bytes(format);
  *out = (cache){.count = pages};
  snapmla_status status = snapmla_plan_create(b->context, &problem, NULL, &plan);
  if (!status) status = bench_memory_open(b, (size_t)(pages * page_bytes), &out->pages);
  if (!status) status = random_rows(b, (size_t)SOURCE_TOKENS * LATENT, 11, &latent);
  if (!status) status = random_rows(b, (size_t)SOURCE_TOKENS * ROPE, 12, &rope);
  if (!status) status = bench_memory_open(b, SOURCE_TOKENS * sizeof(int64_t), &slots);
  snapmla_append_args args = {.size = sizeof args,
                              .latent = latent.pointer,
                              .latent_stride = LATENT,
                              .rope = rope.pointer,
                              .rope_stride = ROPE,
                              .slot_mapping = (const int64_t *)(void *)slots.pointer,
                              .kv = out->pages.pointer,
                              .page_stride = page_bytes,
                              .num_pages = pages,
                              .stream = b->stream};
  for (int64_t first = 0; first < pages * PAGE_TOKENS && !status; first += SOURCE_TOKENS) {
    int64_t left = pages * PAGE_TOKENS - first;
    status = append(b, plan, &args, &slots, first, left < SOURCE_TOKENS ? left : SOURCE_TOKENS);
  }
  bench_memory_close(b, &latent);
  bench_memory_close(b, &rope);
  bench_memory_close(b, &slots);
  snapmla_plan_destroy(plan);
  return status;
}

void cache_close(bench *b, cache *c) { bench_memory_close(b, &c->pages); }
