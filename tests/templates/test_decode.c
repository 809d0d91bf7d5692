/* The kernels' accuracy on the emulator, or the device that SNAPMLA_TEST_TARGET names, at the limits of level fast
 * (docs/accuracy.md). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env.h"
#include "fixture.h"

static const int32_t lengths[] = {0, 1, 63, 64, 65, 700};

static decode_case mixed_case(void) {
  decode_case c = decode_case_default();
  c.batch = sizeof lengths / sizeof *lengths;
  memcpy(c.lengths, lengths, sizeof lengths);
  return c;
}

/* By the shape for few rows, which the problem takes by itself, and by that for 64. */
static void expect_shapes_accurate(const char *name, decode_case c, double limit, double rounded) {
  expect_limits_kept(name, c, limit, rounded);
  char roles_name[80], roles[80];
  snprintf(roles_name, sizeof roles_name, "%s, 64 rows", name);
  snprintf(roles, sizeof roles, "%s%srows=64", c.variant ? c.variant : "mla_decode", c.variant ? "," : ":");
  c.variant = roles;
  expect_limits_kept(roles_name, c, limit, rounded);
}

static const double fast_limit = 3.5e-2, fast_offset_limit = 3e-3, fast_rounded_limit = 8e-3;

static void normal_logits(void **state) {
  (void)state;
  const double sigmas[] = {0.3, 1.0, 3.0, 8.0};
  for (int i = 0; i < 4; ++i) {
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

/* What follows an attention sink must not be flushed: with 4096 others it has from a fraction to nearly all of the weight. */
static void sink(void **state) {
  (void)state;
  const int exponents[] = {10, 14, 17};
  for (int i = 0; i < 3; ++i) {
    char name[64];
    decode_case c = mixed_case();
    c.kind = data_sink;
    c.sigma = exponents[i];
    c.lengths[4] = 4096;
    snprintf(name, sizeof name, "sink 2^%d", exponents[i]);
    expect_shapes_accurate(name, c, fast_limit, fast_rounded_limit);
  }
}

/* Many tiles a little too high for the row's reference to come down, which weigh more together than the token that it was raised for: P
 * must have its bits in them. */
static void long_tail_of_a_peak(void **state) {
  (void)state;
  decode_case c = decode_case_default();
  c.problem.heads = 8;
  c.problem.latent_rank = 128;
  c.lengths[0] = c.problem.max_context = 32768;
  c.kind = data_peak;
  c.sigma = 0.6;
  expect_shapes_accurate("32K tokens of sigma 0.6 under a peak", c, fast_limit, fast_rounded_limit);
}

static void near_uniform(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.kind = data_uniform;
  expect_shapes_accurate("near uniform", c, fast_limit, fast_rounded_limit);
  c.value_mean = 1.0;
  expect_shapes_accurate("near uniform, values of mean 1", c, fast_offset_limit, fast_rounded_limit);
}

/* The inverse scales of empty tokens are 2^33 times the others', and 2^49 times those of large ones, which is further apart than the terms of a
 * row's sum reach: it must still have them. */
static void empty_tokens(void **state) {
  (void)state;
  decode_case c = mixed_case();
  c.kind = data_empty;
  c.sigma = 16;
  expect_shapes_accurate("every third token empty", c, fast_limit, fast_rounded_limit);
  c.magnitude = 65536;
  expect_shapes_accurate("every third token empty, the others large", c, fast_limit, fast_rounded_limit);
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

/* Near-uniform attention over many values of one sign: an accumulator that is not promoted would stagnate (docs/numerics.md). */
static void drift(void **state) {
  (void)state;
  decode_case c = decode_case_default();
  c.kind = data_uniform;
  c.value_mean = 1.0;
  c.lengths[0] = c.problem.max_context = 32768;
  c.problem.heads = 4;
  expect_shapes_accurate("32768 tokens, near uniform, mean 1", c, fast_offset_limit, fast_rounded_limit);
}

/* The shape for few rows at every width, whole and partly filled, with causal masks, and cut into groups. */
static void few_rows(void **state) {
  (void)state;
  static const struct {
    int32_t heads, q_len, latent;
    const char *variant;
  } cases[] = {
      {8, 1, 128, NULL},
      {16, 1, 128, NULL},
      {32, 1, 128, NULL},
      {8, 1, 384, NULL},
      {16, 1, 384, NULL},
      {32, 1, 384, NULL},
      {1, 1, 512, NULL},
      {1, 3, 256, NULL},
      {8, 1, 512, NULL},
      {8, 1, 256, NULL},
      {2, 4, 512, NULL},
      {16, 1, 256, NULL},
      {8, 2, 512, NULL},
      {5, 3, 256, NULL},
      {4, 4, 512, NULL},
      {20, 1, 512, NULL},
      {20, 1, 256, NULL},
      {32, 1, 512, NULL},
      {32, 1, 256, NULL},
      {16, 2, 512, NULL},
      {8, 4, 256, NULL},
      {8, 3, 512, NULL},
      {20, 2, 256, NULL},
      {20, 2, 256, "mla_decode:rows=8"},
      {20, 1, 512, "mla_decode:rows=16"},
      {40, 2, 256, "mla_decode:rows=32,stages=6"},
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
    c.problem.page_tokens = 16 << i % 4;
    c.variant = cases[i].variant;
    snprintf(name, sizeof name, "%d x %d, latent %d, page %d %s", cases[i].heads, cases[i].q_len, cases[i].latent,
             c.problem.page_tokens, c.variant ? c.variant + sizeof "mla_decode" : "");
    expect_limits_kept(name, c, fast_limit, fast_rounded_limit);
  }
}

/* Rows fold heads and query tokens, into one group partly filled or into several; causal among the query's tokens; short requests
 * see nothing. */
static void several_query_tokens(void **state) {
  (void)state;
  static const struct {
    int32_t heads, q_len, longest;
  } cases[] = {{40, 3, 700}, {5, 7, 300}, {20, 3, 300}, {16, 6, 300}, {96, 8, 300}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    char name[64];
    decode_case c = mixed_case();
    c.problem.heads = cases[i].heads;
    c.problem.q_len = cases[i].q_len;
    c.lengths[5] = cases[i].longest;
    snprintf(name, sizeof name, "%d heads x %d tokens", (int)cases[i].heads, (int)cases[i].q_len);
    expect_limits_kept(name, c, fast_limit, fast_rounded_limit);
  }
}

static void many_heads(void **state) {
  (void)state;
  static const int32_t heads[] = {96, 128};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; ++i) {
    char name[64];
    decode_case c = mixed_case();
    c.problem.heads = heads[i];
    c.lengths[5] = 300;
    snprintf(name, sizeof name, "%d heads", (int)heads[i]);
    expect_limits_kept(name, c, fast_limit, fast_rounded_limit);
  }
}

/* Pages below a tile: lengths around both borders, so that tail tiles lack pages. */
static decode_case small_page_case(int32_t page_tokens) {
  static const int32_t around[] = {0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 700};
  decode_case c = decode_case_default();
  c.batch = sizeof around / sizeof *around;
  memcpy(c.lengths, around, sizeof around);
  c.problem.page_tokens = page_tokens;
  return c;
}

static void small_pages(void **state) {
  (void)state;
  for (int32_t page = 16; page <= 32; page *= 2) {
    char name[64];
    decode_case c = small_page_case(page);
    snprintf(name, sizeof name, "page %d", (int)page);
    expect_shapes_accurate(name, c, fast_limit, fast_rounded_limit);
    c.problem.q_len = 2;
    c.problem.heads = 3;
    c.variant = "mla_decode:stages=2";
    snprintf(name, sizeof name, "page %d, 2 tokens, two stages", (int)page);
    expect_shapes_accurate(name, c, fast_limit, fast_rounded_limit);
  }
}

static void other_dimensions(void **state) {
  (void)state;
  decode_case c = mixed_case();
  static const int32_t ranks[] = {128, 384};
  for (int i = 0; i < 2; ++i) {
    char name[64];
    c.problem.latent_rank = ranks[i];
    for (c.problem.page_tokens = 16; c.problem.page_tokens <= 128; c.problem.page_tokens *= 2) {
      snprintf(name, sizeof name, "latent %d, page %d", (int)ranks[i], (int)c.problem.page_tokens);
      expect_shapes_accurate(name, c, fast_limit, fast_rounded_limit);
    }
  }
  c.problem.page_tokens = 64;
  c.problem.latent_rank = 256;
  expect_shapes_accurate("latent 256", c, fast_limit, fast_rounded_limit);
  c.problem.page_tokens = 128;
  expect_shapes_accurate("latent 256, page 128", c, fast_limit, fast_rounded_limit);
  c.problem.latent_rank = 512;
  c.variant = "mla_decode:stages=2";
  expect_shapes_accurate("page 128, two stages", c, fast_limit, fast_rounded_limit);
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

/* The same in a tail tile of several pages: each of them. */
static void bad_small_page(void **state) {
  (void)state;
  for (int32_t page = 16; page <= 32; page *= 2) {
    decode_case c = small_page_case(page);
    static const int32_t requests[] = {7, 11}; /* 33 tokens, some pages short of a tile, and 700 */
    for (int i = 0; i < 2; ++i) {
      c.bad_page_request = requests[i];
      const int32_t tail_pages = (c.lengths[requests[i]] - 1) % 64 / page + 1;
      for (c.bad_pages_back = 0; c.bad_pages_back < tail_pages; ++c.bad_pages_back) {
        c.variant = (c.bad_pages_back + i) % 2 ? "mla_decode:rows=64" : NULL;
        decode_result r = decode_case_run(&c);
        assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_PAGE);
        assert_true(r.rel_l2 <= fast_limit);
        decode_result_free(&r);
      }
    }
  }
}

/* A table shorter than the schedule was told: NaN for the requests that have more pages, and nothing is read past a row. */
static void short_table(void **state) {
  (void)state;
  static const int32_t of[] = {0, 33, 700, 0, 64, 130};
  for (int32_t page = 16; page <= 128; page *= 2) {
    for (int i = 0; i < 4; i++) {
      decode_case c = decode_case_default();
      c.batch = sizeof of / sizeof *of;
      memcpy(c.lengths, of, sizeof of);
      c.problem.page_tokens = page;
      c.table_entries = i < 2 ? 1 : 4;
      c.sms = i % 2 ? 16 : 1;
      c.variant = (i + page / 32) % 2 ? "mla_decode:rows=64" : NULL;
      decode_result r = decode_case_run(&c);
      assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_PAGE); /* 700 tokens are more than four pages of any size */
      assert_true(r.rel_l2 <= fast_limit);
      decode_result_free(&r);
    }
  }
}

/* Blocks that read their pages together give the bits of blocks that read for themselves. */
static void expect_same_bits_together(snapmla_kv_format format, const decode_shape *shape, int32_t sms) {
  decode_result results[2];
  for (int together = 0; together < 2; together++) {
    char variant[64];
    decode_case c = mixed_case();
    c.lengths[5] = 300;
    decode_case_reshape(&c, shape);
    c.problem.kv_format = format;
    snprintf(variant, sizeof variant, "mla_decode:rows=64%s%s", shape->variant ? shape->variant : "",
             together ? ",cluster=2" : "");
    c.variant = variant;
    c.sms = sms;
    results[together] = decode_case_run(&c);
  }
  assert_true(results[1].rel_l2 <= fast_limit);
  assert_memory_equal(results[0].out, results[1].out, results[0].out_count * sizeof *results[0].out);
  assert_memory_equal(results[0].lse, results[1].lse, results[0].lse_count * sizeof *results[0].lse);
  for (int together = 0; together < 2; together++) decode_result_free(&results[together]);
}

/* With pages of all sizes, rings of two stages to eight, query tokens and groups partly filled, requests whole and cut. */
static void page_images_read_together(void **state) {
  (void)state;
  static const decode_shape cases[] = {{128, 1, 512, 64, NULL},
                                       {96, 1, 512, 16, NULL},
                                       {70, 3, 384, 32, ",stages=3"},
                                       {64, 2, 128, 128, ",stages=8"},
                                       {128, 2, 256, 32, ",stages=2"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    expect_same_bits_together(SNAPMLA_KV_FP8_TOKEN, &cases[i], 2);
    expect_same_bits_together(SNAPMLA_KV_FP8_TOKEN, &cases[i], 16);
  }
}

/* Formats that are copied by tensor maps, a subtile by one block and the next by the other. */
static void tensor_copies_read_together(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    decode_shape shape;
  } cases[] = {{SNAPMLA_KV_BF16, {128, 1, 512, 64, NULL}},       {SNAPMLA_KV_BF16, {70, 3, 384, 16, NULL}},
               {SNAPMLA_KV_FP8_TENSOR, {128, 1, 512, 32, NULL}}, {SNAPMLA_KV_FP8_TENSOR, {64, 2, 128, 128, NULL}},
               {SNAPMLA_KV_FP8_TILE, {128, 1, 512, 64, NULL}},   {SNAPMLA_KV_FP8_TILE, {128, 2, 512, 16, NULL}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect_same_bits_together(cases[i].format, &cases[i].shape, 4);
}

/* One request's pages are bad, or its row of the table is short: both blocks find the same. */
static void bad_pages_read_together(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    int32_t page;
  } cases[] = {{SNAPMLA_KV_FP8_TOKEN, 16}, {SNAPMLA_KV_FP8_TOKEN, 32},  {SNAPMLA_KV_FP8_TOKEN, 64},
               {SNAPMLA_KV_BF16, 64},      {SNAPMLA_KV_FP8_TENSOR, 32}, {SNAPMLA_KV_FP8_TILE, 16}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int is_short = 0; is_short < 2; is_short++) {
      decode_case c = mixed_case();
      c.problem.heads = 128;
      c.problem.kv_format = cases[i].format;
      c.problem.page_tokens = cases[i].page;
      c.variant = "mla_decode:rows=64,cluster=2";
      c.sms = 6;
      if (is_short)
        c.table_entries = 4;
      else
        c.bad_page_request = 5;
      decode_result r = decode_case_run(&c);
      assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_PAGE);
      assert_true(r.rel_l2 <= fast_limit);
      decode_result_free(&r);
    }
  }
}

