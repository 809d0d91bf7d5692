/* The emulated machine: threads on fibres, warps, warpgroups, blocks and clusters, and their state. A cluster (a single
 * block counts as one) is run by one worker, on one host thread, from beginning to end: nothing in it is locked. */
#ifndef SMLA_EMULATOR_MACHINE_H
#define SMLA_EMULATOR_MACHINE_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>

#include "context_switch.h"
#include "emulator.h"
#include "model.h"
#include "registry.h"
#include "shared_memory.h"
#include "tensor_map.h"

#define SMLA_WARP 32
#define SMLA_WARPGROUP 128
#define SMLA_MAX_THREADS 1024
#define SMLA_MAX_CLUSTER 16
#define SMLA_MAX_SHARED 232448
#define SMLA_MAX_BARRIERS 256  /* transaction barriers alive in a block */
#define SMLA_NAMED_BARRIERS 16 /* 0 is block_sync */
#define SMLA_COPY_LIMIT 4096   /* asynchronous copies in flight in a cluster */

typedef struct smla_block smla_block;
typedef struct smla_cluster smla_cluster;
typedef struct smla_worker smla_worker;
typedef struct smla_thread smla_thread;
typedef struct smla_tensor_group smla_tensor_group;   /* tensor.c */
typedef struct smla_thread_copies smla_thread_copies; /* thread_copies.c */
typedef struct smla_copy_group smla_copy_group;       /* thread_copies.c */

/* What a thread waits for. */
typedef enum smla_wait_kind {
  SMLA_RUNS = 0,
  SMLA_WAITS_COLLECTIVE, /* the other lanes of its warp */
  SMLA_WAITS_NAMED,
  SMLA_WAITS_CLUSTER,
  SMLA_WAITS_MBARRIER,
  SMLA_WAITS_WARPGROUP, /* the other threads of its warpgroup, in wgmma_wait */
  SMLA_WAITS_REGISTERS,
  SMLA_EXITED
} smla_wait_kind;

/* A transaction barrier. Phases count from 0; `phase` is the one not yet complete. */
typedef struct smla_mbarrier {
  uint32_t offset;   /* in the block's shared memory */
  uint32_t expected; /* arrivals per phase */
  uint32_t pending;  /* arrivals missing in this phase */
  int64_t bytes;     /* expected and not yet delivered; negative: delivered before they were expected */
  int32_t phase;
  smla_place init_line;
  uint32_t init_thread;  /* in the block */
  int fenced;            /* the initialisation was made visible to copies */
  int unobserved;        /* landed copies whose phase no thread has waited for yet */
  int unobserved_groups; /* landed groups of thread copies, likewise */
  int32_t copies_fenced; /* the last phase that a thread has waited for and then fenced; SMLA_NONE: none */
  uint64_t fenced_at;    /* that fence's number */
  uint64_t known;        /* the last fence before an arrival so far */
  smla_thread *waiters;
  int32_t *observed; /* per thread of the block: the last phase it waited for, or SMLA_NONE */
} smla_mbarrier;
#define SMLA_NONE INT32_MIN

/* bar.sync of an id. */
typedef struct smla_named_barrier {
  uint32_t expected, arrived; /* threads; expected 0: not in use */
  uint32_t lanes[SMLA_MAX_THREADS / SMLA_WARP];
  smla_place line[SMLA_MAX_THREADS / SMLA_WARP]; /* where a warp's first lane came */
  uint64_t known;                                /* as a transaction barrier's */
  smla_thread *waiters;
} smla_named_barrier;

struct smla_thread {
  smla_context context;
  smla_block *block;
  smla_identity identity;
  uint32_t index;         /* in the block */
  uint32_t slot;          /* in the cluster */
  uint32_t stamp;         /* marks shared stores that no fence_async_proxy has followed: see SMLA_STAMP_SHIFT */
  uint64_t *shared_bytes; /* its role's counter */
  smla_role *role;

  smla_wait_kind wait;
  smla_place wait_line;
  const char *wait_what; /* the primitive */
  uint32_t wait_object;  /* barrier offset or id */
  int32_t wait_phase;
  smla_thread *next_waiter;

