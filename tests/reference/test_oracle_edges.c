/* Causality, empty and bad requests, poison, and independence of everything that must not matter. */
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "narrow_float.h"

static const snapmla_reference_mode modes[] = {SNAPMLA_REFERENCE_QUANTIZED, SNAPMLA_REFERENCE_ROUNDED_P,
                                               SNAPMLA_REFERENCE_EXACT_QUERY};

/* Row (b, i, h) of the last result. */
static const double *out_row(const decode_case *c, int32_t b, int32_t i, int32_t h) {
  const snapmla_problem *p = &c->problem;
  return c->out + ((int64_t)(b * p->q_len + i) * p->heads + h) * p->latent_rank;
}

static double lse_of(const decode_case *c, int32_t b, int32_t i, int32_t h) {
  return c->lse[(b * c->problem.heads + h) * c->problem.q_len + i];
}

static void assert_row_is(const decode_case *c, int32_t b, int32_t i, int32_t h, double value, double lse) {
  const double *row = out_row(c, b, i, h);
  for (int32_t x = 0; x < c->problem.latent_rank; x++) assert_true(isnan(value) ? isnan(row[x]) : row[x] == value);
  assert_true(isnan(lse) ? isnan(lse_of(c, b, i, h)) : lse_of(c, b, i, h) == lse);
}

static void assert_row_is_finite(const decode_case *c, int32_t b, int32_t i, int32_t h) {
  const double *row = out_row(c, b, i, h);
  for (int32_t x = 0; x < c->problem.latent_rank; x++) assert_true(isfinite(row[x]));
  assert_true(isfinite(lse_of(c, b, i, h)));
}

/* Query i of q_len gives the bits of a lone query of a request cut to what it sees. */
static void causal(void **state) {
  (void)state;
  const case_shape shape = {.heads = 3,
                            .q_len = 4,
                            .latent_rank = 256,
                            .page_tokens = 64,
                            .batch = 2,
                            .lengths = {66, 130},
                            .logit_sigma = 2};
  for (int m = 0; m < 3; m++) {
    decode_case c = case_create(&shape, 1);
    case_decode(&c, modes[m]);
    for (int32_t i = 0; i < 4; i++) {
      snapmla_problem problem = c.problem;
      problem.q_len = 1;
      snapmla_decode_args args = c.args;
      int32_t lengths[2] = {66 - 4 + i + 1, 130 - 4 + i + 1};
      args.seqlens = lengths;
      args.q_nope = (const uint16_t *)args.q_nope + i * args.q_nope_stride_token;
      args.q_rope = (const uint16_t *)args.q_rope + i * args.q_rope_stride_token;
      double out[2 * 3 * 256], lse[2 * 3];
      assert_int_equal(snapmla_reference_decode(&problem, &args, modes[m], out, lse), SNAPMLA_OK);
      for (int32_t b = 0; b < 2; b++) {
        for (int32_t h = 0; h < 3; h++) {
          assert_memory_equal(out_row(&c, b, i, h), out + (b * 3 + h) * 256, 256 * sizeof(double));
          assert_true(lse_of(&c, b, i, h) == lse[b * 3 + h]);
        }
      }
    }
    case_destroy(&c);
  }
}

static void nothing_seen(void **state) {
  (void)state;
  /* Lengths below q_len: the first queries see nothing. */
  const case_shape shape = {.heads = 2,
                            .q_len = 3,
                            .latent_rank = 256,
                            .page_tokens = 64,
                            .batch = 3,
                            .lengths = {0, 1, 70},
                            .logit_sigma = 1};
  for (int m = 0; m < 3; m++) {
    decode_case c = case_create(&shape, 2);
    case_decode(&c, modes[m]);
    for (int32_t h = 0; h < 2; h++) {
      for (int32_t i = 0; i < 3; i++) assert_row_is(&c, 0, i, h, 0.0, -INFINITY);
      assert_row_is(&c, 1, 0, h, 0.0, -INFINITY);
      assert_row_is(&c, 1, 1, h, 0.0, -INFINITY);
      for (int32_t i = 0; i < 3; i++) assert_row_is_finite(&c, 2, i, h);
    }
    /* One token seen: its latent, and its logit as the log-sum-exp. */
    float latent[256], rope[64];
    int64_t slot = c.block_table[c.args.block_table_stride] * (int64_t)64;
    assert_int_equal(snapmla_page_read(&c.problem, c.kv, c.args.page_stride, c.args.num_pages, slot, latent, rope),
                     SNAPMLA_OK);
    for (int x = 0; x < 256; x++) assert_true(fabs(out_row(&c, 1, 2, 0)[x] - latent[x]) <= 1e-6 * fabs(latent[x]));
    case_destroy(&c);
  }
}

