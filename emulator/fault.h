/* The faults of a launch. Each worker keeps its own list; the launch reports those of the lowest faulting cluster,
 * which makes the report independent of the number of host threads. */
#ifndef SMLA_EMULATOR_FAULT_H
#define SMLA_EMULATOR_FAULT_H

#include "machine.h"

#define SMLA_FAULT_LIMIT 32

typedef enum smla_fault_kind {
  SMLA_FAULT_DEADLOCK,
  SMLA_FAULT_NO_PROGRESS,
  SMLA_FAULT_PARTIAL_COLLECTIVE,
  SMLA_FAULT_GLOBAL_BOUNDS,
  SMLA_FAULT_GLOBAL_READ_ONLY,
  SMLA_FAULT_MISALIGNED,
  SMLA_FAULT_SHARED_BOUNDS,
  SMLA_FAULT_UNINITIALISED,
  SMLA_FAULT_COPY_IN_FLIGHT,
  SMLA_FAULT_STILL_READ,
  SMLA_FAULT_UNFENCED,
  SMLA_FAULT_BARRIER_MEMORY,
  SMLA_FAULT_BARRIER_COUNT,
  SMLA_FAULT_PARITY,
  SMLA_FAULT_COPY_ARGUMENT,
  SMLA_FAULT_DESCRIPTOR,
  SMLA_FAULT_ACCUMULATOR_PENDING,
  SMLA_FAULT_FRAGMENT_CHANGED,
  SMLA_FAULT_WGMMA_FENCE,
  SMLA_FAULT_REGISTERS,
  SMLA_FAULT_EXITED_BLOCK,
  SMLA_FAULT_UNFINISHED,
  SMLA_FAULT_KINDS
} smla_fault_kind;

/* Records a fault: "<file>:<line>: <kind>: <text>". A second one of the same kind and line is dropped. */
void smla_fault(smla_cluster *cluster, smla_fault_kind kind, smla_place line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same, and ends the cluster. */
_Noreturn void smla_fault_end(smla_cluster *cluster, smla_fault_kind kind, smla_place line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "mla_decode/output.inc:57", as smla_thread_name. */
const char *smla_place_name(smla_place place);
/* "thread 37 (warp 1, lane 5) of block 3", in one of a few static buffers of the host thread. */
const char *smla_thread_name(const smla_thread *thread);

typedef struct smla_fault_record {
  smla_fault_kind kind;
  smla_place line;
  char *text; /* owned */
} smla_fault_record;

typedef struct smla_fault_list {
  uint64_t cluster; /* the records' */
  int count;
  smla_fault_record records[SMLA_FAULT_LIMIT];
} smla_fault_list;

void smla_fault_list_clear(smla_fault_list *list);

#endif
