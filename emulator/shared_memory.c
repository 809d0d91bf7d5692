#include "shared_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "machine.h"

snapmla_status smla_shared_reset(smla_shared_memory *shared, uint32_t size) {
  const size_t granules = ((size_t)size + SMLA_GRANULE - 1) / SMLA_GRANULE;
  if (size > shared->capacity || !shared->bytes) {
    smla_shared_free(shared);
    const size_t room = granules ? granules : 1;
    shared->bytes = aligned_alloc(64, (room * SMLA_GRANULE + 63) / 64 * 64);
    shared->granules = malloc(room * sizeof *shared->granules);
    shared->stamps = malloc(room * sizeof *shared->stamps);
    shared->places = malloc(room * sizeof *shared->places);
    if (!shared->bytes || !shared->granules || !shared->stamps || !shared->places) {
      smla_shared_free(shared);
      return SNAPMLA_OUT_OF_MEMORY;
    }
    shared->capacity = size;
  }
  shared->size = size;
  memset(shared->bytes, 0xff, granules * SMLA_GRANULE);
  memset(shared->granules, 0, granules * sizeof *shared->granules);
  return SNAPMLA_OK;
}

void smla_shared_free(smla_shared_memory *shared) {
  free(shared->bytes);
  free(shared->granules);
  free(shared->stamps);
  free(shared->places);
  memset(shared, 0, sizeof *shared);
}

smla_block *smla_shared_locate(smla_thread *thread, uint32_t address, uint32_t bytes, uint32_t alignment,
                               const char *what, smla_place line, uint32_t *offset) {
  smla_block *block = thread->block;
  smla_cluster *cluster = block->cluster;
  const uint32_t rank = address >> SMLA_RANK_SHIFT;
  if (rank) {
    if (rank > cluster->block_count)
      smla_fault_end(cluster, SMLA_FAULT_SHARED_BOUNDS, line, "%s of %s names shared address 0x%x, which no block has",
                     what, smla_thread_name(thread), address);
    block = cluster->blocks + rank - 1;
    if (block->live == 0)
      smla_fault_end(cluster, SMLA_FAULT_EXITED_BLOCK, line,
                     "%s of %s reaches shared memory of block %llu, all of whose threads have exited", what,
                     smla_thread_name(thread), (unsigned long long)block->index);
  }
  const uint32_t place = address & ((1u << SMLA_RANK_SHIFT) - 1);
  if (place < SMLA_SHARED_BASE || place - SMLA_SHARED_BASE > block->shared.size ||
      bytes > block->shared.size - (place - SMLA_SHARED_BASE))
    smla_fault_end(cluster, SMLA_FAULT_SHARED_BOUNDS, line, "%s of %s covers bytes %lld to %lld of the block's %u",
                   what, smla_thread_name(thread), (long long)place - SMLA_SHARED_BASE,
                   (long long)place - SMLA_SHARED_BASE + bytes - 1, block->shared.size);
  if (place % alignment != 0)
    smla_fault_end(cluster, SMLA_FAULT_MISALIGNED, line, "%s of %s at shared offset %u must be aligned to %u bytes",
                   what, smla_thread_name(thread), place - SMLA_SHARED_BASE, alignment);
  *offset = place - SMLA_SHARED_BASE;
  return block;
}

/* The copy in flight over a byte, for a report. */
static const smla_copy *copy_over(const smla_block *block, uint32_t offset, int reading) {
  const smla_cluster *cluster = block->cluster;
  for (uint32_t i = 0; i < cluster->copy_count; i++) {
    const smla_copy *copy = cluster->copies + i;
    if (copy->block == block && (copy->barrier == NULL) == reading && offset >= copy->offset &&
        offset < copy->offset + copy->bytes)
      return copy;
  }
  return NULL;
}

static void fault_copy(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes, const char *verb,
                       smla_place line) {
  const smla_copy *copy = NULL;
  for (uint32_t i = 0; i < bytes && !copy; i++) copy = copy_over(block, offset + i, 0);
  const uint32_t barrier = copy ? copy->barrier->offset : 0;
  smla_place place = 0;
  const smla_thread *copier = NULL;
  for (uint32_t i = 0; i < bytes && !copy && !copier; i++) copier = smla_thread_copies_over(block, offset + i, &place);
  if (copier) {
    smla_fault(block->cluster, SMLA_FAULT_COPY_IN_FLIGHT, line,
               "%s %s %u bytes at shared offset %u before any wait for the thread_copy of %s (by %s)",
               smla_thread_name(thread), verb, bytes, offset, smla_place_name(place), smla_thread_name(copier));
    return;
  }
  smla_fault(block->cluster, SMLA_FAULT_COPY_IN_FLIGHT, line,
             "%s %s %u bytes at shared offset %u before any wait for the bulk copy of %s (by %s, barrier at offset %u)",
             smla_thread_name(thread), verb, bytes, offset, copy ? smla_place_name(copy->line) : "?",
             copy ? smla_thread_name(block->cluster->threads + copy->thread) : "?", barrier);
}

