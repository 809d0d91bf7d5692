/* Attention sinks on the emulator, or the device that SNAPMLA_TEST_TARGET names: a term more in each head's denominator. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "narrow_float.h"

enum { most = 220, most_heads = 128 };
static const double fast_limit = 3.5e-2, fast_rounded_limit = 8e-3;
static const char *const shapes[] = {NULL, "mla_decode:rows=64"};

static float sinks[most_heads];

/* About what some hundred tokens weigh together, more and less; one head in five has none. */
static decode_case sink_case(void) {
  static const int32_t lengths[] = {0, 1, 63, 64, 65, 700};
  decode_case c = decode_case_default();
  c.batch = sizeof lengths / sizeof *lengths;
  memcpy(c.lengths, lengths, sizeof lengths);
  c.problem.flags = SNAPMLA_PROBLEM_SINKS;
  c.sinks = sinks;
  for (int h = 0; h < most_heads; h++) sinks[h] = h % 5 == 4 ? -INFINITY : 3.0f + (float)(h % 7);
  return c;
}

static void shapes_and_heads(void **state) {
  (void)state;
  static const decode_shape cases[] = {
      {8, 1, 512, 64, NULL},
      {16, 1, 512, 16, NULL},
      {32, 1, 256, 64, NULL},
      {5, 3, 128, 128, NULL},
      {40, 3, 256, 64, NULL},
      {128, 1, 512, 64, NULL},
      {16, 1, 384, 32, "mla_decode:rows=64"},
      {20, 2, 256, 64, "mla_decode:rows=8"},
      {16, 2, 256, 64, "mla_decode:pipeline=off,stages=2"},
      {16, 1, 256, 64, "mla_decode:rows=64,pipeline=off,stages=1"},
      {64, 1, 256, 64, "mla_decode:limits=waived,sums=exact"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char name[96];
    decode_case c = sink_case();
    c.seed = 60 + i;
    decode_case_reshape(&c, &cases[i]);
    snprintf(name, sizeof name, "%d x %d, latent %d %s", cases[i].heads, cases[i].q_len, cases[i].latent,
             c.variant ? c.variant + sizeof "mla_decode" : "");
    /* The oracle that rounds P normalises by its sum as rounded. */
    expect_limits_kept(name, c, fast_limit,
                       c.variant && strstr(c.variant, "sums=exact") ? INFINITY : fast_rounded_limit);
  }
}

static void formats_and_levels(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    snapmla_accuracy accuracy;
    double limit;
  } cases[] = {{SNAPMLA_KV_BF16, SNAPMLA_ACCURACY_FAST, 3.5e-2},
               {SNAPMLA_KV_FP8_TENSOR, SNAPMLA_ACCURACY_FAST, 3.5e-2},
               {SNAPMLA_KV_FP8_TILE, SNAPMLA_ACCURACY_FAST, 3.5e-2},
               {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_BALANCED, 5e-3},
               {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_MAX, 2e-3}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int s = 0; s < 2; s++) {
      char name[64];
      decode_case c = sink_case();
      c.problem.kv_format = cases[i].format;
      c.problem.accuracy = cases[i].accuracy;
      c.kv_scale = cases[i].format == SNAPMLA_KV_FP8_TENSOR ? 0.01f : 0;
      c.variant = s && cases[i].accuracy == SNAPMLA_ACCURACY_MAX ? "mla_decode:rows=64,stages=3" : shapes[s];
      snprintf(name, sizeof name, "%s, %s, %s", snapmla_kv_format_name(c.problem.kv_format),
               snapmla_accuracy_name(c.problem.accuracy), s ? "64 rows" : "16 rows");
      expect_limits_kept(name, c, cases[i].limit, fast_rounded_limit);
    }
}

static int32_t fill_list(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  static const int32_t counts[] = {0, 1, 63, 64, 65, 128, 200, most};
  for (int32_t i = 0; i < counts[query % 8]; ++i)
    entries[i] = i % 5 == 3 ? -1 : (int32_t)slots[(query * 31 + i * 7) % tokens];
  return counts[query % 8];
}

static void lists(void **state) {
  (void)state;
  for (int s = 0; s < 2; s++) {
    decode_case c = sink_case();
    for (int b = 0; b < 4; b++) c.lengths[b] = 30 + 60 * b;
    c.batch = 4;
    c.problem.heads = 20;
    c.problem.q_len = 2;
    c.problem.max_indices = most;
    c.fill_list = fill_list;
    c.variant = shapes[s];
    expect_limits_kept(s ? "lists, 64 rows" : "lists", c, fast_limit, fast_rounded_limit);
  }
}

/* The case by either shape, whole on one multiprocessor and cut up over 16. */
static void in_each_way(void (*expect)(decode_case c)) {
  for (int s = 0; s < 2; s++)
    for (int32_t sms = 1; sms <= 16; sms += 15) {
      decode_case c = sink_case();
      c.sms = sms;
      c.variant = shapes[s];
      expect(c);
    }
}