  uint32_t operand[4]; /* of the collective it is in */
  uint32_t result[4];
  uint64_t steps;  /* primitives since it last gave way */
  uint64_t agreed; /* its calls of warp_agrees, and the last one's place */
  smla_place agreed_line;

  smla_frag_header *frags;
  uint64_t tensor_issued;  /* wgmma operations it has issued */
  uint64_t tensor_commits; /* groups it has committed */
  uint64_t register_changes;
  uint32_t stores_committed; /* groups of bulk_store */
  uint64_t known;            /* the last fence_async_proxy, its own or before what it has waited for */
  smla_copy_group *copying;  /* its thread copies that no barrier has been told of, or NULL */
};

/* A warp's collective in progress. */
typedef struct smla_warp {
  uint32_t arrived, exited;
  smla_place line;
  const char *what;
} smla_warp;

/* An asynchronous copy between global and shared memory. */
typedef struct smla_copy {
  smla_block *block; /* whose shared memory */
  uint32_t offset, bytes;
  void *global;
  const smla_tensor_map_text *map; /* of a tensor_copy, which has no `global`; NULL: none */
  int32_t at[3];                   /* of the box in the tensor */
  smla_mbarrier *barrier;          /* NULL: bulk_store */
  uint32_t thread;                 /* slot of the thread that issued it */
  uint32_t group;                  /* of a bulk_store */
  smla_place line;
  int landed;    /* the bytes are there, no one has waited for them yet */
  int32_t phase; /* in which it landed */
} smla_copy;

struct smla_block {
  smla_cluster *cluster;
  uint32_t rank, coordinates[3];
  uint64_t index; /* in the grid */
  uint32_t thread_count, live;
  smla_thread *threads;
  smla_warp warps[SMLA_MAX_THREADS / SMLA_WARP];
  smla_tensor_group *tensor[SMLA_MAX_THREADS / SMLA_WARPGROUP];
  smla_named_barrier named[SMLA_NAMED_BARRIERS];
  smla_shared_memory shared;
  smla_mbarrier barriers[SMLA_MAX_BARRIERS];
  uint32_t barrier_count, unfenced_barriers;
  int has_thread_copies; /* ever since it began */
  int32_t *observed;     /* storage of the barriers' */
  uint32_t registers_free, registers_of[SMLA_MAX_THREADS / SMLA_WARPGROUP];
};

struct smla_cluster {
  smla_worker *worker;
  uint64_t index;
  uint32_t block_count, thread_count; /* threads of all blocks */
  smla_block *blocks;
  smla_thread *threads;
  uint64_t ready[SMLA_MAX_CLUSTER * SMLA_MAX_THREADS / 64];
  uint32_t live;
  smla_thread *running;
  uint32_t cursor; /* slot that ran last */
  uint64_t fences; /* fence_async_proxy of all threads so far: each has a number */
  uint32_t cluster_arrived;
  uint64_t cluster_known; /* as a transaction barrier's */
  smla_thread *cluster_waiters;
  uint32_t polls; /* failed tests since anything happened */
  uint64_t random;
  smla_copy *copies;
  uint32_t copy_count;
  smla_thread_copies *thread_copies;
  uint32_t tensor_pending; /* operations issued by a whole warpgroup and not yet executed */
  void (*request)(smla_cluster *cluster, void *argument); /* to be run on the host thread's own stack */
  void *request_argument;
};

/* One launch, shared by its workers. */
typedef struct smla_run {
  const smla_launch *launch;
  const smla_registry *registry; /* a snapshot */
  snapmla_emulator_order order;
  uint64_t seed;
  uint32_t sms;
  uint32_t cluster_size;
  uint64_t cluster_total;
  atomic_uint_fast64_t next;    /* cluster to be taken */
  atomic_uint_fast64_t faulted; /* lowest cluster with a fault: later ones need not go on */
  smla_block_cost *costs;       /* per block of the grid */
} smla_run;

struct smla_fault_list;

