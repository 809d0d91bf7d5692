/* The index of a pack, in memory. */
#ifndef SMLA_LAUNCH_PACK_INDEX_H
#define SMLA_LAUNCH_PACK_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

#include "hash.h"
#include "image.h"
#include "pack_format.h"
#include "quantity.h"

typedef struct smla_pack_artifact {
  char key[SMLA_HASH_HEX];
  const char *target, *variant, *entry, *compiler;
  int32_t nvrtc_major;
  smla_facts facts;
  smla_quantity *quantities; /* sorted by name */
  size_t quantity_count;
  uint32_t encoding;
  uint64_t offset, stored_bytes; /* of the blob, in the file */
  uint64_t image_bytes;          /* as loaded */
  char digest[SMLA_HASH_HEX];    /* of the stored bytes */
} smla_pack_artifact;

typedef struct smla_pack_plan {
  const char *target;
  const char *shape;        /* of a problem, or of a layer problem */
  const char *device_class; /* that its variants were chosen for, or "" */
  int32_t max_batch, max_context;
  const char *provenance; /* "given", "exact", "near", "estimated", "default" */
  const char *difference; /* of a near one: the fields of the wisdom's key that differ; else "" */
  const char *time_kind;  /* "none", "measured", "modelled" */
  uint64_t nanoseconds;   /* of a decode call in the measurement that it was chosen by; 0 where there is none */
  const char **roles;     /* what the plan takes each kernel for, sorted; texts of others' */
  int32_t *kernels;       /* indices of artifacts, one for each role */
  size_t kernel_count;
} smla_pack_plan;

typedef struct smla_pack_index {
  smla_pack_artifact *artifacts; /* sorted by key */
  size_t artifact_count;
  smla_pack_plan *plans; /* sorted by smla_pack_plan_compare */
  size_t plan_count;
  char *texts; /* holds the texts of an index that was read; NULL where they belong to others */
} smla_pack_index;

/* Reads `count` bytes of an index of `version` with the given numbers of records; blobs begin at `blobs`, the first multiple of the
 * alignment after the index, and end before `end`. Everything is checked: order, bounds, that blobs follow one another.
 * `name` is the pack's, for messages. *out is freed on failure. Errors: BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_pack_index_read(const char *name, uint32_t version, const unsigned char *bytes, size_t count,
                                    uint32_t artifacts, uint32_t plans, uint64_t blobs, uint64_t end,
                                    smla_pack_index *out);
void smla_pack_index_free(smla_pack_index *index);

/* The order of plans: target, shape, device class, batch, context. 0: the same problem. */
int smla_pack_plan_compare(const smla_pack_plan *a, const smla_pack_plan *b);
/* Whether a variant's text is of `family`. */
int smla_pack_is_of_family(const char *variant, const char *family);

/* 32 bytes as 64 hexadecimal digits. */
void smla_pack_hex(const unsigned char bytes[SMLA_PACK_DIGEST_BYTES], char hex[SMLA_HASH_HEX]);

/* BAD_FORMAT: "pack NAME: …", with the remedy. */
snapmla_status smla_pack_malformed(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
