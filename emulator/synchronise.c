/* Barriers between threads, and what the lanes of a warp do together. */
#include <string.h>

#include "fault.h"
#include "machine.h"

#define FULL_WARP 0xffffffffu

static smla_warp *warp_of(smla_thread *thread) { return thread->block->warps + thread->index / SMLA_WARP; }
static uint32_t lane_bit(const smla_thread *thread) { return 1u << thread->index % SMLA_WARP; }

static _Noreturn void fault_exited(smla_thread *thread, const char *what, smla_place line, uint32_t lanes) {
  smla_fault_end(thread->block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, line,
                 "%s needs all lanes of warp %u of block %llu, of which lanes 0x%08x have exited", what,
                 (unsigned)thread->index / SMLA_WARP, (unsigned long long)thread->block->index, lanes);
}

/* On the GPU warp_agrees is a shuffle. Here no lane waits for the others in it: when they next meet, in a block_sync or
 * a collective call, or have exited, all have called it as often, and last at the same place. */
static void check_agreed(const smla_thread *lanes) {
  for (uint32_t i = 1; i < SMLA_WARP; i++) {
    if (lanes[i].agreed == lanes->agreed && lanes[i].agreed_line == lanes->agreed_line) continue;
    const smla_thread *one = lanes + i, *other = lanes;
    if (one->agreed < other->agreed) other = one, one = lanes;
    smla_fault_end(lanes->block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, one->agreed_line,
                   "lane %u of warp %u of block %llu calls warp_index or warpgroup_index, all lanes' to call, and lane "
                   "%u does not: call it before they part",
                   (unsigned)one->index % SMLA_WARP, (unsigned)lanes->index / SMLA_WARP,
                   (unsigned long long)lanes->block->index, (unsigned)other->index % SMLA_WARP);
  }
}

unsigned smla_warp_agrees(unsigned value, smla_place line) {
  smla_current->agreed++;
  smla_current->agreed_line = line;
  return value;
}

void smla_warp_collective(smla_thread *thread, const char *what, smla_place line,
                          void (*work)(smla_thread *lanes, const void *argument), const void *argument) {
  smla_warp *warp = warp_of(thread);
  if (warp->exited) fault_exited(thread, what, line, warp->exited);
  if (warp->arrived == 0) {
    warp->line = line;
    warp->what = what;
  } else if (warp->line != line || warp->what != what) {
    smla_fault_end(thread->block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, line,
                   "lanes 0x%08x of warp %u of block %llu call %s at %s while lane %u calls %s at %s", warp->arrived,
                   (unsigned)thread->index / SMLA_WARP, (unsigned long long)thread->block->index, warp->what,
                   smla_place_name(warp->line), (unsigned)thread->index % SMLA_WARP, what, smla_place_name(line));
  }
  warp->arrived |= lane_bit(thread);
  if (warp->arrived != FULL_WARP) {
    smla_thread_wait(thread, SMLA_WAITS_COLLECTIVE, what, 0, line);
    return;
  }
  smla_thread *lanes = thread - thread->index % SMLA_WARP;
  check_agreed(lanes);
  warp->arrived = 0;
  uint64_t known = 0;
  for (uint32_t i = 0; i < SMLA_WARP; i++) smla_know(&known, lanes[i].known);
  for (uint32_t i = 0; i < SMLA_WARP; i++) lanes[i].known = known;
  if (work) work(lanes, argument);
  for (uint32_t i = 0; i < SMLA_WARP; i++)
    if (lanes + i != thread) smla_thread_wake(lanes + i);
}

void smla_warp_sync(smla_place line) { smla_warp_collective(smla_step(line), "warp_sync", line, NULL, NULL); }

static void shuffle_lanes(smla_thread *lanes, const void *argument) {
  const int kind = *(const int *)argument;
  for (uint32_t i = 0; i < SMLA_WARP; i++) {
    const uint32_t operand = lanes[i].operand[1];
    uint32_t source = kind == SMLA_SHUFFLE_INDEX ? operand % SMLA_WARP
                      : kind == SMLA_SHUFFLE_XOR ? i ^ operand
                                                 : i - operand;
    if (source >= SMLA_WARP) source = i;
    lanes[i].result[0] = lanes[source].operand[0];
  }
}

