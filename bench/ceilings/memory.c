/* Memory: reads by bulk copy, from warm to saturation and from cold; copies. */
#include <stdlib.h>
#include <string.h>

#include "ceiling_copy/params.h"
#include "ceiling_flush/params.h"
#include "ceiling_read/params.h"
#include "ceilings.h"
#include "status.h"

enum {
  PAGE_IMAGE = 41216,
  PATTERN = 16 << 20, /* bytes of random data that the source repeats */
  LANES = 32          /* words of each piece that the kernel adds up */
};

typedef struct memory_case {
  bench *b;
  bench_kernel kernel, flush_kernel;
  bench_memory source, order, output;
  uint32_t *pattern, *numbers;
  uint32_t grid, chunk, sharers, pieces; /* sharers: blocks that get the same pieces */
  struct ceiling_read_params read;
  struct ceiling_copy_params copy;
  struct ceiling_flush_params flush;
} memory_case;

static void memory_close(memory_case *m) {
  bench_kernel_close(m->b, &m->kernel);
  bench_kernel_close(m->b, &m->flush_kernel);
  bench_memory_close(m->b, &m->source);
  bench_memory_close(m->b, &m->order);
  bench_memory_close(m->b, &m->output);
  free(m->pattern), free(m->numbers);
}

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 32);
}

/* The source and its pattern. */
static snapmla_status fill_source(memory_case *m, size_t bytes) {
  uint64_t state = 1;
  m->pattern = malloc(PATTERN);
  if (!m->pattern) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %d bytes of random data", PATTERN);
  for (size_t i = 0; i < PATTERN / 4; i++) m->pattern[i] = next_random(&state);
  snapmla_status status = bench_memory_open(m->b, bytes, &m->source);
  for (size_t at = 0; at < bytes && !status; at += PATTERN)
    status = m->b->device->ops->copy_in(m->b->device, m->source.pointer + at, m->pattern,
                                        bytes - at < PATTERN ? bytes - at : PATTERN);
  return status;
}

/* All pieces, in random order; or the first `distinct` of them again and again. */
static snapmla_status shuffle_order(memory_case *m, uint32_t distinct) {
  uint64_t state = 2;
  m->numbers = malloc((size_t)m->pieces * sizeof *m->numbers);
  if (!m->numbers) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the order of %u pieces", m->pieces);
  for (uint32_t i = 0; i < m->pieces; i++) {
    uint32_t other = next_random(&state) % (i + 1);
    m->numbers[i] = m->numbers[other];
    m->numbers[other] = i;
  }
  for (uint32_t i = 0; i < m->pieces; i++) m->numbers[i] %= distinct;
  size_t bytes = (size_t)m->pieces * sizeof *m->numbers;
  snapmla_status status = bench_memory_open(m->b, bytes, &m->order);
  return status ? status : m->b->device->ops->copy_in(m->b->device, m->order.pointer, m->numbers, bytes);
}

/* What one launch adds to the output word. */
static uint32_t expected_sum(const memory_case *m) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < m->pieces; i++)
    for (uint64_t lane = 0; lane < LANES; lane++)
      sum += m->pattern[((uint64_t)m->numbers[i] * m->chunk / 4 + lane * (m->chunk / 128)) % (PATTERN / 4)];
  return sum * m->sharers;
}

static snapmla_status launch_read(void *user) {
  memory_case *m = user;
  return bench_launch(m->b, &m->kernel, m->grid, 0, &m->read);
}

static snapmla_status launch_copy(void *user) {
  memory_case *m = user;
  return bench_launch(m->b, &m->kernel, m->grid, 0, &m->copy);
}

static snapmla_status launch_flush(void *user) {
  memory_case *m = user;
  return bench_launch(m->b, &m->flush_kernel, 2 * (uint32_t)m->b->info.multiprocessors, 0, &m->flush);
}

