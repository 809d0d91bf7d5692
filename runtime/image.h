/* A compiled kernel: image, log and facts, immutable and counted. What a plan loads and the store keeps. */
#ifndef SMLA_RUNTIME_IMAGE_H
#define SMLA_RUNTIME_IMAGE_H

#include <stdatomic.h>
#include <stddef.h>

#include <snapmla/source.h>
#include <snapmla/status.h>

#include "facts.h"
#include "hash.h"

typedef struct smla_image {
  atomic_int references;
  snapmla_target target;
  char key[SMLA_HASH_HEX]; /* its content address: docs/runtime.md says of what */
  int nvrtc_major;         /* of the compiler that made it; 0 on the emulator and where it is not known */
  char *entry;             /* the kernel's symbol */
  char *log;
  void *bytes;
  size_t size;
  smla_facts facts;
  double seconds; /* that the compiler took, once */
} smla_image;

/* Copies its texts and takes over `bytes` (from malloc), on failure too. One reference. Error: OUT_OF_MEMORY. */
snapmla_status smla_image_create(snapmla_target target, const char *key, const char *entry, const char *log,
                                 void *bytes, size_t size, smla_image **out);
smla_image *smla_image_retain(smla_image *image);
void smla_image_release(smla_image *image); /* NULL is allowed */

#endif
