/* e4m3 and bf16 conversions against values known by hand, and exhaustively against nearest-value searches. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "narrow_float.h"

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static void e4m3_known_values(void **state) {
  (void)state;
  static const struct {
    uint32_t from;
    uint8_t to;
  } known[] = {
      {0x00000000, 0x00}, {0x80000000, 0x80}, /* signed zeros */
      {0x3f800000, 0x38}, {0xbf800000, 0xb8}, /* 1, -1 */
      {0x43e00000, 0x7e}, {0x43e80000, 0x7e}, /* 448; 464, midway to what would be 480 */
      {0x43e80001, 0x7e}, {0x7f7fffff, 0x7e}, {0x7f800000, 0x7e}, {0xff800000, 0xfe}, /* saturated */
      {0x7fc00000, 0x7f}, {0xffc00000, 0x7f}, {0x7f800001, 0x7f},                     /* NaN, either sign */
      {0x3f880000, 0x38}, {0x3f980000, 0x3a}, /* 1.0625 and 1.1875: ties, to even */
      {0x3f880001, 0x39}, {0x3f97ffff, 0x39}, /* beside the ties */
      {0x3ff80000, 0x40},                     /* 1.9375: a tie that carries to 2 */
      {0x3c800000, 0x08}, {0x3b000000, 0x01}, /* 2^-6, the least normal; 2^-9, the least subnormal */
      {0x3a800000, 0x00}, {0x3a800001, 0x01}, /* 2^-10: a tie to zero; and just above */
      {0x3bc00000, 0x03}, {0x3b400000, 0x02}, /* 3 * 2^-9; 1.5 * 2^-9: a tie to 2 */
      {0x3ba00000, 0x02}, {0x3be00000, 0x04}, /* 2.5 * 2^-9 to 2, 3.5 * 2^-9 to 4 */
      {0x3c700000, 0x08}, {0x3c6fffff, 0x07}, /* 7.5 * 2^-9: a tie that carries into the normals */
      {0x00000001, 0x00}, {0x80000001, 0x80}, {0x007fffff, 0x00}, /* fp32 subnormals */
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    assert_int_equal(smla_e4m3_from_float(float_of(known[i].from)), known[i].to);
}

/* The value of a byte by the format's definition. */
static double e4m3_value(int bits) {
  int exponent = bits >> 3 & 15, fraction = bits & 7;
  double magnitude = exponent ? ldexp(8 + fraction, exponent - 10) : ldexp(fraction, -9);
  return bits & 0x80 ? -magnitude : magnitude;
}

static void e4m3_every_byte(void **state) {
  (void)state;
  for (int i = 0; i < 256; i++) {
    float value = smla_e4m3_to_float((uint8_t)i);
    if ((i & 0x7f) == 0x7f) {
      assert_true(isnan(value));
      continue;
    }
    assert_true(value == (float)e4m3_value(i));
    assert_int_equal(!!signbit(value), i >> 7);
    assert_int_equal(smla_e4m3_from_float(value), i);
  }
}

/* The nearest finite e4m3 magnitude, ties to the even code: by trying all. */
static int nearest_e4m3(double magnitude) {
  int best = 0;
  for (int code = 1; code <= 0x7e; code++) {
    double distance = fabs(e4m3_value(code) - magnitude), least = fabs(e4m3_value(best) - magnitude);
    if (distance < least || (distance == least && code % 2 == 0)) best = code;
  }
  return best;
}

static void e4m3_sweep(void **state) {
  (void)state;
  /* Every float whose low 12 bits are zero, and its two neighbours: all ties and what lies beside them. */
  for (uint32_t high = 0; high < 0x7f800; high += 1) {
    if (high > 0x44400 && high % 64) continue; /* far above 448 a sparser sweep says the same */
    if (high < 0x3a000 && high % 64) continue; /* far below 2^-10 likewise */
    for (int beside = -1; beside <= 1; beside++) {
      uint32_t bits = (high << 12) + (uint32_t)beside;
      if (bits > 0x7f7fffff) continue;
      int expected = nearest_e4m3(float_of(bits));
      assert_int_equal(smla_e4m3_from_float(float_of(bits)), expected);
      assert_int_equal(smla_e4m3_from_float(float_of(bits | 0x80000000)), expected | 0x80);
    }
  }
}

static void bf16_every_value(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 0x10000; i++) {
    float value = smla_bf16_to_float((uint16_t)i);
    assert_int_equal(bits_of(value), i << 16);
    int is_nan = (i & 0x7fff) > 0x7f80;
    assert_int_equal(smla_bf16_from_float(value), is_nan ? 0x7fff : i);
  }
}

static void bf16_rounding(void **state) {
  (void)state;
  /* Between every two neighbours: the midpoint goes to the even one, its neighbours to the nearer. */
  for (uint32_t i = 0; i < 0x7f80; i++) {
    uint32_t middle = i << 16 | 0x8000;
    for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
      assert_int_equal(smla_bf16_from_float(float_of(sign << 16 | (middle - 1))), sign | i);
      assert_int_equal(smla_bf16_from_float(float_of(sign << 16 | middle)), sign | (i + i % 2));
      assert_int_equal(smla_bf16_from_float(float_of(sign << 16 | (middle + 1))), sign | (i + 1));
    }
  }
  assert_int_equal(smla_bf16_from_float(float_of(0x7f7fffff)), 0x7f80); /* the largest float overflows */
  assert_int_equal(smla_bf16_from_float(float_of(0xff800001)), 0x7fff); /* NaN */
}

static void f16_every_value_and_rounding(void **state) {
  (void)state;
  assert_true(smla_f16_to_float(0x3c00) == 1.0f && smla_f16_to_float(0x7bff) == 65504.0f);
  assert_true(smla_f16_to_float(0x0001) == 0x1p-24f && smla_f16_to_float(0x0400) == 0x1p-14f);
  for (uint32_t i = 0; i < 0x10000; i++) {
    int is_nan = (i & 0x7fff) > 0x7c00;
    assert_int_equal(smla_f16_from_float(smla_f16_to_float((uint16_t)i)), is_nan ? 0x7fff : i);
  }
  /* The midpoint of neighbours, which a float has, goes to the even one, what is beside it to the nearer. */
  for (uint32_t i = 0; i < 0x7c00; i++) {
    float low = smla_f16_to_float((uint16_t)i), high = i == 0x7bff ? 65536.0f : smla_f16_to_float((uint16_t)(i + 1));
    float middle = (low + high) / 2;
    assert_int_equal(smla_f16_from_float(middle), i + i % 2);
    assert_int_equal(smla_f16_from_float(float_of(bits_of(middle) - 1)), i);
    assert_int_equal(smla_f16_from_float(-float_of(bits_of(middle) + 1)), 0x8000 | (i + 1));
  }
  assert_int_equal(smla_f16_from_float(float_of(0xff800001)), 0x7fff); /* NaN */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(f16_every_value_and_rounding),
      cmocka_unit_test(e4m3_known_values),
      cmocka_unit_test(e4m3_every_byte),
      cmocka_unit_test(e4m3_sweep),
      cmocka_unit_test(bf16_every_value),
      cmocka_unit_test(bf16_rounding),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
