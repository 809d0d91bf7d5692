/* Bulk copies and stores between global and shared memory, and when they complete. */
#include <string.h>

#include "copies.h"
#include "fault.h"
#include "global_memory.h"
#include "machine.h"

static void check_copy(smla_thread *thread, const void *global, uint32_t bytes, const char *what, smla_place line) {
  if (bytes == 0 || bytes % SMLA_GRANULE != 0 || (uintptr_t)global % SMLA_GRANULE != 0)
    smla_fault_end(
        thread->block->cluster, SMLA_FAULT_COPY_ARGUMENT, line,
        "%s of %s: %u bytes at global %p; the size must be a positive multiple of 16 and the address 16-byte aligned",
        what, smla_thread_name(thread), bytes, global);
}

static smla_copy *add_copy(smla_thread *thread, smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  if (cluster->copy_count == SMLA_COPY_LIMIT)
    smla_fault_end(cluster, SMLA_FAULT_NO_PROGRESS, line, "%s issues copy %d that no one has waited for",
                   smla_thread_name(thread), SMLA_COPY_LIMIT + 1);
  return cluster->copies + cluster->copy_count++;
}

/* Keeps the order of issue. */
static void remove_copy(smla_cluster *cluster, uint32_t index) {
  cluster->copy_count--;
  memmove(cluster->copies + index, cluster->copies + index + 1,
          (cluster->copy_count - index) * sizeof *cluster->copies);
}

/* The bytes move. A bulk_store stays until its thread has waited for it, a copy until one has waited for its phase. */
static void complete(smla_cluster *cluster, uint32_t index) {
  smla_copy *copy = cluster->copies + index;
  smla_block *block = copy->block;
  uint8_t *shared = block->shared.bytes + copy->offset;
  cluster->polls = 0;
  if (!copy->barrier) {
    memcpy(copy->global, shared, copy->bytes);
    copy->landed = 1;
    return;
  }
  if (block->live == 0)
    smla_fault_end(cluster, SMLA_FAULT_EXITED_BLOCK, copy->line,
                   "the copy of %s lands in block %llu, whose threads have exited",
                   smla_thread_name(cluster->threads + copy->thread), (unsigned long long)block->index);
  if (copy->map)
    smla_tensor_copy_land(copy->map, copy->at, shared);
  else
    memcpy(shared, copy->global, copy->bytes);
  smla_shared_land_copy(block, copy->offset, copy->bytes);
  copy->landed = 1;
  copy->phase = copy->barrier->phase;
  copy->barrier->unobserved++;
  smla_mbarrier_deliver(block, copy->barrier, copy->bytes, copy->line);
}

int smla_copies_progress(smla_cluster *cluster) {
  uint32_t waiting = 0;
  for (uint32_t i = 0; i < cluster->copy_count; i++) waiting += !cluster->copies[i].landed;
  if (waiting == 0) return 0;
  /* As late as can be and in the reverse order of issue, or any one. */
  uint32_t choice = waiting - 1;
  if (cluster->worker->run->order == SNAPMLA_EMULATOR_RANDOM) choice = (uint32_t)(smla_random(cluster) % waiting);
  for (uint32_t i = 0;; i++) {
    if (cluster->copies[i].landed || choice-- != 0) continue;
    complete(cluster, i);
    return 1;
  }
}

void smla_copies_observe(smla_block *block, smla_mbarrier *barrier, int32_t phase) {
  smla_cluster *cluster = block->cluster;
  for (uint32_t i = 0; i < cluster->copy_count && barrier->unobserved;) {
    smla_copy *copy = cluster->copies + i;
    if (copy->barrier != barrier || !copy->landed || copy->phase > phase) {
      i++;
      continue;
    }
    smla_shared_end_copy(block, copy->offset, copy->bytes);
    barrier->unobserved--;
    remove_copy(cluster, i);
  }
}

