/* Sparse decoding of every KV format, as test_sparse.c does it of fp8_token, and of every width of RoPE. The limits are those of
 * test_formats.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lists_fixture.h"

static const char *const shapes[] = {NULL, "mla_decode:rows=64"};

typedef struct sparse_format {
  const char *name;
  snapmla_kv_format format;
  float kv_scale;
  double limit, rounded_limit;
} sparse_format;

static const sparse_format formats[] = {
    {"fp8_tile", SNAPMLA_KV_FP8_TILE, 0.0f, 5e-3, 3e-3},
    {"fp8_tensor", SNAPMLA_KV_FP8_TENSOR, 0.0123f, 3.5e-2, 8e-3},
    {"bf16", SNAPMLA_KV_BF16, 0.0f, 4e-3, 3e-3},
    {"fp8_token_r4", SNAPMLA_KV_FP8_TOKEN_R4, 0.0f, 3.5e-2, 8e-3},
    {"fp8_token", SNAPMLA_KV_FP8_TOKEN, 0.0f, 3.5e-2, 8e-3},
};
enum {
  ALL_FORMATS = sizeof formats / sizeof *formats,
  FORMATS = ALL_FORMATS - 1, /* what test_sparse.c has not */
  FIRST_OF_WIDTHS = 1        /* fp8_tile has 64 channels of RoPE alone */
};

static const int32_t widths[] = {0, 32, 128};
enum { WIDTHS = sizeof widths / sizeof *widths };

/* Residuals are decoded by the shape for few rows alone: of another the problem's own variant stands in. */
static decode_case format_case(const sparse_format *f, list_filler fill, const char *variant) {
  decode_case c = sparse_case(fill);
  c.problem.kv_format = f->format;
  c.kv_scale = f->kv_scale;
  c.variant = f->format == SNAPMLA_KV_FP8_TOKEN_R4 && variant && strstr(variant, "rows=64") ? NULL : variant;
  return c;
}

/* Both shapes, lists with gaps and edges, pages smaller and larger than a tile. */
static void every_format(void **state) {
  (void)state;
  static const struct {
    list_filler fill;
    int32_t page;
    const char *variant;
  } cases[] = {{fill_mixed, 64, "mla_decode:rows=64"},
               {fill_edges, 16, "mla_decode:rows=64,stages=2"},
               {fill_edges, 128, "mla_decode:rows=16"},
               {fill_mixed, 32, "mla_decode:rows=32"}};
  for (int f = 0; f < FORMATS; ++f)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
      char name[80];
      decode_case c = format_case(&formats[f], cases[i].fill, cases[i].variant);
      c.problem.page_tokens = cases[i].page;
      c.seed = 60 + i;
      snprintf(name, sizeof name, "%s, page %d", formats[f].name, cases[i].page);
      expect_limits_kept(name, c, formats[f].limit, formats[f].rounded_limit);
    }
}

static void all_tokens_in_order_give_the_bits_of_the_pages(void **state) {
  (void)state;
  for (int f = 0; f < FORMATS; ++f)
    for (int i = 0; i < 2; ++i) {
      decode_case c = format_case(&formats[f], fill_in_order, shapes[i]);
      expect_bits_of_the_pages(c);
    }
}

/* An entry outside the cache: NaN for that query token, a bit in the status word, others untouched; nothing illegal is read. */
static void an_index_outside_the_cache(void **state) {
  (void)state;
  bad_list = (struct bad_list){.query = 6, .place = 130, .entry = INT32_MAX};
  for (int f = 0; f < FORMATS; ++f)
    for (int i = 0; i < 2; ++i) {
      decode_case c = format_case(&formats[f], fill_bad, shapes[i]);
      c.nan_query = bad_list.query;
      decode_result r = decode_case_run(&c);
      assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_INDEX);
      assert_true(r.rel_l2 <= formats[f].limit);
      decode_result_free(&r);
    }
}

static void completion_orders(void **state) {
  (void)state;
  for (int f = 0; f < FORMATS; ++f)
    for (int i = 0; i < 2; ++i) {
      decode_case c = format_case(&formats[f], i ? fill_edges : fill_mixed, shapes[i]);
      c.problem.page_tokens = i ? 64 : 16;
      c.sms = 2;
      expect_same_in_any_order(c, 2);
    }
}