static decode_case order_case(int32_t latent_rank, int32_t page_tokens) {
  decode_case c = decode_case_default();
  c.batch = 3;
  c.lengths[0] = 500, c.lengths[1] = 64, c.lengths[2] = 129;
  c.sms = 4;
  c.problem.latent_rank = latent_rank;
  c.problem.page_tokens = page_tokens;
  c.problem.heads = 5;
  return c;
}

static void completion_orders(void **state) {
  (void)state;
  static const struct {
    int32_t heads, sms;
    const char *variant;
  } cases[] = {
      {5, 4, "mla_decode:rows=64"},
      {5, 1, "mla_decode:rows=64,stages=6"}, /* more stages than buffers of P */
      {128, 4, "mla_decode:rows=64,cluster=2"},
      {96, 2, "mla_decode:rows=64,cluster=2,stages=2"},
      {5, 4, NULL},
      {5, 1, NULL},
      {16, 2, NULL},
      {32, 2, NULL},
      {32, 1, "mla_decode:stages=2"},
      {20, 1, "mla_decode:rows=8,stages=8"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    decode_case c = order_case(256, 64);
    c.problem.heads = cases[i].heads;
    c.sms = cases[i].sms;
    c.variant = cases[i].variant;
    expect_same_in_any_order(c, 8);
  }
}

static void completion_orders_of_other_dimensions(void **state) {
  (void)state;
  static const char *const shapes[] = {NULL, "mla_decode:rows=64"};
  for (int i = 0; i < 2; ++i) {
    decode_case cases[] = {order_case(384, 16), order_case(128, 32), order_case(384, 128)};
    for (int k = 0; k < 3; ++k) {
      cases[k].variant = shapes[i];
      expect_same_in_any_order(cases[k], 3);
    }
  }
  decode_case together[] = {order_case(384, 16), order_case(128, 32), order_case(384, 128),
                            order_case(384, 16), order_case(128, 32), order_case(512, 16)};
  together[3].problem.kv_format = SNAPMLA_KV_BF16;
  together[4].problem.kv_format = SNAPMLA_KV_FP8_TENSOR;
  together[5].problem.kv_format = SNAPMLA_KV_FP8_TILE;
  for (int k = 0; k < 6; ++k) {
    together[k].problem.heads = 128;
    together[k].sms = 2;
    together[k].variant = "mla_decode:rows=64,cluster=2,stages=2";
    expect_same_in_any_order(together[k], 3);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_logits),
      cmocka_unit_test(sink),
      cmocka_unit_test(long_tail_of_a_peak),
      cmocka_unit_test(near_uniform),
      cmocka_unit_test(empty_tokens),
      cmocka_unit_test(outlier_rope),
      cmocka_unit_test(long_context),
      cmocka_unit_test(drift),
      cmocka_unit_test(few_rows),
      cmocka_unit_test(several_query_tokens),
      cmocka_unit_test(many_heads),
      cmocka_unit_test(small_pages),
      cmocka_unit_test(other_dimensions),
      cmocka_unit_test(bad_page),
      cmocka_unit_test(short_table),
      cmocka_unit_test(bad_small_page),
      cmocka_unit_test(page_images_read_together),
      cmocka_unit_test(tensor_copies_read_together),
      cmocka_unit_test(bad_pages_read_together),
      cmocka_unit_test(completion_orders),
      cmocka_unit_test(completion_orders_of_other_dimensions),
  };
  return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
