/* What the emulator does for a compiled kernel: one table of functions. One text, C11 and C++17: the emulator includes
 * it, and it is expanded into every kernel for the target `emulator`, which has no headers. Functions act for the
 * thread whose fibre calls them; `line` is the call's place in the templates, for reports. Semantics: docs/dialect.md,
 * docs/emulator.md. */
#ifndef SMLA_DIALECT_SERVICES_H
#define SMLA_DIALECT_SERVICES_H

#define SMLA_SERVICES_VERSION 5

/* A place in a template: the address of the file's name, shifted by 16, and the line. */
typedef unsigned long long smla_place;

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
enum { SMLA_WGMMA_E4M3 = 0, SMLA_WGMMA_BF16 = 1, SMLA_WGMMA_F16 = 2 };
enum { SMLA_SHUFFLE_INDEX = 0, SMLA_SHUFFLE_XOR = 1, SMLA_SHUFFLE_UP = 2 };
enum { SMLA_ATOMIC_ADD = 0, SMLA_ATOMIC_OR = 1 };

/* One wgmma as a thread states it. */
typedef struct smla_wgmma {
  smla_frag_header *d;
  const unsigned *a_registers; /* 4 words, or NULL: A is in shared memory */
  unsigned long long a, b;     /* descriptors */
  int type, n, accumulate;
  int b_columns; /* B lies with its k steps as rows */
} smla_wgmma;

typedef struct smla_services {
  unsigned version; /* SMLA_SERVICES_VERSION */
  const smla_identity *(*identity)(void);

  /* Checked accesses: the place to read from or to write to, which is a harmless one after a fault. */
  const void *(*global_load)(const void *p, unsigned bytes, smla_place line);
  void *(*global_store)(void *p, unsigned bytes, smla_place line);
  unsigned (*global_atomic)(unsigned *p, unsigned value, int operation, smla_place line);
  const void *(*shared_load)(unsigned address, unsigned bytes, smla_place line);
  void *(*shared_store)(unsigned address, unsigned bytes, smla_place line);
  unsigned (*shared_address)(unsigned byte_offset, smla_place line);

  void (*block_sync)(smla_place line);
  void (*warp_sync)(smla_place line);
  void (*barrier_sync)(unsigned id, unsigned threads, smla_place line);
  void (*barrier_arrive)(unsigned id, unsigned threads, smla_place line);
  void (*cluster_sync)(smla_place line);

  void (*mbarrier_init)(unsigned address, unsigned arrivals, smla_place line);
  void (*mbarrier_init_fence)(smla_place line);
  void (*mbarrier_arrive)(unsigned address, unsigned expect_bytes, smla_place line);
  void (*mbarrier_arrive_remote)(unsigned address, unsigned rank, smla_place line);
  void (*mbarrier_wait)(unsigned address, unsigned parity, smla_place line);
  int (*mbarrier_test)(unsigned address, unsigned parity, smla_place line);

  void (*bulk_copy)(unsigned address, const void *global, unsigned bytes, unsigned barrier, smla_place line);
  void (*bulk_copy_multicast)(unsigned address, const void *global, unsigned bytes, unsigned barrier,
                              unsigned rank_mask, smla_place line);
  void (*tensor_copy)(unsigned address, const void *map, int x, int y, int z, unsigned bytes, unsigned barrier,
                      smla_place line);
  void (*tensor_copy_multicast)(unsigned address, const void *map, int x, int y, int z, unsigned bytes,
                                unsigned barrier, unsigned rank_mask, smla_place line);
  void (*bulk_store)(void *global, unsigned address, unsigned bytes, smla_place line);
  void (*bulk_store_commit)(smla_place line);
  void (*bulk_store_wait)(int pending, smla_place line);
  void (*bulk_prefetch)(const void *global, unsigned bytes, smla_place line);
  void (*thread_copy)(unsigned address, const void *global, unsigned bytes, int read, smla_place line);
  void (*mbarrier_arrive_after_copies)(unsigned address, smla_place line);
  void (*fence_async_proxy)(smla_place line);

  void (*frag_add)(smla_frag_header *frag, int count);
  void (*frag_remove)(smla_frag_header *frag);
  void (*frag_fault)(smla_frag_header *frag, int index,
                     smla_place line); /* of an access while pending, or out of range */
  unsigned long long (*wgmma_descriptor)(unsigned address, unsigned stride, smla_place line);
  unsigned long long (*wgmma_descriptor_columns)(unsigned address, unsigned stride, smla_place line);
  unsigned long long (*descriptor_advance)(unsigned long long descriptor, unsigned bytes, smla_place line);
  void (*wgmma)(const smla_wgmma *operation, smla_place line);
  void (*wgmma_fence)(smla_place line);
  void (*wgmma_commit)(smla_place line);
  void (*wgmma_wait)(int pending, smla_place line);
  void (*ldmatrix)(unsigned *r, unsigned address, int transposed, smla_place line);
  void (*stmatrix)(unsigned address, const unsigned *r, int transposed, smla_place line);

  void (*registers)(int count, int raise, smla_place line);
  unsigned (*shared_address_of_rank)(unsigned address, unsigned rank, smla_place line);
  void (*grid_dependency_wait)(smla_place line);
  void (*grid_dependency_launch)(smla_place line);

  unsigned (*warp_agrees)(unsigned value,
                          smla_place line); /* value; a collective call, of which that is checked later */
  unsigned (*shuffle)(unsigned value, int kind, unsigned operand, smla_place line);
  int (*vote)(int predicate, int all, smla_place line);

  float (*exp2_approx)(float x);
  float (*log2_approx)(float x);
  float (*reciprocal_approx)(float x);
  float (*fma)(float a, float b, float c);
  unsigned (*pack_e4m3)(float a, float b, float c, float d);
  float (*unpack_e4m3)(unsigned bits);
  unsigned (*pack_bf16)(float lo, float hi);
  unsigned (*pack_f16)(float lo, float hi);
  float (*unpack_f16)(unsigned bits);
} smla_services;

/* The one symbol of a kernel object, `smla_kernel_entry`: runs one thread. */
typedef void (*smla_emulator_entry)(const smla_services *services, const void *params);

#endif
