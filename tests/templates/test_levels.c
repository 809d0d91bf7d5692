/* The accuracy levels above `fast` at their limits (docs/accuracy.md), on the emulator or the device that SNAPMLA_TEST_TARGET
 * names. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env.h"
#include "fixture.h"

typedef struct level {
  snapmla_accuracy accuracy;
  double mean_zero, offset; /* of rel_l2; on values with an offset, beyond the rounding of the output to bf16 */
  const char *roles;        /* the variant for 64 rows; latent 512 */
} level;

static const level levels[] = {
    {SNAPMLA_ACCURACY_BALANCED, 5e-3, 1e-3, "mla_decode:rows=64"},
    {SNAPMLA_ACCURACY_MAX, 2e-3, 1e-3, "mla_decode:rows=64,stages=3"},
};

/* Requests around a tile, and a long one. Several heads: a row of one token at level balanced may be rounded badly by itself. */
static decode_case mixed_case(int32_t heads) {
  static const int32_t lengths[] = {0, 1, 63, 64, 65, 700};
  decode_case c = decode_case_default();
  c.problem.heads = heads;
  c.batch = sizeof lengths / sizeof *lengths;
  memcpy(c.lengths, lengths, sizeof lengths);
  return c;
}

static void expect_within(const char *name, const level *l, const decode_case *c) {
  decode_result r = decode_case_run(c);
  print_message("%-8s %-36s %3d SMs  rel_l2 %.2e  beyond bf16 %.2e  lse %.2f of its limit\n",
                snapmla_accuracy_name(l->accuracy), name, (int)c->sms, r.rel_l2, r.rel_l2_beyond, r.lse_excess);
  if (c->value_mean != 0.0)
    assert_true(r.rel_l2_beyond <= l->offset);
  else
    assert_true(r.rel_l2 <= l->mean_zero);
  assert_true(r.lse_excess <= 1.0);
  assert_int_equal(r.status_word, 0);
  decode_result_free(&r);
}

/* Every level, split and whole, by the shape that the problem takes and by that for 64 rows. */
static void expect_accurate(const char *name, decode_case c) {
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
    for (int roles = 0; roles < 2; roles++) {
      for (int whole = 0; whole < (smla_env(SMLA_ENV_TEST_TARGET) ? 1 : 2); whole++) {
        char text[80];
        snprintf(text, sizeof text, "%s%s", name, roles ? ", 64 rows" : "");
        decode_case run = c;
        run.problem.accuracy = levels[i].accuracy;
        run.variant = roles ? levels[i].roles : NULL;
        if (whole) run.sms = 1;
        expect_within(text, &levels[i], &run);
      }
    }
  }
}

static void normal_logits(void **state) {
  (void)state;
  static const double sigmas[] = {0.3, 1.0, 3.0, 8.0};
  for (int i = 0; i < 4; ++i) {
    for (int offset = 0; offset < 2; ++offset) {
      char name[64];
      decode_case c = mixed_case(16);
      c.sigma = sigmas[i];
      c.seed = 10 + (uint64_t)i;
      c.value_mean = offset;
      snprintf(name, sizeof name, "sigma %.1f, values of mean %d", c.sigma, offset);
      expect_accurate(name, c);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_logits),
  };
  return cmocka_run_group_tests_name("levels", tests, NULL, NULL);
}
