/* What the kinds of asynchronous copies share. */
#ifndef SMLA_EMULATOR_COPIES_H
#define SMLA_EMULATOR_COPIES_H

#include "machine.h"

/* Starts a copy into every block of the cluster whose rank is in the mask, to the same place, that signals the block's barrier at
 * `barrier_offset`. Of `what`: offset, bytes, the source (global or map), line. `name`: the primitive, for reports. */
void smla_copy_send(smla_thread *thread, const smla_copy *what, uint32_t barrier_offset, uint32_t rank_mask,
                    const char *name);

/* Moves the bytes of a tensor copy to shared memory. */
void smla_tensor_copy_land(const smla_tensor_map_text *map, const int32_t at[3], uint8_t *shared);

#endif
