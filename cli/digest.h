/* FNV-1a, 64 bits: tells two results apart, guards against nothing. http://www.isthe.com/chongo/tech/comp/fnv/ */
#ifndef SMLA_CLI_DIGEST_H
#define SMLA_CLI_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define SMLA_DIGEST_START UINT64_C(0xcbf29ce484222325)

/* Continues `digest` over some bytes. */
static inline uint64_t smla_digest(uint64_t digest, const void *data, size_t bytes) {
  const uint8_t *p = data;
  for (size_t i = 0; i < bytes; ++i) digest = (digest ^ p[i]) * UINT64_C(0x100000001b3);
  return digest;
}

#endif
