/* The key of a compiled kernel: of what decides its bytes, and of nothing else. */
#ifndef SMLA_RUNTIME_ARTIFACT_KEY_H
#define SMLA_RUNTIME_ARTIFACT_KEY_H

#include <stddef.h>

#include "hash.h"

enum { SMLA_ARTIFACT_SCHEMA = 1 }; /* of this list of fields */

typedef struct smla_artifact_fields {
  int schema;
  const char *source; /* expanded; without #line directives where the compiler keeps none in its images */
  size_t source_bytes;
  const char *const *options; /* in their order, NULL-terminated; no path is in them */
  const char *compiler;       /* its identity: version and build-id, or all that it says of itself */
  const char *target, *entry; /* "sm_90a"; the kernel's symbol */
} smla_artifact_fields;

/* SHA-256 over the fields, each with its length before it. Pure. */
void smla_artifact_key(const smla_artifact_fields *fields, char key[SMLA_HASH_HEX]);

#endif
