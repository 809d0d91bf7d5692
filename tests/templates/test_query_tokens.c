/* Many query tokens, as of drafts and of a prompt's chunks, up to the most that a problem may have, on the emulator or the device that
 * SNAPMLA_TEST_TARGET names: rows in many groups on the same pages, masks over several tiles, and tokens that see nothing. The limits are
 * those of docs/accuracy.md. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "env.h"
#include "lists_fixture.h"

enum { MOST = 128 };
static const double fast_limit = 3.5e-2, fast_rounded_limit = 8e-3;

/* Requests of fewer tokens than there are query tokens, of as many, of one more, and of some tiles. */
static decode_case case_of(int32_t heads, int32_t q_len, int32_t longest) {
  decode_case c = decode_case_default();
  const int32_t lengths[] = {0, longest, 1, q_len - 1, q_len, q_len + 1};
  c.problem.heads = heads;
  c.problem.q_len = q_len;
  c.problem.latent_rank = 128;
  c.batch = sizeof lengths / sizeof *lengths;
  for (int32_t b = 0; b < c.batch; ++b) c.lengths[b] = lengths[b];
  return c;
}

static void expect_accurate(decode_case c) {
  char name[80];
  snprintf(name, sizeof name, "%d heads x %d tokens %s", (int)c.problem.heads, (int)c.problem.q_len,
           c.variant ? c.variant + sizeof "mla_decode" : "");
  expect_limits_kept(name, c, fast_limit, fast_rounded_limit);
}

static void heads_and_query_tokens(void **state) {
  (void)state;
  static const struct {
    int32_t heads, q_len, longest;
    const char *variant;
  } cases[] = {
      {1, 9, 70, NULL},
      {1, 64, 140, "mla_decode:rows=64"},
      {1, MOST, 300, NULL},
      {3, 33, 140, "mla_decode:rows=8"},
      {5, 16, 70, "mla_decode:rows=16"},
      {16, 16, 130, "mla_decode:rows=32"},
      {20, 33, 130, NULL},
      {16, 64, 100, "mla_decode:rows=64"},
      {128, 9, 70, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    decode_case c = case_of(cases[i].heads, cases[i].q_len, cases[i].longest);
    c.seed = 300 + i;
    c.problem.page_tokens = 16 << i % 4;
    c.variant = cases[i].variant;
    expect_accurate(c);
  }
}

/* 16384 rows: 256 groups, more than there are multiprocessors. */
static void the_largest(void **state) {
  (void)state;
  decode_case c = case_of(128, MOST, 130);
  c.batch = 2;
  expect_accurate(c);
}

/* Three groups on four multiprocessors: four units of them take turns, where one would leave a multiprocessor idle. */
static void blocks_take_turns(void **state) {
  (void)state;
  decode_case c = case_of(20, 9, 700);
  c.sms = 4;
  c.variant = "mla_decode:rows=64";
  expect_accurate(c);
  expect_same_in_any_order(c, 3);
}

static void formats_and_levels(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    snapmla_accuracy accuracy;
    int32_t latent, heads, q_len;
    double limit, rounded; /* those of test_formats.c; of levels above fast their limit on values of mean 0 */
  } cases[] = {
      {SNAPMLA_KV_BF16, SNAPMLA_ACCURACY_FAST, 128, 16, 33, 4e-3, 3e-3},
      {SNAPMLA_KV_FP8_TENSOR, SNAPMLA_ACCURACY_FAST, 128, 16, 33, 3.5e-2, 8e-3},
      {SNAPMLA_KV_FP8_TILE, SNAPMLA_ACCURACY_FAST, 512, 5, 16, 5e-3, 3e-3},
      {SNAPMLA_KV_FP8_TILE, SNAPMLA_ACCURACY_MAX, 512, 5, 16, 2e-3, INFINITY},
      {SNAPMLA_KV_FP8_TOKEN_R4, SNAPMLA_ACCURACY_FAST, 128, 3, 64, 3.5e-2, 8e-3},
      {SNAPMLA_KV_FP8_TOKEN_R4, SNAPMLA_ACCURACY_MAX, 128, 3, 16, 2e-3, INFINITY},
      {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_BALANCED, 128, 16, 33, 5e-3, INFINITY},
      {SNAPMLA_KV_FP8_TOKEN, SNAPMLA_ACCURACY_MAX, 128, 16, 33, 2e-3, INFINITY},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    char name[80];
    decode_case c = case_of(cases[i].heads, cases[i].q_len, 200);
    c.problem.kv_format = cases[i].format;
    c.problem.accuracy = cases[i].accuracy;
    c.problem.latent_rank = cases[i].latent;
    c.kv_scale = cases[i].format == SNAPMLA_KV_FP8_TENSOR ? 0.0123f : 0.0f;
    snprintf(name, sizeof name, "%s, %s", snapmla_kv_format_name(cases[i].format),
             snapmla_accuracy_name(cases[i].accuracy));
    expect_limits_kept(name, c, cases[i].limit, cases[i].rounded);
  }
}

/* A list for each of 80 and of 256 query tokens, which are records of the schedule. */
static void lists(void **state) {
  (void)state;
  for (int i = 0; i < 2; ++i) {
    decode_case c = sparse_case(i ? fill_mixed : fill_edges);
    c.batch = i ? 2 : 5;
    c.problem.heads = i ? 5 : 20;
    c.problem.q_len = i ? MOST : 16;
    c.problem.latent_rank = 128;
    expect_accurate(c);
  }
}

static void sinks(void **state) {
  (void)state;
  static const float of_heads[] = {3.0f, -INFINITY, 5.0f, 0.0f, 8.0f};
  decode_case c = case_of(5, 33, 140);
  c.problem.flags = SNAPMLA_PROBLEM_SINKS;
  c.sinks = of_heads;
  expect_accurate(c);
}

/* Also of query tokens that do not see it. */
static void a_bad_page_is_the_whole_requests(void **state) {
  (void)state;
  static const char *const variants[] = {NULL, "mla_decode:rows=16"};
  for (int i = 0; i < 2; ++i) {
    decode_case c = case_of(3, MOST, 300);
    c.bad_page_request = 1;
    c.variant = variants[i];
    decode_result r = decode_case_run(&c);
    assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_PAGE);
    assert_true(r.rel_l2 <= fast_limit);
    decode_result_free(&r);
  }
}

static void completion_orders(void **state) {
  (void)state;
  static const char *const variants[] = {"mla_decode:rows=64", "mla_decode:rows=16", "mla_decode:rows=32,stages=2"};
  for (size_t i = 0; i < sizeof variants / sizeof *variants; ++i) {
    decode_case c = case_of(3, 33, 140);
    c.sms = 3;
    c.variant = variants[i];
    expect_same_in_any_order(c, 3);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(heads_and_query_tokens),
      cmocka_unit_test(the_largest),
      cmocka_unit_test(blocks_take_turns),
      cmocka_unit_test(formats_and_levels),
      cmocka_unit_test(lists),
      cmocka_unit_test(sinks),
      cmocka_unit_test(a_bad_page_is_the_whole_requests),
      cmocka_unit_test(completion_orders),
  };
  return cmocka_run_group_tests_name("query tokens", tests, NULL, NULL);
}
