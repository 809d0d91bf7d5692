#include "pack_seal.h"

#include <sodium.h>

_Static_assert(crypto_hash_sha256_BYTES == SMLA_PACK_DIGEST_BYTES && crypto_sign_BYTES == SMLA_PACK_SIGNATURE_BYTES &&
                   crypto_sign_PUBLICKEYBYTES == SMLA_PACK_AT_DIGEST - SMLA_PACK_AT_SIGNER,
               "the header has room for what libsodium makes");

void smla_pack_seal_digest(const unsigned char *head, size_t index_bytes,
                           unsigned char digest[SMLA_PACK_DIGEST_BYTES]) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, head, SMLA_PACK_AT_DIGEST);
  crypto_hash_sha256_update(&state, head + SMLA_PACK_HEADER_BYTES, index_bytes);
  crypto_hash_sha256_final(&state, digest);
}

int smla_pack_seal_check(const unsigned char *head, size_t index_bytes, const unsigned char *signature) {
  return !crypto_sign_verify_detached(signature, head, SMLA_PACK_HEADER_BYTES + index_bytes,
                                      head + SMLA_PACK_AT_SIGNER);
}
