/* The kernels' accuracy on the emulator, or the device that SNAPMLA_TEST_TARGET names, at the limits of level fast
 * (docs/accuracy.md). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static const int32_t lengths[] = {0, 1, 63, 64, 65, 700};

static decode_case mixed_case(void) {
  decode_case c = decode_case_default();
  c.batch = sizeof lengths / sizeof *lengths;
  memcpy(c.lengths, lengths, sizeof lengths);
  return c;
}

/* Holds one run of the case against the level's limits. */
static void expect_within(const char *name, const decode_case *c, double limit, double rounded) {
  decode_result r = decode_case_run(c);
  print_message("%-34s %3d SMs  rel_l2 %.2e  against rounded P %.2e  lse %.2f of its limit\n", name, (int)c->sms,
                r.rel_l2, r.rel_l2_rounded, r.lse_excess);
  assert_true(r.rel_l2 <= limit);
  assert_true(r.rel_l2_rounded <= rounded);
  assert_true(r.lse_excess <= 1.0);
  assert_int_equal(r.status_word, 0);
  decode_result_free(&r);
}

/* Split over many multiprocessors, and whole on one: the oracle that rounds P knows no pieces, which the kernel normalises each by
 * itself and merges by their unrounded sums (docs/accuracy.md), so its limit is held by the whole. */
static void expect_accurate(const char *name, decode_case c, double limit, double rounded) {
  expect_within(name, &c, limit, INFINITY);
  c.sms = 1;
  expect_within(name, &c, limit, rounded);
}

/* The same by the shape for few rows, which the problem takes by itself, and by that for 64. */
static void expect_shapes_accurate(const char *name, decode_case c, double limit, double rounded) {
  expect_accurate(name, c, limit, rounded);
  char roles[64];
  snprintf(roles, sizeof roles, "%s, 64 rows", name);
  c.variant = "mla_decode:rows=64";
  expect_accurate(roles, c, limit, rounded);
}

static const double fast_limit = 3.5e-2, fast_offset_limit = 3e-3, fast_rounded_limit = 8e-3;

static void normal_logits(void **state) {
  (void)state;
  const double sigmas[] = {0.3, 1.0, 3.0};
  for (int i = 0; i < 3; ++i) {
    char name[64];
    decode_case c = mixed_case();
    c.sigma = sigmas[i];
    c.seed = 10 + (uint64_t)i;
    snprintf(name, sizeof name, "sigma %.1f, values of mean 0", c.sigma);
    expect_shapes_accurate(name, c, fast_limit, fast_rounded_limit);
    c.value_mean = 1.0;
    snprintf(name, sizeof name, "sigma %.1f, values of mean 1", c.sigma);
    expect_shapes_accurate(name, c, fast_offset_limit, fast_rounded_limit);
  }
}

static void sink(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.kind = data_sink;
  expect_shapes_accurate("sink", c, fast_limit, fast_rounded_limit);
}

static void near_uniform(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.kind = data_uniform;
  expect_shapes_accurate("near uniform", c, fast_limit, fast_rounded_limit);
  c.value_mean = 1.0;
  expect_shapes_accurate("near uniform, values of mean 1", c, fast_offset_limit, fast_rounded_limit);
}

static void outlier_rope(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.kind = data_outlier;
  expect_shapes_accurate("RoPE outliers of 1000", c, fast_limit, fast_rounded_limit);
}

static void long_context(void **state) {
  (void)state;
  decode_case c = decode_case_default();
  c.lengths[0] = 4096;
  c.problem.heads = 8;
  expect_shapes_accurate("4096 tokens", c, fast_limit, fast_rounded_limit);
  c.value_mean = 1.0;
  expect_shapes_accurate("4096 tokens, values of mean 1", c, fast_offset_limit, fast_rounded_limit);
}

