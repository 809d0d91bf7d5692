/* The pack file: docs/pack.md specifies it byte by byte. Its numbers are little-endian. */
#ifndef SMLA_LAUNCH_PACK_FORMAT_H
#define SMLA_LAUNCH_PACK_FORMAT_H

#include <stdint.h>

/* Offsets of the header's fields. */
enum {
  SMLA_PACK_AT_MAGIC = 0,
  SMLA_PACK_AT_VERSION = 8,    /* u32 */
  SMLA_PACK_AT_FLAGS = 12,     /* u32 */
  SMLA_PACK_AT_BYTES = 16,     /* u64, of the file */
  SMLA_PACK_AT_INDEX = 24,     /* u64, bytes of the index */
  SMLA_PACK_AT_ARTIFACTS = 32, /* u32 */
  SMLA_PACK_AT_PLANS = 36,     /* u32 */
  SMLA_PACK_AT_INTERFACE = 40, /* [32]: smla_pack_interface */
  SMLA_PACK_AT_SIGNER = 72,    /* [32]: public key, zeros where unsigned */
  SMLA_PACK_AT_DIGEST = 104,   /* [32]: SHA-256 of the bytes before it and of the index */
  SMLA_PACK_HEADER_BYTES = 136 /* the index follows */
};

enum {
  SMLA_PACK_OLDEST_VERSION = 2, /* that is still read: its plans are of decode problems, and name no roles */
  SMLA_PACK_DIGEST_BYTES = 32,
  SMLA_PACK_SIGNATURE_BYTES = 64, /* Ed25519 over header and index; at the end of the file */
  SMLA_PACK_ALIGNMENT = 64,       /* of blobs and of the signature, in the file */
  SMLA_PACK_FLAG_SIGNED = 1,      /* the only flag */
  SMLA_PACK_STORED = 0,           /* encodings of a blob */
  SMLA_PACK_ZSTD = 1
};

/* Limits that keep a forged file from asking for much. */
enum {
  SMLA_PACK_MOST_RECORDS = 1 << 16, /* artifacts, and plans */
  SMLA_PACK_MOST_TEXT = 4096,       /* bytes of a text */
  SMLA_PACK_MOST_QUANTITIES = 1024, /* of an artifact */
  SMLA_PACK_MOST_KERNELS = 64,      /* of a plan */
  SMLA_PACK_MOST_IMAGE_BYTES = 256 << 20
};
#define SMLA_PACK_MOST_BYTES ((uint64_t)1 << 32) /* of a file */

extern const unsigned char smla_pack_magic[8];

/* Names what the kernels' arguments look like and where their data lie in the workspace: a digest of the files that say
 * so, in hexadecimal. A pack serves the library that has the same. */
extern const char smla_pack_interface[65];

static inline uint32_t smla_get_u32(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t smla_get_u64(const unsigned char *p) {
  return (uint64_t)smla_get_u32(p) | (uint64_t)smla_get_u32(p + 4) << 32;
}

static inline void smla_put_number(unsigned char *p, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) p[i] = (unsigned char)(value >> (8 * i));
}

#endif
