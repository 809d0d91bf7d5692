#include "fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[SMLA_FAULT_KINDS] = {
    [SMLA_FAULT_DEADLOCK] = "deadlock",
    [SMLA_FAULT_NO_PROGRESS] = "no progress",
    [SMLA_FAULT_PARTIAL_COLLECTIVE] = "collective call by part of a warp",
    [SMLA_FAULT_GLOBAL_BOUNDS] = "global memory out of bounds",
    [SMLA_FAULT_GLOBAL_READ_ONLY] = "write to read-only memory",
    [SMLA_FAULT_MISALIGNED] = "misaligned access",
    [SMLA_FAULT_SHARED_BOUNDS] = "shared memory out of bounds",
    [SMLA_FAULT_UNINITIALISED] = "uninitialised read",
    [SMLA_FAULT_COPY_IN_FLIGHT] = "copy in flight",
    [SMLA_FAULT_STILL_READ] = "overwritten while still read",
    [SMLA_FAULT_UNFENCED] = "no proxy fence",
    [SMLA_FAULT_BARRIER_MEMORY] = "barrier memory",
    [SMLA_FAULT_BARRIER_COUNT] = "barrier count",
    [SMLA_FAULT_PARITY] = "parity aliasing",
    [SMLA_FAULT_COPY_ARGUMENT] = "illegal copy",
    [SMLA_FAULT_DESCRIPTOR] = "illegal descriptor",
    [SMLA_FAULT_ACCUMULATOR_PENDING] = "accumulator pending",
    [SMLA_FAULT_FRAGMENT_CHANGED] = "A fragment changed",
    [SMLA_FAULT_WGMMA_FENCE] = "no wgmma_fence",
    [SMLA_FAULT_REGISTERS] = "register count",
    [SMLA_FAULT_EXITED_BLOCK] = "block has exited",
    [SMLA_FAULT_UNFINISHED] = "unfinished work at exit",
};

static void record(smla_cluster *cluster, smla_fault_kind kind, smla_place line, const char *format,
                   va_list arguments) {
  smla_fault_list *list = cluster->worker->faults;
  atomic_uint_fast64_t *lowest = &cluster->worker->run->faulted;
  uint_fast64_t seen = atomic_load(lowest);
  while (cluster->index < seen && !atomic_compare_exchange_weak(lowest, &seen, cluster->index)) continue;
  if (list->count && list->cluster != cluster->index) {
    if (list->cluster < cluster->index) return;
    smla_fault_list_clear(list);
  }
  list->cluster = cluster->index;
  for (int i = 0; i < list->count; i++)
    if (list->records[i].kind == kind && list->records[i].line == line) return;
  if (list->count == SMLA_FAULT_LIMIT) return;
  char *text = NULL, *message = NULL;
  if (vasprintf(&message, format, arguments) < 0) message = NULL;
  if (asprintf(&text, "%s: %s: %s", smla_place_name(line), names[kind], message ? message : format) < 0) text = NULL;
  free(message);
  list->records[list->count++] = (smla_fault_record){kind, line, text};
}

void smla_fault(smla_cluster *cluster, smla_fault_kind kind, smla_place line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record(cluster, kind, line, format, arguments);
  va_end(arguments);
  if (cluster->worker->faults->count == SMLA_FAULT_LIMIT) smla_cluster_abort(cluster);
}

void smla_fault_end(smla_cluster *cluster, smla_fault_kind kind, smla_place line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  record(cluster, kind, line, format, arguments);
  va_end(arguments);
  smla_cluster_abort(cluster);
}

void smla_fault_list_clear(smla_fault_list *list) {
  for (int i = 0; i < list->count; i++) free(list->records[i].text);
  list->count = 0;
}

const char *smla_place_name(smla_place place) {
  static _Thread_local char names_of[4][256];
  static _Thread_local unsigned next;
  char *name = names_of[next++ % 4];
  const char *file = (const char *)(uintptr_t)(place >> 16);
  snprintf(name, sizeof names_of[0], "%s:%u", file ? file : "?", (unsigned)(place & 0xffff));
  return name;
}

const char *smla_thread_name(const smla_thread *thread) {
  static _Thread_local char names_of[4][96];
  static _Thread_local unsigned next;
  char *name = names_of[next++ % 4];
  snprintf(name, sizeof names_of[0], "thread %u (warp %u, lane %u) of block %llu", (unsigned)thread->index,
           (unsigned)thread->index / SMLA_WARP, (unsigned)thread->index % SMLA_WARP,
           (unsigned long long)thread->block->index);
  return name;
}