/* A kernel, a source of `bytes` and an output word of 0. */
static snapmla_status memory_open(memory_case *m, const char *variant, size_t bytes) {
  static const uint32_t zero = 0;
  bench *b = m->b;
  m->sharers = 1;
  snapmla_status status = variant_number(b, variant, "chunk", &m->chunk);
  if (!status && strstr(variant, "readers=")) status = variant_number(b, variant, "readers", &m->sharers);
  if (!status) status = bench_kernel_open(b, variant, &m->kernel);
  if (status) return status;
  m->sharers *= m->kernel.cluster;
  m->grid = (uint32_t)b->info.multiprocessors / m->sharers * m->sharers;
  m->pieces = (uint32_t)(bytes / m->chunk);
  status = fill_source(m, bytes);
  if (!status) status = bench_memory_open(b, sizeof zero, &m->output);
  return status ? status : b->device->ops->copy_in(b->device, m->output.pointer, &zero, sizeof zero);
}

static snapmla_status finish_read(sheet *s, memory_case *m, const char *group, const char *variant,
                                  const bench_times *times) {
  uint32_t sum = 0;
  snapmla_status status = s->b->device->ops->copy_out(s->b->device, &sum, m->output.pointer, sizeof sum);
  if (status) return status;
  figure f = figure_of_rate(group, variant, "GB/s", (double)m->pieces * m->chunk / 1e3, times);
  f.right = sum == expected_sum(m) * (uint32_t)(s->b->warmups + s->b->repeats);
  if (s->datasheet) f.ceiling = s->datasheet->gb_per_s, f.ceiling_of = "datasheet";
  sheet_add(s, &f);
  return SNAPMLA_OK;
}

static snapmla_status time_read(sheet *s, const char *variant, const char *group, size_t distinct_bytes) {
  memory_case m = {.b = s->b};
  bench_times times;
  snapmla_status status = memory_open(&m, variant, s->b->small ? 24 * PAGE_IMAGE : (size_t)2 << 30);
  if (!status) status = shuffle_order(&m, distinct_bytes ? (uint32_t)(distinct_bytes / m.chunk) : m.pieces);
  m.read = (struct ceiling_read_params){m.source.pointer, (unsigned *)m.order.pointer, (unsigned *)m.output.pointer,
                                        m.pieces};
  if (!status) status = bench_time(s->b, NULL, launch_read, &m, &times);
  if (!status) status = finish_read(s, &m, group, variant, &times);
  memory_close(&m);
  return status;
}

static snapmla_status run_read(sheet *s, const char *variant) { return time_read(s, variant, "read", 0); }

/* A third of L2 and less, so that all of it is there from the first turns on. */
static snapmla_status run_read_l2(sheet *s, const char *variant) {
  return time_read(s, variant, "read-l2", s->b->small ? 8 * PAGE_IMAGE : (size_t)400 * PAGE_IMAGE);
}

/* 128K tokens, nothing of them in L2: what is flushed with lies behind them. */
static snapmla_status time_cold(sheet *s, const char *variant, const char *flush, const char *group) {
  memory_case m = {.b = s->b};
  bench_times times;
  size_t bytes = s->b->small ? 8 * PAGE_IMAGE : (size_t)2048 * PAGE_IMAGE;
  size_t behind = s->b->small ? 4096 : 4 * (size_t)s->b->info.l2_bytes;
  snapmla_status status = memory_open(&m, variant, bytes + behind);
  m.pieces = (uint32_t)(bytes / m.chunk);
  if (!status) status = shuffle_order(&m, m.pieces);
  if (!status) status = bench_kernel_open(s->b, flush, &m.flush_kernel);
  bench_memory seen = {0};
  if (!status) status = bench_memory_open(s->b, 4, &seen);
  m.read = (struct ceiling_read_params){m.source.pointer, (unsigned *)m.order.pointer, (unsigned *)m.output.pointer,
                                        m.pieces};
  m.flush = (struct ceiling_flush_params){m.source.pointer + bytes, (unsigned *)seen.pointer, behind};
  if (!status) status = bench_time(s->b, launch_flush, launch_read, &m, &times);
  if (!status) status = finish_read(s, &m, group, variant, &times);
  bench_memory_close(s->b, &seen);
  memory_close(&m);
  return status;
}

static snapmla_status run_cold(sheet *s, const char *variant) {
  return time_cold(s, variant, "ceiling_flush:by=reading", "cold");
}

static snapmla_status run_cold_written(sheet *s, const char *variant) {
  return time_cold(s, variant, "ceiling_flush:by=writing", "cold-written");
}

