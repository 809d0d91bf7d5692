/* Test kernels: texts in the dialect under tests/emulator/kernels/, compiled by the system's C++ compiler and loaded.
 * */
#ifndef SMLA_TESTS_EMULATOR_KERNEL_OBJECT_H
#define SMLA_TESTS_EMULATOR_KERNEL_OBJECT_H

#include <stdint.h>

#include "emulator.h"

/* What every test kernel takes: `which` chooses the case. */
typedef struct kernel_params {
  uint32_t which, count;
  const unsigned char *in;
  unsigned char *out;
} kernel_params;

typedef struct kernel_object {
  void *object;
  smla_emulator_entry entry;
  char *text;
} kernel_object;

/* Compiles kernels/<name>.cc after the dialect, with lines numbered as in that file. Fails the test that calls it. */
kernel_object kernel_object_load(const char *name);
void kernel_object_unload(kernel_object *kernel);
/* The line that holds "@tag". */
int kernel_object_line(const kernel_object *kernel, const char *tag);

/* One launch in an emulator of its own, which knows `in` (read-only) and `out`. */
typedef struct kernel_run {
  snapmla_emulator_order order;
  uint64_t seed;
  int32_t host_threads;
  uint32_t grid[3], threads, cluster, smem_bytes; /* zeroes: 1 block of 128 threads with 48 KB */
  uint32_t which, count;
  const void *in;
  size_t in_bytes;
  void *out;
  size_t out_bytes;
  smla_counters counters; /* out */
  char report[4096];      /* out */
} kernel_run;

snapmla_status kernel_object_run(const kernel_object *kernel, kernel_run *run);

/* Runs under every completion order and some seeds; each must succeed and leave the same bytes in `out`, which is
 * filled with `fill` before. */
void kernel_object_run_all(const kernel_object *kernel, kernel_run *run, int fill);

#endif
