/* The oracle against an independent long-double version, and what its modes must differ by. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "brute_force.h"
#include "cases.h"
#include "narrow_float.h"

static const case_shape shapes[] = {
    {.heads = 1,
     .q_len = 1,
     .latent_rank = 512,
     .page_tokens = 64,
     .batch = 3,
     .lengths = {1, 64, 65},
     .logit_sigma = 1},
    {.heads = 5,
     .q_len = 1,
     .latent_rank = 256,
     .page_tokens = 128,
     .batch = 3,
     .lengths = {0, 63, 200},
     .logit_sigma = 3},
    {.heads = 17,
     .q_len = 2,
     .latent_rank = 512,
     .page_tokens = 128,
     .batch = 2,
     .lengths = {1, 130},
     .logit_sigma = 0.3},
    {.heads = 2,
     .q_len = 3,
     .latent_rank = 512,
     .page_tokens = 64,
     .batch = 2,
     .lengths = {200, 2},
     .logit_sigma = 8,
     .value_mean = 1},
    {.heads = 3,
     .q_len = 1,
     .latent_rank = 384,
     .page_tokens = 16,
     .batch = 3,
     .lengths = {17, 64, 150},
     .logit_sigma = 1},
    {.heads = 2,
     .q_len = 2,
     .latent_rank = 128,
     .page_tokens = 32,
     .batch = 3,
     .lengths = {31, 96, 130},
     .logit_sigma = 2},
    {.heads = 1, .q_len = 70, .latent_rank = 128, .page_tokens = 16, .batch = 2, .lengths = {150, 3}, .logit_sigma = 1},
    /* Logits of some thousands: exp overflows double unless it is taken relative to the largest. */
    {.heads = 2, .q_len = 1, .latent_rank = 256, .page_tokens = 64, .batch = 1, .lengths = {140}, .logit_sigma = 3000},
};

enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Largest distance of a row from its brute-force twin, relative to the row's largest channel. */
static void compare_row(const double *out, const long double *expected, int32_t channels, double lse,
                        long double expected_lse, double tolerance) {
  long double largest = 0, worst = 0;
  for (int32_t c = 0; c < channels; c++) {
    if (fabsl(expected[c]) > largest) largest = fabsl(expected[c]);
    if (!(fabsl(out[c] - expected[c]) <= worst)) worst = fabsl(out[c] - expected[c]); /* a NaN stays */
  }
  assert_true(worst <= tolerance * largest);
  if (isinf((double)expected_lse))
    assert_true(lse == (double)expected_lse);
  else
    assert_true(fabsl(lse - expected_lse) <= 1e-12L * (1 + fabsl(expected_lse)));
}

static void compare_case(decode_case *c, int dense, snapmla_reference_mode mode) {
  const snapmla_problem *p = &c->problem;
  for (int32_t b = 0; b < c->args.batch; b++) {
    for (int32_t i = 0; i < p->q_len; i++) {
      for (int32_t h = 0; h < p->heads; h++) {
        long double expected[512];
        long double lse =
            dense ? brute_force_row_dense(c, b, i, h, expected) : brute_force_row(c, b, i, h, mode, expected);
        compare_row(c->out + ((int64_t)(b * p->q_len + i) * p->heads + h) * p->latent_rank, expected, p->latent_rank,
                    c->lse[(b * p->heads + h) * p->q_len + i], lse, 1e-10);
      }
    }
  }
}

static void modes_match_brute_force(void **state) {
  (void)state;
  static const snapmla_reference_mode modes[] = {SNAPMLA_REFERENCE_QUANTIZED, SNAPMLA_REFERENCE_ROUNDED_P,
                                                 SNAPMLA_REFERENCE_EXACT_QUERY};
  for (int s = 0; s < SHAPES; s++) {
    decode_case c = case_create(&shapes[s], 100 + (uint64_t)s);
    for (int m = 0; m < 3; m++) {
      case_decode(&c, modes[m]);
      compare_case(&c, 0, modes[m]);
    }
    case_destroy(&c);
  }
}

/* The unquantised rows of a case as the dense oracle takes them. */
static float *widen(const uint16_t *rows, int64_t count) {
  float *wide = malloc((size_t)(count ? count : 1) * sizeof *wide);
  assert_non_null(wide);
  for (int64_t i = 0; i < count; i++) wide[i] = smla_bf16_to_float(rows[i]);
  return wide;
}

static void decode_dense(decode_case *c) {
  int64_t tokens = 0;
  for (int32_t b = 0; b < c->args.batch; b++) tokens += c->seqlens[b];
  float *latent = widen(c->latent, tokens * c->problem.latent_rank), *rope = widen(c->rope, tokens * 64);
  assert_int_equal(snapmla_reference_decode_dense(&c->problem, &c->args, latent, rope, c->row_of, c->out, c->lse),
                   SNAPMLA_OK);
  free(latent);
  free(rope);
}

static void dense_matches_brute_force(void **state) {
  (void)state;
  for (int s = 0; s < SHAPES; s++) {
    decode_case c = case_create(&shapes[s], 200 + (uint64_t)s);
    c.args.kv = NULL, c.args.block_table = NULL; /* not needed */
    decode_dense(&c);
    compare_case(&c, 1, SNAPMLA_REFERENCE_EXACT_QUERY);
    case_destroy(&c);
  }
}

