#include "hash.h"

#include <string.h>

#include <sodium.h>

/* libsodium's SHA-256 keeps no global state, so sodium_init(), which opens the random source, is not needed. */
_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(smla_hash), "smla_hash must hold libsodium's state");

static crypto_hash_sha256_state *state_of(smla_hash *hash) { return (crypto_hash_sha256_state *)(void *)hash->state; }

static void put_number(unsigned char bytes[8], uint64_t number) {
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(number >> (8 * i));
}

static void put_hex(const unsigned char digest[crypto_hash_sha256_BYTES], char hex[SMLA_HASH_HEX]) {
  sodium_bin2hex(hex, SMLA_HASH_HEX, digest, crypto_hash_sha256_BYTES);
}

void smla_hash_start(smla_hash *hash) { crypto_hash_sha256_init(state_of(hash)); }

void smla_hash_field(smla_hash *hash, const void *data, size_t length) {
  unsigned char prefix[8];
  put_number(prefix, length);
  crypto_hash_sha256_update(state_of(hash), prefix, sizeof prefix);
  if (length) crypto_hash_sha256_update(state_of(hash), data, length);
}

void smla_hash_field_text(smla_hash *hash, const char *text) { smla_hash_field(hash, text, strlen(text)); }

void smla_hash_field_number(smla_hash *hash, int64_t number) {
  unsigned char bytes[8];
  put_number(bytes, (uint64_t)number);
  smla_hash_field(hash, bytes, sizeof bytes);
}

void smla_hash_finish(smla_hash *hash, char hex[SMLA_HASH_HEX]) {
  unsigned char digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_final(state_of(hash), digest);
  put_hex(digest, hex);
}

void smla_hash_buffer(const void *data, size_t length, char hex[SMLA_HASH_HEX]) {
  unsigned char digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(digest, data, length);
  put_hex(digest, hex);
}