/* Samples of the copy: the first, the last and some pieces between. */
static snapmla_status compare_copy(const memory_case *m, int *right) {
  unsigned char *copied = malloc(m->chunk);
  snapmla_status status = copied ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a piece");
  *right = 1;
  for (uint64_t i = 0; i < 64 && !status; i++) {
    uint64_t piece = (m->pieces - 1) * i / 63;
    status = m->b->device->ops->copy_out(m->b->device, copied, m->copy.target + piece * m->chunk, m->chunk);
    if (!status) *right &= !memcmp(copied, (char *)m->pattern + piece * m->chunk % PATTERN, m->chunk);
  }
  free(copied);
  return status;
}

static snapmla_status run_copy(sheet *s, const char *variant) {
  memory_case m = {.b = s->b};
  bench_times times;
  bench_memory target = {0};
  size_t bytes = s->b->small ? 1 << 20 : (size_t)1 << 30;
  int right = 0;
  snapmla_status status = memory_open(&m, variant, bytes);
  if (!status) status = bench_memory_open(s->b, bytes, &target);
  m.copy = (struct ceiling_copy_params){m.source.pointer, target.pointer, m.pieces};
  if (!status) status = bench_time(s->b, NULL, launch_copy, &m, &times);
  if (!status) status = compare_copy(&m, &right);
  if (!status) {
    figure f = figure_of_rate("copy", variant, "GB/s", 2.0 * m.pieces * m.chunk / 1e3, &times);
    f.right = right;
    if (s->datasheet) f.ceiling = s->datasheet->gb_per_s, f.ceiling_of = "datasheet";
    sheet_add(s, &f);
  }
  bench_memory_close(s->b, &target);
  memory_close(&m);
  return status;
}

static void read_variants(variant_list *list, int small) {
  static const int chunks[] = {8192, 16384, 32768, PAGE_IMAGE};
  for (int c = 0; c < 4; c++)
    for (int stages = 1; stages <= 8; stages++)
      if (stages * (chunks[c] + 16) <= 232448 && (!small || (c == 3 && stages == 3)))
        variant_add(list, "ceiling_read:stages=%d,chunk=%d,cluster=1", stages, chunks[c]);
  for (int cluster = 2; cluster <= 4; cluster *= 2)
    for (int stages = 2; stages <= 5; stages++)
      if (!small || (cluster == 2 && stages == 2))
        variant_add(list, "ceiling_read:stages=%d,chunk=%d,cluster=%d", stages, PAGE_IMAGE, cluster);
  for (int readers = 2; readers <= 4; readers *= 2)
    for (int stages = 2; stages <= 5; stages++)
      if (!small || (readers == 2 && stages == 2))
        variant_add(list, "ceiling_read:stages=%d,chunk=%d,cluster=1,readers=%d", stages, PAGE_IMAGE, readers);
}

static void cold_variants(variant_list *list, int small) {
  for (int stages = 3; stages <= (small ? 3 : 5); stages++)
    variant_add(list, "ceiling_read:stages=%d,chunk=%d,cluster=1", stages, PAGE_IMAGE);
}

static void copy_variants(variant_list *list, int small) {
  for (int stages = 2; stages <= 6; stages += 2)
    for (int chunk = 8192; chunk <= 32768; chunk *= 2)
      if (!small || (stages == 4 && chunk == 8192)) variant_add(list, "ceiling_copy:stages=%d,chunk=%d", stages, chunk);
}

const ceiling_group ceiling_read_group = {"read", "memory read by bulk copies, pieces in random order", read_variants,
                                          run_read};
const ceiling_group ceiling_read_l2_group = {"read-l2", "the same of 16 MB that L2 has", cold_variants, run_read_l2};
const ceiling_group ceiling_cold_group = {"cold", "128K tokens of page images read once, L2 flushed by reading",
                                          cold_variants, run_cold};
const ceiling_group ceiling_cold_written_group = {
    "cold-written", "the same, L2 flushed by writing: what was written goes back to memory beside the reads",
    cold_variants, run_cold_written};
const ceiling_group ceiling_copy_group = {"copy", "memory copied, bytes read and written", copy_variants, run_copy};