/* What one host thread owns; kept between launches. */
struct smla_worker {
  smla_run *run;
  smla_context home; /* the host thread's own stack */
  smla_context *switched_from;
  jmp_buf escape; /* from a request on the home stack that found a fault */
  smla_stacks stacks;
  smla_cluster cluster;
  uint32_t block_capacity, thread_capacity, shared_capacity;
  smla_registry_hit hits[4];
  uint32_t next_hit;
  struct smla_fault_list *faults;
  uint8_t scratch[16]; /* where accesses go after a fault */
  struct smla_tensor_scratch *tensor_scratch;
  snapmla_status status; /* of preparing; a fault is none */
};

/* The thread whose fibre runs on this host thread. */
extern _Thread_local smla_thread *smla_current;

/* scheduler.c */
/* Runs the clusters of worker->run until none is left. */
void smla_worker_run(smla_worker *worker);
void smla_worker_free(smla_worker *worker);
/* Takes the larger of the two. */
static inline void smla_know(uint64_t *known, uint64_t fence) {
  if (fence > *known) *known = fence;
}
/* Suspends the running thread; returns once smla_thread_wake was called for it. */
void smla_thread_wait(smla_thread *thread, smla_wait_kind kind, const char *what, uint32_t object, smla_place line);
void smla_thread_wake(smla_thread *thread);
void smla_threads_wake(smla_thread **list); /* a waiter list, which becomes empty */
/* Lets others run; in random order at the seed's choice, with `always` whatever the order. */
void smla_thread_yield(smla_thread *thread, int always);
/* A test failed: lets others run, and ends the cluster when testing has gone on without end. */
void smla_thread_spins(smla_thread *thread, smla_place line);
/* Runs `request` on the host thread's own stack, for what needs much stack. */
void smla_on_home(smla_cluster *cluster, void (*request)(smla_cluster *, void *), void *argument);
/* Ends the cluster after a fault that leaves nothing to go on with: does not return. */
_Noreturn void smla_cluster_abort(smla_cluster *cluster);
uint64_t smla_random(smla_cluster *cluster);

/* One primitive issued: counts it, and ends a thread that issues without end. */
#define SMLA_STEP_LIMIT ((uint64_t)1 << 26)
void smla_step_limit(smla_thread *thread, smla_place line);
static inline smla_thread *smla_step(smla_place line) {
  smla_thread *thread = smla_current;
  thread->role->primitives++;
  if (__builtin_expect(++thread->steps > SMLA_STEP_LIMIT, 0)) smla_step_limit(thread, line);
  return thread;
}

/* Each of these is a table of services' functions; defined in the file of its name. */
const smla_services *smla_services_table(void);

/* synchronise.c */
void smla_thread_left(smla_thread *thread); /* after it exited: what waited for it */
void smla_block_sync(smla_place line);
void smla_warp_sync(smla_place line);
void smla_barrier_sync(unsigned id, unsigned threads, smla_place line);
void smla_barrier_arrive(unsigned id, unsigned threads, smla_place line);
void smla_cluster_sync(smla_place line);
/* Waits for the warp; the last lane to come runs `work` for all. */
void smla_warp_collective(smla_thread *thread, const char *what, smla_place line,
                          void (*work)(smla_thread *lanes, const void *argument), const void *argument);
unsigned smla_warp_agrees(unsigned value, smla_place line);
unsigned smla_shuffle(unsigned value, int kind, unsigned operand, smla_place line);
int smla_vote(int predicate, int all, smla_place line);

/* transaction.c */
void smla_mbarrier_init(unsigned address, unsigned arrivals, smla_place line);
void smla_mbarrier_init_fence(smla_place line);
void smla_mbarrier_arrive(unsigned address, unsigned expect_bytes, smla_place line);
void smla_mbarrier_arrive_remote(unsigned address, unsigned rank, smla_place line);
void smla_mbarrier_wait(unsigned address, unsigned parity, smla_place line);
int smla_mbarrier_test(unsigned address, unsigned parity, smla_place line);
/* The barrier at an offset, NULL if there is none. */
smla_mbarrier *smla_mbarrier_find(smla_block *block, uint32_t offset);
/* The barriers that the thread initialised may now be signalled by copies. */
void smla_mbarriers_fence(smla_thread *thread);
/* The arrival of a thread whose copies have landed. */
void smla_mbarrier_arrive_copied(smla_thread *thread, smla_mbarrier *barrier, smla_place line);
/* A copy delivered bytes. */
void smla_mbarrier_deliver(smla_block *block, smla_mbarrier *barrier, uint32_t bytes, smla_place line);

