/* Sparse decoding on the emulator, or the device that SNAPMLA_TEST_TARGET names: each query token has an index list. The limits are
 * those of level fast (docs/accuracy.md), and of formats as in test_formats.c. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env.h"
#include "fixture.h"

enum { most = 220 }; /* entries of a list: three tiles and a half */
static const double fast_limit = 3.5e-2, fast_rounded_limit = 8e-3;
static const char *const shapes[] = {NULL, "mla_decode:rows=64"};

static uint32_t mix(uint32_t x) { /* Wang's hash */
  x = (x ^ 61) ^ (x >> 16);
  x *= 9;
  x ^= x >> 4;
  x *= 0x27d4eb2du;
  return x ^ (x >> 15);
}

/* Any token, as often as it comes up. */
static int32_t some_slot(int32_t query, int32_t i, const int64_t *slots, int32_t tokens) {
  return (int32_t)slots[mix((uint32_t)(query * 1000 + i)) % (uint32_t)tokens];
}

/* Counts around the tiles' borders; of the entries one in five is none. */
static int32_t fill_mixed(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  static const int32_t counts[] = {0, 1, 63, 64, 65, 128, 200, most};
  const int32_t count = counts[query % 8];
  for (int32_t i = 0; i < count; ++i) entries[i] = i % 5 == 3 ? -1 : some_slot(query, i, slots, tokens);
  return count;
}

/* One edge a query token. */
static int32_t fill_edges(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  const int32_t last = tokens - 1;
  int32_t i = 0;
  switch (query % 8) {
  case 0: return 0;
  case 1: /* none at all */
    for (; i < 130; ++i) entries[i] = -1;
    return i;
  case 2: /* one token a hundred times, and another once */
    for (; i < 100; ++i) entries[i] = (int32_t)slots[last / 2];
    entries[i++] = (int32_t)slots[last];
    return i;
  case 3: /* every other */
    for (; i < 99; ++i) entries[i] = i % 2 ? (int32_t)slots[i % tokens] : -1;
    return i;
  case 4: entries[0] = (int32_t)slots[last]; return 1;
  case 5: /* more entries than the request has tokens */
    for (; i < most; ++i) entries[i] = (int32_t)slots[i % tokens];
    return i;
  case 6: /* a tile of nothing before the first token, and one behind the last */
    for (; i < 192; ++i) entries[i] = i == 100 ? (int32_t)slots[0] : -1;
    return i;
  default: /* from behind */
    for (; i < tokens && i < most; ++i) entries[i] = (int32_t)slots[last - i];
    return i;
  }
}

static decode_case sparse_case(list_filler fill) {
  decode_case c = decode_case_default();
  static const int32_t lengths[] = {5, 40, 64, 130, 65, 30, 1, 200};
  c.batch = 8;
  memcpy(c.lengths, lengths, sizeof lengths);
  c.problem.max_indices = most;
  c.fill_list = fill;
  return c;
}

static void expect_accurate(const char *name, decode_case c) {
  expect_limits_kept(name, c, fast_limit, fast_rounded_limit);
}

static void lists_of_many_lengths(void **state) {
  (void)state;
  static const int32_t heads[] = {8, 16, 20, 64};
  for (int i = 0; i < 4; ++i) {
    char name[64];
    decode_case c = sparse_case(fill_mixed);
    c.problem.heads = heads[i];
    c.seed = 20 + (uint64_t)i;
    snprintf(name, sizeof name, "%d heads", (int)heads[i]);
    expect_accurate(name, c);
  }
}

static void edges(void **state) {
  (void)state;
  for (int i = 0; i < 2; ++i) {
    decode_case c = sparse_case(fill_edges);
    c.variant = shapes[i];
    c.sigma = 3;
    expect_accurate(i ? "edges, 64 rows" : "edges", c);
  }
}

