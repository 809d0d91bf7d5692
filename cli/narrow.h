/* bf16 and f16 on the host. Pure. */
#ifndef SMLA_CLI_NARROW_H
#define SMLA_CLI_NARROW_H

#include <stdint.h>
#include <string.h>

/* To nearest even; a NaN becomes 0x7fff. */
static inline uint16_t smla_narrow_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float smla_widen_bf16(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

/* Exact, subnormals included. */
static inline float smla_widen_f16(uint16_t value) {
  uint32_t exponent = (value >> 10) & 31u, fraction = value & 1023u;
  float result;
  if (!exponent) {
    result = (float)fraction * 0x1p-24f;
    return value & 0x8000u ? -result : result;
  }
  uint32_t bits =
      ((uint32_t)(value & 0x8000u) << 16) | ((exponent == 31 ? 255u : exponent + 112u) << 23) | fraction << 13;
  memcpy(&result, &bits, sizeof result);
  return result;
}

#endif
