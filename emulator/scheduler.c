/* Which fibre runs. Threads take turns in the order of their index (eager, late) or as the seed says (random). */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "machine.h"
#include "report.h"
#include "status.h"

_Thread_local smla_thread *smla_current;

/* In random order, of so many chances to give way one is taken, and of so many switches one lets a copy or wgmma
 * complete. */
#define RANDOM_YIELD 16
#define RANDOM_COMPLETION 8
/* Threads that have tested barriers so often in vain, while nothing else happened, will do so for ever. */
#define SPIN_LIMIT (1u << 20)

uint64_t smla_random(smla_cluster *cluster) {
  /* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
  uint64_t z = (cluster->random += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* The first ready thread at or after `start`, in a ring; NULL if none is. */
static smla_thread *next_ready(smla_cluster *cluster, uint32_t start) {
  const uint32_t words = (cluster->thread_count + 63) / 64;
  if (start >= cluster->thread_count) start = 0;
  uint32_t word = start / 64;
  uint64_t bits = cluster->ready[word] & ~UINT64_C(0) << start % 64;
  for (uint32_t i = 0; i <= words; i++) {
    if (bits) return cluster->threads + word * 64 + (uint32_t)__builtin_ctzll(bits);
    word = word + 1 == words ? 0 : word + 1;
    bits = cluster->ready[word];
  }
  return NULL;
}

static smla_thread *choose(smla_cluster *cluster) {
  if (cluster->worker->run->order == SNAPMLA_EMULATOR_RANDOM)
    return next_ready(cluster, (uint32_t)(smla_random(cluster) % cluster->thread_count));
  return next_ready(cluster, cluster->cursor + 1);
}

static void switch_to(smla_worker *worker, smla_context *from, smla_context *to, smla_thread *thread, int last) {
  worker->switched_from = from;
  worker->cluster.running = thread;
  smla_current = thread;
  if (thread) {
    worker->cluster.cursor = thread->slot;
    thread->steps = 0;
  }
  smla_context_switch(from, to, last);
}

/* Leaves the running thread for the next ready one, or for the host's own stack when something must be decided there.
 * */
static void give_way(smla_thread *thread, int last) {
  smla_cluster *cluster = thread->block->cluster;
  smla_worker *worker = cluster->worker;
  const int random = worker->run->order == SNAPMLA_EMULATOR_RANDOM;
  smla_thread *next = random && smla_random(cluster) % RANDOM_COMPLETION == 0 ? NULL : choose(cluster);
  if (next == thread) {
    thread->steps = 0;
    return;
  }
  if (next)
    switch_to(worker, &thread->context, &next->context, next, last);
  else
    switch_to(worker, &thread->context, &worker->home, NULL, last);
}

static void set_ready(smla_cluster *cluster, uint32_t slot, int ready) {
  if (ready)
    cluster->ready[slot / 64] |= UINT64_C(1) << slot % 64;
  else
    cluster->ready[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

void smla_thread_wait(smla_thread *thread, smla_wait_kind kind, const char *what, uint32_t object, smla_place line) {
  thread->wait = kind;
  thread->wait_what = what;
  thread->wait_object = object;
  thread->wait_line = line;
  set_ready(thread->block->cluster, thread->slot, 0);
  give_way(thread, 0);
}

void smla_thread_wake(smla_thread *thread) {
  smla_cluster *cluster = thread->block->cluster;
  thread->wait = SMLA_RUNS;
  cluster->polls = 0;
  set_ready(cluster, thread->slot, 1);
}

void smla_threads_wake(smla_thread **list) {
  smla_thread *thread = *list;
  *list = NULL;
  while (thread) {
    smla_thread *next = thread->next_waiter;
    smla_thread_wake(thread);
    thread = next;
  }
}

void smla_thread_yield(smla_thread *thread, int always) {
  smla_cluster *cluster = thread->block->cluster;
  if (!always && (cluster->worker->run->order != SNAPMLA_EMULATOR_RANDOM || smla_random(cluster) % RANDOM_YIELD != 0))
    return;
  give_way(thread, 0);
}

void smla_on_home(smla_cluster *cluster, void (*request)(smla_cluster *, void *), void *argument) {
  smla_thread *thread = cluster->running;
  if (!thread) {
    request(cluster, argument);
    return;
  }
  cluster->request = request;
  cluster->request_argument = argument;
  const uint64_t steps = thread->steps;
  switch_to(cluster->worker, &thread->context, &cluster->worker->home, NULL, 0);
  thread->steps = steps;
}

_Noreturn void smla_cluster_abort(smla_cluster *cluster) {
  smla_thread *thread = cluster->running;
  cluster->live = 0;
  memset(cluster->ready, 0, sizeof cluster->ready);
  cluster->request = NULL;
  if (!thread) longjmp(cluster->worker->escape, 1);
  switch_to(cluster->worker, &thread->context, &cluster->worker->home, NULL, 1);
  abort(); /* nobody switches to an ended thread */
}

void smla_step_limit(smla_thread *thread, smla_place line) {
  smla_fault_end(thread->block->cluster, SMLA_FAULT_NO_PROGRESS, line,
                 "%s issued %llu primitives and never waited: its loop has no end", smla_thread_name(thread),
                 (unsigned long long)thread->steps - 1);
}

/* Where every fibre begins. */
static void thread_main(void) {
  smla_thread *thread = smla_current;
  smla_cluster *cluster = thread->block->cluster;
  smla_context_entered(cluster->worker->switched_from);
  cluster->worker->run->launch->entry(smla_services_table(), cluster->worker->run->launch->params);
  thread->wait = SMLA_EXITED;
  thread->block->live--;
  cluster->live--;
  set_ready(cluster, thread->slot, 0);
  smla_thread_left(thread);
  give_way(thread, 1);
  abort();
}

/* Something asynchronous completes; 0 if nothing is in flight. */
static int complete_something(smla_cluster *cluster) {
  static int (*const kinds[])(smla_cluster *) = {smla_copies_progress, smla_thread_copies_progress,
                                                 smla_tensor_progress};
  enum { KINDS = sizeof kinds / sizeof *kinds };
  const size_t first = cluster->worker->run->order == SNAPMLA_EMULATOR_RANDOM ? smla_random(cluster) % KINDS : 0;
  for (size_t i = 0; i < KINDS; i++)
    if (kinds[(first + i) % KINDS](cluster)) return 1;
  return 0;
}

/* Whether every ready thread has tested a barrier in vain since anything happened. */
static int all_spin(const smla_cluster *cluster) { return cluster->polls > 2 * cluster->live; }

/* Runs the cluster's fibres from the host thread's stack until all have exited or a fault ended it. */
static void run_fibres(smla_cluster *cluster) {
  smla_worker *worker = cluster->worker;
  smla_thread *resume = NULL;
  if (setjmp(worker->escape)) return;
  while (cluster->live) {
    smla_thread *next = resume;
    resume = NULL;
    if (!next) {
      if (worker->run->order == SNAPMLA_EMULATOR_RANDOM && smla_random(cluster) % 2) complete_something(cluster);
      if (all_spin(cluster) && complete_something(cluster)) cluster->polls = 0;
      if (atomic_load_explicit(&worker->run->faulted, memory_order_relaxed) < cluster->index) return;
      next = choose(cluster);
    }
    if (!next) {
      if (!complete_something(cluster)) smla_report_deadlock(cluster);
      continue;
    }
    switch_to(worker, &worker->home, &next->context, next, 0);
    if (cluster->request) {
      void (*request)(smla_cluster *, void *) = cluster->request;
      cluster->request = NULL;
      resume = cluster->threads + cluster->cursor;
      request(cluster, cluster->request_argument);
    }
  }
  if (worker->faults->count && worker->faults->cluster == cluster->index) return;
  for (uint32_t i = 0; i < cluster->block_count; i++) {
    smla_copies_check_block(cluster->blocks + i);
    smla_thread_copies_check_block(cluster->blocks + i);
  }
}

void smla_thread_spins(smla_thread *thread, smla_place line) {
  smla_cluster *cluster = thread->block->cluster;
  if (++cluster->polls > SPIN_LIMIT)
    smla_fault_end(cluster, SMLA_FAULT_NO_PROGRESS, line,
                   "%s tests a barrier in vain: nothing has happened in the last %u tests of its cluster",
                   smla_thread_name(thread), SPIN_LIMIT);
  if (all_spin(cluster)) {
    /* Let the host thread's stack complete something: this thread stays ready. */
    switch_to(cluster->worker, &thread->context, &cluster->worker->home, NULL, 0);
    return;
  }
  smla_thread_yield(thread, 1);
}

static void prepare_block(smla_worker *worker, smla_block *block, uint64_t index) {
  smla_run *run = worker->run;
  const smla_launch *launch = run->launch;
  smla_cluster *cluster = &worker->cluster;
  block->cluster = cluster;
  block->rank = (uint32_t)(index % run->cluster_size);
  block->index = index;
  block->coordinates[0] = (uint32_t)(index % launch->grid[0]);
  block->coordinates[1] = (uint32_t)(index / launch->grid[0] % launch->grid[1]);
  block->coordinates[2] = (uint32_t)(index / launch->grid[0] / launch->grid[1]);
  block->thread_count = block->live = launch->threads;
  block->threads = cluster->threads + block->rank * launch->threads;
  block->barrier_count = block->unfenced_barriers = 0;
  block->has_thread_copies = 0;
  memset(block->warps, 0, sizeof block->warps);
  memset(block->named, 0, sizeof block->named);
  /* What __launch_bounds__ lets the compiler use, and so what the launch gives each thread. */
  uint32_t registers = 65536 / launch->threads / 8 * 8;
  if (registers > 256) registers = 256;
  block->registers_free = 0;
  for (uint32_t i = 0; i < SMLA_MAX_THREADS / SMLA_WARPGROUP; i++) block->registers_of[i] = registers;
  if (smla_tensor_reset(block) != SNAPMLA_OK) worker->status = SNAPMLA_OUT_OF_MEMORY;
  for (uint32_t i = 0; i < launch->threads; i++) {
    smla_thread *thread = block->threads + i;
    const uint32_t slot = block->rank * launch->threads + i;
    memset(thread, 0, sizeof *thread);
    thread->block = block;
    thread->index = i;
    thread->slot = slot;
    thread->stamp = slot << SMLA_STAMP_SHIFT | 1;
    thread->identity = (smla_identity){.thread = i, .cluster_rank = block->rank};
    memcpy(thread->identity.block, block->coordinates, sizeof thread->identity.block);
    memcpy(thread->identity.grid, launch->grid, sizeof thread->identity.grid);
    thread->role = &run->costs[index].roles[i / SMLA_WARPGROUP];
    thread->shared_bytes = &thread->role->shared_bytes;
    smla_context_start(&thread->context, &worker->stacks, slot, thread_main);
    set_ready(cluster, slot, 1);
  }
}

static void run_cluster(smla_worker *worker, uint64_t index) {
  smla_run *run = worker->run;
  smla_cluster *cluster = &worker->cluster;
  cluster->index = index;
  cluster->block_count = run->cluster_size;
  cluster->thread_count = cluster->live = run->cluster_size * run->launch->threads;
  memset(cluster->ready, 0, sizeof cluster->ready);
  cluster->running = NULL;
  cluster->cursor = cluster->thread_count - 1;
  cluster->cluster_arrived = 0;
  cluster->cluster_waiters = NULL;
  cluster->polls = 0;
  cluster->random = run->seed ^ (index + 1) * 0xd1342543de82ef95u;
  cluster->copy_count = 0;
  cluster->fences = cluster->cluster_known = 0;
  cluster->tensor_pending = 0;
  cluster->request = NULL;
  worker->status = smla_thread_copies_reset(cluster);
  if (worker->status != SNAPMLA_OK) return;
  for (uint32_t i = 0; i < run->cluster_size; i++)
    if (smla_shared_reset(&cluster->blocks[i].shared, run->launch->smem_bytes) != SNAPMLA_OK) {
      worker->status = SNAPMLA_OUT_OF_MEMORY;
      return;
    }
  for (uint32_t i = 0; i < run->cluster_size; i++)
    prepare_block(worker, cluster->blocks + i, index * run->cluster_size + i);
  if (worker->status == SNAPMLA_OK) run_fibres(cluster);
}

/* Room for a cluster of the launch. */
static snapmla_status prepare(smla_worker *worker) {
  const smla_run *run = worker->run;
  smla_cluster *cluster = &worker->cluster;
  const uint32_t threads = run->cluster_size * run->launch->threads;
  cluster->worker = worker;
  if (run->cluster_size > worker->block_capacity) {
    smla_block *blocks = realloc(cluster->blocks, run->cluster_size * sizeof *blocks);
    if (!blocks) return SNAPMLA_OUT_OF_MEMORY;
    memset(blocks + worker->block_capacity, 0, (run->cluster_size - worker->block_capacity) * sizeof *blocks);
    cluster->blocks = blocks;
    for (uint32_t i = worker->block_capacity; i < run->cluster_size; i++) {
      blocks[i].observed = malloc(sizeof(int32_t) * SMLA_MAX_BARRIERS * SMLA_MAX_THREADS);
      if (!blocks[i].observed) return SNAPMLA_OUT_OF_MEMORY;
      worker->block_capacity = i + 1;
    }
  }
  if (threads > worker->thread_capacity) {
    free(cluster->threads);
    worker->thread_capacity = 0;
    cluster->threads = malloc(threads * sizeof *cluster->threads);
    if (!cluster->threads) return SNAPMLA_OUT_OF_MEMORY;
    worker->thread_capacity = threads;
  }
  if (!cluster->copies) cluster->copies = malloc(SMLA_COPY_LIMIT * sizeof *cluster->copies);
  if (!worker->faults) worker->faults = calloc(1, sizeof *worker->faults);
  if (!cluster->copies || !worker->faults) return SNAPMLA_OUT_OF_MEMORY;
  const snapmla_status status = smla_stacks_reserve(&worker->stacks, threads);
  return status != SNAPMLA_OK ? status : smla_tensor_prepare(worker);
}

void smla_worker_run(smla_worker *worker) {
  smla_run *run = worker->run;
  worker->status = prepare(worker);
  if (worker->faults) smla_fault_list_clear(worker->faults);
  memset(worker->hits, 0, sizeof worker->hits);
  while (worker->status == SNAPMLA_OK) {
    const uint64_t index = atomic_fetch_add(&run->next, 1);
    if (index >= run->cluster_total || index > atomic_load(&run->faulted)) break;
    run_cluster(worker, index);
  }
  smla_current = NULL;
}

void smla_worker_free(smla_worker *worker) {
  for (uint32_t i = 0; i < worker->block_capacity; i++) {
    smla_shared_free(&worker->cluster.blocks[i].shared);
    smla_tensor_free(worker->cluster.blocks + i);
    free(worker->cluster.blocks[i].observed);
  }
  free(worker->cluster.blocks);
  free(worker->cluster.threads);
  free(worker->cluster.copies);
  free(worker->cluster.thread_copies);
  if (worker->faults) smla_fault_list_clear(worker->faults);
  free(worker->faults);
  free(worker->tensor_scratch);
  smla_stacks_free(&worker->stacks);
}
