/* A compiled kernel: image, log and facts, immutable and counted. What a plan loads, and store and packs keep. */
#ifndef SMLA_LAUNCH_IMAGE_H
#define SMLA_LAUNCH_IMAGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <snapmla/source.h>
#include <snapmla/status.h>

#include "hash.h"

/* What its compilation told. */
typedef struct smla_facts {
  int32_t registers;        /* per thread at entry; 0 on the emulator */
  int32_t spill_bytes;      /* stores and loads together, per thread */
  int32_t stack_bytes;      /* per thread */
  int32_t warnings;         /* lines that warn, wgmma serialisation among them */
  int32_t serialized_wgmma; /* nonzero: the compiler serialised wgmma */
} smla_facts;

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
  double seconds;    /* that the compiler took, once */
  int without_files; /* nonzero: to be loaded without writing any */
} smla_image;

/* Copies its texts and takes over `bytes` (from malloc), on failure too. One reference. Error: OUT_OF_MEMORY. */
snapmla_status smla_image_create(snapmla_target target, const char *key, const char *entry, const char *log,
                                 void *bytes, size_t size, smla_image **out);
smla_image *smla_image_retain(smla_image *image);
void smla_image_release(smla_image *image); /* NULL is allowed */

#endif
