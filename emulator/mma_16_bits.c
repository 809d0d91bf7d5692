/* D (+)= A B^T for bf16 and f16, many columns at a time: the rule of tensor_dot.c in doubles.
 *
 * A product of two such numbers is exact in double, and so is its scaling by a power of two; the conversion to int then
 * cuts it toward zero, as the rule wants. NaN and infinities are left to the plain statement. */
#include "mma.h"
#include "mma_paths.h"
#include "tensor_dot.h"

#include <stddef.h>

enum {
  COLUMNS = 32,  /* columns of B held decoded at a time */
  ABSENT = -2048 /* exponent of a zero: no sum with it is the largest */
};

#define LEAST_NORMAL 0x1p-126
#define PAST_LARGEST 0x1p128
#define SUBNORMALS_PER_UNIT 0x1p149 /* 1 / the smallest subnormal float */

/* k-major, so that the lanes of a vector are columns. What is not finite is held as zero and flagged by all ones. */
typedef struct {
  double value[SMLA_BF16_K][COLUMNS];
  int16_t exponent[SMLA_BF16_K][COLUMNS];
  uint32_t special[COLUMNS];
} column_block;

typedef struct {
  double value[SMLA_BF16_K];
  int32_t exponent[SMLA_BF16_K];
  uint32_t special;
} row;

SMLA_BODY double bits_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

SMLA_BODY uint64_t double_bits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

SMLA_BODY double power_of_two(int32_t exponent) { return bits_double((uint64_t)(exponent + 1023) << 52); }

SMLA_BODY int32_t larger(int32_t x, int32_t y) { return x > y ? x : y; }

/* Of a number of 16 bits: fraction bits, the highest exponent field and its bias. */
typedef struct layout {
  int32_t fraction_bits, highest, bias;
} layout;

static const layout BF16 = {7, 255, 127}, F16 = {10, 31, 15};

SMLA_BODY void decode_row(row *restrict r, const uint16_t *restrict numbers, layout of) {
  uint32_t special = 0;
  for (int k = 0; k < SMLA_BF16_K; k++) {
    const int32_t number = numbers[k], field = (number >> of.fraction_bits) & of.highest;
    const int32_t implied = 1 << of.fraction_bits;
    const uint32_t is_special = field == of.highest ? ~0u : 0;
    const int32_t exponent = larger(field, 1) - of.bias;
    const int32_t significand = ((number & (implied - 1)) | (field > 0 ? implied : 0)) & (int32_t)~is_special;
    const int32_t negative = -(number >> 15);
    r->exponent[k] = significand ? exponent : ABSENT;
    r->value[k] = (double)((significand ^ negative) - negative) * power_of_two(exponent - of.fraction_bits);
    special |= is_special;
  }
  r->special = special;
}

/* Columns past `width` are zeros. */
SMLA_BODY void decode_columns(column_block *block, const uint16_t *b, int width, layout of) {
  const uint16_t zeros[SMLA_BF16_K] = {0};
  for (int j = 0; j < COLUMNS; j++) {
    row column;
    decode_row(&column, j < width ? b + (size_t)j * SMLA_BF16_K : zeros, of);
    for (int k = 0; k < SMLA_BF16_K; k++) {
      block->value[k][j] = column.value[k];
      block->exponent[k][j] = (int16_t)column.exponent[k];
    }
    block->special[j] = column.special;
  }
}

/* The largest exponent among the nonzero products, far below SMLA_MMA_LEAST_TOP where there is none. */
SMLA_BODY void find_tops(int16_t *restrict top, const row *restrict a, const column_block *restrict b) {
  for (int j = 0; j < COLUMNS; j++) top[j] = 2 * ABSENT;
  for (int k = 0; k < SMLA_BF16_K; k += 4)
    for (int j = 0; j < COLUMNS; j++) {
      const int16_t e0 = (int16_t)(a->exponent[k] + b->exponent[k][j]);
      const int16_t e1 = (int16_t)(a->exponent[k + 1] + b->exponent[k + 1][j]);
      const int16_t e2 = (int16_t)(a->exponent[k + 2] + b->exponent[k + 2][j]);
      const int16_t e3 = (int16_t)(a->exponent[k + 3] + b->exponent[k + 3][j]);
      const int16_t e01 = e0 > e1 ? e0 : e1, e23 = e2 > e3 ? e2 : e3, e = e01 > e23 ? e01 : e23;
      top[j] = top[j] > e ? top[j] : e;
    }
}

/* 16 products of at most 255 * 255 << 11 each, of f16 2047 * 2047 << 5: the sum fits an int32, with nothing to spare for the accumulator. */
SMLA_BODY void add_products(int32_t *restrict sum, const double *restrict scale, const row *restrict a,
                            const column_block *restrict b) {
  for (int j = 0; j < COLUMNS; j++) sum[j] = 0;
  for (int k = 0; k < SMLA_BF16_K; k += 4) {
    const double a0 = a->value[k], a1 = a->value[k + 1], a2 = a->value[k + 2], a3 = a->value[k + 3];
    for (int j = 0; j < COLUMNS; j++)
      sum[j] += (int32_t)(a0 * b->value[k][j] * scale[j]) + (int32_t)(a1 * b->value[k + 1][j] * scale[j]) +
                (int32_t)(a2 * b->value[k + 2][j] * scale[j]) + (int32_t)(a3 * b->value[k + 3][j] * scale[j]);
  }
}

