/* D (+)= A B^T for e4m3, many columns at a time: the rule of tensor_dot.c in floats.
 *
 * A product of two e4m3 numbers is exact in float, and so is its scaling by a power of two; the conversion to int then
 * cuts it toward zero, as the rule wants. The largest exponent is found in a first pass over k. */
#include "mma.h"
#include "mma_paths.h"
#include "tensor_dot.h"

#include <stdbool.h>
#include <stddef.h>

enum {
  COLUMNS = 32,        /* columns of B held decoded at a time */
  ABSENT = -2048,      /* exponent of a zero: no sum with it is the largest */
  LEAST_PRODUCT = -12, /* exponent of a product of two subnormals */
  CUT_MASK = (1 << (23 - SMLA_E4M3_RESULT_BITS)) - 1
};

/* k-major, so that the lanes of a vector are columns. NaN is held as zero and flagged by all ones. */
typedef struct {
  float value[SMLA_E4M3_K][COLUMNS];
  int16_t exponent[SMLA_E4M3_K][COLUMNS];
  uint32_t nan[COLUMNS];
} column_block;

typedef struct {
  float value[SMLA_E4M3_K];
  int32_t exponent[SMLA_E4M3_K];
  uint32_t nan;
} row;

/* 2^exponent for -126..127 */
SMLA_BODY float power_of_two(int32_t exponent) { return smla_bits_float((uint32_t)(exponent + 127) << 23); }

SMLA_BODY int32_t larger(int32_t x, int32_t y) { return x > y ? x : y; }

/* All ones where the condition holds: choices among lanes without branches. */
SMLA_BODY uint32_t mask_of(int condition) { return condition ? ~0u : 0; }

SMLA_BODY void decode_row(row *restrict r, const uint8_t *restrict bytes) {
  uint32_t nan = 0;
  for (int k = 0; k < SMLA_E4M3_K; k++) {
    const int32_t byte = bytes[k], field = (byte >> 3) & 15;
    const uint32_t is_nan = mask_of((byte & 0x7f) == 0x7f);
    const int32_t exponent = larger(field, 1) - 7;
    const int32_t significand = ((byte & 7) | (field > 0 ? 8 : 0)) & (int32_t)~is_nan;
    const float magnitude = (float)significand * power_of_two(exponent - 3);
    r->exponent[k] = significand ? exponent : ABSENT;
    r->value[k] = smla_bits_float(smla_float_bits(magnitude) | (uint32_t)(byte & 0x80) << 24);
    nan |= is_nan;
  }
  r->nan = nan;
}

/* Columns past `width` are zeros. */
SMLA_BODY void decode_columns(column_block *block, const uint8_t *b, int width) {
  const uint8_t zeros[SMLA_E4M3_K] = {0};
  for (int j = 0; j < COLUMNS; j++) {
    row column;
    decode_row(&column, j < width ? b + (size_t)j * SMLA_E4M3_K : zeros);
    for (int k = 0; k < SMLA_E4M3_K; k++) {
      block->value[k][j] = column.value[k];
      block->exponent[k][j] = (int16_t)column.exponent[k];
    }
    block->nan[j] = column.nan;
  }
}

/* The largest exponent among the nonzero products, far below LEAST_PRODUCT where there is none. */
SMLA_BODY void find_tops(int16_t *restrict top, const row *restrict a, const column_block *restrict b) {
  for (int j = 0; j < COLUMNS; j++) top[j] = 2 * ABSENT;
  for (int k = 0; k < SMLA_E4M3_K; k += 4)
    for (int j = 0; j < COLUMNS; j++) {
      const int16_t e0 = (int16_t)(a->exponent[k] + b->exponent[k][j]);
      const int16_t e1 = (int16_t)(a->exponent[k + 1] + b->exponent[k + 1][j]);
      const int16_t e2 = (int16_t)(a->exponent[k + 2] + b->exponent[k + 2][j]);
      const int16_t e3 = (int16_t)(a->exponent[k + 3] + b->exponent[k + 3][j]);
      const int16_t e01 = e0 > e1 ? e0 : e1, e23 = e2 > e3 ? e2 : e3, e = e01 > e23 ? e01 : e23;
      top[j] = top[j] > e ? top[j] : e;
    }
}