/* The shape for few rows at every width, whole and partly filled, with causal masks, and cut into groups. */
static void few_rows(void **state) {
  (void)state;
  static const struct {
    int32_t heads, q_len, latent;
    const char *variant;
  } cases[] = {
      {1, 1, 512, NULL},  {1, 3, 256, NULL},  {8, 1, 512, NULL},
      {8, 1, 256, NULL},  {2, 4, 512, NULL},  {16, 1, 256, NULL},
      {8, 2, 512, NULL},  {5, 3, 256, NULL},  {4, 4, 512, NULL},
      {20, 1, 512, NULL}, {20, 1, 256, NULL}, {32, 1, 512, NULL},
      {32, 1, 256, NULL}, {16, 2, 512, NULL}, {8, 4, 256, NULL},
      {8, 3, 512, NULL},  {20, 2, 256, NULL}, {20, 2, 256, "mla_decode:rows=8"},
      {20, 1, 512, "mla_decode:rows=16"},     {40, 2, 256, "mla_decode:rows=32,stages=6"},
      {16, 4, 512, "mla_decode:rows=32,stages=2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char name[80];
    decode_case c = mixed_case();
    c.lengths[5] = 300;
    c.seed = 100 + i;
    c.problem.heads = cases[i].heads;
    c.problem.q_len = cases[i].q_len;
    c.problem.latent_rank = cases[i].latent;
    c.variant = cases[i].variant;
    snprintf(name, sizeof name, "%d x %d, latent %d %s", cases[i].heads, cases[i].q_len, cases[i].latent,
             c.variant ? c.variant + sizeof "mla_decode" : "");
    expect_accurate(name, c, fast_limit, fast_rounded_limit);
  }
}

/* Two groups of rows; rows fold heads and query tokens; causal among the query's tokens; short requests see nothing. */
static void several_query_tokens(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.problem.heads = 40;
  c.problem.q_len = 3;
  expect_accurate("40 heads x 3 tokens", c, fast_limit, fast_rounded_limit);
}

static void many_heads(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.problem.heads = 128;
  c.lengths[5] = 300;
  expect_accurate("128 heads", c, fast_limit, fast_rounded_limit);
}

static void other_dimensions(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.problem.latent_rank = 256;
  expect_accurate("latent 256", c, fast_limit, fast_rounded_limit);
  c.problem.page_tokens = 128;
  expect_accurate("latent 256, page 128", c, fast_limit, fast_rounded_limit);
  c.problem.latent_rank = 512;
  c.variant = "mla_decode:stages=2";
  expect_accurate("page 128, two stages", c, fast_limit, fast_rounded_limit);
}

/* A page number outside the cache, within a length: NaN for that request, a bit in the status word, others untouched. */
static void bad_page(void **state) {
  (void)state;
  decode_case c = mixed_case();
  static const struct {
    int32_t request;
    const char *variant;
  } cases[] = {{4, NULL}, {1, NULL}, {5, NULL}, {4, "mla_decode:rows=64"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (c.sms = 1; c.sms <= 16; c.sms += 15) {
      c.bad_page_request = cases[i].request;
      c.variant = cases[i].variant;
      decode_result r = decode_case_run(&c);
      assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_PAGE);
      assert_true(r.rel_l2 <= fast_limit);
      decode_result_free(&r);
    }
  }
}

static void same_bits(const decode_result *a, const decode_result *b) {
  assert_int_equal(a->out_count, b->out_count);
  assert_memory_equal(a->out, b->out, a->out_count * sizeof *a->out);
  assert_memory_equal(a->lse, b->lse, a->lse_count * sizeof *a->lse);
}

/* A right kernel gives the same bits whenever its asynchronous work completes. */
static void same_in_all_orders(int32_t heads, const char *variant, int32_t sms) {
  decode_case c = decode_case_default();
  c.batch = 3;
  c.lengths[0] = 500, c.lengths[1] = 64, c.lengths[2] = 129;
  c.sms = sms;
  c.problem.latent_rank = 256;
  c.problem.heads = heads;
  c.variant = variant;
  decode_result eager = decode_case_run(&c);
  c.order = SNAPMLA_EMULATOR_LATE;
  decode_result late = decode_case_run(&c);
  same_bits(&eager, &late);
  decode_result_free(&late);
  c.order = SNAPMLA_EMULATOR_RANDOM;
  for (c.order_seed = 1; c.order_seed <= 20; ++c.order_seed) {
    decode_result random = decode_case_run(&c);
    same_bits(&eager, &random);
    decode_result_free(&random);
  }
  decode_result_free(&eager);
}

static void completion_orders(void **state) {
  (void)state;
  same_in_all_orders(5, "mla_decode:rows=64", 4);
  same_in_all_orders(5, NULL, 4);
  same_in_all_orders(5, NULL, 1);
  same_in_all_orders(16, NULL, 2);
  same_in_all_orders(32, NULL, 2);
  same_in_all_orders(32, "mla_decode:stages=2", 1);
  same_in_all_orders(20, "mla_decode:rows=8,stages=8", 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_logits), cmocka_unit_test(sink),
      cmocka_unit_test(near_uniform),  cmocka_unit_test(outlier_rope),
      cmocka_unit_test(long_context),  cmocka_unit_test(few_rows),
      cmocka_unit_test(several_query_tokens),
      cmocka_unit_test(many_heads),    cmocka_unit_test(other_dimensions),
      cmocka_unit_test(bad_page),      cmocka_unit_test(completion_orders),
  };
  return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
