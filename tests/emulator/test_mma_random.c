/* The fast forms against the plain statement: every element of random tiles of many kinds, bit for bit. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "mma_forms.h"

enum { ROWS = 64, MOST_COLUMNS = 256, ROUNDS = 15 };

/* What the operands and the accumulators of a kind are like. Fields are biased exponents; 0 spread means any bits. */
typedef struct {
  const char *name;
  int sparse;          /* of 8 operands this many are zeros of either sign */
  int special;         /* of 256 operands this many are NaN or infinite, beside those of "any bits" */
  int low8, spread8;   /* exponents of e4m3 operands */
  int low16, spread16; /* exponents of bf16 operands */
  int low_c, spread_c; /* exponents of accumulators */
  int sparse_c;        /* of 8 accumulators this many are zeros of either sign */
  bool cancelling;     /* the upper half of k holds the lower half, negated in A */
} kind;

static const kind KINDS[] = {
    {"any bits", 0, 0, 0, 0, 0, 0, 0, 0, 0, false},
    {"any finite", 0, 0, 0, 15, 0, 255, 0, 255, 0, false},
    {"sparse", 6, 0, 0, 15, 0, 255, 90, 70, 3, false},
    {"very sparse", 7, 0, 0, 15, 0, 255, 0, 250, 3, false},
    {"cancelling", 0, 0, 0, 15, 110, 30, 70, 60, 4, true},
    {"cancelling, sparse", 5, 0, 2, 6, 64, 20, 0, 60, 4, true},
    {"subnormal operands", 1, 0, 0, 1, 0, 2, 0, 30, 5, false},
    {"one operand subnormal or not", 0, 0, 0, 3, 0, 140, 0, 140, 5, false},
    {"near underflow", 2, 0, 0, 4, 55, 12, 0, 10, 6, false},
    {"below underflow", 2, 0, 0, 4, 40, 20, 0, 3, 7, false},
    {"near overflow", 0, 0, 13, 2, 187, 6, 235, 20, 1, false},
    {"narrow", 0, 0, 5, 5, 125, 5, 120, 14, 0, false},
    {"large accumulator", 0, 0, 0, 15, 120, 14, 140, 115, 0, false},
    {"tiny accumulator", 4, 0, 0, 15, 100, 14, 0, 60, 1, false},
    {"rare NaN and infinities", 2, 3, 0, 15, 110, 30, 100, 156, 2, false},
    {"zeros", 8, 0, 0, 15, 0, 255, 0, 2, 3, false},
};

static uint64_t next(uint64_t *seed) {
  uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* A number of 1 + exponent_bits + fraction_bits bits. */
static uint32_t number(uint64_t *seed, int exponent_bits, int fraction_bits, int low, int spread) {
  const uint64_t r = next(seed);
  const uint32_t field = (uint32_t)(low + (spread ? (int)((r >> 32) % (unsigned)spread) : 0));
  const uint32_t all = (uint32_t)r & (uint32_t)((UINT64_C(1) << (1 + exponent_bits + fraction_bits)) - 1);
  const uint32_t field_mask = ((1u << exponent_bits) - 1) << fraction_bits;
  return spread ? (all & ~field_mask) | field << fraction_bits : all;
}

static uint32_t operand(uint64_t *seed, const kind *k, int exponent_bits, int fraction_bits, int low, int spread) {
  const uint32_t sign = 1u << (exponent_bits + fraction_bits);
  const uint32_t x = number(seed, exponent_bits, fraction_bits, low, spread);
  const uint64_t r = next(seed);
  if ((int)(r & 255) < k->special) return r & 256 ? x | (sign - 1) : (x & sign) | (sign - (1u << fraction_bits));
  return (int)(r >> 16 & 7) < k->sparse ? x & sign : x;
}

static void fill8(uint64_t *seed, const kind *k, uint8_t *x, int rows, bool negate) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < 32; j++)
      x[i * 32 + j] = k->cancelling && j >= 16 ? x[i * 32 + j - 16] ^ (negate ? 0x80 : 0)
                                               : (uint8_t)operand(seed, k, 4, 3, k->low8, k->spread8);
}

