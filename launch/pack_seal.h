/* Digest and signature of a pack. */
#ifndef SMLA_LAUNCH_PACK_SEAL_H
#define SMLA_LAUNCH_PACK_SEAL_H

#include <stddef.h>

#include "pack_format.h"

/* SHA-256 of the header up to its digest and of the index, `head` being both. Pure. */
void smla_pack_seal_digest(const unsigned char *head, size_t index_bytes, unsigned char digest[SMLA_PACK_DIGEST_BYTES]);

/* 1 where `signature` is the header's signer's, over header and index. These hold the digests of the blobs, and what
 * lies between them is zero: so it is over every byte of the file. Pure. */
int smla_pack_seal_check(const unsigned char *head, size_t index_bytes, const unsigned char *signature);

#endif
