#include "token_quant.h"

#include <math.h>
#include <string.h>

#include "narrow_float.h"

static const uint32_t FRACTION_MASK = 0x7fffff; /* of a float's bits */
static const float E4M3_LARGEST = 448.0f;
static const float SMALLEST_SCALE = 0x1p-40f; /* of a row of zeros: keeps the divisions finite */

float smla_token_quant_scale(const uint16_t *content, int32_t count) {
  float amax = 0.0f;
  for (int32_t c = 0; c < count; c++) amax = fmaxf(amax, fabsf(smla_bf16_to_float(content[c])));
  return fmaxf(amax / E4M3_LARGEST, SMALLEST_SCALE);
}

float smla_token_quant_whole_scale(float scale) {
  uint32_t bits;
  memcpy(&bits, &scale, sizeof bits);
  bits = (bits + FRACTION_MASK) & ~FRACTION_MASK;
  memcpy(&scale, &bits, sizeof bits);
  return scale;
}

uint8_t smla_token_quant_content(uint16_t value, float scale) {
  return smla_e4m3_from_float(smla_bf16_to_float(value) / scale);
}

uint16_t smla_token_quant_rope(uint16_t value, float scale) {
  return smla_bf16_from_float(smla_bf16_to_float(value) / scale);
}
