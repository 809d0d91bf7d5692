#include "narrow_float.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

enum {
  FLOAT_INFINITY = 0x7f800000,
  FLOAT_448 = 0x43e00000,  /* the largest e4m3 number */
  FLOAT_2_M6 = 0x3c800000, /* the smallest normal e4m3 number */
  E4M3_MAX = 0x7e,
  E4M3_NAN = 0x7f,
  BF16_NAN = 0x7fff,
  EXPONENT_DIFFERENCE = 120, /* 127 of fp32 - 7 of e4m3 */
  MANTISSA_DIFFERENCE = 20   /* 23 bits of fp32 - 3 of e4m3 */
};

/* magnitude / 2^shift to nearest even; 1 <= shift <= 31. */
static uint32_t shift_to_even(uint32_t magnitude, int shift) {
  uint32_t odd = (magnitude >> shift) & 1;
  return (magnitude + (UINT32_C(1) << (shift - 1)) - 1 + odd) >> shift;
}

uint8_t smla_e4m3_from_float(float value) {
  uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
  uint32_t sign = (bits >> 24) & 0x80;
  if (magnitude > FLOAT_INFINITY) return E4M3_NAN;
  if (magnitude >= FLOAT_448) return (uint8_t)(sign | E4M3_MAX);
  if (magnitude >= FLOAT_2_M6) /* a carry out of the mantissa raises the exponent, as it must */
    return (uint8_t)(sign | (shift_to_even(magnitude, MANTISSA_DIFFERENCE) - (EXPONENT_DIFFERENCE << 3)));

  /* Subnormal: a multiple of 2^-9. The value is significand * 2^(exponent - 150). */
  int shift = 150 - 9 - (int)(magnitude >> 23);
  if (shift > 24) return (uint8_t)sign; /* below half of 2^-9 */
  return (uint8_t)(sign | shift_to_even((magnitude & 0x7fffff) | 0x800000, shift));
}

float smla_e4m3_to_float(uint8_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x80) << 24, magnitude = bits & 0x7f;
  if (magnitude == E4M3_NAN) return float_of(sign | 0x7fc00000);
  if (magnitude >= 8) return float_of(sign | ((magnitude + (EXPONENT_DIFFERENCE << 3)) << MANTISSA_DIFFERENCE));
  float value = (float)magnitude * 0x1p-9f;
  return sign ? -value : value;
}

uint16_t smla_bf16_from_float(float value) {
  uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffff) > FLOAT_INFINITY) return BF16_NAN;
  uint32_t odd = (bits >> 16) & 1;
  return (uint16_t)((bits + 0x7fff + odd) >> 16);
}

float smla_bf16_to_float(uint16_t bits) { return float_of((uint32_t)bits << 16); }

/* Of magnitude |value| the multiple of a unit, the step of f16 there, to nearest even: rint of the default rounding mode. */
uint16_t smla_f16_from_float(float value) {
  if (isnan(value)) return 0x7fff;
  uint16_t sign = signbit(value) ? 0x8000 : 0;
  float magnitude = fabsf(value);
  if (magnitude >= 65520.0f) return sign | 0x7c00; /* half a step past the largest, 65504 */
  if (magnitude == 0.0f) return sign;
  int exponent;
  frexpf(magnitude, &exponent);                      /* magnitude < 2^exponent */
  int unit = (exponent < -13 ? -13 : exponent) - 11; /* 2^unit is the step: 2^-24 among subnormals */
  int steps = (int)rintf(ldexpf(magnitude, -unit));  /* 11 bits, or 2^11 */
  return (uint16_t)(sign | (((unit + 24) << 10) + steps));
}

float smla_f16_to_float(uint16_t bits) {
  int field = bits >> 10 & 31, fraction = bits & 1023;
  float magnitude = field == 31 ? (fraction ? NAN : INFINITY)
                                : ldexpf((float)(field ? fraction | 1024 : fraction), (field ? field : 1) - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}