/* What each rounding costs on random data: enough to show that it happens, little enough to be that rounding alone. */
static void distances_between_modes(void **state) {
  (void)state;
  static const double sigmas[] = {0.3, 1, 3};
  for (int s = 0; s < 3; s++) {
    case_shape shape = {.heads = 8,
                        .q_len = 1,
                        .latent_rank = 512,
                        .page_tokens = 64,
                        .batch = 1,
                        .lengths = {700},
                        .logit_sigma = sigmas[s]};
    decode_case c = case_create(&shape, 300);
    double *quantized = malloc((size_t)c.out_count * sizeof *quantized), lse[8];
    assert_non_null(quantized);
    case_decode(&c, SNAPMLA_REFERENCE_QUANTIZED);
    for (int64_t i = 0; i < c.out_count; i++) quantized[i] = c.out[i];
    for (int h = 0; h < 8; h++) lse[h] = c.lse[h];

    case_decode(&c, SNAPMLA_REFERENCE_ROUNDED_P);
    double rounded = relative_l2(c.out, quantized, c.out_count);
    assert_true(rounded > 1e-3 && rounded < 3.5e-2);
    /* From unrounded exponentials, but of the tensor cores' scores: 14 bits of them, cut 16 times. */
    for (int h = 0; h < 8; h++) assert_true(c.lse[h] != lse[h] && fabs(c.lse[h] - lse[h]) < 3e-3 * sigmas[s]);

    case_decode(&c, SNAPMLA_REFERENCE_EXACT_QUERY);
    double exact_query = relative_l2(c.out, quantized, c.out_count);
    assert_true(exact_query > 1e-3 && exact_query < 0.15 * (0.3 + sigmas[s]));

    decode_dense(&c);
    double dense = relative_l2(c.out, quantized, c.out_count);
    assert_true(dense > 1e-3 && dense < 0.2 * (0.3 + sigmas[s]));
    free(quantized);
    case_destroy(&c);
  }
}

static void uniform_attention_is_the_mean(void **state) {
  (void)state;
  case_shape shape = {
      .heads = 3, .q_len = 1, .latent_rank = 256, .page_tokens = 64, .batch = 1, .lengths = {130}, .logit_sigma = 1};
  decode_case c = case_create(&shape, 400);
  c.args.softmax_scale = 0.0f;
  case_decode(&c, SNAPMLA_REFERENCE_QUANTIZED);
  double mean[256] = {0};
  for (int32_t t = 0; t < 130; t++) {
    float latent[256], rope[64];
    int64_t slot = c.block_table[t / 64] * (int64_t)64 + t % 64;
    assert_int_equal(snapmla_page_read(&c.problem, c.kv, c.args.page_stride, c.args.num_pages, slot, latent, rope),
                     SNAPMLA_OK);
    for (int i = 0; i < 256; i++) mean[i] += latent[i] / 130.0;
  }
  for (int h = 0; h < 3; h++) {
    assert_true(fabs(c.lse[h] - log(130.0)) < 1e-14 * 10);
    for (int i = 0; i < 256; i++) assert_true(fabs(c.out[h * 256 + i] - mean[i]) < 1e-6);
  }
  case_destroy(&c);
}

/* A request so long that its tokens are dealt to several workers, beside one that leaves most of them none: as short ones of the same
 * pages, merged by their lse. */
static void a_long_request_is_its_pieces(void **state) {
  (void)state;
  enum { HEADS = 3, RANK = 128, TOKENS = 12500, PIECE = 4096 };
  const snapmla_reference_mode modes[] = {SNAPMLA_REFERENCE_QUANTIZED, SNAPMLA_REFERENCE_EXACT_QUERY};
  case_shape shape = {.heads = HEADS,
                      .q_len = 1,
                      .latent_rank = RANK,
                      .page_tokens = 64,
                      .batch = 2,
                      .lengths = {TOKENS, 65},
                      .logit_sigma = 8,
                      .value_mean = 1};
  decode_case c = case_create(&shape, 500);
  c.problem.max_context = TOKENS;
  for (int m = 0; m < 2; m++) {
    double sums[HEADS][RANK] = {{0}}, weights[HEADS] = {0}, out[HEADS * RANK], lse[HEADS];
    case_decode(&c, modes[m]);
    for (int32_t first = 0; first < TOKENS; first += PIECE) {
      int32_t length = TOKENS - first < PIECE ? TOKENS - first : PIECE;
      snapmla_decode_args args = c.args;
      args.batch = 1;
      args.block_table = c.block_table + first / 64;
      args.seqlens = &length;
      assert_int_equal(snapmla_reference_decode(&c.problem, &args, modes[m], out, lse), SNAPMLA_OK);
      for (int h = 0; h < HEADS; h++) {
        double weight = exp(lse[h] - c.lse[h]);
        weights[h] += weight;
        for (int k = 0; k < RANK; k++) sums[h][k] += weight * out[h * RANK + k];
      }
    }
    for (int h = 0; h < HEADS; h++) {
      assert_true(fabs(weights[h] - 1) < 1e-11);
      assert_true(relative_l2(c.out + h * RANK, sums[h], RANK) < 1e-11);
    }
    long double expected[512], expected_lse = brute_force_row(&c, 1, 0, 0, modes[m], expected);
    compare_row(c.out + HEADS * RANK, expected, RANK, c.lse[HEADS], expected_lse, 1e-10);
  }
  case_destroy(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(modes_match_brute_force),      cmocka_unit_test(dense_matches_brute_force),
      cmocka_unit_test(distances_between_modes),      cmocka_unit_test(uniform_attention_is_the_mean),
      cmocka_unit_test(a_long_request_is_its_pieces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