static void fault_barrier(smla_thread *thread, smla_block *block, uint32_t offset, const char *verb, smla_place line) {
  const smla_mbarrier *barrier = smla_mbarrier_find(block, offset & ~7u);
  smla_fault(block->cluster, SMLA_FAULT_BARRIER_MEMORY, line,
             "%s %s shared offset %u, where %s made a transaction barrier", smla_thread_name(thread), verb, offset,
             barrier ? smla_place_name(barrier->init_line) : "?");
}

static void fault_still_read(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes, const char *verb,
                             smla_place line) {
  const smla_copy *copy = copy_over(block, offset, 1);
  char reader[160];
  if (copy)
    snprintf(reader, sizeof reader, "the bulk_store of %s (by %s)", smla_place_name(copy->line),
             smla_thread_name(block->cluster->threads + copy->thread));
  else
    smla_tensor_reader(block, offset, reader, sizeof reader);
  smla_fault(block->cluster, SMLA_FAULT_STILL_READ, line, "%s %s %u bytes at shared offset %u, which %s still reads",
             smla_thread_name(thread), verb, bytes, offset, reader);
}

static const void *load_slowly(smla_thread *thread, uint32_t address, uint32_t bytes, smla_place line) {
  uint32_t offset;
  smla_block *block = smla_shared_locate(thread, address, bytes, bytes, "a load", line, &offset);
  const smla_granule *granule = block->shared.granules + offset / SMLA_GRANULE;
  const uint32_t mask = ((1u << bytes) - 1) << offset % SMLA_GRANULE;
  if (granule->copying & mask)
    fault_copy(thread, block, offset, bytes, "reads", line);
  else if ((granule->written & mask) != mask) {
    if ((granule->state & SMLA_IS_BARRIER) && smla_mbarrier_find(block, offset & ~7u))
      fault_barrier(thread, block, offset, "reads", line);
    else
      smla_fault(block->cluster, SMLA_FAULT_UNINITIALISED, line,
                 "%s reads %u bytes at shared offset %u, not all of which were written", smla_thread_name(thread),
                 bytes, offset);
  }
  return block->shared.bytes + offset;
}

const void *smla_shared_load_of(smla_thread *thread, uint32_t address, uint32_t bytes, smla_place line) {
  const smla_shared_memory *shared = &thread->block->shared;
  const uint32_t offset = address - SMLA_SHARED_BASE;
  *thread->shared_bytes += bytes;
  if (__builtin_expect(offset < shared->size && (offset & (bytes - 1)) == 0, 1)) {
    const smla_granule *granule = shared->granules + offset / SMLA_GRANULE;
    const uint32_t mask = ((1u << bytes) - 1) << offset % SMLA_GRANULE;
    if (__builtin_expect((granule->written & ~granule->copying & mask) == mask, 1)) return shared->bytes + offset;
  }
  return load_slowly(thread, address, bytes, line);
}

/* Notes a store; what it must not touch was checked. */
static inline void mark_store(uint32_t stamp, smla_shared_memory *shared, uint32_t offset, uint32_t bytes,
                              smla_place line) {
  const uint32_t index = offset / SMLA_GRANULE, first = offset % SMLA_GRANULE;
  smla_granule *granule = shared->granules + index;
  uint32_t *stamps = shared->stamps[index];
  if (!(granule->state & SMLA_MAY_BE_DIRTY)) {
    memset(stamps, 0, sizeof shared->stamps[index]);
    granule->state |= SMLA_MAY_BE_DIRTY;
  }
  granule->written |= (uint16_t)(((1u << bytes) - 1) << first);
  shared->places[index] = line;
  for (uint32_t i = 0; i < bytes; i++) stamps[first + i] = stamp;
}

static void *store_slowly(smla_thread *thread, uint32_t address, uint32_t bytes, smla_place line) {
  uint32_t offset;
  smla_block *block = smla_shared_locate(thread, address, bytes, bytes, "a store", line, &offset);
  smla_granule *granule = block->shared.granules + offset / SMLA_GRANULE;
  const uint32_t mask = ((1u << bytes) - 1) << offset % SMLA_GRANULE;
  if (granule->copying & mask) {
    fault_copy(thread, block, offset, bytes, "writes", line);
    return thread->block->cluster->worker->scratch;
  }
  if ((granule->state & SMLA_IS_BARRIER) && smla_mbarrier_find(block, offset & ~7u)) {
    fault_barrier(thread, block, offset, "writes", line);
    return thread->block->cluster->worker->scratch;
  }
  if (granule->state & SMLA_READERS) fault_still_read(thread, block, offset, bytes, "writes", line);
  mark_store(thread->stamp, &block->shared, offset, bytes, line);
  return block->shared.bytes + offset;
}

