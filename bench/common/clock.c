/* The clock at which the multiprocessors run. */
#include <math.h>
#include <stdlib.h>

#include "bench.h"
#include "ceiling_clock/params.h"
#include "status.h"

/* Long enough that a turn of the kernel's loop is next to nothing of it, short beside what is timed and flushed. */
enum { LEAST_NS = 20000, SMALL_NS = 4, PLACES = 2, WORDS = 2 };

static size_t words_of(const bench *b) { return (size_t)b->info.multiprocessors * WORDS; }

snapmla_status bench_clock_open(bench *b, bench_clock *out) {
  *out = (bench_clock){.b = b};
  snapmla_status status = bench_kernel_open(b, "ceiling_clock:threads=32", &out->kernel);
  if (!status) status = bench_memory_open(b, PLACES * words_of(b) * sizeof(uint64_t), &out->clocks);
  if (!status) b->clock = out;
  return status;
}

void bench_clock_close(bench_clock *clock) {
  if (!clock->b) return;
  bench_kernel_close(clock->b, &clock->kernel);
  bench_memory_close(clock->b, &clock->clocks);
  clock->b->clock = NULL;
  *clock = (bench_clock){.b = NULL};
}

snapmla_status bench_clock_launch(const bench_clock *clock, int place) {
  bench *b = clock->b;
  unsigned long long *words = (unsigned long long *)(void *)clock->clocks.pointer;
  const struct ceiling_clock_params params = {words + (size_t)place * words_of(b), b->small ? SMALL_NS : LEAST_NS};
  return bench_launch(b, &clock->kernel, (uint32_t)b->info.multiprocessors, 0, &params);
}

snapmla_status bench_clock_read(const bench_clock *clock, double *mhz) {
  bench *b = clock->b;
  size_t words = words_of(b), bytes = PLACES * words * sizeof(uint64_t);
  uint64_t *clocks = malloc(bytes);
  snapmla_status status = clocks ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: clocks");
  if (!status) status = b->device->ops->copy_out(b->device, clocks, clock->clocks.pointer, bytes);
  if (!status)
    *mhz = (bench_mhz(b, clocks, words / WORDS, WORDS) + bench_mhz(b, clocks + words, words / WORDS, WORDS)) / PLACES;
  free(clocks);
  return status;
}

double bench_mhz(const bench *b, const uint64_t *clocks, size_t count, size_t stride) {
  double *values = b->device->is_emulator ? NULL : malloc(count * sizeof *values);
  if (!values) return NAN;
  for (size_t i = 0; i < count; i++)
    values[i] = 1e3 * (double)clocks[i * stride] / (double)(clocks[i * stride + 1] ? clocks[i * stride + 1] : 1);
  double mhz = bench_summary(values, count).median;
  free(values);
  return mhz;
}
