/* The rounding of P: e4m3's, in units of any power of two. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "narrow_float.h"
#include "rounded_p.h"

static void known_values(void **state) {
  (void)state;
  assert_true(smla_round_p(1.0, 0) == 1.0);
  assert_true(smla_round_p(1.0625, 0) == 1.0);   /* a tie, to even */
  assert_true(smla_round_p(1.1875, 0) == 1.25);  /* a tie, to even */
  assert_true(smla_round_p(1.0626, 0) == 1.125); /* above a tie */
  assert_true(smla_round_p(1.97, 0) == 2.0);
  assert_true(smla_round_p(0.0, 0) == 0.0);
  assert_true(isnan(smla_round_p(NAN, 0)));
  assert_true(isinf(smla_round_p(INFINITY, 0)));
  /* 14 binades below the largest the steps stop shrinking, at 2^-17 of its binade. */
  assert_true(smla_round_p(0x1.1p-14, 0) == 0x1p-14);
  assert_true(smla_round_p(0x1.2p-15, 0) == 0x1p-15); /* 4.5 steps: a tie, to even */
  assert_true(smla_round_p(0x1p-17, 0) == 0x1p-17);
  assert_true(smla_round_p(0x1p-18, 0) == 0.0); /* half a step: to the even, zero */
  assert_true(smla_round_p(0x1.01p-18, 0) == 0x1p-17);
}

static void is_e4m3_in_any_unit(void **state) {
  (void)state;
  static const int units[] = {0, 1, -7, 60, -300, 900};
  uint64_t x = 88172645463325252u;
  for (int i = 0; i < 200000; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    float p = ldexpf((float)(x >> 40) / 16777216.0f + 1.0f, (int)(x % 21) - 12); /* 2^-12 .. 2^9 */
    if (p > 448.0f) continue;
    double expected = smla_e4m3_to_float(smla_e4m3_from_float(p));
    int unit = units[i % 6];
    assert_true(smla_round_p(ldexp(p, unit), 8 + unit) == ldexp(expected, unit));
  }
}

static void exponents(void **state) {
  (void)state;
  assert_int_equal(smla_exponent_of(1.0), 0);
  assert_int_equal(smla_exponent_of(1.999), 0);
  assert_int_equal(smla_exponent_of(448.0), 8);
  assert_int_equal(smla_exponent_of(0.75), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_values),
      cmocka_unit_test(is_e4m3_in_any_unit),
      cmocka_unit_test(exponents),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
