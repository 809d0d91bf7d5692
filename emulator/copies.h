/* What the kinds of asynchronous copies share. */
#ifndef SMLA_EMULATOR_COPIES_H
#define SMLA_EMULATOR_COPIES_H

#include "machine.h"

/* Starts a copy into `block` that signals its barrier at `barrier_offset`. Of `what`: offset, bytes, the source (global or
 * map), line. */
void smla_copy_start(smla_thread *thread, smla_block *block, const smla_copy *what, uint32_t barrier_offset);

/* Moves the bytes of a tensor copy to shared memory. */
void smla_tensor_copy_land(const smla_tensor_map_text *map, const int32_t at[3], uint8_t *shared);

#endif
