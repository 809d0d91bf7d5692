/* Transaction barriers: phases, arrivals, bytes, and who has observed what. */
#include "fault.h"
#include "machine.h"

#define BYTES_LIMIT ((int64_t)(1 << 20) - 1)
#define ARRIVALS_LIMIT ((1u << 20) - 1)

smla_mbarrier *smla_mbarrier_find(smla_block *block, uint32_t offset) {
  for (uint32_t i = 0; i < block->barrier_count; i++)
    if (block->barriers[i].offset == offset) return block->barriers + i;
  return NULL;
}

static smla_mbarrier *barrier_at(smla_thread *thread, uint32_t address, const char *what, smla_place line,
                                 smla_block **block) {
  uint32_t offset;
  *block = smla_shared_locate(thread, address, 8, 8, what, line, &offset);
  smla_mbarrier *barrier = smla_mbarrier_find(*block, offset);
  if (!barrier)
    smla_fault_end((*block)->cluster, SMLA_FAULT_BARRIER_MEMORY, line,
                   "%s of %s at shared offset %u, where no mbarrier_init made a barrier", what,
                   smla_thread_name(thread), offset);
  return barrier;
}

void smla_mbarrier_init(unsigned address, unsigned arrivals, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_block *block = thread->block;
  uint32_t offset;
  if (smla_shared_locate(thread, address, 8, 8, "mbarrier_init", line, &offset) != block)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_MEMORY, line, "%s initialises a barrier of another block",
                   smla_thread_name(thread));
  const smla_mbarrier *before = smla_mbarrier_find(block, offset);
  if (before)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_MEMORY, line,
                   "%s initialises the barrier at shared offset %u, which %s initialised and which is in use",
                   smla_thread_name(thread), offset, smla_place_name(before->init_line));
  if (arrivals < 1 || arrivals > ARRIVALS_LIMIT)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_COUNT, line, "%s gives a barrier %u arrivals: 1 to %u are legal",
                   smla_thread_name(thread), arrivals, ARRIVALS_LIMIT);
  if (block->barrier_count == SMLA_MAX_BARRIERS)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_COUNT, line, "a block has at most %d transaction barriers here",
                   SMLA_MAX_BARRIERS);
  smla_granule *granule = block->shared.granules + offset / SMLA_GRANULE;
  const uint32_t mask = 0xffu << offset % SMLA_GRANULE;
  if ((granule->copying & mask) || (granule->state & SMLA_READERS))
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_MEMORY, line,
                   "%s initialises a barrier at shared offset %u, which an asynchronous operation still uses",
                   smla_thread_name(thread), offset);
  granule->written &= (uint16_t)~mask;
  granule->state |= SMLA_IS_BARRIER;
  smla_mbarrier *barrier = block->barriers + block->barrier_count;
  *barrier = (smla_mbarrier){.offset = offset,
                             .expected = arrivals,
                             .pending = arrivals,
                             .init_line = line,
                             .init_thread = thread->index,
                             .copies_fenced = SMLA_NONE,
                             .observed = block->observed + (size_t)block->barrier_count * SMLA_MAX_THREADS};
  for (uint32_t i = 0; i < block->thread_count; i++) barrier->observed[i] = SMLA_NONE;
  block->barrier_count++;
  block->unfenced_barriers++;
}

void smla_mbarriers_fence(smla_thread *thread) {
  smla_block *block = thread->block;
  for (uint32_t i = 0; i < block->barrier_count; i++) {
    if (block->barriers[i].fenced || block->barriers[i].init_thread != thread->index) continue;
    block->barriers[i].fenced = 1;
    block->unfenced_barriers--;
  }
}

void smla_mbarrier_init_fence(smla_place line) { smla_mbarriers_fence(smla_step(line)); }

/* Ends the phase if nothing is missing. */
static void complete_if_done(smla_block *block, smla_mbarrier *barrier, smla_place line) {
  if (barrier->pending != 0 || barrier->bytes > 0) return;
  if (barrier->bytes < 0)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_COUNT, line,
                   "phase %d of the barrier at shared offset %u of block %llu has all its arrivals, but %lld bytes "
                   "more than it expected",
                   barrier->phase, barrier->offset, (unsigned long long)block->index, -(long long)barrier->bytes);
  barrier->phase++;
  barrier->pending = barrier->expected;
  smla_threads_wake(&barrier->waiters);
}

static void add_bytes(smla_block *block, smla_mbarrier *barrier, int64_t bytes, smla_place line) {
  barrier->bytes += bytes;
  if (barrier->bytes > BYTES_LIMIT || barrier->bytes < -BYTES_LIMIT)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_COUNT, line,
                   "the barrier at shared offset %u of block %llu has %lld bytes outstanding: the counter holds %lld",
                   barrier->offset, (unsigned long long)block->index, (long long)barrier->bytes,
                   (long long)BYTES_LIMIT);
}

