/* A Hopper GPU on the CPU: runs a grid's thread blocks on all cores, one fibre per thread, and reports the faults that
 * docs/emulator.md lists. Knows nothing of generators, compilers or plans: it is given an entry function. */
#ifndef SMLA_EMULATOR_EMULATOR_H
#define SMLA_EMULATOR_EMULATOR_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/status.h>

#include "../templates/dialect/services.h"
#include "model.h"

typedef struct smla_emulator smla_emulator;

typedef struct smla_emulator_options {
  snapmla_emulator_order order;
  uint64_t seed;
  int32_t threads; /* host threads; 0: one per core */
  int32_t sms;     /* multiprocessors; 0: 132 */
} smla_emulator_options;

snapmla_status smla_emulator_create(const smla_emulator_options *options, smla_emulator **out);
void smla_emulator_destroy(smla_emulator *emulator);

/* Global memory: only what is registered may be touched by a kernel. A writable = 0 range may only be read.
 * Error: INVALID_ARGUMENT (overlap). Thread-safe, also while a launch runs. */
snapmla_status smla_emulator_memory_add(smla_emulator *emulator, void *base, size_t bytes, int writable);
void smla_emulator_memory_remove(smla_emulator *emulator, void *base);

typedef struct smla_launch {
  smla_emulator_entry entry; /* of the compiled shared object */
  const char *name;          /* for reports */
  uint32_t grid[3];
  uint32_t threads;    /* per block, a multiple of 32 */
  uint32_t cluster;    /* blocks per cluster along x; 0 or 1: none */
  uint32_t smem_bytes; /* dynamic shared memory per block, <= 232448 */
  const void *params;  /* copied for the launch's duration */
} smla_launch;

/* What a launch did, summed over blocks, and the modelled time. */
typedef struct smla_counters {
  double modelled_us;
  int64_t global_bytes_read, global_bytes_written; /* loads, stores and bulk copies */
  int64_t tensor_flops;
  int64_t shared_bytes;
  int64_t exponentials;
} smla_counters;

/* Runs a launch to its end. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, EMULATOR_FAULT (the first fault, with the source
 * line and the threads involved; all faults of the launch are in smla_emulator_report). Launches of one emulator run
 * one at a time; concurrent callers wait. */
snapmla_status smla_emulator_launch(smla_emulator *emulator, const smla_launch *launch, smla_counters *counters);

/* The fault report of the last launch, one line per fault, "" if none; valid until the next launch. */
const char *smla_emulator_report(const smla_emulator *emulator);

/* What one role, the threads of a warpgroup, did in the last launch, summed over blocks. */
void smla_emulator_role(const smla_emulator *emulator, uint32_t warpgroup, smla_role *role);

#endif