static void bad_pages_and_lengths(void **state) {
  (void)state;
  const case_shape shape = {.heads = 17,
                            .q_len = 2,
                            .latent_rank = 256,
                            .page_tokens = 64,
                            .batch = 4,
                            .lengths = {130, 130, 130, 130},
                            .logit_sigma = 1};
  static const struct {
    int32_t page_at, page, length; /* page_at -1: the length is set instead */
    int bad;
  } trials[] = {
      {0, -1, 0, 1},          {1, INT32_MIN, 0, 1},  {2, 14, 0, 1},
      {2, INT32_MAX, 0, 1},   {3, -1, 0, 0}, /* past the length */
      {-1, 0, -1, 1},         {-1, 0, INT32_MIN, 1}, {-1, 0, INT32_MAX, 1},
      {-1, 0, 6 * 64 + 1, 1}, /* the table has 6 entries */
      {-1, 0, 129, 0},
  };
  for (size_t k = 0; k < sizeof trials / sizeof *trials; k++) {
    decode_case good = case_create(&shape, 3), c = case_create(&shape, 3);
    assert_int_equal(c.args.num_pages, 14);
    assert_int_equal(c.args.block_table_stride, 6);
    if (trials[k].page_at >= 0)
      c.block_table[2 * 6 + trials[k].page_at] = trials[k].page;
    else
      c.seqlens[2] = trials[k].length;
    if (trials[k].page_at < 0) /* good pages as far as the table goes: it is the length that must be refused */
      for (int i = 2; i < 6; i++) c.block_table[2 * 6 + i] = c.block_table[2 * 6];
    for (int m = 0; m < 3; m++) {
      case_decode(&good, modes[m]);
      case_decode(&c, modes[m]);
      for (int32_t b = 0; b < 4; b++) {
        for (int32_t i = 0; i < 2; i++) {
          for (int32_t h = 0; h < 17; h++) {
            if (b != 2)
              assert_memory_equal(out_row(&c, b, i, h), out_row(&good, b, i, h), 256 * sizeof(double));
            else if (trials[k].bad)
              assert_row_is(&c, b, i, h, NAN, NAN);
            else
              assert_row_is_finite(&c, b, i, h);
          }
        }
      }
    }
    case_destroy(&good);
    case_destroy(&c);
  }
}

static void longer_than_the_plan(void **state) {
  (void)state;
  const case_shape shape = {
      .heads = 1, .q_len = 1, .latent_rank = 256, .page_tokens = 64, .batch = 2, .lengths = {64, 65}, .logit_sigma = 1};
  decode_case c = case_create(&shape, 4);
  c.problem.max_context = 64;
  case_decode(&c, SNAPMLA_REFERENCE_QUANTIZED);
  assert_row_is_finite(&c, 0, 0, 0);
  assert_row_is(&c, 1, 0, 0, NAN, NAN);
  case_destroy(&c);
}

/* The bytes of a token in its page: those that may be read. */
static void mark_token(const decode_case *c, unsigned char *readable, int32_t b, int32_t t) {
  int32_t latent_rank = c->problem.latent_rank, row = t % 64;
  int64_t image = case_page(c, b, t) - c->kv + (t % c->problem.page_tokens) / 64 * c->layout.image_bytes;
  for (int32_t part = 0; part <= latent_rank / 128; part++) memset(readable + image + part * 8192 + row * 128, 1, 128);
  memset(readable + image + 64 * latent_rank + 8192 + 4 * row, 1, 4);
}

