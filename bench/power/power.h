/* What the GPU draws while it does one thing for seconds: loads, the sum of energy that NVML keeps, and what they come to. */
#ifndef SMLA_BENCH_POWER_H
#define SMLA_BENCH_POWER_H

#include "bench.h"

/* One thing to do again and again. */
typedef struct load {
  bench_action *launch; /* NULL: nothing, the GPU is left alone */
  void *user;
  double flop, bytes; /* of one launch; bytes of memory, read once */
} load;

/* What it came to, after as long a time unseen. */
typedef struct drawn {
  double us;    /* a launch, one behind another; NaN: no launch, or the emulator */
  double watts; /* the mean of the whole card; NaN: NVML does not say */
  double mhz;   /* the multiprocessors' clock as NVML tells it, the mean of what was asked; NaN: it does not say */
} drawn;

/* Does it for `seconds`, of which the second half counts. Errors: those of the launch. */
snapmla_status sustain(bench *b, const load *l, double seconds, drawn *out);

/* --- NVML (energy.c) */

/* The card's sum of energy in joules, since its driver was loaded, and the clock right now; NaN where NVML is not there or does not say, as
 * for the emulator. Every call asks. */
double energy_joules(const bench *b);
double energy_mhz(const bench *b);

/* --- loads that are no decode (loads.c) */

/* A product of tiles of 64 rows by 64 columns on every multiprocessor, by two warpgroups: QK, whose operands both lie in shared memory, or PV,
 * whose V^T is in registers, with numbers as those of the decode benchmark. */
typedef struct tensor_load {
  bench *b;
  bench_kernel kernel;
  bench_memory operands, output, clocks;
  uint32_t iterations;
} tensor_load;
snapmla_status tensor_load_open(bench *b, int values, tensor_load *t, load *out);
void tensor_load_close(tensor_load *t);

/* Page images of 41,216 bytes in random order through a ring of four, 2 GiB a launch. */
typedef struct read_load {
  bench *b;
  bench_kernel kernel;
  bench_memory source, order, output;
  uint32_t pieces;
} read_load;
snapmla_status read_load_open(bench *b, read_load *r, load *out);
void read_load_close(read_load *r);

#endif
