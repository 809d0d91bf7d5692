/* One dot product of the tensor cores, stated plainly in integers.
 *
 * All products of an instruction and the accumulator are added as one group, in no order: each term is cut toward zero
 * at SUM_BITS below the largest exponent among the nonzero terms (which counts as LEAST_TOP at least), the cut terms are
 * added exactly, and the sum is cut toward zero to RESULT_BITS fraction bits. A term's exponent is the sum of its
 * operands' exponents: products are not normalised, and subnormal operands keep the least exponent. No result is a
 * negative zero. */
#include "tensor_dot.h"

#include <stdbool.h>

typedef enum { FINITE, INFINITE, NOT_A_NUMBER } number_class;

/* value = (negative ? -1 : 1) * significand * 2^(exponent - fraction bits of its format) */
typedef struct {
  uint32_t significand;
  int exponent;
  bool negative;
  number_class class;
} number;

typedef struct {
  int fraction_bits;
  int exponent_bits;
  bool has_infinity; /* the highest exponent is inf and NaN; without it only all ones is NaN */
} number_format;

static const number_format E4M3 = {3, 4, false};
static const number_format BF16 = {7, 8, true};
static const number_format F16 = {10, 5, true};
static const number_format FLOAT32 = {23, 8, true};

static number decode(number_format format, uint32_t bits) {
  const uint32_t fraction_mask = (1u << format.fraction_bits) - 1, highest = (1u << format.exponent_bits) - 1;
  const uint32_t fraction = bits & fraction_mask, field = (bits >> format.fraction_bits) & highest;
  number x = {fraction, 1, (bits >> (format.fraction_bits + format.exponent_bits)) & 1, FINITE};
  if (field) {
    x.significand |= fraction_mask + 1;
    x.exponent = (int)field;
  }
  x.exponent -= (int)(highest >> 1);
  if (field == highest && (format.has_infinity || fraction == fraction_mask))
    x.class = format.has_infinity && !fraction ? INFINITE : NOT_A_NUMBER;
  return x;
}

static number multiply(number x, number y) {
  number product = {x.significand * y.significand, x.exponent + y.exponent, x.negative != y.negative, FINITE};
  const bool zero = (x.class == FINITE && !x.significand) || (y.class == FINITE && !y.significand);
  if (x.class == NOT_A_NUMBER || y.class == NOT_A_NUMBER)
    product.class = NOT_A_NUMBER;
  else if (x.class == INFINITE || y.class == INFINITE)
    product.class = zero ? NOT_A_NUMBER : INFINITE;
  return product;
}

/* The term in units of 2^(top - sum_bits), cut toward zero. */
static int64_t cut(number term, int fraction_bits, int sum_bits, int top) {
  const int shift = sum_bits - fraction_bits + term.exponent - top;
  int64_t magnitude = term.significand;
  if (shift >= 0)
    magnitude <<= shift; /* at most SUM_BITS - fraction bits of a product or of the accumulator: small */
  else
    magnitude = shift > -32 ? magnitude >> -shift : 0;
  return term.negative ? -magnitude : magnitude;
}

/* sum * 2^unit cut toward zero to result_bits fraction bits, and to what a subnormal of that many bits can hold. */
static uint32_t round_result(int64_t sum, int unit, int result_bits) {
  const uint32_t sign = sum < 0 ? 0x80000000u : 0;
  uint64_t magnitude = (uint64_t)(sum < 0 ? -sum : sum);
  if (!magnitude) return 0;
  int exponent = unit;
  for (uint64_t rest = magnitude; rest >>= 1;) exponent++;
  if (exponent > 127) return sign | 0x7f800000u;
  const int last = (exponent < -126 ? -126 : exponent) - result_bits; /* exponent of the last bit kept */
  const int drop = last - unit;
  magnitude = drop >= 64 ? 0 : drop >= 0 ? magnitude >> drop : magnitude << -drop;
  if (!magnitude) return 0;
  const uint32_t fraction = (uint32_t)magnitude << (23 - result_bits);
  /* A normal result's leading bit is bit 23: it adds one to the exponent field. */
  return exponent < -126 ? sign | fraction : sign | (((uint32_t)(exponent + 126) << 23) + fraction);
}

static float add_group(float c, const number *products, int count, int product_fraction_bits, int sum_bits,
                       int result_bits) {
  const number accumulator = decode(FLOAT32, smla_float_bits(c));
  bool nan = accumulator.class == NOT_A_NUMBER;
  bool infinity[2] = {false, false};
  if (accumulator.class == INFINITE) infinity[accumulator.negative] = true;
  int top = SMLA_MMA_LEAST_TOP;
  if (accumulator.significand && accumulator.exponent > top) top = accumulator.exponent;
  for (int k = 0; k < count; k++) {
    if (products[k].class == NOT_A_NUMBER) nan = true;
    if (products[k].class == INFINITE) infinity[products[k].negative] = true;
    if (products[k].significand && products[k].exponent > top) top = products[k].exponent;
  }
  if (nan || (infinity[0] && infinity[1])) return smla_bits_float(SMLA_MMA_NAN);
  if (infinity[0] || infinity[1]) return smla_bits_float(infinity[1] ? 0xff800000u : 0x7f800000u);
  int64_t sum = accumulator.significand ? cut(accumulator, FLOAT32.fraction_bits, sum_bits, top) : 0;
  for (int k = 0; k < count; k++)
    if (products[k].significand) sum += cut(products[k], product_fraction_bits, sum_bits, top);
  return smla_bits_float(round_result(sum, top - sum_bits, result_bits));
}

float smla_dot_e4m3(float c, const uint8_t *a, const uint8_t *b) {
  number products[SMLA_E4M3_K];
  for (int k = 0; k < SMLA_E4M3_K; k++) products[k] = multiply(decode(E4M3, a[k]), decode(E4M3, b[k]));
  return add_group(c, products, SMLA_E4M3_K, 2 * E4M3.fraction_bits, SMLA_E4M3_SUM_BITS, SMLA_E4M3_RESULT_BITS);
}

float smla_dot_bf16(float c, const uint16_t *a, const uint16_t *b) {
  number products[SMLA_BF16_K];
  for (int k = 0; k < SMLA_BF16_K; k++) products[k] = multiply(decode(BF16, a[k]), decode(BF16, b[k]));
  return add_group(c, products, SMLA_BF16_K, 2 * BF16.fraction_bits, SMLA_BF16_SUM_BITS, SMLA_BF16_RESULT_BITS);
}

float smla_dot_f16(float c, const uint16_t *a, const uint16_t *b) {
  number products[SMLA_BF16_K];
  for (int k = 0; k < SMLA_BF16_K; k++) products[k] = multiply(decode(F16, a[k]), decode(F16, b[k]));
  return add_group(c, products, SMLA_BF16_K, 2 * F16.fraction_bits, SMLA_BF16_SUM_BITS, SMLA_BF16_RESULT_BITS);
}
