/* Loads that are one unit's: the tensor cores', and memory's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ceiling_read/params.h"
#include "ceiling_wgmma/params.h"
#include "narrow_float.h"
#include "power.h"
#include "status.h"

enum {
  ROWS = 64,
  COLUMNS = 64,
  ROW_BYTES = 128,
  B_TILES = 4,
  GROUPS = 2,
  CLOCKS = 3,
  STEPS = 16,
  STEP_BYTES = 32,
  PAGE_IMAGE = 41216
};

/* Between 0 and 1. */
static float next_uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(*state >> 40) / (1 << 24);
}

static snapmla_status out_of_memory(const char *what) {
  return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %s", what);
}

/* --- tensor cores */

static snapmla_status launch_tensor(void *user) {
  const tensor_load *t = user;
  const struct ceiling_wgmma_params params = {t->operands.pointer, (float *)(void *)t->output.pointer,
                                              (unsigned long long *)(void *)t->clocks.pointer, t->iterations};
  return bench_launch(t->b, &t->kernel, (uint32_t)t->b->info.multiprocessors, 0, &params);
}

/* Content as the decode benchmark's cache and queries have it, uniform and up to e4m3's largest. P is 2^x with x normal of -3.8, by the headroom of
 * references and the largest of a tile, and 2.4, a sigma of 1.67 of natural logarithms (the sum of twelve uniform numbers is nearly normal). */
static uint8_t content(uint64_t *state) { return smla_e4m3_from_float(448 * (2 * next_uniform(state) - 1)); }
static uint8_t probability(uint64_t *state) {
  float normal = -6;
  for (int i = 0; i < 12; i++) normal += next_uniform(state);
  return smla_e4m3_from_float(exp2f(-3.8f + 2.4f * normal));
}

static snapmla_status fill_operands(tensor_load *t, int values, size_t bytes) {
  uint64_t state = 5;
  unsigned char *image = malloc(bytes);
  if (!image) return out_of_memory("operands");
  for (size_t i = 0; i < bytes; i++) image[i] = values && i >= ROWS * ROW_BYTES ? probability(&state) : content(&state);
  snapmla_status status = bench_memory_open(t->b, bytes, &t->operands);
  if (!status) status = t->b->device->ops->copy_in(t->b->device, t->operands.pointer, image, bytes);
  free(image);
  return status;
}

snapmla_status tensor_load_open(bench *b, int values, tensor_load *t, load *out) {
  const uint32_t grid = (uint32_t)b->info.multiprocessors;
  const size_t bytes = (ROWS + B_TILES * COLUMNS) * ROW_BYTES;
  *t = (tensor_load){.b = b, .iterations = b->small ? 2 : 2000}; /* a millisecond */
  snapmla_status status = bench_kernel_open(b,
                                            values ? "ceiling_wgmma:kind=e4m3,a=registers,n=64,groups=2,loads=none"
                                                   : "ceiling_wgmma:kind=e4m3,a=shared,n=64,groups=2,loads=none",
                                            &t->kernel);
  if (!status) status = fill_operands(t, values, bytes);
  if (!status) status = bench_memory_open(b, (size_t)grid * GROUPS * ROWS * COLUMNS * sizeof(float), &t->output);
  if (!status) status = bench_memory_open(b, (size_t)grid * CLOCKS * sizeof(uint64_t), &t->clocks);
  *out = (load){launch_tensor, t, 2.0 * ROWS * COLUMNS * STEP_BYTES * STEPS * t->iterations * GROUPS * grid, 0};
  return status;
}

void tensor_load_close(tensor_load *t) {
  bench_kernel_close(t->b, &t->kernel);
  bench_memory_close(t->b, &t->operands);
  bench_memory_close(t->b, &t->output);
  bench_memory_close(t->b, &t->clocks);
}

/* --- memory */

static snapmla_status launch_read(void *user) {
  const read_load *r = user;
  const struct ceiling_read_params params = {r->source.pointer, (unsigned *)(void *)r->order.pointer,
                                             (unsigned *)(void *)r->output.pointer, r->pieces};
  return bench_launch(r->b, &r->kernel, (uint32_t)r->b->info.multiprocessors, 0, &params);
}

/* Random content, page by page, and the order of all pages, shuffled. */
static snapmla_status fill_pages(read_load *r) {
  const smla_device_ops *ops = r->b->device->ops;
  const size_t some = 64 * (size_t)PAGE_IMAGE;
  uint64_t state = 6;
  unsigned char *image = malloc(some);
  uint32_t *order = malloc(r->pieces * sizeof *order);
  snapmla_status status = image && order ? SNAPMLA_OK : out_of_memory("pages to read");
  for (size_t i = 0; i < some && !status; i++) image[i] = content(&state);
  for (size_t at = 0, all = (size_t)r->pieces * PAGE_IMAGE; at < all && !status; at += some)
    status = ops->copy_in(r->b->device, r->source.pointer + at, image, all - at < some ? all - at : some);
  for (uint32_t i = 0; i < r->pieces && !status; i++) {
    const uint32_t other = (uint32_t)(next_uniform(&state) * (float)i);
    order[i] = order[other];
    order[other] = i;
  }
  if (!status) status = ops->copy_in(r->b->device, r->order.pointer, order, r->pieces * sizeof *order);
  free(image);
  free(order);
  return status;
}

snapmla_status read_load_open(bench *b, read_load *r, load *out) {
  *r = (read_load){.b = b, .pieces = b->small ? 24 : (uint32_t)(((size_t)2 << 30) / PAGE_IMAGE)};
  snapmla_status status = bench_kernel_open(b, "ceiling_read:stages=4,chunk=41216,cluster=1,readers=1", &r->kernel);
  if (!status) status = bench_memory_open(b, (size_t)r->pieces * PAGE_IMAGE, &r->source);
  if (!status) status = bench_memory_open(b, r->pieces * sizeof(uint32_t), &r->order);
  if (!status) status = bench_memory_open(b, sizeof(uint32_t), &r->output);
  if (!status) status = fill_pages(r);
  *out = (load){launch_read, r, 0, (double)r->pieces * PAGE_IMAGE};
  return status;
}

void read_load_close(read_load *r) {
  bench_kernel_close(r->b, &r->kernel);
  bench_memory_close(r->b, &r->source);
  bench_memory_close(r->b, &r->order);
  bench_memory_close(r->b, &r->output);
}
