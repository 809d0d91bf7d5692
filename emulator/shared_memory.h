/* A block's shared memory and, for each granule of 16 bytes, what is known of it. */
#ifndef SMLA_EMULATOR_SHARED_MEMORY_H
#define SMLA_EMULATOR_SHARED_MEMORY_H

#include <stdint.h>

#include <snapmla/status.h>

#include "../templates/dialect/services.h"

typedef struct smla_block smla_block;
typedef struct smla_thread smla_thread;

/* The shared-space address of byte 0: 1024-aligned, and not 0, so that 0 is no address. */
#define SMLA_SHARED_BASE 1024u
/* An address in another block of the cluster carries that block's rank + 1 above this bit. */
#define SMLA_RANK_SHIFT 24

#define SMLA_GRANULE 16u
#define SMLA_READERS 0x3fffu      /* asynchronous operations that still read the granule */
#define SMLA_IS_BARRIER 0x4000u   /* holds a transaction barrier */
#define SMLA_MAY_BE_DIRTY 0x8000u /* holds shared stores that may not have been fenced: see the stamps */

/* A stamp: the storing thread's slot in its cluster above this bit, the number of its fences below; 0 is none. Of what
 * threads copied: SMLA_COPY_SLOT + the number of the barrier that was told, and the phase + 1. */
#define SMLA_STAMP_SHIFT 17
#define SMLA_COPY_SLOT (1u << 14)

typedef struct smla_granule {
  _Alignas(8) uint16_t written; /* a bit per byte */
  uint16_t copying;             /* a bit per byte: under an asynchronous copy */
  uint16_t state;               /* SMLA_READERS and the flags above */
} smla_granule;

typedef struct smla_shared_memory {
  uint8_t *bytes; /* SMLA_SHARED_BASE belongs to bytes[0]; 16-byte aligned */
  smla_granule *granules;
  uint32_t (*stamps)[SMLA_GRANULE]; /* who stored each byte; meaningful where SMLA_MAY_BE_DIRTY */
  smla_place *places;               /* of the last store to each granule */
  uint32_t size, capacity;
} smla_shared_memory;

/* An empty memory of `size` bytes, filled with NaN. Error: OUT_OF_MEMORY. */
snapmla_status smla_shared_reset(smla_shared_memory *shared, uint32_t size);
void smla_shared_free(smla_shared_memory *shared);

/* Services. */
const void *smla_shared_load(unsigned address, unsigned bytes, smla_place line);
void *smla_shared_store(unsigned address, unsigned bytes, smla_place line);
/* The same for a given thread, on behalf of a collective. */
const void *smla_shared_load_of(smla_thread *thread, uint32_t address, uint32_t bytes, smla_place line);
void *smla_shared_store_of(smla_thread *thread, uint32_t address, uint32_t bytes, smla_place line);
unsigned smla_shared_address(unsigned byte_offset, smla_place line);
unsigned smla_shared_address_of_rank(unsigned address, unsigned rank, smla_place line);

/* The block and offset that an address of the running thread means. Ends the cluster if a range of `bytes` from there
 * is not inside its shared memory, or not aligned; `what` names it. */
smla_block *smla_shared_locate(smla_thread *thread, uint32_t address, uint32_t bytes, uint32_t alignment,
                               const char *what, smla_place line, uint32_t *offset);

/* An asynchronous read of whole granules begins: checks that they hold data and that stores to them were fenced. */
void smla_shared_begin_read(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes, const char *what,
                            smla_place line);
void smla_shared_end_read(smla_block *block, uint32_t offset, uint32_t bytes);
/* An asynchronous write of whole granules: begins (nothing may read or write them), lands, may be read. */
void smla_shared_begin_copy(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes, smla_place line);
void smla_shared_land_copy(smla_block *block, uint32_t offset, uint32_t bytes);
void smla_shared_end_copy(smla_block *block, uint32_t offset, uint32_t bytes);
/* The same for a copy by a thread, of 4, 8 or 16 bytes in one granule. At its end it is a store that someone has yet to
 * fence: `stamp`. */
void smla_shared_begin_thread_copy(smla_thread *thread, smla_block *block, uint32_t offset, uint32_t bytes,
                                   smla_place line);
void smla_shared_land_thread_copy(smla_block *block, uint32_t offset, uint32_t bytes);
void smla_shared_end_thread_copy(smla_block *block, uint32_t offset, uint32_t bytes, uint32_t stamp, smla_place line);

#endif
