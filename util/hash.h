/* SHA-256 of buffers and of lists of fields. A hash object belongs to one thread at a time. */
#ifndef SMLA_UTIL_HASH_H
#define SMLA_UTIL_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { SMLA_HASH_HEX = 65 }; /* 64 lower-case digits and the NUL */

/* A hash in the making; on the stack, nothing to free. The size is that of libsodium's state, rounded up. */
typedef struct smla_hash {
  uint64_t state[16];
} smla_hash;

void smla_hash_start(smla_hash *hash);
/* Adds a field: its length as 8 little-endian bytes, then its bytes. So ("ab","c") and ("a","bc") differ. */
void smla_hash_field(smla_hash *hash, const void *data, size_t length);
void smla_hash_field_text(smla_hash *hash, const char *text);
void smla_hash_field_number(smla_hash *hash, int64_t number); /* 8 little-endian bytes, as a field */
void smla_hash_finish(smla_hash *hash, char hex[SMLA_HASH_HEX]);

/* Plain SHA-256 of `length` bytes, as sha256sum prints it. */
void smla_hash_buffer(const void *data, size_t length, char hex[SMLA_HASH_HEX]);

#endif
