/* A ring whose stages are filled and given back in halves (mla_decode's axis `ring`): the same bits as one of whole stages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fixture.h"

static void expect_halves_as_whole(decode_case c, const char *whole_variant, const char *halves_variant) {
  c.variant = whole_variant;
  decode_result whole = decode_case_run(&c);
  c.variant = halves_variant;
  decode_result halves = decode_case_run(&c);
  expect_same_bits(&whole, &halves);
  decode_result_free(&whole);
  decode_result_free(&halves);
  expect_same_in_any_order(c, 1);
}

/* Every rank that has halves, pages of one copy and of several, both layouts; runs longer than the ring, tails, and one tile alone. */
static void halves_are_as_whole(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    decode_shape shape;
    int32_t rope;
  } cases[] = {
      {SNAPMLA_KV_FP8_TOKEN, {64, 1, 512, 64, NULL}, 64},  {SNAPMLA_KV_FP8_TOKEN, {40, 1, 384, 16, NULL}, 64},
      {SNAPMLA_KV_FP8_TOKEN, {64, 1, 256, 128, NULL}, 0},  {SNAPMLA_KV_FP8_TOKEN, {33, 2, 256, 32, NULL}, 32},
      {SNAPMLA_KV_FP8_TENSOR, {64, 1, 512, 64, NULL}, 64}, {SNAPMLA_KV_FP8_TENSOR, {40, 1, 384, 32, NULL}, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    decode_case c = decode_case_default();
    decode_case_reshape(&c, &cases[i].shape);
    c.problem.kv_format = cases[i].format;
    c.problem.rope_dim = cases[i].rope;
    c.batch = 5;
    c.lengths[0] = 700, c.lengths[1] = 64, c.lengths[2] = 0, c.lengths[3] = 130, c.lengths[4] = 1;
    c.sms = i % 2 ? 1 : 3;
    if (i % 2) /* each stage is used again and again */
      expect_halves_as_whole(c, "mla_decode:rows=64,stages=2", "mla_decode:rows=64,stages=2,ring=halves");
    else
      expect_halves_as_whole(c, "mla_decode:rows=64", "mla_decode:rows=64,ring=halves");
  }
}

/* With what else changes a tile's way: few stages, sums that are not promoted, scores in four parts, sinks, cuts by length, a page
 * outside the cache. */
static void halves_with_other_axes(void **state) {
  (void)state;
  decode_case c = decode_case_default();
  c.problem.heads = 64;
  c.batch = 3;
  c.lengths[0] = 500, c.lengths[1] = 128, c.lengths[2] = 129; /* the last tile of a run is full, or is not */
  c.sms = 1;
  expect_halves_as_whole(c, "mla_decode:rows=64,stages=2", "mla_decode:rows=64,stages=2,ring=halves");
  expect_halves_as_whole(c, "mla_decode:rows=64,stages=3", "mla_decode:rows=64,stages=3,ring=halves");
  c.problem.latent_rank = 384;
  expect_halves_as_whole(c, "mla_decode:rows=64,promotion=none,limits=waived",
                         "mla_decode:rows=64,promotion=none,limits=waived,ring=halves");
  expect_halves_as_whole(c, "mla_decode:rows=64,score_parts=4,limits=waived",
                         "mla_decode:rows=64,score_parts=4,limits=waived,ring=halves");
  decode_case sinks = c;
  float biases[64];
  for (int32_t i = 0; i < 64; ++i) biases[i] = 0.1f * (float)(i - 32);
  sinks.problem.flags |= SNAPMLA_PROBLEM_SINKS;
  sinks.sinks = biases;
  expect_halves_as_whole(sinks, "mla_decode:rows=64", "mla_decode:rows=64,ring=halves");
  decode_case invariant = c;
  invariant.problem.flags |= SNAPMLA_PROBLEM_BATCH_INVARIANT;
  expect_halves_as_whole(invariant, "mla_decode:rows=64", "mla_decode:rows=64,ring=halves");
  decode_case bad = c;
  bad.bad_page_request = 1;
  bad.skip_comparison = 1;
  expect_halves_as_whole(bad, "mla_decode:rows=64", "mla_decode:rows=64,ring=halves");
}

/* Refused by name where a tile has no halves to speak of. */
static void halves_are_refused_elsewhere(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    snapmla_accuracy accuracy;
    int32_t latent;
    const char *variant;
  } cases[] = {
      {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_FAST, 512, "mla_decode:rows=32,ring=halves"},
      {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_FAST, 128, "mla_decode:rows=64,ring=halves"},
      {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_MAX, 512, "mla_decode:rows=64,ring=halves"},
      {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_FAST, 512, "mla_decode:rows=64,pipeline=off,stages=1,ring=halves"},
      {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_FAST, 512, "mla_decode:rows=64,score_parts=1,limits=waived,ring=halves"},
      {SNAPMLA_KV_BF16, SNAPMLA_ACCURACY_FAST, 512, "mla_decode:rows=64,ring=halves"},
      {SNAPMLA_KV_FP8_TILE, SNAPMLA_ACCURACY_FAST, 512, "mla_decode:rows=64,ring=halves"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    decode_case c = decode_case_default();
    c.problem.heads = 64;
    c.problem.kv_format = cases[i].format;
    c.problem.accuracy = cases[i].accuracy;
    c.problem.latent_rank = cases[i].latent;
    c.variant = cases[i].variant;
    expect_variant(&c, "halves_of_e4m3");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(halves_are_as_whole),
      cmocka_unit_test(halves_with_other_axes),
      cmocka_unit_test(halves_are_refused_elsewhere),
  };
  return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