void *smla_shared_store_of(smla_thread *thread, uint32_t address, uint32_t bytes, smla_place line) {
  smla_shared_memory *shared = &thread->block->shared;
  const uint32_t offset = address - SMLA_SHARED_BASE;
  *thread->shared_bytes += bytes;
  if (__builtin_expect(offset < shared->size && (offset & (bytes - 1)) == 0, 1)) {
    const smla_granule *granule = shared->granules + offset / SMLA_GRANULE;
    const uint32_t mask = ((1u << bytes) - 1) << offset % SMLA_GRANULE;
    if (__builtin_expect(!(granule->copying & mask) && !(granule->state & (SMLA_READERS | SMLA_IS_BARRIER)), 1)) {
      mark_store(thread->stamp, shared, offset, bytes, line);
      return shared->bytes + offset;
    }
  }
  return store_slowly(thread, address, bytes, line);
}

const void *smla_shared_load(unsigned address, unsigned bytes, smla_place line) {
  return smla_shared_load_of(smla_step(line), address, bytes, line);
}

void *smla_shared_store(unsigned address, unsigned bytes, smla_place line) {
  return smla_shared_store_of(smla_step(line), address, bytes, line);
}

unsigned smla_shared_address(unsigned byte_offset, smla_place line) {
  smla_thread *thread = smla_current;
  if (byte_offset > thread->block->shared.size)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_SHARED_BOUNDS, line,
                   "%s names shared offset %u of a block that has %u bytes", smla_thread_name(thread), byte_offset,
                   thread->block->shared.size);
  return byte_offset + SMLA_SHARED_BASE;
}

unsigned smla_shared_address_of_rank(unsigned address, unsigned rank, smla_place line) {
  smla_thread *thread = smla_step(line);
  if (rank >= thread->block->cluster->block_count)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_SHARED_BOUNDS, line, "%s names rank %u in a cluster of %u",
                   smla_thread_name(thread), rank, thread->block->cluster->block_count);
  return (address & ((1u << SMLA_RANK_SHIFT) - 1)) | (rank + 1) << SMLA_RANK_SHIFT;
}

/* Whether what left the stamp has not been fenced since: the storing thread has not; or, of a copy, no thread that waited for
 * it has, or `reader` has not waited for anything since that fence. */
static int is_unfenced(const smla_block *block, uint32_t stamp, const smla_thread *reader) {
  const uint32_t slot = stamp >> SMLA_STAMP_SHIFT;
  if (stamp == 0) return 0;
  if (slot < SMLA_COPY_SLOT) return block->cluster->threads[slot].stamp == stamp;
  const int32_t phase = (int32_t)(stamp & ((1u << SMLA_STAMP_SHIFT) - 1)) - 1;
  const smla_mbarrier *barrier = block->barriers + (slot - SMLA_COPY_SLOT);
  if (phase < barrier->copies_fenced) return 0; /* long ago */
  return phase > barrier->copies_fenced || reader->known < barrier->fenced_at;
}

/* Stores that the asynchronous proxy is to follow must have been fenced. */
static void check_fenced(smla_thread *thread, smla_block *block, uint32_t index, const char *what, smla_place line) {
  const uint32_t *stamps = block->shared.stamps[index];
  uint32_t byte = 0;
  while (byte < SMLA_GRANULE && !is_unfenced(block, stamps[byte], thread)) byte++;
  if (byte == SMLA_GRANULE) {
    block->shared.granules[index].state &= (uint16_t)~SMLA_MAY_BE_DIRTY;
    return;
  }
  const uint32_t slot = stamps[byte] >> SMLA_STAMP_SHIFT;
  const char *place = smla_place_name(block->shared.places[index]);
  if (slot < SMLA_COPY_SLOT)
    smla_fault(block->cluster, SMLA_FAULT_UNFENCED, line,
               "%s %s shared offset %u, which %s wrote (last store near it: %s) without a fence_async_proxy since",
               smla_thread_name(thread), what, index * SMLA_GRANULE + byte,
               smla_thread_name(block->cluster->threads + slot), place);
  else
    smla_fault(block->cluster, SMLA_FAULT_UNFENCED, line,
               "%s %s shared offset %u, which the thread_copy of %s wrote: first a thread that waited for it must "
               "fence_async_proxy, and this one wait for that",
               smla_thread_name(thread), what, index * SMLA_GRANULE + byte, place);
}