static void arrive(smla_thread *thread, smla_block *block, smla_mbarrier *barrier, const char *what, smla_place line) {
  if (barrier->pending == 0)
    smla_fault_end(
        block->cluster, SMLA_FAULT_BARRIER_COUNT, line,
        "%s of %s is one too many: phase %d of the barrier at shared offset %u of block %llu has had its %u arrivals "
        "and waits for %lld bytes",
        what, smla_thread_name(thread), barrier->phase, barrier->offset, (unsigned long long)block->index,
        barrier->expected, (long long)barrier->bytes);
  barrier->pending--;
  smla_know(&barrier->known, thread->known);
  block->cluster->polls = 0;
  complete_if_done(block, barrier, line);
}

void smla_mbarrier_arrive(unsigned address, unsigned expect_bytes, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_block *block;
  const char *what = expect_bytes ? "mbarrier_arrive_expect" : "mbarrier_arrive";
  smla_mbarrier *barrier = barrier_at(thread, address, what, line, &block);
  add_bytes(block, barrier, expect_bytes, line);
  arrive(thread, block, barrier, what, line);
  smla_thread_yield(thread, 0);
}

void smla_mbarrier_arrive_copied(smla_thread *thread, smla_mbarrier *barrier, smla_place line) {
  arrive(thread, thread->block, barrier, "mbarrier_arrive_after_copies", line);
}

void smla_mbarrier_arrive_remote(unsigned address, unsigned rank, smla_place line) {
  smla_thread *thread = smla_step(line);
  const uint32_t remote = smla_shared_address_of_rank(address, rank, line);
  smla_block *block;
  smla_mbarrier *barrier = barrier_at(thread, remote, "mbarrier_arrive_remote", line, &block);
  arrive(thread, block, barrier, "mbarrier_arrive_remote", line);
  smla_thread_yield(thread, 0);
}

void smla_mbarrier_deliver(smla_block *block, smla_mbarrier *barrier, uint32_t bytes, smla_place line) {
  add_bytes(block, barrier, -(int64_t)bytes, line);
  block->cluster->polls = 0;
  complete_if_done(block, barrier, line);
}

static void check_parity(smla_thread *thread, unsigned parity, const char *what, smla_place line) {
  if (parity > 1)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_PARITY, line, "%s of %s has parity %u: 0 and 1 are legal", what,
                   smla_thread_name(thread), parity);
}

void smla_mbarrier_wait(unsigned address, unsigned parity, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_block *block;
  smla_mbarrier *barrier = barrier_at(thread, address, "mbarrier_wait", line, &block);
  check_parity(thread, parity, "mbarrier_wait", line);
  if (block != thread->block)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_MEMORY, line, "%s waits on a barrier of another block",
                   smla_thread_name(thread));
  int32_t *observed = barrier->observed + thread->index;
  const int32_t meant = *observed == SMLA_NONE ? (parity ? -1 : 0) : *observed + 1;
  if (((uint32_t)meant & 1) != parity)
    smla_fault_end(
        block->cluster, SMLA_FAULT_PARITY, line,
        "%s waits for parity %u of the barrier at shared offset %u: it has observed phase %d, so its next phase %d has "
        "parity %u; the wait would take the old phase for the new one",
        smla_thread_name(thread), parity, barrier->offset, *observed, meant, (unsigned)meant & 1);
  if (barrier->phase - 1 < meant) {
    thread->wait_phase = meant;
    thread->next_waiter = barrier->waiters;
    barrier->waiters = thread;
    smla_thread_wait(thread, SMLA_WAITS_MBARRIER, "mbarrier_wait", barrier->offset, line);
  }
  if (barrier->phase - 1 > meant)
    smla_fault_end(
        block->cluster, SMLA_FAULT_PARITY, line,
        "%s waits for phase %d (parity %u) of the barrier at shared offset %u, which has gone on to phase %d: nothing "
        "kept it from lapping the wait",
        smla_thread_name(thread), meant, parity, barrier->offset, barrier->phase);
  *observed = meant;
  smla_know(&thread->known, barrier->known);
  if (barrier->unobserved) smla_copies_observe(block, barrier, meant);
  if (barrier->unobserved_groups) smla_thread_copies_observe(block, barrier, meant);
}

int smla_mbarrier_test(unsigned address, unsigned parity, smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_block *block;
  const smla_mbarrier *barrier = barrier_at(thread, address, "mbarrier_test", line, &block);
  check_parity(thread, parity, "mbarrier_test", line);
  if (((uint32_t)barrier->phase & 1) != parity) {
    return 1;
  }
  smla_thread_spins(thread, line);
  return ((uint32_t)barrier->phase & 1) != parity;
}
