/* The process's compiled kernels by key, each made once however many threads ask at a time. Thread-safe. */
#ifndef SMLA_RUNTIME_IMAGE_CACHE_H
#define SMLA_RUNTIME_IMAGE_CACHE_H

#include <snapmla/status.h>

#include "image.h"

/* Makes the image that is missing: one reference in *out, which the cache takes over. */
typedef snapmla_status smla_image_make(void *user, smla_image **out);

/* The image of `key`: from the cache, from another thread that is making it, or by `make`. The caller gets a reference.
 * A failure is `make`'s and is not remembered: the next caller makes it again. */
snapmla_status smla_image_cache_get(const char *key, smla_image_make *make, void *user, smla_image **out);

/* Releases what the cache holds; for tests. Nobody may be making an image. */
void smla_image_cache_clear(void);

#endif
