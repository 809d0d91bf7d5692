/* One dot product of Hopper's tensor cores, bit for bit: the plain statement of the rule, and its constants, which the
 * oracle's scores (tensor_scores.c) and the emulator's fast forms (mma_e4m3.c, mma_16_bits.c) share. docs/numerics.md says
 * how it was measured. Pure, thread-safe. */
#ifndef SMLA_REFERENCE_TENSOR_DOT_H
#define SMLA_REFERENCE_TENSOR_DOT_H

#include <stdint.h>
#include <string.h>

enum {
  SMLA_E4M3_K = 32, /* products that one instruction adds as one group */
  SMLA_BF16_K = 16, /* of f16 too, as are its bits */
  /* Bits below the leading exponent kept while the group is added, and fraction bits of the result. */
  SMLA_E4M3_SUM_BITS = 13,
  SMLA_E4M3_RESULT_BITS = 13,
  SMLA_BF16_SUM_BITS = 25,
  SMLA_BF16_RESULT_BITS = 23,
  /* The group's leading exponent is at least that of the smallest bf16 subnormal. Products of e4m3 stay far above. */
  SMLA_MMA_LEAST_TOP = -133
};

/* Every NaN result is this one. */
#define SMLA_MMA_NAN 0x7fffffffu

static inline uint32_t smla_float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float smla_bits_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* c + a · b of one instruction: 32 bytes of e4m3, or 16 bf16 or f16. */
float smla_dot_e4m3(float c, const uint8_t *a, const uint8_t *b);
float smla_dot_bf16(float c, const uint16_t *a, const uint16_t *b);
float smla_dot_f16(float c, const uint16_t *a, const uint16_t *b);

#endif