/* copies.c */
void smla_tensor_copy(unsigned address, const void *map, int x, int y, int z, unsigned bytes, unsigned barrier,
                      smla_place line);
void smla_tensor_copy_multicast(unsigned address, const void *map, int x, int y, int z, unsigned bytes,
                                unsigned barrier, unsigned rank_mask, smla_place line);
void smla_bulk_copy(unsigned address, const void *global, unsigned bytes, unsigned barrier, smla_place line);
void smla_bulk_copy_multicast(unsigned address, const void *global, unsigned bytes, unsigned barrier,
                              unsigned rank_mask, smla_place line);
void smla_bulk_store(void *global, unsigned address, unsigned bytes, smla_place line);
void smla_bulk_store_commit(smla_place line);
void smla_bulk_store_wait(int pending, smla_place line);
void smla_bulk_prefetch(const void *global, unsigned bytes, smla_place line);
void smla_fence_async_proxy(smla_place line);
/* Completes one copy in flight, of the order's choosing; 0 if there is none. */
int smla_copies_progress(smla_cluster *cluster);
/* A thread waited for `phase`: what landed until then may be read. */
void smla_copies_observe(smla_block *block, smla_mbarrier *barrier, int32_t phase);
void smla_copies_check_exit(smla_thread *thread);
void smla_copies_check_block(smla_block *block); /* all its threads have exited */

/* thread_copies.c */
void smla_thread_copy(unsigned address, const void *global, unsigned bytes, int read, smla_place line);
void smla_mbarrier_arrive_after_copies(unsigned address, smla_place line);
/* As those of copies.c, for the copies of threads. */
int smla_thread_copies_progress(smla_cluster *cluster);
void smla_thread_copies_observe(smla_block *block, smla_mbarrier *barrier, int32_t phase);
void smla_thread_copies_check_exit(smla_thread *thread);
void smla_thread_copies_check_block(smla_block *block);
/* The thread fences: what it has waited for the asynchronous proxy may read. */
void smla_thread_copies_fence(smla_thread *thread);
/* Who copies to a shared offset, for a report; NULL: no one. */
const smla_thread *smla_thread_copies_over(const smla_block *block, uint32_t offset, smla_place *line);
/* Room for a cluster's copies, and none in flight. Error: OUT_OF_MEMORY. */
snapmla_status smla_thread_copies_reset(smla_cluster *cluster);

/* descriptor.c */
unsigned long long smla_wgmma_descriptor(unsigned address, unsigned stride, smla_place line);
unsigned long long smla_wgmma_descriptor_columns(unsigned address, unsigned stride, smla_place line);
unsigned long long smla_descriptor_advance(unsigned long long descriptor, unsigned bytes, smla_place line);
/* tensor.c */
void smla_wgmma_issue(const smla_wgmma *operation, smla_place line);
void smla_wgmma_fence(smla_place line);
void smla_wgmma_commit(smla_place line);
void smla_wgmma_wait(int pending, smla_place line);
/* frag.c */
void smla_frag_add(smla_frag_header *frag, int count);
void smla_frag_remove(smla_frag_header *frag);
void smla_frag_fault(smla_frag_header *frag, int index, smla_place line);
/* tensor.c and tensor_execute.c. Progress: executes some of what is committed, 0 if there is nothing. */
int smla_tensor_progress(smla_cluster *cluster);
snapmla_status smla_tensor_prepare(smla_worker *worker);
snapmla_status smla_tensor_reset(smla_block *block);
void smla_tensor_free(smla_block *block);
void smla_tensor_check_exit(smla_thread *thread);
/* Names the wgmma that reads a shared offset, for a report. */
void smla_tensor_reader(const smla_block *block, uint32_t offset, char *text, size_t size);

/* matrix.c */
void smla_ldmatrix(unsigned *r, unsigned address, int transposed, smla_place line);
void smla_stmatrix(unsigned address, const unsigned *r, int transposed, smla_place line);

/* registers.c */
void smla_registers(int count, int raise, smla_place line);

#endif