static void fill16(uint64_t *seed, const kind *k, uint16_t *x, int rows, bool negate) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < 16; j++)
      x[i * 16 + j] = k->cancelling && j >= 8 ? x[i * 16 + j - 8] ^ (negate ? 0x8000 : 0)
                                              : (uint16_t)operand(seed, k, 8, 7, k->low16, k->spread16);
}

static void fill_accumulators(uint64_t *seed, const kind *k, float *c, int count) {
  for (int i = 0; i < count; i++) {
    const uint32_t x = number(seed, 8, 23, k->low_c, k->spread_c);
    c[i] = float_of((int)(next(seed) & 7) < k->sparse_c ? x & 0x80000000 : x);
  }
}

typedef struct {
  uint8_t a8[ROWS * 32], b8[MOST_COLUMNS * 32];
  uint16_t a16[ROWS * 16], b16[MOST_COLUMNS * 16];
  float c[ROWS * MOST_COLUMNS], d[ROWS * MOST_COLUMNS], expected[ROWS * MOST_COLUMNS];
} tile;

static void compare(const char *format, const char *form, const kind *k, const tile *t, int n, int accumulate) {
  for (int i = 0; i < ROWS * n; i++)
    if (bits_of(t->d[i]) != bits_of(t->expected[i]))
      fail_msg("%s %s, %s, n = %d, accumulate %d, row %d, column %d: accumulator %08x: %08x instead of %08x", format,
               form, k->name, n, accumulate, i / n, i % n, (unsigned)bits_of(t->c[i]), (unsigned)bits_of(t->d[i]),
               (unsigned)bits_of(t->expected[i]));
}

static void check_tile(uint64_t *seed, const kind *k, tile *t, int n, int accumulate) {
  mma_form forms[MMA_FORMS];
  mma_forms(forms);
  fill8(seed, k, t->a8, ROWS, true), fill8(seed, k, t->b8, n, false);
  fill16(seed, k, t->a16, ROWS, true), fill16(seed, k, t->b16, n, false);
  fill_accumulators(seed, k, t->c, ROWS * n);
  const size_t bytes = (size_t)ROWS * (size_t)n * sizeof(float);
  for (int i = 0; i < ROWS * n; i++)
    t->expected[i] = smla_dot_e4m3(accumulate ? t->c[i] : 0, t->a8 + i / n * 32, t->b8 + i % n * 32);
  for (int f = 0; f < MMA_FORMS; f++) {
    if (!forms[f].runs) continue;
    memcpy(t->d, t->c, bytes);
    forms[f].e4m3(t->d, t->a8, t->b8, n, accumulate);
    compare("e4m3", forms[f].name, k, t, n, accumulate);
  }
  for (int i = 0; i < ROWS * n; i++)
    t->expected[i] = smla_dot_bf16(accumulate ? t->c[i] : 0, t->a16 + i / n * 16, t->b16 + i % n * 16);
  for (int f = 0; f < MMA_FORMS; f++) {
    if (!forms[f].runs) continue;
    memcpy(t->d, t->c, bytes);
    forms[f].bf16(t->d, t->a16, t->b16, n, accumulate);
    compare("bf16", forms[f].name, k, t, n, accumulate);
  }
  /* The same bits as f16, which then are of all sizes. */
  for (int i = 0; i < ROWS * n; i++)
    t->expected[i] = smla_dot_f16(accumulate ? t->c[i] : 0, t->a16 + i / n * 16, t->b16 + i % n * 16);
  for (int f = 0; f < MMA_FORMS; f++) {
    if (!forms[f].runs) continue;
    memcpy(t->d, t->c, bytes);
    forms[f].f16(t->d, t->a16, t->b16, n, accumulate);
    compare("f16", forms[f].name, k, t, n, accumulate);
  }
}

static void all_forms_agree(void **state) {
  (void)state;
  static const int widths[] = {64, 8, 128, 40, 256};
  tile *t = malloc(sizeof *t);
  assert_non_null(t);
  uint64_t seed = 20240601;
  for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++)
    for (int round = 0; round < ROUNDS; round++) check_tile(&seed, KINDS + k, t, widths[round % 5], round % 4 != 2);
  free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_forms_agree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