/* Starts a copy into `block`. */
static void start(smla_thread *thread, smla_block *block, const smla_copy *what, uint32_t barrier_offset) {
  const smla_place line = what->line;
  smla_cluster *cluster = block->cluster;
  smla_mbarrier *barrier = smla_mbarrier_find(block, barrier_offset);
  if (!barrier)
    smla_fault_end(cluster, SMLA_FAULT_BARRIER_MEMORY, line,
                   "a copy of %s signals shared offset %u of block %llu, where no mbarrier_init made a barrier",
                   smla_thread_name(thread), barrier_offset, (unsigned long long)block->index);
  if (!barrier->fenced)
    smla_fault_end(cluster, SMLA_FAULT_UNFENCED, line,
                   "a copy of %s signals the barrier at shared offset %u, which %s initialised without an "
                   "mbarrier_init_fence after it",
                   smla_thread_name(thread), barrier_offset, smla_place_name(barrier->init_line));
  smla_shared_begin_copy(thread, block, what->offset, what->bytes, line);
  block->threads[thread->index].role->shared_bytes += what->bytes;
  smla_copy *copy = add_copy(thread, line);
  *copy = *what;
  copy->block = block;
  copy->barrier = barrier;
  copy->thread = thread->slot;
  if (cluster->worker->run->order == SNAPMLA_EMULATOR_EAGER) complete(cluster, cluster->copy_count - 1);
}

void smla_copy_send(smla_thread *thread, const smla_copy *what, uint32_t barrier_offset, uint32_t rank_mask,
                    const char *name) {
  smla_cluster *cluster = thread->block->cluster;
  if (rank_mask == 0 || rank_mask >> cluster->block_count != 0)
    smla_fault_end(cluster, SMLA_FAULT_COPY_ARGUMENT, what->line, "%s of %s has rank mask 0x%x in a cluster of %u",
                   name, smla_thread_name(thread), rank_mask, cluster->block_count);
  for (uint32_t rank = 0; rank < cluster->block_count; rank++) {
    if (!(rank_mask >> rank & 1)) continue;
    smla_block *block = cluster->blocks + rank;
    if (block->live == 0)
      smla_fault_end(cluster, SMLA_FAULT_EXITED_BLOCK, what->line,
                     "%s of %s goes to block %llu, whose threads have exited", name, smla_thread_name(thread),
                     (unsigned long long)block->index);
    start(thread, block, what, barrier_offset);
  }
}

static void bulk_copy(smla_thread *thread, uint32_t address, const void *global, uint32_t bytes, uint32_t barrier,
                      uint32_t rank_mask, const char *what, smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  uint32_t offset, barrier_offset;
  check_copy(thread, global, bytes, what, line);
  smla_global_check(thread, global, bytes, SMLA_GRANULE, 0, what, line);
  const smla_block *local = smla_shared_locate(thread, address, bytes, SMLA_GRANULE, what, line, &offset);
  const smla_block *signalled = smla_shared_locate(thread, barrier, 8, 8, what, line, &barrier_offset);
  if (local != thread->block || signalled != thread->block)
    smla_fault_end(cluster, SMLA_FAULT_COPY_ARGUMENT, line,
                   "%s of %s names another block's shared address: give its own", what, smla_thread_name(thread));
  thread->role->global_read += bytes;
  thread->role->copied += bytes;
  const smla_copy request = {.offset = offset, .bytes = bytes, .global = (void *)(uintptr_t)global, .line = line};
  smla_copy_send(thread, &request, barrier_offset, rank_mask, what);
  smla_thread_yield(thread, 0);
}

void smla_bulk_copy(unsigned address, const void *global, unsigned bytes, unsigned barrier, smla_place line) {
  smla_thread *thread = smla_step(line);
  bulk_copy(thread, address, global, bytes, barrier, 1u << thread->block->rank, "bulk_copy", line);
}

void smla_bulk_copy_multicast(unsigned address, const void *global, unsigned bytes, unsigned barrier,
                              unsigned rank_mask, smla_place line) {
  bulk_copy(smla_step(line), address, global, bytes, barrier, rank_mask, "bulk_copy_multicast", line);
}