void smla_shared_begin_read(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes, const char *what,
                            smla_place line) {
  smla_granule *granules = block->shared.granules;
  const uint32_t end = (offset + bytes) / SMLA_GRANULE;
  for (uint32_t i = offset / SMLA_GRANULE; i < end; i++) {
    smla_granule *granule = granules + i;
    if (__builtin_expect(granule->written != 0xffff || granule->copying != 0, 0)) {
      if (granule->copying)
        fault_copy(thread, block, i * SMLA_GRANULE, SMLA_GRANULE, what, line);
      else
        smla_fault(block->cluster, SMLA_FAULT_UNINITIALISED, line,
                   "%s %s 16 bytes at shared offset %u, not all of which were written", smla_thread_name(thread), what,
                   i * SMLA_GRANULE);
    }
    if (granule->state & SMLA_MAY_BE_DIRTY) check_fenced(thread, block, i, what, line);
    granule->state++;
  }
}

void smla_shared_end_read(smla_block *block, uint32_t offset, uint32_t bytes) {
  const uint32_t end = (offset + bytes) / SMLA_GRANULE;
  for (uint32_t i = offset / SMLA_GRANULE; i < end; i++) block->shared.granules[i].state--;
}

void smla_shared_begin_copy(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes, smla_place line) {
  smla_granule *granules = block->shared.granules;
  const uint32_t end = (offset + bytes) / SMLA_GRANULE;
  for (uint32_t i = offset / SMLA_GRANULE; i < end; i++) {
    smla_granule *granule = granules + i;
    if (__builtin_expect(granule->copying != 0 || (granule->state & (SMLA_READERS | SMLA_IS_BARRIER)), 0)) {
      const uint32_t at = i * SMLA_GRANULE;
      if (granule->copying) fault_copy(thread, block, at, SMLA_GRANULE, "copies over", line);
      if (granule->state & SMLA_READERS) fault_still_read(thread, block, at, SMLA_GRANULE, "copies over", line);
      if (granule->state & SMLA_IS_BARRIER) {
        const uint32_t half = smla_mbarrier_find(block, at) ? at : at + 8;
        fault_barrier(thread, block, half, "copies over", line);
      }
    }
    if (granule->state & SMLA_MAY_BE_DIRTY) check_fenced(thread, block, i, "copies over", line);
    granule->copying = 0xffff;
  }
}

void smla_shared_land_copy(smla_block *block, uint32_t offset, uint32_t bytes) {
  const uint32_t end = (offset + bytes) / SMLA_GRANULE;
  for (uint32_t i = offset / SMLA_GRANULE; i < end; i++) {
    block->shared.granules[i].written = 0xffff;
    block->shared.granules[i].state &= (uint16_t)~SMLA_MAY_BE_DIRTY;
  }
}

void smla_shared_end_copy(smla_block *block, uint32_t offset, uint32_t bytes) {
  const uint32_t end = (offset + bytes) / SMLA_GRANULE;
  for (uint32_t i = offset / SMLA_GRANULE; i < end; i++) block->shared.granules[i].copying = 0;
}

static uint16_t mask_of(uint32_t offset, uint32_t bytes) {
  return (uint16_t)(((1u << bytes) - 1) << offset % SMLA_GRANULE);
}

void smla_shared_begin_thread_copy(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes,
                                   smla_place line) {
  smla_granule *granule = block->shared.granules + offset / SMLA_GRANULE;
  const uint16_t mask = mask_of(offset, bytes);
  if (granule->copying & mask) fault_copy(thread, block, offset, bytes, "copies over", line);
  if (granule->state & SMLA_READERS) fault_still_read(thread, block, offset, bytes, "copies over", line);
  if (granule->state & SMLA_IS_BARRIER)
    for (uint32_t at = offset & ~7u; at < offset + bytes; at += 8)
      if (smla_mbarrier_find(block, at)) fault_barrier(thread, block, at, "copies over", line);
  granule->copying |= mask;
}

void smla_shared_land_thread_copy(smla_block *block, uint32_t offset, uint32_t bytes) {
  block->shared.granules[offset / SMLA_GRANULE].written |= mask_of(offset, bytes);
}

void smla_shared_end_thread_copy(smla_block *block, uint32_t offset, uint32_t bytes, uint32_t stamp, smla_place line) {
  block->shared.granules[offset / SMLA_GRANULE].copying &= (uint16_t)~mask_of(offset, bytes);
  mark_store(stamp, &block->shared, offset, bytes, line);
}
