/* The oracle of sparse decoding, held against the oracle of a request that consists of just the tokens a list names. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "narrow_float.h"

enum { HEADS = 3, Q_LEN = 2, RANK = 128, BATCH = 2, MOST = 200, ROW = RANK + 1 };

static const case_shape shape = {.heads = HEADS,
                                 .q_len = Q_LEN,
                                 .latent_rank = RANK,
                                 .page_tokens = 16,
                                 .batch = BATCH,
                                 .lengths = {130, 33},
                                 .logit_sigma = 2};

typedef struct sparse_case {
  decode_case c;
  int32_t tokens[BATCH * Q_LEN][MOST]; /* what the lists name, by number in the request; -1: none */
  int32_t indices[BATCH * Q_LEN][MOST + 5], counts[BATCH * Q_LEN];
} sparse_case;

static int32_t slot_of(const decode_case *c, int32_t b, int32_t token) {
  return c->block_table[b * c->args.block_table_stride + token / 16] * 16 + token % 16;
}

/* Lists of 64, 130, 1 and 200 entries; with `gaps`, some of them -1. */
static void sparse_create(sparse_case *s, int gaps) {
  static const int32_t counts[] = {64, 130, 1, MOST};
  uint64_t seed = 5;
  s->c = case_create(&shape, 3);
  memset(s->indices, 0x7f, sizeof s->indices); /* behind a count */
  memcpy(s->counts, counts, sizeof counts);
  for (int32_t q = 0; q < BATCH * Q_LEN; q++)
    for (int32_t i = 0; i < counts[q]; i++) {
      int32_t token = (int32_t)(random_uniform(&seed) * shape.lengths[q / Q_LEN]);
      s->tokens[q][i] = gaps && i % 7 == 3 ? -1 : token;
      s->indices[q][i] = s->tokens[q][i] < 0 ? -1 : slot_of(&s->c, q / Q_LEN, token);
    }
  s->c.problem.max_indices = MOST;
  s->c.args.block_table = s->c.args.seqlens = NULL;
  s->c.args.indices = s->indices[0];
  s->c.args.indices_stride_token = MOST + 5;
  s->c.args.indices_stride_batch = Q_LEN * (MOST + 5);
  s->c.args.index_counts = s->counts;
}

static void sparse_destroy(sparse_case *s) { case_destroy(&s->c); }

/* Row h of query token q, as a paged request of the listed tokens; [RANK] and the lse. */
static void expect_row(const sparse_case *s, int32_t q, snapmla_reference_mode mode, double (*rows)[ROW]) {
  const decode_case *c = &s->c;
  enum { PAGES = MOST / 16 + 1 };
  int32_t table[PAGES], length = 0, b = q / Q_LEN;
  snapmla_problem problem = c->problem;
  snapmla_decode_args args = c->args;
  problem.q_len = args.batch = 1;
  problem.max_indices = 0;
  args.indices = args.index_counts = NULL;
  unsigned char *kv = malloc((size_t)(PAGES * args.page_stride));
  assert_non_null(kv);
  for (int32_t i = 0; i < PAGES; i++) table[i] = i;
  for (int32_t i = 0; i < s->counts[q]; i++) {
    int64_t row = c->row_of[b] + s->tokens[q][i];
    if (s->tokens[q][i] < 0) continue;
    assert_int_equal(
        snapmla_page_write(&problem, kv, args.page_stride, PAGES, length++, c->latent + row * RANK, c->rope + row * 64),
        SNAPMLA_OK);
  }
  args.kv = kv;
  args.num_pages = args.block_table_stride = PAGES;
  args.block_table = table;
  args.seqlens = &length;
  args.q_nope = (const uint16_t *)args.q_nope + b * args.q_nope_stride_batch + q % Q_LEN * args.q_nope_stride_token;
  args.q_rope = (const uint16_t *)args.q_rope + b * args.q_rope_stride_batch + q % Q_LEN * args.q_rope_stride_token;
  double out[HEADS * RANK], lse[HEADS];
  assert_int_equal(snapmla_reference_decode(&problem, &args, mode, out, lse), SNAPMLA_OK);
  for (int32_t h = 0; h < HEADS; h++) {
    memcpy(rows[h], out + h * RANK, RANK * sizeof *out);
    rows[h][RANK] = lse[h];
  }
  free(kv);
}

static const double *row_of(const decode_case *c, int32_t q, int32_t h) { return c->out + (q * HEADS + h) * RANK; }
static double lse_of(const decode_case *c, int32_t q, int32_t h) {
  return c->lse[(q / Q_LEN * HEADS + h) * Q_LEN + q % Q_LEN];
}

/* Without gaps the tiles are the same, and so are the bits. */
static void a_list_is_a_request_of_its_tokens(void **state) {
  (void)state;
  static const snapmla_reference_mode modes[] = {SNAPMLA_REFERENCE_QUANTIZED, SNAPMLA_REFERENCE_ROUNDED_P,
                                                 SNAPMLA_REFERENCE_EXACT_QUERY};
  sparse_case s;
  sparse_create(&s, 0);
  for (int m = 0; m < 3; m++) {
    case_decode(&s.c, modes[m]);
    for (int32_t q = 0; q < BATCH * Q_LEN; q++) {
      double expected[HEADS][ROW];
      expect_row(&s, q, modes[m], expected);
      for (int32_t h = 0; h < HEADS; h++) {
        assert_memory_equal(row_of(&s.c, q, h), expected[h], RANK * sizeof(double));
        assert_true(lse_of(&s.c, q, h) == expected[h][RANK]);
      }
    }
  }
  sparse_destroy(&s);
}

