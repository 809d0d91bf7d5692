/* The manifest of a compiled kernel: the JSON beside its image in the store. */
#ifndef SMLA_RUNTIME_MANIFEST_H
#define SMLA_RUNTIME_MANIFEST_H

#include <stddef.h>

#include <snapmla/status.h>

#include "buffer.h"
#include "image.h"

/* Appends the manifest of `image`. Error: OUT_OF_MEMORY. */
snapmla_status smla_manifest_write(const smla_image *image, smla_buffer *out);

/* Makes an image of a manifest and the bytes beside it, which are moved out of `bytes` on success. Everything is
 * checked: key, target, length and SHA-256. Errors: BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_manifest_read(const char *text, size_t length, snapmla_target target, const char *key,
                                  smla_buffer *bytes, smla_image **out);

#endif
