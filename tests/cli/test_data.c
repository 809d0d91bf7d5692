/* The synthetic data: reproducible to the bit, and with the statistics that their names promise. */
#include <math.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "data.h"
#include "narrow.h"

enum { RANK = 512, DIM = 64, HEADS = 8, TOKENS = 500 };

static smla_data make(smla_data_kind kind, double sigma, double offset) {
  return (smla_data){.kind = kind,
                     .seed = 7,
                     .heads = HEADS,
                     .q_len = 2,
                     .latent_rank = RANK,
                     .rope_dim = DIM,
                     .sigma = sigma,
                     .value_offset = offset,
                     .softmax_scale = 1 / sqrt(192)};
}

static uint16_t q_nope[2 * HEADS * RANK], q_rope[2 * HEADS * DIM], latent[TOKENS][RANK], rope[TOKENS][DIM];

static void generate(const smla_data *data) {
  smla_data_query(data, 3, 5, q_nope, q_rope);
  for (int32_t t = 0; t < TOKENS; ++t) smla_data_token(data, 5, t, latent[t], rope[t]);
}

static double logit(const smla_data *data, int row, int token) {
  double sum = 0;
  for (int c = 0; c < RANK; ++c)
    sum += (double)smla_widen_bf16(q_nope[row * RANK + c]) * (double)smla_widen_bf16(latent[token][c]);
  for (int c = 0; c < DIM; ++c)
    sum += (double)smla_widen_bf16(q_rope[row * DIM + c]) * (double)smla_widen_bf16(rope[token][c]);
  return sum * data->softmax_scale;
}

/* Deviation of the logits about each row's mean, from token `first` on. */
static double logit_deviation(const smla_data *data, int first) {
  double squares = 0;
  for (int row = 0; row < 2 * HEADS; ++row) {
    double sum = 0, sum2 = 0;
    for (int t = first; t < TOKENS; ++t) {
      double x = logit(data, row, t);
      sum += x;
      sum2 += x * x;
    }
    squares += sum2 / (TOKENS - first) - sum / (TOKENS - first) * (sum / (TOKENS - first));
  }
  return sqrt(squares / (2 * HEADS));
}

static void normal_statistics(void **state) {
  (void)state;
  static const double sigmas[] = {0.3, 1, 3};
  for (int i = 0; i < 6; ++i) {
    smla_data data = make(SMLA_DATA_NORMAL, sigmas[i % 3], i / 3);
    double sum = 0, sum2 = 0;
    generate(&data);
    for (int t = 0; t < TOKENS; ++t)
      for (int c = 0; c < RANK; ++c) {
        double v = (double)smla_widen_bf16(latent[t][c]);
        sum += v;
        sum2 += v * v;
      }
    double mean = sum / (TOKENS * RANK), variance = sum2 / (TOKENS * RANK) - mean * mean;
    assert_true(fabs(mean - i / 3) < 0.01);
    assert_true(fabs(variance - 1) < 0.02);
    assert_true(fabs(logit_deviation(&data, 0) / data.sigma - 1) < 0.1);
  }
}

static void other_kinds(void **state) {
  (void)state;
  smla_data uniform = make(SMLA_DATA_UNIFORM, 1, 0);
  generate(&uniform);
  assert_true(logit_deviation(&uniform, 0) < 0.02);

  smla_data sink = make(SMLA_DATA_SINK, 1, 0);
  generate(&sink);
  for (int row = 0; row < 2 * HEADS; ++row) {
    double largest = -INFINITY;
    for (int t = 1; t < TOKENS; ++t) largest = fmax(largest, logit(&sink, row, t));
    assert_true(logit(&sink, row, 0) > largest + 4); /* 12 above the mean, of 500 others with deviation 1 */
  }

  smla_data outlier = make(SMLA_DATA_OUTLIER, 1, 0);
  int signs[2] = {0};
  generate(&outlier);
  for (int t = 0; t < TOKENS; ++t) {
    assert_true(fabsf(smla_widen_bf16(rope[t][0])) == 1000 && fabsf(smla_widen_bf16(rope[t][DIM / 2])) == 1000);
    ++signs[smla_widen_bf16(rope[t][0]) > 0];
  }
  assert_true(signs[0] > TOKENS / 3 && signs[1] > TOKENS / 3);
  double deviation = logit_deviation(&outlier, 0);
  assert_true(deviation > 0.8 && deviation < 1.6);
}

/* A token's data depend on nothing but seed, request and token. */
static void reproducible(void **state) {
  (void)state;
  smla_data data = make(SMLA_DATA_NORMAL, 1, 0);
  uint16_t again[RANK], again_rope[DIM];
  generate(&data);
  smla_data_token(&data, 5, 77, again, again_rope);
  assert_memory_equal(again, latent[77], sizeof again);
  assert_memory_equal(again_rope, rope[77], sizeof again_rope);
  uint64_t bits = smla_data_bits(1, 1, 0);
  assert_true(bits == UINT64_C(0x99fae4dc20c4b1c4)); /* worked out apart from the program: the same on every machine */
  assert_int_equal(
      bits == smla_data_bits(1, 1, 1) || bits == smla_data_bits(2, 1, 0) || bits == smla_data_bits(1, 2, 0), 0);
  smla_data other = data;
  other.seed = 8;
  smla_data_token(&other, 5, 77, again, again_rope);
  assert_memory_not_equal(again, latent[77], sizeof again);
  smla_data_token(&data, 6, 77, again, again_rope);
  assert_memory_not_equal(again, latent[77], sizeof again);
  smla_data_token(&data, 5, 78, again, again_rope);
  assert_memory_not_equal(again, latent[77], sizeof again);
}

/* The conversions against their definitions, over all of f16 and around bf16's ties. */
static void narrow_floats(void **state) {
  (void)state;
  for (uint32_t h = 0; h < 0x10000; ++h) {
    int exponent = (int)(h >> 10 & 31);
    double magnitude = exponent ? ldexp(1024.0 + (h & 1023), exponent - 25) : ldexp(h & 1023, -24);
    if (exponent == 31) magnitude = h & 1023 ? NAN : INFINITY;
    double expected = h & 0x8000 ? -magnitude : magnitude, got = (double)smla_widen_f16((uint16_t)h);
    if (!(isnan(expected) ? isnan(got) : expected == got && !signbit(expected) == !signbit(got)))
      fail_msg("f16 %04x is %g, expected %g", h, got, expected);
  }
  static const struct {
    float value;
    uint16_t bits;
  } ties[] = {{1, 0x3f80},
              {1.00390625f, 0x3f80},
              {1.01171875f, 0x3f82},
              {1.0039064f, 0x3f81},
              {-1.00390625f, 0xbf80},
              {3.4e38f, 0x7f80},
              {0, 0},
              {-0.0f, 0x8000},
              {INFINITY, 0x7f80},
              {1e-45f, 0},
              {9.18e-41f, 0x0001}};
  for (size_t i = 0; i < sizeof ties / sizeof *ties; ++i)
    assert_int_equal(smla_narrow_bf16(ties[i].value), ties[i].bits);
  assert_int_equal(smla_narrow_bf16(NAN), 0x7fff);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_statistics),
      cmocka_unit_test(other_kinds),
      cmocka_unit_test(reproducible),
      cmocka_unit_test(narrow_floats),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
