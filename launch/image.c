#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

snapmla_status smla_image_create(snapmla_target target, const char *key, const char *entry, const char *log,
                                 void *bytes, size_t size, smla_image **out) {
  smla_image *image = calloc(1, sizeof *image);
  if (image) {
    atomic_init(&image->references, 1);
    image->target = target;
    snprintf(image->key, sizeof image->key, "%s", key);
    image->entry = strdup(entry);
    image->log = strdup(log ? log : "");
    image->bytes = bytes;
    image->size = size;
  } else {
    free(bytes);
  }
  if (!image || !image->entry || !image->log) {
    smla_image_release(image);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a compiled kernel of %zu bytes", size);
  }
  *out = image;
  return SNAPMLA_OK;
}

smla_image *smla_image_retain(smla_image *image) {
  atomic_fetch_add(&image->references, 1);
  return image;
}

void smla_image_release(smla_image *image) {
  if (!image || atomic_fetch_sub(&image->references, 1) > 1) return;
  free(image->entry);
  free(image->log);
  free(image->bytes);
  free(image);
}
