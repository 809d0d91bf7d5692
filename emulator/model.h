/* What the counters of blocks mean in time on an H200-like GPU. Modelled time is never mixed with measured time. */
#ifndef SMLA_EMULATOR_MODEL_H
#define SMLA_EMULATOR_MODEL_H

#include <stdint.h>

/* What a role (a warpgroup) of a block did. Bytes and operations of all its threads. */
typedef struct smla_role {
  uint64_t global_read, global_written; /* bytes, copies included */
  uint64_t copied;                      /* bytes of asynchronous copies, either way */
  uint64_t shared_bytes;                /* loads, stores, copies, matrix loads, wgmma operands */
  uint64_t tensor_flops;
  uint64_t tensor_cycles; /* of the tensor pipe, in 1/256 cycles */
  uint64_t exponentials;  /* ex2, lg2 and rcp: what the special-function unit computes */
  uint64_t primitives;    /* per thread */
} smla_role;

#define SMLA_ROLES 8

typedef struct smla_block_cost {
  smla_role roles[SMLA_ROLES];
} smla_block_cost;

/* 1/256 cycles of one wgmma m64nN: `bf16` or f16, or e4m3; A in registers, or in shared memory. */
uint64_t smla_model_wgmma(int bf16, int n, int a_in_registers);

/* Microseconds of a launch. Blocks go to multiprocessors in order, each to the one that is free first. */
double smla_model_time(const smla_block_cost *blocks, uint64_t count, uint32_t sms);

/* Cycles that a block occupies a multiprocessor for, its busiest resource's. */
double smla_model_block_cycles(const smla_block_cost *block, uint32_t sms);

#endif