static void gaps_are_passed_over(void **state) {
  (void)state;
  sparse_case s;
  sparse_create(&s, 1);
  case_decode(&s.c, SNAPMLA_REFERENCE_QUANTIZED);
  for (int32_t q = 0; q < BATCH * Q_LEN; q++) {
    double expected[HEADS][ROW];
    expect_row(&s, q, SNAPMLA_REFERENCE_QUANTIZED, expected);
    for (int32_t h = 0; h < HEADS; h++) {
      assert_true(relative_l2(row_of(&s.c, q, h), expected[h], RANK) < 1e-13);
      assert_true(fabs(lse_of(&s.c, q, h) - expected[h][RANK]) < 1e-12);
    }
  }
  sparse_destroy(&s);
}

static void expect_query(const decode_case *c, int32_t q, double value, double lse) {
  for (int32_t h = 0; h < HEADS; h++) {
    for (int32_t i = 0; i < RANK; i++)
      assert_true(isnan(value) ? isnan(row_of(c, q, h)[i]) : row_of(c, q, h)[i] == value);
    assert_true(isnan(lse) ? isnan(lse_of(c, q, h)) : lse_of(c, q, h) == lse);
  }
}

static void nothing_named_is_zero(void **state) {
  (void)state;
  for (int mode = 0; mode < 3; mode++) {
    sparse_case s;
    sparse_create(&s, 0);
    s.counts[0] = 0;
    for (int32_t i = 0; i < s.counts[1]; i++) s.indices[1][i] = -1;
    case_decode(&s.c, (snapmla_reference_mode)mode);
    expect_query(&s.c, 0, 0, -INFINITY);
    expect_query(&s.c, 1, 0, -INFINITY);
    for (int32_t h = 0; h < HEADS; h++) assert_true(isfinite(row_of(&s.c, 2, h)[0]) && isfinite(lse_of(&s.c, 3, h)));
    sparse_destroy(&s);
  }
}

static void bad_lists_are_nan(void **state) {
  (void)state;
  sparse_case s;
  sparse_create(&s, 0);
  const int32_t end = (int32_t)s.c.args.num_pages * 16, bad[] = {end, -2, INT32_MAX, INT32_MIN};
  for (int i = 0; i < 4; i++) {
    const int32_t kept = s.indices[3][150];
    s.indices[3][150] = bad[i];
    case_decode(&s.c, SNAPMLA_REFERENCE_QUANTIZED);
    expect_query(&s.c, 3, NAN, NAN);
    for (int32_t h = 0; h < HEADS; h++) assert_true(isfinite(row_of(&s.c, 2, h)[0]) && isfinite(lse_of(&s.c, 2, h)));
    s.indices[3][150] = kept;
  }
  static const int32_t counts[] = {-1, MOST + 1, INT32_MIN};
  for (int i = 0; i < 3; i++) {
    s.counts[2] = counts[i];
    case_decode(&s.c, SNAPMLA_REFERENCE_QUANTIZED);
    expect_query(&s.c, 2, NAN, NAN);
    for (int32_t h = 0; h < HEADS; h++) assert_true(isfinite(row_of(&s.c, 3, h)[0]));
  }
  /* the last slot that there is */
  s.counts[2] = 1;
  s.indices[2][0] = end - 1;
  memset(s.c.kv + (s.c.args.num_pages - 1) * s.c.args.page_stride, 0, (size_t)s.c.layout.page_bytes);
  case_decode(&s.c, SNAPMLA_REFERENCE_QUANTIZED);
  expect_query(&s.c, 2, 0, 0);
  sparse_destroy(&s);
}

/* Without a cache, index t is row row_of + t. */
static void unquantised_rows(void **state) {
  (void)state;
  sparse_case s;
  sparse_create(&s, 1);
  decode_case *c = &s.c;
  const int64_t rows = shape.lengths[0] + shape.lengths[1];
  float *latent = malloc((size_t)rows * RANK * sizeof *latent), *rope = malloc((size_t)rows * 64 * sizeof *rope);
  double *out = malloc((size_t)c->out_count * sizeof *out), *lse = malloc((size_t)c->lse_count * sizeof *lse);
  assert_true(latent && rope && out && lse);
  for (int64_t i = 0; i < rows * RANK; i++) latent[i] = smla_bf16_to_float(c->latent[i]);
  for (int64_t i = 0; i < rows * 64; i++) rope[i] = smla_bf16_to_float(c->rope[i]);
  case_decode(c, SNAPMLA_REFERENCE_EXACT_QUERY);
  for (int32_t q = 0; q < BATCH * Q_LEN; q++) memcpy(s.indices[q], s.tokens[q], (size_t)s.counts[q] * sizeof(int32_t));
  assert_int_equal(snapmla_reference_decode_dense(&c->problem, &c->args, latent, rope, c->row_of, out, lse),
                   SNAPMLA_OK);
  const double distance = relative_l2(out, c->out, c->out_count); /* what the format costs */
  assert_true(distance > 1e-3 && distance < 0.2);
  s.indices[1][0] = -2;
  assert_int_equal(snapmla_reference_decode_dense(&c->problem, &c->args, latent, rope, c->row_of, out, lse),
                   SNAPMLA_OK);
  assert_true(isnan(out[HEADS * RANK]) && isfinite(out[0]));
  free(latent), free(rope), free(out), free(lse);
  sparse_destroy(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_list_is_a_request_of_its_tokens),
      cmocka_unit_test(gaps_are_passed_over),
      cmocka_unit_test(nothing_named_is_zero),
      cmocka_unit_test(bad_lists_are_nan),
      cmocka_unit_test(unquantised_rows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
