#include "global_memory.h"

#include "fault.h"

static const smla_range *find(smla_worker *worker, uintptr_t address) {
  for (unsigned i = 0; i < sizeof worker->hits / sizeof *worker->hits; i++)
    if (address - worker->hits[i].begin < worker->hits[i].end - worker->hits[i].begin) return worker->hits + i;
  const smla_range *range = smla_registry_find(worker->run->registry, address);
  if (range) worker->hits[worker->next_hit++ % (sizeof worker->hits / sizeof *worker->hits)] = *range;
  return range;
}

static _Noreturn void fault_bounds(smla_thread *thread, const smla_range *range, uintptr_t address, uint32_t bytes,
                                   const char *what, smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  if (!range) range = smla_registry_nearest(cluster->worker->run->registry, address);
  if (!range)
    smla_fault_end(cluster, SMLA_FAULT_GLOBAL_BOUNDS, line, "%s of %s: %u bytes at %p; no buffer is known", what,
                   smla_thread_name(thread), bytes, (void *)address);
  smla_fault_end(cluster, SMLA_FAULT_GLOBAL_BOUNDS, line,
                 "%s of %s: %u bytes at %p, which is byte %lld of the nearest buffer, %p of %zu bytes", what,
                 smla_thread_name(thread), bytes, (void *)address, (long long)(address - range->begin),
                 (void *)range->begin, (size_t)(range->end - range->begin));
}

void smla_global_check(smla_thread *thread, const void *p, uint32_t bytes, uint32_t alignment, int writing,
                       const char *what, smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  const uintptr_t address = (uintptr_t)p;
  const smla_range *range = find(cluster->worker, address);
  if (__builtin_expect(!range || range->end - address < bytes, 0))
    fault_bounds(thread, range, address, bytes, what, line);
  if (__builtin_expect(address % alignment != 0, 0))
    smla_fault_end(cluster, SMLA_FAULT_MISALIGNED, line, "%s of %s at global %p must be aligned to %u bytes", what,
                   smla_thread_name(thread), p, alignment);
  if (__builtin_expect(writing && !range->writable, 0))
    smla_fault_end(cluster, SMLA_FAULT_GLOBAL_READ_ONLY, line,
                   "%s of %s writes byte %zu of the read-only buffer %p of %zu bytes", what, smla_thread_name(thread),
                   (size_t)(address - range->begin), (void *)range->begin, (size_t)(range->end - range->begin));
}

const void *smla_global_load(const void *p, unsigned bytes, smla_place line) {
  smla_thread *thread = smla_step(line);
  thread->role->global_read += bytes;
  smla_global_check(thread, p, bytes, bytes, 0, "global_load", line);
  return p;
}

void *smla_global_store(void *p, unsigned bytes, smla_place line) {
  smla_thread *thread = smla_step(line);
  thread->role->global_written += bytes;
  smla_global_check(thread, p, bytes, bytes, 1, "global_store", line);
  return p;
}

unsigned smla_global_atomic(unsigned *p, unsigned value, int operation, smla_place line) {
  smla_thread *thread = smla_step(line);
  thread->role->global_read += sizeof *p;
  thread->role->global_written += sizeof *p;
  smla_global_check(thread, p, sizeof *p, sizeof *p, 1, "a global atomic", line);
  return operation == SMLA_ATOMIC_ADD ? __atomic_fetch_add(p, value, __ATOMIC_RELAXED)
                                      : __atomic_fetch_or(p, value, __ATOMIC_RELAXED);
}
