/* ex2, lg2 and rcp: the special values and the flushing measured on an H200, and correct rounding elsewhere. */
#include <float.h>
#include <math.h>

#include "cmocka_all.h"
#include "mma_forms.h"

typedef struct {
  uint32_t x, exp2, log2, reciprocal;
} special_value;

/* As the hardware gave them, but for the rows marked: there the hardware is a unit or more off the nearest float. */
static const special_value MEASURED[] = {
    {0x00000000, 0x3f800000, 0xff800000, 0x7f800000},
    {0x80000000, 0x3f800000, 0xff800000, 0xff800000},
    {0x3f800000, 0x40000000, 0x00000000, 0x3f800000},
    {0xbf800000, 0x3f000000, 0x7fffffff, 0xbf800000},
    {0x00000001, 0x3f800000, 0xff800000, 0x7f800000},
    {0x80000001, 0x3f800000, 0xff800000, 0xff800000},
    {0x007fffff, 0x3f800000, 0xff800000, 0x7f800000},
    {0x7f800000, 0x7f800000, 0x7f800000, 0x00000000},
    {0xff800000, 0x00000000, 0x7fffffff, 0x80000000},
    {0x7fc00000, 0x7fffffff, 0x7fffffff, 0x7fffffff},
    {0xffc12345, 0x7fffffff, 0x7fffffff, 0x7fffffff},
    {0xc2fc0000, 0x00800000, 0x7fffffff, 0xbc020821},
    {0xc2fc0001, 0x00000000, 0x7fffffff, 0xbc020820},
    {0xc2fe0000, 0x00000000, 0x7fffffff, 0xbc010204},
    {0xc3150000, 0x00000000, 0x7fffffff, 0xbbdbeb62},
    {0x43000000, 0x7f800000, 0x40e00000, 0x3c000000},
    {0x42ffffff, 0x7f7fffa7, 0x40e00000, 0x3c000001}, /* ex2 7f7fffa8, lg2 40dfffff */
    {0x7f7fffff, 0x7f800000, 0x43000000, 0x00000000}, /* lg2 42ffffff */
    {0xff7fffff, 0x00000000, 0x7fffffff, 0x80000000},
    {0x00800000, 0x3f800000, 0xc2fc0000, 0x7e800000}, /* lg2 c2fbffff */
    {0x7e800000, 0x7f800000, 0x42fc0000, 0x00800000},
    {0x7f000000, 0x7f800000, 0x42fe0000, 0x00000000},
};

static void measured_special_values(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof MEASURED / sizeof *MEASURED; i++) {
    const special_value *m = MEASURED + i;
    const float x = float_of(m->x);
    if (bits_of(smla_exp2_approx(x)) != m->exp2 || bits_of(smla_log2_approx(x)) != m->log2 ||
        bits_of(smla_reciprocal_approx(x)) != m->reciprocal)
      fail_msg("x %08x: ex2 %08x, lg2 %08x, rcp %08x", (unsigned)m->x, (unsigned)bits_of(smla_exp2_approx(x)),
               (unsigned)bits_of(smla_log2_approx(x)), (unsigned)bits_of(smla_reciprocal_approx(x)));
  }
}

static void exp2_of_integers_is_exact(void **state) {
  (void)state;
  for (int i = -126; i < 128; i++) assert_true(smla_exp2_approx((float)i) == ldexpf(1, i));
}

static void powers_of_two(void **state) {
  (void)state;
  for (int i = -126; i < 128; i++) {
    assert_true(smla_log2_approx(ldexpf(1, i)) == (float)i);
    assert_true(smla_reciprocal_approx(ldexpf(1, i)) == (i < 127 ? ldexpf(1, -i) : 0));
  }
}

/* Half a unit in the last place, and a breath for the rounding of the double before. */
static void expect_rounded(float result, long double exact) {
  int exponent;
  frexpl(exact, &exponent);
  const long double unit = ldexpl(1, exponent - 24);
  assert_true(fabsl((long double)result - exact) <= 0.5000001L * unit);
}

static void results_are_rounded_to_nearest(void **state) {
  (void)state;
  for (int i = 1; i < 40000; i++) {
    const float x = (float)i * 0.0031415926f;
    if (x < 127.9f) expect_rounded(smla_exp2_approx(x), exp2l((long double)x));
    if (x < 126) expect_rounded(smla_exp2_approx(-x), exp2l(-(long double)x));
    if (fabsf(x - 1) > 1e-3f) expect_rounded(smla_log2_approx(x), log2l((long double)x));
    expect_rounded(smla_reciprocal_approx(-x), -1 / (long double)x);
  }
}

static void subnormal_results_are_flushed(void **state) {
  (void)state;
  assert_int_equal(bits_of(smla_reciprocal_approx(float_of(0x7e800001))), 0);
  assert_int_equal(bits_of(smla_reciprocal_approx(float_of(0xfe800001))), 0x80000000);
  assert_int_equal(bits_of(smla_exp2_approx(nextafterf(-126, -200))), 0);
  assert_int_equal(bits_of(smla_exp2_approx(-FLT_MAX)), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(measured_special_values),
      cmocka_unit_test(exp2_of_integers_is_exact),
      cmocka_unit_test(powers_of_two),
      cmocka_unit_test(results_are_rounded_to_nearest),
      cmocka_unit_test(subnormal_results_are_flushed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