unsigned smla_shuffle(unsigned value, int kind, unsigned operand, smla_place line) {
  static const char *const names[] = {"shuffle", "shuffle_xor", "shuffle_up"};
  smla_thread *thread = smla_step(line);
  thread->operand[0] = value;
  thread->operand[1] = operand;
  smla_warp_collective(thread, names[kind], line, shuffle_lanes, &kind);
  return thread->result[0];
}

static void vote_lanes(smla_thread *lanes, const void *argument) {
  const int all = *(const int *)argument;
  uint32_t result = (uint32_t)all;
  for (uint32_t i = 0; i < SMLA_WARP; i++) result = all ? result & lanes[i].operand[0] : result | lanes[i].operand[0];
  for (uint32_t i = 0; i < SMLA_WARP; i++) lanes[i].result[0] = result;
}

int smla_vote(int predicate, int all, smla_place line) {
  smla_thread *thread = smla_step(line);
  thread->operand[0] = predicate != 0;
  smla_warp_collective(thread, all ? "warp_all" : "warp_any", line, vote_lanes, &all);
  return (int)thread->result[0];
}

/* A named barrier has all its arrivals: every warp must have come whole. */
static void complete_named(smla_block *block, uint32_t id) {
  smla_named_barrier *barrier = block->named + id;
  for (uint32_t i = 0; i * SMLA_WARP < block->thread_count; i++) {
    const uint32_t missing = FULL_WARP & ~barrier->lanes[i];
    if (barrier->lanes[i] && missing)
      smla_fault_end(block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, barrier->line[i],
                     "barrier %u completes with lanes 0x%08x of warp %u of block %llu, without lanes 0x%08x", id,
                     barrier->lanes[i], i, (unsigned long long)block->index, missing);
    if (id == 0 && barrier->lanes[i]) check_agreed(block->threads + i * SMLA_WARP); /* others' lanes may have gone on */
  }
  for (smla_thread *waiter = barrier->waiters; waiter; waiter = waiter->next_waiter)
    smla_know(&waiter->known, barrier->known);
  barrier->expected = barrier->arrived = 0;
  memset(barrier->lanes, 0, sizeof barrier->lanes);
  smla_threads_wake(&barrier->waiters);
}

/* Enters the thread; 1 if that completed the barrier. */
static int enter_named(smla_thread *thread, uint32_t id, uint32_t expected, const char *what, smla_place line) {
  smla_block *block = thread->block;
  smla_named_barrier *barrier = block->named + id;
  const uint32_t warp = thread->index / SMLA_WARP;
  if (barrier->arrived && barrier->expected != expected)
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_COUNT, line,
                   "%s expects %u threads at barrier %u, where others expect %u", smla_thread_name(thread), expected,
                   id, barrier->expected);
  if (barrier->lanes[warp] & lane_bit(thread))
    smla_fault_end(block->cluster, SMLA_FAULT_BARRIER_COUNT, line,
                   "%s arrives twice at barrier %u before it completes (%u of %u threads have come)",
                   smla_thread_name(thread), id, barrier->arrived, expected);
  if (barrier->lanes[warp] && barrier->line[warp] != line)
    smla_fault_end(block->cluster, SMLA_FAULT_PARTIAL_COLLECTIVE, line,
                   "lanes 0x%08x of warp %u of block %llu are at barrier %u at %s while lane %u calls %s at %s",
                   barrier->lanes[warp], warp, (unsigned long long)block->index, id,
                   smla_place_name(barrier->line[warp]), thread->index % SMLA_WARP, what, smla_place_name(line));
  if (barrier->lanes[warp] == 0) barrier->line[warp] = line;
  barrier->expected = expected;
  barrier->arrived++;
  smla_know(&barrier->known, thread->known);
  barrier->lanes[warp] |= lane_bit(thread);
  return barrier->arrived == expected;
}