/* Whatever stands in bytes that no length covers, the bits are the same. */
static void poison_does_not_matter(void **state) {
  (void)state;
  const case_shape shape = {.heads = 3,
                            .q_len = 2,
                            .latent_rank = 256,
                            .page_tokens = 128,
                            .batch = 3,
                            .lengths = {1, 65, 190},
                            .logit_sigma = 1};
  decode_case c = case_create(&shape, 5);
  unsigned char *readable = calloc((size_t)c.kv_bytes, 1);
  double *first = malloc((size_t)c.out_count * sizeof *first);
  assert_non_null(readable);
  assert_non_null(first);
  for (int32_t b = 0; b < 3; b++)
    for (int32_t t = 0; t < shape.lengths[b]; t++) mark_token(&c, readable, b, t);
  int64_t count = 0;
  for (int64_t i = 0; i < c.kv_bytes; i++) count += readable[i];
  assert_int_equal(count, (1 + 65 + 190) * 388);

  for (int m = 0; m < 3; m++) {
    case_decode(&c, modes[m]); /* with NaN around */
    memcpy(first, c.out, (size_t)c.out_count * sizeof *first);
    for (int64_t i = 0; i < c.out_count; i++) assert_true(isfinite(first[i]));
    static const unsigned char fillings[] = {0x00, 0x7f, 0x80, 0xff};
    for (int f = 0; f < 4; f++) {
      for (int64_t i = 0; i < c.kv_bytes; i++)
        if (!readable[i]) c.kv[i] = fillings[f];
      case_decode(&c, modes[m]);
      assert_memory_equal(c.out, first, (size_t)c.out_count * sizeof *first);
    }
  }
  free(readable);
  free(first);
  case_destroy(&c);
}

/* A NaN that is read does reach the result, of the rows that see it and of no other. */
static void a_nan_that_is_read_shows(void **state) {
  (void)state;
  const case_shape shape = {
      .heads = 2, .q_len = 2, .latent_rank = 256, .page_tokens = 64, .batch = 2, .lengths = {70, 70}, .logit_sigma = 1};
  for (int m = 0; m < 3; m++) {
    decode_case c = case_create(&shape, 6);
    uint16_t latent[256] = {0}, rope[64] = {0};
    rope[0] = 0x7fc0;
    int64_t slot = c.block_table[c.args.block_table_stride + 1] * (int64_t)64 + 5; /* token 69 of request 1, its last */
    assert_int_equal(snapmla_page_write(&c.problem, c.kv, c.args.page_stride, c.args.num_pages, slot, latent, rope),
                     SNAPMLA_OK);
    c.query[0] = 0x7fc0; /* request 0, query 0, head 0 */
    case_decode(&c, modes[m]);
    for (int32_t b = 0; b < 2; b++) {
      for (int32_t i = 0; i < 2; i++) {
        for (int32_t h = 0; h < 2; h++) {
          if ((b == 1 && i == 1) || (b == 0 && i == 0 && h == 0))
            assert_row_is(&c, b, i, h, NAN, NAN);
          else
            assert_row_is_finite(&c, b, i, h);
        }
      }
    }
    case_destroy(&c);
  }
}

/* What one request leaves behind in a worker does not reach the next: on one core, so that they share the worker. */
static void nans_do_not_linger(void **state) {
  (void)state;
  const case_shape shape = {.heads = 1,
                            .q_len = 1,
                            .latent_rank = 256,
                            .page_tokens = 64,
                            .batch = 3,
                            .lengths = {64, 3, 64},
                            .logit_sigma = 1};
  cpu_set_t before, one;
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  decode_case c = case_create(&shape, 9);
  memset(case_page(&c, 0, 0), 0xff, (size_t)c.layout.page_bytes);
  case_decode(&c, SNAPMLA_REFERENCE_QUANTIZED);
  assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
  assert_row_is(&c, 0, 0, 0, NAN, NAN);
  assert_row_is_finite(&c, 1, 0, 0);
  assert_row_is_finite(&c, 2, 0, 0);
  case_destroy(&c);
}