void smla_bulk_store(void *global, unsigned address, unsigned bytes, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_cluster *cluster = thread->block->cluster;
  uint32_t offset;
  check_copy(thread, global, bytes, "bulk_store", line);
  smla_global_check(thread, global, bytes, SMLA_GRANULE, 1, "bulk_store", line);
  smla_block *block = smla_shared_locate(thread, address, bytes, SMLA_GRANULE, "bulk_store", line, &offset);
  smla_shared_begin_read(thread, block, offset, bytes, "stores with bulk_store", line);
  thread->role->global_written += bytes;
  thread->role->copied += bytes;
  thread->role->shared_bytes += bytes;
  smla_copy *copy = add_copy(thread, line);
  *copy = (smla_copy){.block = block,
                      .offset = offset,
                      .bytes = bytes,
                      .global = global,
                      .thread = thread->slot,
                      .group = thread->stores_committed,
                      .line = line};
  if (cluster->worker->run->order == SNAPMLA_EMULATOR_EAGER) complete(cluster, cluster->copy_count - 1);
  smla_thread_yield(thread, 0);
}

void smla_bulk_store_commit(smla_place line) {
  smla_thread *thread = smla_step(line);
  thread->stores_committed++;
}

void smla_bulk_store_wait(int pending, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_cluster *cluster = thread->block->cluster;
  for (uint32_t i = 0; i < cluster->copy_count;) {
    const smla_copy *copy = cluster->copies + i;
    if (copy->barrier || copy->thread != thread->slot || copy->group + (uint32_t)pending >= thread->stores_committed) {
      i++;
      continue;
    }
    if (!copy->landed) complete(cluster, i);
    smla_shared_end_read(copy->block, copy->offset, copy->bytes);
    remove_copy(cluster, i);
  }
}

void smla_bulk_prefetch(const void *global, unsigned bytes, smla_place line) {
  smla_thread *thread = smla_step(line);
  check_copy(thread, global, bytes, "bulk_prefetch", line);
  smla_global_check(thread, global, bytes, SMLA_GRANULE, 0, "bulk_prefetch", line);
}

void smla_fence_async_proxy(smla_place line) {
  smla_thread *thread = smla_step(line);
  const uint32_t fences = (thread->stamp + 1) & ((1u << SMLA_STAMP_SHIFT) - 1);
  thread->stamp = thread->slot << SMLA_STAMP_SHIFT | (fences ? fences : 1);
  thread->known = ++thread->block->cluster->fences;
  if (thread->block->unfenced_barriers) smla_mbarriers_fence(thread);
  if (thread->block->has_thread_copies) smla_thread_copies_fence(thread);
  smla_thread_yield(thread, 0);
}

void smla_copies_check_exit(smla_thread *thread) {
  smla_cluster *cluster = thread->block->cluster;
  for (uint32_t i = 0; i < cluster->copy_count; i++)
    if (!cluster->copies[i].barrier && cluster->copies[i].thread == thread->slot)
      smla_fault_end(cluster, SMLA_FAULT_UNFINISHED, cluster->copies[i].line,
                     "%s exits without a bulk_store_wait for this bulk_store of shared offset %u",
                     smla_thread_name(thread), cluster->copies[i].offset);
}

void smla_copies_check_block(smla_block *block) {
  const smla_cluster *cluster = block->cluster;
  for (uint32_t i = 0; i < cluster->copy_count; i++) {
    const smla_copy *copy = cluster->copies + i;
    if (copy->block != block) continue;
    smla_fault(
        block->cluster, SMLA_FAULT_UNFINISHED, copy->line,
        "block %llu exits and no thread has waited for the bulk copy of %s to shared offset %u (barrier at offset %u)",
        (unsigned long long)block->index, smla_thread_name(cluster->threads + copy->thread), copy->offset,
        copy->barrier->offset);
  }
}