/* A sum of the group, exact in double, cut toward zero to a float. No result is a negative zero. */
SMLA_BODY float cut_to_float(double total) {
  const double kept = bits_double(double_bits(total) & ~((UINT64_C(1) << (52 - SMLA_BF16_RESULT_BITS)) - 1));
  const double magnitude = kept < 0 ? -kept : kept;
  if (magnitude >= PAST_LARGEST) /* C leaves such a conversion undefined */
    return smla_bits_float(kept < 0 ? 0xff800000u : 0x7f800000u);
  if (magnitude >= LEAST_NORMAL) return (float)kept;
  const uint32_t subnormal = (uint32_t)(int32_t)(magnitude * SUBNORMALS_PER_UNIT);
  return smla_bits_float(subnormal && kept < 0 ? subnormal | 0x80000000u : subnormal);
}

/* One row of results: d holds the accumulators, COLUMNS of them; what is not finite counts as zero. */
SMLA_BODY void multiply_row(float *restrict d, const row *restrict a, const column_block *restrict b) {
  int16_t product_top[COLUMNS];
  int32_t top[COLUMNS], sum[COLUMNS], accumulator[COLUMNS];
  uint32_t bits[COLUMNS];
  double scale[COLUMNS], total[COLUMNS];
  memcpy(bits, d, sizeof bits);
  find_tops(product_top, a, b);
  for (int j = 0; j < COLUMNS; j++) {
    const int32_t field = (int32_t)(bits[j] >> 23 & 255);
    const int32_t exponent = field < 255 && (bits[j] & 0x7fffffff) ? larger(field, 1) - 127 : ABSENT;
    top[j] = larger(larger(product_top[j], exponent), SMLA_MMA_LEAST_TOP);
    bits[j] &= field < 255 ? ~0u : 0;
  }
  for (int j = 0; j < COLUMNS; j++) scale[j] = power_of_two(SMLA_BF16_SUM_BITS - top[j]);
  for (int j = 0; j < COLUMNS; j++) accumulator[j] = (int32_t)((double)smla_bits_float(bits[j]) * scale[j]);
  add_products(sum, scale, a, b);
  for (int j = 0; j < COLUMNS; j++)
    total[j] = ((double)sum[j] + (double)accumulator[j]) * power_of_two(top[j] - SMLA_BF16_SUM_BITS);
  for (int j = 0; j < COLUMNS; j++) d[j] = cut_to_float(total[j]);
}

/* The results that a NaN or an infinity takes part in, by the plain statement; d still holds the accumulators. */
static void patch_special(float *lanes, const float *d, const uint16_t *a, const uint16_t *b, int width,
                          const column_block *block, uint32_t row_special, int accumulate,
                          float (*dot)(float c, const uint16_t *a, const uint16_t *b)) {
  for (int j = 0; j < width; j++) {
    const float c = accumulate ? d[j] : 0;
    const int finite = (smla_float_bits(c) & 0x7f800000) != 0x7f800000;
    if (row_special || block->special[j] || !finite) lanes[j] = dot(c, a, b + (size_t)j * SMLA_BF16_K);
  }
}

SMLA_BODY void multiply(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate, layout of,
                        float (*dot)(float c, const uint16_t *a, const uint16_t *b)) {
  column_block block;
  row a_row;
  for (int j = 0; j < n; j += COLUMNS) {
    const int width = n - j < COLUMNS ? n - j : COLUMNS;
    const uint16_t *columns = b + (size_t)j * SMLA_BF16_K;
    decode_columns(&block, columns, width, of);
    for (int i = 0; i < SMLA_MMA_ROWS; i++) {
      float lanes[COLUMNS] = {0};
      float *out = d + (size_t)i * n + j;
      const uint16_t *numbers = a + (size_t)i * SMLA_BF16_K;
      decode_row(&a_row, numbers, of);
      if (accumulate) memcpy(lanes, out, (size_t)width * sizeof(float));
      multiply_row(lanes, &a_row, &block);
      patch_special(lanes, out, numbers, columns, width, &block, a_row.special, accumulate, dot);
      memcpy(out, lanes, (size_t)width * sizeof(float));
    }
  }
}

void smla_mma_bf16_plain(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate) {
  multiply(d, a, b, n, accumulate, BF16, smla_dot_bf16);
}

#if SMLA_MMA_AVX2
SMLA_TARGET_AVX2 void smla_mma_bf16_avx2(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate) {
  multiply(d, a, b, n, accumulate, BF16, smla_dot_bf16);
}
#endif

void smla_mma_bf16(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate) {
#if SMLA_MMA_AVX2
  if (__builtin_cpu_supports("avx2")) {
    smla_mma_bf16_avx2(d, a, b, n, accumulate);
    return;
  }
#endif
  smla_mma_bf16_plain(d, a, b, n, accumulate);
}

void smla_mma_f16_plain(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate) {
  multiply(d, a, b, n, accumulate, F16, smla_dot_f16);
}

#if SMLA_MMA_AVX2
SMLA_TARGET_AVX2 void smla_mma_f16_avx2(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate) {
  multiply(d, a, b, n, accumulate, F16, smla_dot_f16);
}
#endif

void smla_mma_f16(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate) {
#if SMLA_MMA_AVX2
  if (__builtin_cpu_supports("avx2")) {
    smla_mma_f16_avx2(d, a, b, n, accumulate);
    return;
  }
#endif
  smla_mma_f16_plain(d, a, b, n, accumulate);
}