/* A request's bits do not depend on its place, its neighbours or the strides. */
static void place_does_not_matter(void **state) {
  (void)state;
  const case_shape shape = {.heads = 18,
                            .q_len = 1,
                            .latent_rank = 512,
                            .page_tokens = 64,
                            .batch = 3,
                            .lengths = {5, 100, 64},
                            .logit_sigma = 1};
  decode_case c = case_create(&shape, 7);
  case_decode(&c, SNAPMLA_REFERENCE_ROUNDED_P);
  snapmla_decode_args args = c.args;
  uint16_t content[18 * 512], rope[18 * 64];
  for (int h = 0; h < 18; h++) {
    const uint16_t *row = c.query + args.q_nope_stride_batch + h * args.q_nope_stride_head;
    memcpy(content + h * 512, row, 1024);
    memcpy(rope + h * 64, row + 512, 128);
  }
  args.batch = 1;
  args.q_nope = content, args.q_nope_stride_head = 512;
  args.q_rope = rope, args.q_rope_stride_head = 64;
  args.block_table = c.block_table + args.block_table_stride;
  args.seqlens = c.seqlens + 1;
  double *out = malloc(18 * 512 * sizeof *out);
  assert_non_null(out);
  assert_int_equal(snapmla_reference_decode(&c.problem, &args, SNAPMLA_REFERENCE_ROUNDED_P, out, NULL), SNAPMLA_OK);
  assert_memory_equal(out, out_row(&c, 1, 0, 0), 18 * 512 * sizeof *out);
  free(out);
  case_destroy(&c);
}

static void bad_calls(void **state) {
  (void)state;
  const case_shape shape = {
      .heads = 1, .q_len = 1, .latent_rank = 256, .page_tokens = 64, .batch = 1, .lengths = {3}, .logit_sigma = 1};
  decode_case c = case_create(&shape, 8);
  float latent[3 * 256] = {0}, rope[3 * 64] = {0};
  int64_t row = 0;
  assert_int_equal(snapmla_reference_decode(&c.problem, &c.args, (snapmla_reference_mode)3, c.out, c.lse),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "mode 3"));
  assert_int_equal(snapmla_reference_decode(&c.problem, &c.args, SNAPMLA_REFERENCE_QUANTIZED, NULL, c.lse),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_reference_decode(NULL, &c.args, SNAPMLA_REFERENCE_QUANTIZED, c.out, c.lse),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_reference_decode(&c.problem, NULL, SNAPMLA_REFERENCE_QUANTIZED, c.out, c.lse),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_reference_decode_dense(&c.problem, &c.args, latent, rope, &row, c.out, c.lse), SNAPMLA_OK);
  assert_int_equal(snapmla_reference_decode_dense(&c.problem, &c.args, NULL, rope, &row, c.out, c.lse),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "latent is NULL"));
  row = -1;
  assert_int_equal(snapmla_reference_decode_dense(&c.problem, &c.args, latent, rope, &row, c.out, c.lse),
                   SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "row_of[0] is -1"));
  row = 0;
  c.seqlens[0] = -4;
  assert_int_equal(snapmla_reference_decode_dense(&c.problem, &c.args, latent, rope, &row, c.out, c.lse), SNAPMLA_OK);
  assert_row_is(&c, 0, 0, 0, NAN, NAN);
  c.args.batch = 0;
  assert_int_equal(snapmla_reference_decode(&c.problem, &c.args, SNAPMLA_REFERENCE_QUANTIZED, NULL, NULL), SNAPMLA_OK);
  case_destroy(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(causal),
      cmocka_unit_test(nothing_seen),
      cmocka_unit_test(bad_pages_and_lengths),
      cmocka_unit_test(longer_than_the_plan),
      cmocka_unit_test(poison_does_not_matter),
      cmocka_unit_test(a_nan_that_is_read_shows),
      cmocka_unit_test(nans_do_not_linger),
      cmocka_unit_test(place_does_not_matter),
      cmocka_unit_test(bad_calls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