/* 32 products of at most 225 << 7 each: the sum fits an int32 and is exact in a float. */
SMLA_BODY void add_products(int32_t *restrict sum, const float *restrict scale, const row *restrict a,
                            const column_block *restrict b) {
  for (int k = 0; k < SMLA_E4M3_K; k += 4) {
    const float a0 = a->value[k], a1 = a->value[k + 1], a2 = a->value[k + 2], a3 = a->value[k + 3];
    for (int j = 0; j < COLUMNS; j++)
      sum[j] += (int32_t)(a0 * b->value[k][j] * scale[j]) + (int32_t)(a1 * b->value[k + 1][j] * scale[j]) +
                (int32_t)(a2 * b->value[k + 2][j] * scale[j]) + (int32_t)(a3 * b->value[k + 3][j] * scale[j]);
  }
}

/* One row of results: d holds the accumulators, COLUMNS of them. */
SMLA_BODY void multiply_row(float *restrict d, const row *restrict a, const column_block *restrict b) {
  int16_t product_top[COLUMNS];
  int32_t top[COLUMNS], sum[COLUMNS];
  uint32_t bits[COLUMNS];
  float scale[COLUMNS];
  memcpy(bits, d, sizeof bits);
  find_tops(product_top, a, b);
  for (int j = 0; j < COLUMNS; j++) {
    const int32_t field = (int32_t)(bits[j] >> 23 & 255);
    const int32_t exponent = (bits[j] & 0x7fffffff) ? larger(field, 1) - 127 : ABSENT;
    /* With any product at all the top is at least LEAST_PRODUCT, and the scale is a normal float. */
    top[j] = larger(larger(product_top[j], exponent), LEAST_PRODUCT);
    top[j] = top[j] > 127 ? 127 : top[j];
    scale[j] = power_of_two(SMLA_E4M3_SUM_BITS - top[j]);
    sum[j] = (int32_t)(smla_bits_float(bits[j] & mask_of(field < 255)) * scale[j]);
  }
  add_products(sum, scale, a, b);
  for (int j = 0; j < COLUMNS; j++) {
    /* Exact in float: the sum has at most 20 bits. Cutting the fraction cuts the sum toward zero. */
    const float kept = smla_bits_float(smla_float_bits((float)sum[j]) & ~(uint32_t)CUT_MASK);
    d[j] = kept * (1.0f / (1 << SMLA_E4M3_SUM_BITS)) * power_of_two(top[j]);
  }
  /* Where there is no product the accumulator alone is cut; where it or an operand is not finite it decides. */
  for (int j = 0; j < COLUMNS; j++) {
    const uint32_t magnitude = bits[j] & 0x7fffffff;
    const uint32_t alone = magnitude > CUT_MASK ? bits[j] & ~(uint32_t)CUT_MASK : 0;
    uint32_t result = smla_float_bits(d[j]);
    result = product_top[j] < LEAST_PRODUCT ? alone : result;
    result = magnitude >= 0x7f800000 ? bits[j] : result;
    result = magnitude > 0x7f800000 ? SMLA_MMA_NAN : result;
    d[j] = smla_bits_float(b->nan[j] | a->nan ? SMLA_MMA_NAN : result);
  }
}

SMLA_BODY void multiply(float *d, const uint8_t *a, const uint8_t *b, int n, int accumulate) {
  column_block block;
  row a_row;
  for (int j = 0; j < n; j += COLUMNS) {
    const int width = n - j < COLUMNS ? n - j : COLUMNS;
    decode_columns(&block, b + (size_t)j * SMLA_E4M3_K, width);
    for (int i = 0; i < SMLA_MMA_ROWS; i++) {
      float lanes[COLUMNS] = {0};
      float *out = d + (size_t)i * n + j;
      decode_row(&a_row, a + (size_t)i * SMLA_E4M3_K);
      if (accumulate) memcpy(lanes, out, (size_t)width * sizeof(float));
      multiply_row(lanes, &a_row, &block);
      memcpy(out, lanes, (size_t)width * sizeof(float));
    }
  }
}

void smla_mma_e4m3_plain(float *d, const uint8_t *a, const uint8_t *b, int n, int accumulate) {
  multiply(d, a, b, n, accumulate);
}

#if SMLA_MMA_AVX2
SMLA_TARGET_AVX2 void smla_mma_e4m3_avx2(float *d, const uint8_t *a, const uint8_t *b, int n, int accumulate) {
  multiply(d, a, b, n, accumulate);
}
#endif

void smla_mma_e4m3(float *d, const uint8_t *a, const uint8_t *b, int n, int accumulate) {
#if SMLA_MMA_AVX2
  if (__builtin_cpu_supports("avx2")) {
    smla_mma_e4m3_avx2(d, a, b, n, accumulate);
    return;
  }
#endif
  smla_mma_e4m3_plain(d, a, b, n, accumulate);
}
