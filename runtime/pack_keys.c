/* Keys that packs are signed with. */
#include <snapmla/pack_make.h>

#include <string.h>

#include <sodium.h>

#include "status.h"

_Static_assert(SNAPMLA_PACK_PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES &&
                   SNAPMLA_PACK_SECRET_KEY_BYTES == crypto_sign_SECRETKEYBYTES,
               "keys are libsodium's");

snapmla_status snapmla_pack_keys_make(unsigned char public_key[SNAPMLA_PACK_PUBLIC_KEY_BYTES],
                                      unsigned char secret_key[SNAPMLA_PACK_SECRET_KEY_BYTES]) {
  if (!public_key || !secret_key)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "public_key and secret_key are needed, and one is NULL");
  if (sodium_init() < 0 || crypto_sign_keypair(public_key, secret_key))
    return smla_fail(SNAPMLA_INTERNAL, "libsodium finds no source of random numbers; mount /dev");
  return SNAPMLA_OK;
}

snapmla_status snapmla_pack_key_public(const unsigned char secret_key[SNAPMLA_PACK_SECRET_KEY_BYTES],
                                       unsigned char public_key[SNAPMLA_PACK_PUBLIC_KEY_BYTES]) {
  if (!public_key || !secret_key)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "public_key and secret_key are needed, and one is NULL");
  unsigned char seed[crypto_sign_SEEDBYTES], whole[crypto_sign_SECRETKEYBYTES], half[crypto_sign_PUBLICKEYBYTES];
  crypto_sign_ed25519_sk_to_seed(seed, secret_key);
  crypto_sign_seed_keypair(half, whole, seed);
  int same = !sodium_memcmp(whole, secret_key, sizeof whole);
  if (same) memcpy(public_key, half, sizeof half);
  sodium_memzero(seed, sizeof seed);
  sodium_memzero(whole, sizeof whole);
  return same ? SNAPMLA_OK
              : smla_fail(SNAPMLA_INVALID_ARGUMENT, "the secret key's halves do not belong together; it is no key");
}