/* -inf is no sink: the bits are those of a kernel that knows none, pieces merged or not. The lse never has one. */
static void expect_without_a_part(decode_case c) {
  decode_result with = decode_case_run(&c);
  for (int h = 0; h < most_heads; h++) sinks[h] = -INFINITY;
  decode_result none = decode_case_run(&c);
  c.problem.flags = 0;
  c.sinks = NULL;
  decode_result plain = decode_case_run(&c);
  expect_same_bits(&none, &plain);
  assert_memory_equal(with.lse, plain.lse, plain.lse_count * sizeof *plain.lse);
  assert_memory_not_equal(with.out, plain.out, plain.out_count * sizeof *plain.out);
  decode_result_free(&with), decode_result_free(&none), decode_result_free(&plain);
}

static void without_a_part(void **state) {
  (void)state;
  in_each_way(expect_without_a_part);
}

/* +inf, and what outweighs any token: zeros, none of them NaN; others are as they were. */
static void expect_all_of_it(decode_case c) {
  const float large[] = {INFINITY, 3e38f, 1000.0f};
  for (int i = 0; i < 3; i++) {
    sinks[2] = sinks[15] = large[i];
    decode_result r = decode_case_run(&c);
    assert_true(r.rel_l2 <= fast_limit);
    for (size_t at = 0; at < r.out_count; at++) {
      size_t head = at / 512 % 16;
      if (head == 2 || head == 15) assert_true(smla_bf16_to_float(r.out[at]) == 0.0f);
    }
    decode_result_free(&r);
  }
}

static void all_of_it(void **state) {
  (void)state;
  in_each_way(expect_all_of_it);
}

/* A NaN is the head's alone. */
static void expect_nan_of_one_head(decode_case c) {
  decode_result good = decode_case_run(&c);
  sinks[3] = NAN;
  c.skip_comparison = 1;
  decode_result r = decode_case_run(&c);
  for (size_t at = 0; at < r.out_count; at++) {
    size_t head = at / 512 % 16, request = at / 512 / 16;
    if (head != 3)
      assert_int_equal(r.out[at], good.out[at]);
    else if (c.lengths[request])
      assert_true(isnan(smla_bf16_to_float(r.out[at])));
  }
  decode_result_free(&r), decode_result_free(&good);
}

static void not_a_number(void **state) {
  (void)state;
  in_each_way(expect_nan_of_one_head);
}

static void completion_orders(void **state) {
  (void)state;
  static const struct {
    int32_t heads, sms;
    snapmla_accuracy accuracy;
    snapmla_kv_format format;
    const char *variant;
  } cases[] = {
      {5, 4, SNAPMLA_ACCURACY_FAST, SNAPMLA_KV_FP8_TOKEN, "mla_decode:rows=64"},
      {16, 2, SNAPMLA_ACCURACY_FAST, SNAPMLA_KV_FP8_TOKEN, NULL},
      {5, 1, SNAPMLA_ACCURACY_BALANCED, SNAPMLA_KV_FP8_TOKEN, "mla_decode:rows=64"},
      {5, 1, SNAPMLA_ACCURACY_FAST, SNAPMLA_KV_BF16, "mla_decode:rows=64"},
      {32, 1, SNAPMLA_ACCURACY_FAST, SNAPMLA_KV_FP8_TOKEN, "mla_decode:stages=2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    decode_case c = sink_case();
    /* Runs of one tile and two, so that score is runs ahead. */
    static const int32_t lengths[] = {64, 10, 65, 0, 64, 129, 1, 64, 64, 300};
    c.batch = sizeof lengths / sizeof *lengths;
    memcpy(c.lengths, lengths, sizeof lengths);
    c.problem.latent_rank = 256;
    c.problem.heads = cases[i].heads;
    c.problem.accuracy = cases[i].accuracy;
    c.problem.kv_format = cases[i].format;
    c.sms = cases[i].sms;
    c.variant = cases[i].variant;
    expect_same_in_any_order(c, 3);
  }
}

/* Who asks for sinks gives them, and who gives some asks for them. */
static void flag_and_pointer_agree(void **state) {
  (void)state;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  const int32_t length = 0;
  double out[128 * 512];
  uint16_t q[8] = {0};
  snapmla_decode_args args = {.size = sizeof args, .batch = 1, .softmax_scale = 1, .seqlens = &length};
  args.q_nope = args.q_rope = q;
  args.q_nope_stride_head = 512, args.q_rope_stride_head = 64;
  args.sinks = sinks;
  static const float rows[1];
  static const int64_t row_of[1];
  assert_int_equal(snapmla_reference_decode_dense(&problem, &args, rows, rows, row_of, out, NULL),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "SNAPMLA_PROBLEM_SINKS"));
  problem.flags = SNAPMLA_PROBLEM_SINKS;
  args.sinks = NULL;
  assert_int_equal(snapmla_reference_decode_dense(&problem, &args, rows, rows, row_of, out, NULL),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "sinks is NULL"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes_and_heads),
      cmocka_unit_test(formats_and_levels),
      cmocka_unit_test(lists),
      cmocka_unit_test(without_a_part),
      cmocka_unit_test(all_of_it),
      cmocka_unit_test(not_a_number),
      cmocka_unit_test(completion_orders),
      cmocka_unit_test(flag_and_pointer_agree),
  };
  return cmocka_run_group_tests_name("sinks", tests, NULL, NULL);
}
