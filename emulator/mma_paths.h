/* The fast forms are one C body per format, compiled for the baseline of the target and, on x86-64, for wider vectors.
 * smla_mma_e4m3, smla_mma_bf16 and smla_mma_f16 take the widest that the machine runs; tests compare all of them. The arithmetic is
 * exact wherever the rule does not cut, so that all give the same bits. Each needs some 8 KiB of stack, and the default
 * floating-point environment (no flushing of subnormals). */
#ifndef SMLA_EMULATOR_MMA_PATHS_H
#define SMLA_EMULATOR_MMA_PATHS_H

#include <stdint.h>

enum { SMLA_MMA_ROWS = 64 };

typedef void smla_mma_e4m3_function(float *d, const uint8_t *a, const uint8_t *b, int n, int accumulate);
typedef void smla_mma_bf16_function(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate);

smla_mma_e4m3_function smla_mma_e4m3_plain;
smla_mma_bf16_function smla_mma_bf16_plain, smla_mma_f16_plain;

#if defined(__x86_64__) && defined(__GNUC__)
#define SMLA_MMA_AVX2 1
#define SMLA_TARGET_AVX2 __attribute__((target("avx2")))
smla_mma_e4m3_function smla_mma_e4m3_avx2;
smla_mma_bf16_function smla_mma_bf16_avx2, smla_mma_f16_avx2;
#else
#define SMLA_MMA_AVX2 0
#endif

/* Inlined into each of the forms above, to be compiled with its instructions. */
#if defined(__GNUC__)
#define SMLA_BODY static inline __attribute__((always_inline))
#else
#define SMLA_BODY static inline
#endif

#endif