/* --- other widths of RoPE ---------------------------------------------------------------------------------------------- */

/* Both shapes; lists with gaps, duplicates and edges, of one query token and of several; pages smaller and larger than a tile, with the
 * rows of a page at other places than the tile's. */
static void widths_of_rope(void **state) {
  (void)state;
  static const struct {
    list_filler fill;
    decode_shape shape;
  } cases[] = {{fill_mixed, {16, 1, 384, 64, "mla_decode:rows=64,stages=2"}},
               {fill_edges, {5, 1, 256, 16, "mla_decode:rows=64,stages=2"}},
               {fill_mixed, {8, 2, 512, 16, "mla_decode:rows=8"}},
               {fill_edges, {16, 1, 512, 128, "mla_decode:rows=16"}},
               {fill_mixed, {20, 1, 128, 32, "mla_decode:rows=32"}}};
  for (int f = FIRST_OF_WIDTHS; f < ALL_FORMATS; ++f)
    for (int w = 0; w < WIDTHS; ++w)
      for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char name[80];
        decode_shape shape = cases[i].shape;
        decode_case c = format_case(&formats[f], cases[i].fill, shape.variant);
        shape.variant = c.variant;
        decode_case_reshape(&c, &shape);
        c.problem.rope_dim = widths[w];
        c.batch = 8 / shape.q_len;
        c.seed = 80 + i;
        snprintf(name, sizeof name, "%s, RoPE %d, page %d", formats[f].name, widths[w], shape.page);
        expect_limits_kept(name, c, formats[f].limit, formats[f].rounded_limit);
      }
}

static const char *const width_shapes[] = {NULL, "mla_decode:rows=64,stages=3"}; /* three leave room for all widths */

/* A case of few channels, but for RoPE. */
static decode_case width_case(const sparse_format *f, int32_t width, list_filler fill, const char *variant) {
  decode_case c = format_case(f, fill, variant);
  c.problem.latent_rank = 256;
  c.problem.rope_dim = width;
  return c;
}

static void widths_give_the_bits_of_the_pages(void **state) {
  (void)state;
  for (int f = FIRST_OF_WIDTHS; f < ALL_FORMATS; ++f)
    for (int w = 0; w < WIDTHS; ++w)
      for (int i = 0; i < 2; ++i) {
        decode_case c = width_case(&formats[f], widths[w], fill_in_order, width_shapes[i]);
        c.problem.page_tokens = w % 2 ? 16 : 64;
        expect_bits_of_the_pages(c);
      }
}

static void an_index_outside_the_cache_of_any_width(void **state) {
  (void)state;
  bad_list = (struct bad_list){.query = 5, .place = 100, .entry = INT32_MAX};
  for (int f = FIRST_OF_WIDTHS; f < ALL_FORMATS; ++f)
    for (int w = 0; w < WIDTHS; ++w) {
      decode_case c = width_case(&formats[f], widths[w], fill_bad, width_shapes[w % 2]);
      c.nan_query = bad_list.query;
      decode_result r = decode_case_run(&c);
      assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_INDEX);
      assert_true(r.rel_l2 <= formats[f].limit);
      decode_result_free(&r);
    }
}

static void completion_orders_of_widths(void **state) {
  (void)state;
  for (int f = FIRST_OF_WIDTHS; f < ALL_FORMATS; ++f)
    for (int w = 0; w < WIDTHS; ++w)
      for (int i = 0; i < 2; ++i) {
        decode_case c = width_case(&formats[f], widths[w], i ? fill_edges : fill_mixed, width_shapes[i]);
        c.problem.page_tokens = i ? 64 : 16;
        c.sms = 2;
        expect_same_in_any_order(c, 2);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_format),
      cmocka_unit_test(all_tokens_in_order_give_the_bits_of_the_pages),
      cmocka_unit_test(an_index_outside_the_cache),
      cmocka_unit_test(completion_orders),
      cmocka_unit_test(widths_of_rope),
      cmocka_unit_test(widths_give_the_bits_of_the_pages),
      cmocka_unit_test(an_index_outside_the_cache_of_any_width),
      cmocka_unit_test(completion_orders_of_widths),
  };
  return cmocka_run_group_tests_name("sparse formats", tests, NULL, NULL);
}
