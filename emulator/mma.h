/* The arithmetic of the tensor cores and of the conversions, bit for bit as measured on an H200 (docs/numerics.md).
 * Pure functions: thread-safe. */
#ifndef SMLA_EMULATOR_MMA_H
#define SMLA_EMULATOR_MMA_H

#include <stdint.h>

/* D[64 x n] (+)= A[64 x 32] B[n x 32]^T for e4m3: a 64 rows and b n rows of 32 bytes, dense, k contiguous.
 * d: 64 rows of n floats. One instruction: each result is an smla_dot_e4m3 of tensor_dot.h. */
void smla_mma_e4m3(float *d, const uint8_t *a, const uint8_t *b, int n, int accumulate);
/* The same for bf16, k = 16: rows of 16 elements; smla_dot_bf16. */
void smla_mma_bf16(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate);
/* And for f16; smla_dot_f16. */
void smla_mma_f16(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate);

/* ex2, lg2 and rcp .approx.ftz, correctly rounded here; subnormal operands and results are flushed to zero of their sign. */
float smla_exp2_approx(float x);
float smla_log2_approx(float x);
float smla_reciprocal_approx(float x);

/* The byte that a 128-byte-swizzled, K-major operand holds at (row, byte of the 128-byte row):
 * offset from a 1024-aligned start, 8-row groups `stride` bytes apart. */
static inline uint32_t smla_swizzle128(uint32_t offset) { return offset ^ ((offset >> 3) & 0x70); }

#endif
