/* The wgmma operations of a warpgroup, from their issue to the wait that covers them. */
#ifndef SMLA_EMULATOR_TENSOR_H
#define SMLA_EMULATOR_TENSOR_H

#include "machine.h"

/* An operand in shared memory, as a descriptor states it: K-major with the 128-byte swizzle or the 64-byte one; or of 16
 * bits with its k steps as rows of 64 columns, chunk after chunk of those, with the 128-byte swizzle. */
typedef struct smla_operand {
  uint32_t offset;    /* in the block's shared memory, of row or column 0 at the operation's first k */
  uint32_t stride;    /* between groups of 8 rows; by columns: between chunks */
  uint32_t rows;      /* or columns */
  uint32_t row_bytes; /* 128 or 64: the swizzle's */
  int by_columns;
} smla_operand;

/* One wgmma of 128 threads. */
typedef struct smla_operation {
  smla_place line;
  int type, n, accumulate, a_in_registers;
  unsigned long long a_descriptor, b_descriptor;
  smla_operand a, b;
  uint32_t arrived; /* threads that issued it */
  uint32_t first;   /* in the block: the thread that issued it first */
  smla_frag_header *d[SMLA_WARPGROUP];
  const unsigned *a_registers[SMLA_WARPGROUP];
  uint32_t a_values[SMLA_WARPGROUP][4];
} smla_operation;

struct smla_tensor_group {
  smla_operation **ring; /* operation k is ring[k % capacity] */
  uint64_t capacity;
  uint64_t retired, issued; /* operations waited for; operations issued by any thread */
  uint64_t executed;
  uint64_t committed;     /* groups committed by all threads */
  uint64_t commits;       /* groups committed by any thread */
  uint64_t group_end[64]; /* group g holds operations up to group_end[g % 64] */
  smla_place group_line[64];
  uint32_t group_arrived[64];
  uint64_t committed_end; /* operations that committed groups hold */
  uint64_t groups_retired;
  uint32_t waiting; /* threads in wgmma_wait */
  smla_place wait_line;
  int wait_pending;
  uint64_t register_changes; /* setmaxnreg calls by any thread */
  uint64_t register_granted; /* of these, done */
  int register_count, register_raise;
  smla_place register_line;
  uint32_t register_arrived;
};

static inline smla_tensor_group *smla_tensor_group_of(const smla_thread *thread) {
  return thread->block->tensor[thread->index / SMLA_WARPGROUP];
}

/* descriptor.c: takes a descriptor apart; one that is illegal for `rows` rows (or, of B by columns, columns) ends the
 * cluster. `name`: "A" or "B". */
void smla_operand_decode(smla_thread *thread, unsigned long long descriptor, uint32_t rows, const char *name,
                         smla_place line, smla_operand *operand);
void smla_operand_decode_columns(smla_thread *thread, unsigned long long descriptor, uint32_t columns, smla_place line,
                                 smla_operand *operand);

/* Executes operations up to `end` in order, from shared memory and snapshots into the frags. */
void smla_tensor_execute(smla_cluster *cluster, smla_block *block, smla_tensor_group *group, uint64_t end);

/* Bytes of k that one operation covers. */
#define SMLA_K_BYTES 32u

/* Steps of k of an operation on 16-bit numbers. */
#define SMLA_K_STEPS 16u

/* An operand is read 16 bytes at a time: granule i is half i % 2 of row i / 2; by columns row i % 16, columns 8 * (i / 16)
 * and on. */
static inline uint32_t smla_operand_granules(const smla_operand *operand) { return operand->rows * 2; }

/* A granule's offset. The swizzle exclusive-ors address bits 4 to 6 with bits 7 to 9, that of 64 bytes bits 4 and 5 with
 * 7 and 8. */
static inline uint32_t smla_operand_place(const smla_operand *operand, uint32_t i) {
  uint32_t place = operand->offset;
  if (operand->by_columns)
    place += i / SMLA_K_STEPS / 8 * operand->stride + i % SMLA_K_STEPS * 128 + i / SMLA_K_STEPS % 8 * 16;
  else
    place += i / 2 / 8 * operand->stride + i / 2 % 8 * operand->row_bytes + i % 2 * 16;
  return place ^ (place >> 3 & (operand->row_bytes - 16));
}

#endif