/* Pages of every size, with the rows of an image at other places than the tile's; ranks of odd halves; few stages. */
static void layouts(void **state) {
  (void)state;
  static const struct {
    int32_t latent, page;
    const char *variant;
  } cases[] = {
      {128, 16, NULL},
      {256, 32, "mla_decode:rows=64"},
      {384, 128, NULL},
      {512, 128, "mla_decode:rows=64,stages=2"},
      {384, 16, "mla_decode:rows=64,stages=3"},
      {512, 32, "mla_decode:stages=2"},
      {128, 128, "mla_decode:rows=64,stages=5"},
      {256, 16, "mla_decode:rows=8,stages=6"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    char name[80];
    decode_case c = sparse_case(i % 2 ? fill_edges : fill_mixed);
    c.problem.latent_rank = cases[i].latent;
    c.problem.page_tokens = cases[i].page;
    c.variant = cases[i].variant;
    c.seed = 40 + i;
    snprintf(name, sizeof name, "latent %d, page %d %s", cases[i].latent, cases[i].page,
             c.variant ? c.variant + sizeof "mla_decode" : "");
    expect_accurate(name, c);
  }
}

/* Each query token of a request has a list of its own, whatever the others' say: rows are the heads alone. */
static void several_query_tokens(void **state) {
  (void)state;
  static const struct { int32_t heads, q_len; } cases[] = {{16, 3}, {40, 2}, {5, 8}, {128, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    char name[64];
    decode_case c = sparse_case(fill_mixed);
    c.batch = 3;
    c.problem.heads = cases[i].heads;
    c.problem.q_len = cases[i].q_len;
    snprintf(name, sizeof name, "%d heads x %d tokens", (int)cases[i].heads, (int)cases[i].q_len);
    expect_accurate(name, c);
  }
}

static int32_t fill_in_order(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  (void)query;
  for (int32_t i = 0; i < tokens; ++i) entries[i] = (int32_t)slots[i];
  return tokens;
}

static void expect_bits_of_the_pages(decode_case c) {
  c.skip_comparison = 1;
  decode_result sparse = decode_case_run(&c);
  c.problem.max_indices = 0;
  decode_result paged = decode_case_run(&c);
  expect_same_bits(&sparse, &paged);
  decode_result_free(&sparse);
  decode_result_free(&paged);
}

/* A list of all of a request's tokens is the request. */
static void all_tokens_in_order_give_the_bits_of_the_pages(void **state) {
  (void)state;
  for (int i = 0; i < 4; ++i) {
    decode_case c = sparse_case(fill_in_order);
    c.variant = shapes[i % 2];
    c.problem.page_tokens = i < 2 ? 64 : 16;
    expect_bits_of_the_pages(c);
  }
}

/* --- formats ----------------------------------------------------------------------------------------------------------- */

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
};
enum { FORMATS = sizeof formats / sizeof *formats };

static decode_case format_case(const sparse_format *f, list_filler fill) {
  decode_case c = sparse_case(fill);
  c.problem.kv_format = f->format;
  c.kv_scale = f->kv_scale;
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
      decode_case c = format_case(&formats[f], cases[i].fill);
      c.problem.page_tokens = cases[i].page;
      c.variant = cases[i].variant;
      c.seed = 60 + i;
      snprintf(name, sizeof name, "%s, page %d", formats[f].name, cases[i].page);
      expect_limits_kept(name, c, formats[f].limit, formats[f].rounded_limit);
    }
}

static void every_format_has_the_bits_of_its_pages(void **state) {
  (void)state;
  for (int f = 0; f < FORMATS; ++f)
    for (int i = 0; i < 2; ++i) {
      decode_case c = format_case(&formats[f], fill_in_order);
      c.variant = shapes[i];
      expect_bits_of_the_pages(c);
    }
}

/* --- bad lists --------------------------------------------------------------------------------------------------------- */

static struct {
  int32_t query, place, entry; /* list `query` has `entry` at `place`, */
  int32_t count;               /* or this count, where `place` is negative */
} bad;

static int32_t fill_bad(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  int32_t count = fill_mixed(query, slots, tokens, entries);
  if (query != bad.query) return count;
  if (bad.place < 0) return bad.count;
  entries[bad.place] = bad.entry;
  return count;
}

static void expect_bad(decode_case c, uint32_t status_word) {
  c.nan_query = bad.query;
  for (int i = 0; i < 2; ++i) {
    c.variant = shapes[i];
    for (c.sms = 1; c.sms <= 16; c.sms += 15) {
      decode_result r = decode_case_run(&c);
      assert_int_equal(r.status_word, status_word);
      assert_true(r.rel_l2 <= fast_limit);
      decode_result_free(&r);
    }
  }
}

