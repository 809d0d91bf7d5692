/* Sparse decoding on the emulator, or the device that SNAPMLA_TEST_TARGET names: each query token has an index list. The limits are
 * those of level fast (docs/accuracy.md). */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env.h"
#include "lists_fixture.h"

static const double fast_limit = 3.5e-2, fast_rounded_limit = 8e-3;
static const char *const shapes[] = {NULL, "mla_decode:rows=64"};

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

/* --- bad lists --------------------------------------------------------------------------------------------------------- */

static void expect_bad(decode_case c, uint32_t status_word) {
  c.nan_query = bad_list.query;
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

/* Query token 0's list has all tokens, of which data_empty made every third empty, and an entry outside; the others' lists have no empty one. */
static int32_t fill_bad_beside_empty(int32_t query, const int64_t *slots, int32_t tokens, int32_t *entries) {
  int32_t count = 0;
  for (int32_t t = 0; t < tokens && count < 128; ++t)
    if (query == 0 || t % 3 != 1) entries[count++] = (int32_t)slots[t];
  if (query == 0) entries[5] = INT32_MAX;
  return count;
}

/* What a row's sum keeps of a tile's scales beyond the usual must be gone with the tile. */
static void an_index_outside_beside_empty_tokens(void **state) {
  (void)state;
  decode_case c = sparse_case(fill_bad_beside_empty);
  c.problem.heads = 64;
  c.problem.max_indices = 128;
  c.kind = data_empty;
  c.sigma = 16;
  c.batch = 4;
  for (int32_t b = 0; b < c.batch; ++b) c.lengths[b] = 192;
  bad_list.query = 0;
  expect_bad(c, SNAPMLA_STATUS_BAD_INDEX);
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
    bad_list.query = cases[i].query, bad_list.place = cases[i].place, bad_list.entry = cases[i].entry;
    expect_bad(c, SNAPMLA_STATUS_BAD_INDEX);
  }
  /* The token beside it in the request is spared. */
  c.problem.q_len = 2;
  c.batch = 4;
  bad_list.query = 5, bad_list.place = 127, bad_list.entry = INT32_MAX;
  expect_bad(c, SNAPMLA_STATUS_BAD_INDEX);
}

static void a_bad_count(void **state) {
  (void)state;
  decode_case c = sparse_case(fill_bad);
  static const int32_t counts[] = {-1, most_entries + 1, INT32_MIN, INT32_MAX};
  bad_list.query = 3, bad_list.place = -1;
  for (int i = 0; i < 4; ++i) {
    bad_list.count = counts[i];
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
    expect_same_in_any_order(c, 3);
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
      cmocka_unit_test(an_index_outside_beside_empty_tokens),
      cmocka_unit_test(a_bad_count),
      cmocka_unit_test(completion_orders),
  };
  return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}