/* Waits for the barrier, or completes it for all. */
static void pass_named(smla_thread *thread, uint32_t id, int last, const char *what, smla_place line) {
  smla_named_barrier *barrier = thread->block->named + id;
  if (last) {
    smla_know(&thread->known, barrier->known);
    complete_named(thread->block, id);
    return;
  }
  thread->next_waiter = barrier->waiters;
  barrier->waiters = thread;
  smla_thread_wait(thread, SMLA_WAITS_NAMED, what, id, line);
}

static void check_named(smla_thread *thread, uint32_t id, uint32_t threads, smla_place line) {
  if (id < 1 || id >= SMLA_NAMED_BARRIERS || threads == 0 || threads % SMLA_WARP != 0 ||
      threads > thread->block->thread_count)
    smla_fault_end(thread->block->cluster, SMLA_FAULT_BARRIER_COUNT, line,
                   "%s names barrier %u of %u threads: ids are 1 to 15, counts whole warps of the block's %u threads",
                   smla_thread_name(thread), id, threads, thread->block->thread_count);
}

void smla_barrier_sync(unsigned id, unsigned threads, smla_place line) {
  smla_thread *thread = smla_step(line);
  check_named(thread, id, threads, line);
  const int last = enter_named(thread, id, threads, "barrier_sync", line);
  pass_named(thread, id, last, "barrier_sync", line);
}

void smla_barrier_arrive(unsigned id, unsigned threads, smla_place line) {
  smla_thread *thread = smla_step(line);
  check_named(thread, id, threads, line);
  if (enter_named(thread, id, threads, "barrier_arrive", line)) complete_named(thread->block, id);
  smla_thread_yield(thread, 0);
}

/* Exited warps no longer count: what is expected follows the living. */
static int block_complete(smla_block *block) {
  return block->named[0].arrived && block->named[0].arrived >= block->live;
}

void smla_block_sync(smla_place line) {
  smla_thread *thread = smla_step(line);
  const uint32_t exited = warp_of(thread)->exited;
  if (exited) fault_exited(thread, "block_sync", line, exited);
  enter_named(thread, 0, thread->block->thread_count, "block_sync", line);
  pass_named(thread, 0, block_complete(thread->block), "block_sync", line);
}

static int cluster_complete(const smla_cluster *cluster) {
  return cluster->cluster_arrived && cluster->cluster_arrived >= cluster->live;
}

static void complete_cluster(smla_cluster *cluster) {
  cluster->cluster_arrived = 0;
  for (smla_thread *waiter = cluster->cluster_waiters; waiter; waiter = waiter->next_waiter)
    smla_know(&waiter->known, cluster->cluster_known);
  smla_threads_wake(&cluster->cluster_waiters);
}

void smla_cluster_sync(smla_place line) {
  smla_thread *thread = smla_step(line);
  smla_cluster *cluster = thread->block->cluster;
  const uint32_t exited = warp_of(thread)->exited;
  if (exited) fault_exited(thread, "cluster_sync", line, exited);
  cluster->cluster_arrived++;
  smla_know(&cluster->cluster_known, thread->known);
  if (cluster_complete(cluster)) {
    thread->known = cluster->cluster_known;
    complete_cluster(cluster);
    return;
  }
  thread->next_waiter = cluster->cluster_waiters;
  cluster->cluster_waiters = thread;
  smla_thread_wait(thread, SMLA_WAITS_CLUSTER, "cluster_sync", 0, line);
}

void smla_thread_left(smla_thread *thread) {
  smla_block *block = thread->block;
  smla_warp *warp = warp_of(thread);
  const uint32_t index = thread->index / SMLA_WARP;
  warp->exited |= lane_bit(thread);
  if (warp->arrived) fault_exited(thread, warp->what, warp->line, warp->exited);
  if (warp->exited == FULL_WARP) check_agreed(thread - thread->index % SMLA_WARP);
  if (block->named[0].lanes[index]) fault_exited(thread, "block_sync", block->named[0].line[index], warp->exited);
  smla_copies_check_exit(thread);
  smla_thread_copies_check_exit(thread);
  smla_tensor_check_exit(thread);
  if (block_complete(block)) complete_named(block, 0);
  if (cluster_complete(block->cluster)) complete_cluster(block->cluster);
}