/* An entry outside the cache: NaN for that query token, a bit in the status word, others untouched; nothing illegal is read. */
static void an_index_outside_the_cache(void **state) {
  (void)state;
  decode_case c = sparse_case(fill_bad);
  int32_t tokens = 0;
  for (int32_t b = 0; b < c.batch; ++b) tokens += c.lengths[b];
  const int32_t pages = tokens / c.problem.page_tokens + c.batch + 3; /* the fixture's cache */
  const struct {
    int32_t query, place, entry;
  } cases[] = {{4, 64, pages * 64}, {7, 0, -2}, {5, 100, INT32_MAX}, {1, 0, INT32_MIN}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    bad.query = cases[i].query, bad.place = cases[i].place, bad.entry = cases[i].entry;
    expect_bad(c, SNAPMLA_STATUS_BAD_INDEX);
  }
  /* The token beside it in the request is spared. */
  c.problem.q_len = 2;
  c.batch = 4;
  bad.query = 5, bad.place = 127, bad.entry = INT32_MAX;
  expect_bad(c, SNAPMLA_STATUS_BAD_INDEX);
}

static void an_index_outside_a_cache_of_any_format(void **state) {
  (void)state;
  for (int f = 0; f < FORMATS; ++f) {
    decode_case c = format_case(&formats[f], fill_bad);
    bad.query = 6, bad.place = 130, bad.entry = INT32_MAX;
    expect_bad(c, SNAPMLA_STATUS_BAD_INDEX);
  }
}

static void a_bad_count(void **state) {
  (void)state;
  decode_case c = sparse_case(fill_bad);
  static const int32_t counts[] = {-1, most + 1, INT32_MIN, INT32_MAX};
  bad.query = 3, bad.place = -1;
  for (int i = 0; i < 4; ++i) {
    bad.count = counts[i];
    expect_bad(c, SNAPMLA_STATUS_BAD_LENGTH);
  }
}

/* --- completion orders -------------------------------------------------------------------------------------------------- */

static void completion_orders(void **state) {
  (void)state;
  static const struct {
    int32_t heads, q_len, latent, page, sms;
    const char *variant;
  } cases[] = {
      {5, 1, 256, 64, 4, "mla_decode:rows=64"},
      {5, 1, 256, 64, 4, NULL},
      {32, 2, 128, 16, 2, NULL},
      {16, 1, 384, 128, 1, "mla_decode:rows=64,stages=2"},
      {16, 1, 256, 32, 1, "mla_decode:stages=2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    decode_case c = sparse_case(i % 2 ? fill_edges : fill_mixed);
    c.problem.heads = cases[i].heads;
    c.problem.q_len = cases[i].q_len;
    c.problem.latent_rank = cases[i].latent;
    c.problem.page_tokens = cases[i].page;
    c.batch = 8 / cases[i].q_len;
    c.sms = cases[i].sms;
    c.variant = cases[i].variant;
    expect_same_in_any_order(c, 8);
  }
}

static void completion_orders_of_every_format(void **state) {
  (void)state;
  for (int f = 0; f < FORMATS; ++f)
    for (int i = 0; i < 2; ++i) {
      decode_case c = format_case(&formats[f], i ? fill_edges : fill_mixed);
      c.problem.page_tokens = i ? 64 : 16;
      c.sms = 2;
      c.variant = shapes[i];
      expect_same_in_any_order(c, 4);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lists_of_many_lengths),
      cmocka_unit_test(edges),
      cmocka_unit_test(layouts),
      cmocka_unit_test(several_query_tokens),
      cmocka_unit_test(all_tokens_in_order_give_the_bits_of_the_pages),
      cmocka_unit_test(an_index_outside_the_cache),
      cmocka_unit_test(a_bad_count),
      cmocka_unit_test(completion_orders),
      cmocka_unit_test(every_format),
      cmocka_unit_test(every_format_has_the_bits_of_its_pages),
      cmocka_unit_test(an_index_outside_a_cache_of_any_format),
      cmocka_unit_test(completion_orders_of_every_format),
  };
  return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}
