/* What the emulator does for a compiled kernel: one table of functions. One text, C11 and C++17: the emulator includes
 * it, and it is expanded into every kernel for the target `emulator`, which has no headers. Functions act for the
 * thread whose fibre calls them; `line` is the template line of the call, for reports. Semantics: docs/dialect.md,
 * docs/emulator.md. */
#ifndef SMLA_DIALECT_SERVICES_H
#define SMLA_DIALECT_SERVICES_H

#define SMLA_SERVICES_VERSION 1

/* Who the calling thread is. */
typedef struct smla_identity {
  unsigned thread;
  unsigned block[3], grid[3];
  unsigned cluster_rank;
} smla_identity;

/* Opens every frag<N>; N floats follow it. The emulator keeps the frags of a thread in a list. */
typedef struct smla_frag_header {
  struct smla_frag_header *next, **link;
  unsigned pending; /* wgmma operations that were issued and not waited for */
  unsigned touched; /* SMLA_FRAG_… */
  unsigned shape;   /* of the last operation since the last wgmma_fence, 0: none */
  int count;        /* N */
} smla_frag_header;

/* Accessed since the thread's last wgmma_fence, or new; neither accessed nor written by a wgmma yet. */
enum { SMLA_FRAG_ACCESSED = 1, SMLA_FRAG_EMPTY = 2 };
enum { SMLA_WGMMA_E4M3 = 0, SMLA_WGMMA_BF16 = 1 };
enum { SMLA_SHUFFLE_INDEX = 0, SMLA_SHUFFLE_XOR = 1, SMLA_SHUFFLE_UP = 2 };
enum { SMLA_ATOMIC_ADD = 0, SMLA_ATOMIC_OR = 1 };

/* One wgmma as a thread states it. */
typedef struct smla_wgmma {
  smla_frag_header *d;
  const unsigned *a_registers; /* 4 words, or NULL: A is in shared memory */
  unsigned long long a, b;     /* descriptors */
  int type, n, accumulate;
} smla_wgmma;

typedef struct smla_services {
  unsigned version; /* SMLA_SERVICES_VERSION */
  const smla_identity *(*identity)(void);

  /* Checked accesses: the place to read from or to write to, which is a harmless one after a fault. */
  const void *(*global_load)(const void *p, unsigned bytes, int line);
  void *(*global_store)(void *p, unsigned bytes, int line);
  unsigned (*global_atomic)(unsigned *p, unsigned value, int operation, int line);
  const void *(*shared_load)(unsigned address, unsigned bytes, int line);
  void *(*shared_store)(unsigned address, unsigned bytes, int line);
  unsigned (*shared_address)(unsigned byte_offset, int line);

  void (*block_sync)(int line);
  void (*warp_sync)(int line);
  void (*barrier_sync)(unsigned id, unsigned threads, int line);
  void (*barrier_arrive)(unsigned id, unsigned threads, int line);
  void (*cluster_sync)(int line);

  void (*mbarrier_init)(unsigned address, unsigned arrivals, int line);
  void (*mbarrier_init_fence)(int line);
  void (*mbarrier_arrive)(unsigned address, unsigned expect_bytes, int line);
  void (*mbarrier_arrive_remote)(unsigned address, unsigned rank, int line);
  void (*mbarrier_wait)(unsigned address, unsigned parity, int line);
  int (*mbarrier_test)(unsigned address, unsigned parity, int line);

  void (*bulk_copy)(unsigned address, const void *global, unsigned bytes, unsigned barrier, int line);
  void (*bulk_copy_multicast)(unsigned address, const void *global, unsigned bytes, unsigned barrier,
                              unsigned rank_mask, int line);
  void (*bulk_store)(void *global, unsigned address, unsigned bytes, int line);
  void (*bulk_store_commit)(int line);
  void (*bulk_store_wait)(int pending, int line);
  void (*bulk_prefetch)(const void *global, unsigned bytes, int line);
  void (*fence_async_proxy)(int line);

  void (*frag_add)(smla_frag_header *frag, int count);
  void (*frag_remove)(smla_frag_header *frag);
  void (*frag_fault)(smla_frag_header *frag, int index, int line); /* of an access while pending, or out of range */
  unsigned long long (*wgmma_descriptor)(unsigned address, unsigned stride, int line);
  unsigned long long (*descriptor_advance)(unsigned long long descriptor, unsigned bytes, int line);
  void (*wgmma)(const smla_wgmma *operation, int line);
  void (*wgmma_fence)(int line);
  void (*wgmma_commit)(int line);
  void (*wgmma_wait)(int pending, int line);
  void (*ldmatrix)(unsigned *r, unsigned address, int transposed, int line);
  void (*stmatrix)(unsigned address, const unsigned *r, int transposed, int line);

  void (*registers)(int count, int raise, int line);
  unsigned (*shared_address_of_rank)(unsigned address, unsigned rank, int line);
  void (*grid_dependency_wait)(int line);
  void (*grid_dependency_launch)(int line);

  unsigned (*shuffle)(unsigned value, int kind, unsigned operand, int line);
  int (*vote)(int predicate, int all, int line);

  float (*exp2_approx)(float x);
  float (*log2_approx)(float x);
  float (*reciprocal_approx)(float x);
  float (*fma)(float a, float b, float c);
  unsigned (*pack_e4m3)(float a, float b, float c, float d);
  float (*unpack_e4m3)(unsigned bits);
  unsigned (*pack_bf16)(float lo, float hi);
} smla_services;

/* The one symbol of a kernel object, `smla_kernel_entry`: runs one thread. */
typedef void (*smla_emulator_entry)(const smla_services *services, const void *params);

#endif
