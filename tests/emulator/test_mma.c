/* The rule of docs/numerics.md, one clause at a time: every expected number follows from the clause by hand. */
#include <math.h>
#include <string.h>

#include "cmocka_all.h"
#include "mma_forms.h"

enum { ROWS = 64, COLUMNS = 8, ROW = 17, COLUMN = 5 };

/* e4m3: 0x38 is 1, an exponent field step is 8, the least subnormal 0x01 is 2^-9. */
enum { ONE8 = 0x38, STEP8 = 8, NEGATIVE8 = 0x80, NAN8 = 0x7f };
/* bf16: 0x3f80 is 1, an exponent field step is 0x80. */
enum { ONE16 = 0x3f80, STEP16 = 0x80, NEGATIVE16 = 0x8000, INFINITY16 = 0x7f80 };

typedef struct {
  uint8_t a[32], b[32];
} pairs8;
typedef struct {
  uint16_t a[16], b[16];
} pairs16;

static void expect8(float c, pairs8 p, uint32_t expected) {
  assert_int_equal(bits_of(smla_dot_e4m3(c, p.a, p.b)), expected);
  mma_form forms[MMA_FORMS];
  mma_forms(forms);
  for (int f = 0; f < MMA_FORMS; f++) {
    if (!forms[f].runs) continue;
    uint8_t a[ROWS][32] = {{0}}, b[COLUMNS][32] = {{0}};
    float d[ROWS][COLUMNS] = {{0}};
    memcpy(a[ROW], p.a, 32);
    memcpy(b[COLUMN], p.b, 32);
    d[ROW][COLUMN] = c;
    forms[f].e4m3(d[0], a[0], b[0], COLUMNS, 1);
    assert_int_equal(bits_of(d[ROW][COLUMN]), expected);
  }
}

static void expect16(float c, pairs16 p, uint32_t expected) {
  assert_int_equal(bits_of(smla_dot_bf16(c, p.a, p.b)), expected);
  mma_form forms[MMA_FORMS];
  mma_forms(forms);
  for (int f = 0; f < MMA_FORMS; f++) {
    if (!forms[f].runs) continue;
    uint16_t a[ROWS][16] = {{0}}, b[COLUMNS][16] = {{0}};
    float d[ROWS][COLUMNS] = {{0}};
    memcpy(a[ROW], p.a, 32);
    memcpy(b[COLUMN], p.b, 32);
    d[ROW][COLUMN] = c;
    forms[f].bf16(d[0], a[0], b[0], COLUMNS, 1);
    assert_int_equal(bits_of(d[ROW][COLUMN]), expected);
  }
}

static void e4m3_terms_are_cut_at_13_bits(void **state) {
  (void)state;
  /* 2^-6 * 2^-7 = 2^-13 is the last bit kept beside 1. */
  const uint8_t m6 = 0x08, m7 = 0x04, m8 = 0x02;
  expect8(1, (pairs8){{m6}, {m7}}, bits_of(1 + 0x1p-13f));
  expect8(-1, (pairs8){{m6 | NEGATIVE8}, {m7}}, bits_of(-1 - 0x1p-13f));
  /* 2^-14 is cut, however many there are; toward zero, so that -2^-14 leaves 1 too. */
  pairs8 many = {{0}, {0}};
  memset(many.a, m6, 32);
  memset(many.b, m8, 32);
  expect8(1, many, bits_of(1));
  expect8(1, (pairs8){{m6 | NEGATIVE8}, {m8}}, bits_of(1));
  /* Without the 1 they all count: 32 * 2^-14. */
  expect8(0, many, bits_of(0x1p-9f));
}

static void e4m3_results_have_13_fraction_bits(void **state) {
  (void)state;
  const pairs8 none = {{0}, {0}};
  expect8(float_of(0x3f8003ff), none, bits_of(1));
  expect8(float_of(0x3f8007ff), none, 0x3f800400);
  expect8(float_of(0xbf8007ff), none, 0xbf800400);
  /* Subnormals keep the bits above 2^-140 alone. */
  expect8(float_of(0x00000fff), none, 0x00000c00);
  expect8(float_of(0x800003ff), none, 0);
  /* 1.875 * 1.875 + 2^-13: the sum holds the last bit, the result, which is at least 2, does not. */
  expect8(0x1p-13f, (pairs8){{0x3f}, {0x3f}}, bits_of(3.515625f));
}

static void e4m3_products_are_not_normalised(void **state) {
  (void)state;
  /* 1.875 * 1.875 >= 2 counts with exponent 0: 2^-13 survives beside it, and is what is left when it cancels. */
  expect8(0x1p-13f, (pairs8){{0x3f, 0x3f | NEGATIVE8}, {0x3f, 0x3f}}, bits_of(0x1p-13f));
  /* A subnormal operand counts with exponent -6 however small it is: 2^-9 * 1 against 2^-19 and 2^-20. */
  const pairs8 subnormal = {{0x01, 0x01 | NEGATIVE8}, {ONE8, ONE8}};
  expect8(0x1p-19f, subnormal, bits_of(0x1p-19f));
  expect8(0x1p-20f, subnormal, 0);
}

