/* Writing packs: an index and its images in, the file's bytes out. */
#ifndef SMLA_RUNTIME_PACK_WRITE_H
#define SMLA_RUNTIME_PACK_WRITE_H

#include <stddef.h>

#include <snapmla/status.h>

#include "buffer.h"
#include "image.h"
#include "pack_index.h"

/* Appends the file to `out`, which is empty. `index` has its artifacts and plans in order and all but what storing
 * decides, which is filled in: encoding, offset, lengths and digests. images[i] is that of artifact i. `level` of
 * zstd, or 0: stored as they are; what does not shrink is. `secret_key` [64], or NULL: unsigned. Errors:
 * INVALID_ARGUMENT (a text or a number is over the format's limits), OUT_OF_MEMORY. */
snapmla_status smla_pack_write(smla_pack_index *index, smla_image *const images[], int level,
                               const unsigned char *secret_key, smla_buffer *out);

#endif
