/* A small pack of made-up kernels: for tests of the file, which need no compiler. */
#ifndef SMLA_TESTS_RUNTIME_SAMPLE_PACK_H
#define SMLA_TESTS_RUNTIME_SAMPLE_PACK_H

#include "buffer.h"

enum { SAMPLE_KERNELS = 3, SAMPLE_PLANS = 3 };
#define SAMPLE_CLASS "sm90-132sm-l2_50m-smem227k-bus5120-clk2000" /* of the second plan; the others are of none */

/* Appends a pack of SAMPLE_KERNELS kernels for `target`, with two plans of one shape, batches 4 and 8, and one of a layer of that
 * shape, batch 8, which takes a kernel for two roles. `level` of
 * zstd, 0: not packed. `seed` of the key that signs it, 0: unsigned. Fails the test on an error. */
void sample_pack(const char *target, int level, int seed, smla_buffer *out);

/* The key pair of a seed. */
void sample_keys(int seed, unsigned char public_key[32], unsigned char secret_key[64]);

/* Makes the digest of a changed pack right again, as a forger would. */
void sample_reseal(smla_buffer *pack);

#endif