static void zero_products_do_not_count(void **state) {
  (void)state;
  expect8(0x1p-40f, (pairs8){{0x7e}, {0}}, bits_of(0x1p-40f));
  expect16(0x1p-90f, (pairs16){{ONE16}, {0}}, bits_of(0x1p-90f));
}

static void no_result_is_a_negative_zero(void **state) {
  (void)state;
  expect8(-0.0f, (pairs8){{NEGATIVE8}, {ONE8}}, 0);
  expect8(0, (pairs8){{ONE8, ONE8}, {ONE8, ONE8 | NEGATIVE8}}, 0);
  expect16(-0.0f, (pairs16){{NEGATIVE16}, {ONE16}}, 0);
  /* -2^-133 * 2^-133 is less than every float. */
  expect16(0, (pairs16){{NEGATIVE16 | 1}, {1}}, 0);
}

static void bf16_terms_are_cut_at_25_bits_and_results_at_23(void **state) {
  (void)state;
  const uint16_t m12 = ONE16 - 12 * STEP16, m13 = ONE16 - 13 * STEP16;
  pairs16 p = {{m12}, {m13}}; /* 2^-25 */
  expect16(1, p, bits_of(1));
  for (int k = 0; k < 4; k++) p.a[k] = m12, p.b[k] = m13;
  expect16(1, p, 0x3f800001);
  /* Sixteen of 2^-26 would be 2^-22 */
  for (int k = 0; k < 16; k++) p.a[k] = p.b[k] = m13;
  expect16(1, p, bits_of(1));
  expect16(0, p, bits_of(0x1p-22f));
  /* toward zero: 1 - 2^-25 is between 1 - 2^-24 and 1 */
  expect16(1, (pairs16){{m12 | NEGATIVE16}, {m13}}, 0x3f7fffff);
}

/* f16: 0x3c00 is 1, an exponent field step is 0x400, the least subnormal 2^-24. */
static void f16_is_cut_alike(void **state) {
  (void)state;
  const uint16_t one = 0x3c00, m12 = 0x3c00 - 12 * 0x400, m13 = 0x3c00 - 13 * 0x400;
  pairs16 p = {{m12, m12, m12, m12}, {m13, m13, m13, m13}}; /* four of 2^-25: one alone is no bit of the result */
  assert_int_equal(bits_of(smla_dot_f16(1, p.a, p.b)), 0x3f800001);
  p.a[3] = p.a[2] = p.a[1] = 0;
  assert_int_equal(bits_of(smla_dot_f16(1, p.a, p.b)), 0x3f800000);
  p = (pairs16){{0x0001}, {0x7bff}}; /* the least times the largest, 65504: no bit is lost */
  assert_int_equal(bits_of(smla_dot_f16(0, p.a, p.b)), bits_of(65504 * 0x1p-24f));
  p = (pairs16){{0x7c00}, {one}};
  assert_int_equal(bits_of(smla_dot_f16(1, p.a, p.b)), 0x7f800000);
  p = (pairs16){{0x7c00}, {0}};
  assert_int_equal(bits_of(smla_dot_f16(1, p.a, p.b)), 0x7fffffff);
}

static void bf16_sums_may_be_below_the_least_normal(void **state) {
  (void)state;
  const uint16_t m75 = ONE16 - 75 * STEP16;
  const uint16_t m79 = ONE16 - 79 * STEP16, m80 = ONE16 - 80 * STEP16;
  pairs16 p;
  /* 16 * 2^-153 = 2^-149: cut at 25 bits below 2^-126 each would vanish. */
  for (int k = 0; k < 16; k++) p.a[k] = m75, p.b[k] = ONE16 - 78 * STEP16;
  expect16(0, p, 1);
  /* The leading exponent is at least -133: 2^-158 counts beside 2^-149 - 2^-158, 2^-159 does not. */
  memset(&p, 0, sizeof p);
  for (int k = 0; k < 9; k++) p.a[k] = m75, p.b[k] = ONE16 - (75 + k) * STEP16; /* 2^-150 ... 2^-158 */
  expect16(0, p, 0);
  p.a[9] = p.b[9] = m79;
  expect16(0, p, 1);
  p.a[9] = p.a[10] = m79, p.b[9] = p.b[10] = m80;
  expect16(0, p, 0);
}

