#include "token_quant.h"

#include <math.h>
#include <string.h>

#include "narrow_float.h"

static const float E4M3_LARGEST = 448.0f;
static const uint32_t FRACTION = 0x7fffff;
enum { EXPONENT_SHIFT = 3, EXPONENT_MASK = 15, STEP_BIAS = 10 /* a step of e4m3 is 2^(field - 10) */ };
enum { LEAST_EXPONENT = 5 /* of e4m3's field: half a sixteenth of a smaller number's step is no normal e4m3 number */ };
enum { RESIDUAL_SIGN = 8, RESIDUAL_LARGEST = 7 };
static const float SMALLEST_SCALE = 0x1p-40f; /* of a row of zeros: keeps the divisions finite */

float smla_token_quant_scale(const uint16_t *content, int32_t count) {
  float amax = 0.0f;
  for (int32_t c = 0; c < count; c++) amax = fmaxf(amax, fabsf(smla_bf16_to_float(content[c])));
  return fmaxf(amax / E4M3_LARGEST, SMALLEST_SCALE);
}

float smla_token_quant_power_of_two(float scale) {
  uint32_t bits;
  memcpy(&bits, &scale, sizeof bits);
  bits = (bits + FRACTION) & ~FRACTION; /* into the next binade, unless it begins one */
  memcpy(&scale, &bits, sizeof bits);
  return scale;
}

uint8_t smla_token_quant_content(uint16_t value, float scale) {
  return smla_e4m3_from_float(smla_bf16_to_float(value) / scale);
}

uint16_t smla_token_quant_rope(uint16_t value, float scale) {
  return smla_bf16_from_float(smla_bf16_to_float(value) / scale);
}

static int exponent_of(uint8_t content) { return content >> EXPONENT_SHIFT & EXPONENT_MASK; }

uint8_t smla_token_quant_residual(uint16_t value, float scale, uint8_t content) {
  int exponent = exponent_of(content);
  if (exponent < LEAST_EXPONENT) return 0;
  float rest = smla_bf16_to_float(value) / scale - smla_e4m3_to_float(content);
  float sixteenths = ldexpf(rest, STEP_BIAS + 4 - exponent), magnitude = fabsf(sixteenths);
  uint8_t bits = magnitude < (float)RESIDUAL_LARGEST ? (uint8_t)magnitude : RESIDUAL_LARGEST; /* and so a NaN */
  return (uint8_t)(bits | (sixteenths < 0.0f ? RESIDUAL_SIGN : 0));
}

float smla_token_residual_sixteenfold(uint8_t content, uint8_t residual) {
  int exponent = exponent_of(content);
  if (exponent < LEAST_EXPONENT) return 0.0f;
  float steps = (float)(residual & RESIDUAL_LARGEST) + 0.5f;
  return ldexpf(residual & RESIDUAL_SIGN ? -steps : steps, exponent - STEP_BIAS);
}