static void not_a_number_and_infinities(void **state) {
  (void)state;
  const uint32_t not_a_number = 0x7fffffff, inf = 0x7f800000, minus_inf = 0xff800000;
  expect8(1, (pairs8){{NAN8}, {0}}, not_a_number);
  expect8(1, (pairs8){{0}, {NAN8 | NEGATIVE8}}, not_a_number);
  expect8(float_of(0xffc12345), (pairs8){{ONE8}, {ONE8}}, not_a_number);
  expect8(INFINITY, (pairs8){{ONE8 | NEGATIVE8}, {0x7e}}, inf);
  expect8(-INFINITY, (pairs8){{0}, {0}}, minus_inf);
  expect16(1, (pairs16){{INFINITY16}, {0}}, not_a_number);
  expect16(1, (pairs16){{INFINITY16}, {NEGATIVE16 | 1}}, minus_inf);
  expect16(1, (pairs16){{INFINITY16, INFINITY16}, {ONE16, ONE16 | NEGATIVE16}}, not_a_number);
  expect16(-INFINITY, (pairs16){{INFINITY16}, {ONE16}}, not_a_number);
  expect16(INFINITY, (pairs16){{ONE16}, {ONE16}}, inf);
  expect16(1, (pairs16){{0x7fff}, {0}}, not_a_number);
  /* Overflow */
  expect8(float_of(0x7f7ffc00), (pairs8){{0}, {0}}, 0x7f7ffc00);
  expect16(0, (pairs16){{ONE16 + 64 * STEP16}, {ONE16 + 64 * STEP16}}, inf);
  expect16(0, (pairs16){{NEGATIVE16 | (ONE16 + 64 * STEP16)}, {ONE16 + 64 * STEP16}}, minus_inf);
  /* but not on the way: 2^128 - 2^128 */
  const uint16_t p64 = ONE16 + 64 * STEP16;
  expect16(0, (pairs16){{p64, p64 | NEGATIVE16}, {p64, p64}}, 0);
}

/* Ones, 32 an instruction: beyond 2^14 a 1 lies below the 13 bits kept, and the sum stands still. */
static void a_long_sum_of_one_sign_stands_still(void **state) {
  (void)state;
  uint8_t a[ROWS][32], b[COLUMNS][32];
  float d[ROWS][COLUMNS] = {{0}};
  memset(a, ONE8, sizeof a);
  memset(b, ONE8, sizeof b);
  for (int i = 0; i < 1024; i++) smla_mma_e4m3(d[0], a[0], b[0], COLUMNS, 1);
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++) assert_true(d[i][j] == 16384);
}

static void without_accumulation_nothing_old_is_read(void **state) {
  (void)state;
  mma_form forms[MMA_FORMS];
  mma_forms(forms);
  for (int f = 0; f < MMA_FORMS; f++) {
    if (!forms[f].runs) continue;
    uint8_t a8[ROWS][32], b8[COLUMNS][32];
    uint16_t a16[ROWS][16], b16[COLUMNS][16];
    float d8[ROWS][COLUMNS], d16[ROWS][COLUMNS];
    for (int k = 0; k < 16; k++) {
      for (int i = 0; i < ROWS; i++) a16[i][k] = ONE16;
      for (int j = 0; j < COLUMNS; j++) b16[j][k] = ONE16;
    }
    memset(a8, ONE8, sizeof a8);
    memset(b8, ONE8, sizeof b8);
    memset(d8, 0xff, sizeof d8);
    memset(d16, 0xff, sizeof d16);
    forms[f].e4m3(d8[0], a8[0], b8[0], COLUMNS, 0);
    forms[f].bf16(d16[0], a16[0], b16[0], COLUMNS, 0);
    for (int i = 0; i < ROWS; i++)
      for (int j = 0; j < COLUMNS; j++) {
        assert_true(d8[i][j] == 32);
        assert_true(d16[i][j] == 16);
      }
  }
}

static void swizzled_offsets(void **state) {
  (void)state;
  assert_int_equal(smla_swizzle128(0), 0);
  assert_int_equal(smla_swizzle128(127), 127);
  assert_int_equal(smla_swizzle128(128), 128 + 16);
  assert_int_equal(smla_swizzle128(7 * 128 + 3 * 16 + 5), 7 * 128 + 4 * 16 + 5);
  assert_int_equal(smla_swizzle128(1024 + 16), 1024 + 16);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(e4m3_terms_are_cut_at_13_bits),
      cmocka_unit_test(e4m3_results_have_13_fraction_bits),
      cmocka_unit_test(e4m3_products_are_not_normalised),
      cmocka_unit_test(zero_products_do_not_count),
      cmocka_unit_test(no_result_is_a_negative_zero),
      cmocka_unit_test(bf16_terms_are_cut_at_25_bits_and_results_at_23),
      cmocka_unit_test(f16_is_cut_alike),
      cmocka_unit_test(bf16_sums_may_be_below_the_least_normal),
      cmocka_unit_test(not_a_number_and_infinities),
      cmocka_unit_test(a_long_sum_of_one_sign_stands_still),
      cmocka_unit_test(without_accumulation_nothing_old_is_read),
      cmocka_unit_test(swizzled_offsets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
