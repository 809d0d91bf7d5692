/* The KV formats through the public API: their accuracy against the oracle of the same quantised data, completion orders, bad pages. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

/* Limits of the relative L2 error: of values of mean zero, of mean one, of the oracle that rounds P alike. bf16 and fp8_tile round P to
 * 8 bits where e4m3 keeps 4; fp8_tile its values as well, as they get their scales. */
typedef struct format_case {
  const char *name;
  snapmla_kv_format format;
  float kv_scale;
  uint32_t flags;
  double limit, offset_limit, rounded_limit;
} format_case;

static const format_case formats[] = {
    {"bf16", SNAPMLA_KV_BF16, 0.0f, 0, 4e-3, 3e-3, 3e-3},
    {"fp8_tensor", SNAPMLA_KV_FP8_TENSOR, 0.03125f, 0, 3.5e-2, 3e-3, 8e-3},
    {"fp8_tensor, odd scale", SNAPMLA_KV_FP8_TENSOR, 0.0123f, 0, 3.5e-2, 3e-3, 8e-3},
    {"fp8_tile", SNAPMLA_KV_FP8_TILE, 0.0f, 0, 5e-3, 3e-3, 3e-3},
    {"fp8_tile, powers of 2", SNAPMLA_KV_FP8_TILE, 0.0f, SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES, 5e-3, 3e-3, 3e-3},
    {"fp8_token, powers of 2", SNAPMLA_KV_FP8_TOKEN, 0.0f, SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES, 3.5e-2, 3e-3, 8e-3},
    {"fp8_token_r4", SNAPMLA_KV_FP8_TOKEN_R4, 0.0f, 0, 3.5e-2, 3e-3, 8e-3},
    {"fp8_token_r4, powers of 2", SNAPMLA_KV_FP8_TOKEN_R4, 0.0f, SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES, 3.5e-2, 3e-3,
     8e-3},
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* Lengths around every border, empty ones among them. */
static decode_case case_of(const format_case *f) {
  static const int32_t lengths[] = {0, 1, 63, 64, 65, 300, 129, 0};
  decode_case c = decode_case_default();
  c.batch = sizeof lengths / sizeof *lengths;
  memcpy(c.lengths, lengths, sizeof lengths);
  c.problem.kv_format = f->format;
  c.kv_scale = f->kv_scale;
  c.problem.flags = f->flags;
  return c;
}

static void expect(const format_case *f, const char *what, const decode_case *c, double limit) {
  decode_result r = decode_case_run(c);
  print_message("%-22s %-34s %2d SMs: rel. L2 %.2e (limit %.1e), to rounded P %.2e (limit %.1e), lse %3.0f %%\n",
                f->name, what, (int)c->sms, r.rel_l2, limit, r.rel_l2_rounded, f->rounded_limit, 100 * r.lse_excess);
  assert_true(r.rel_l2 <= limit);
  assert_true(r.rel_l2_rounded <= f->rounded_limit);
  assert_true(r.lse_excess <= 1.0);
  assert_int_equal(r.status_word, 0);
  decode_result_free(&r);
}

/* Residuals are decoded by the shape for few rows alone. */
static int has_roles(const format_case *f) { return f->format != SNAPMLA_KV_FP8_TOKEN_R4; }

/* Cut into pieces and not, by the shape for few rows and by that for 64. */
static void expect_accurate(const format_case *f, const char *what, decode_case c) {
  double limit = c.value_mean != 0.0 ? f->offset_limit : f->limit;
  char roles[80];
  snprintf(roles, sizeof roles, "%.60s, 64 rows", what);
  for (c.sms = 1; c.sms <= 16; c.sms += 15) expect(f, what, &c, limit);
  if (!has_roles(f)) return;
  c.variant = "mla_decode:rows=64";
  for (c.sms = 1; c.sms <= 16; c.sms += 15) expect(f, roles, &c, limit);
}

static void shapes(void **state) {
  (void)state;
  static const struct {
    int32_t heads, q_len, latent, page;
  } cases[] = {{8, 1, 512, 64}, {16, 1, 512, 128}, {32, 1, 512, 32},
               {5, 3, 256, 16}, {20, 1, 128, 64},  {4, 2, 384, 32}};
  for (int f = 0; f < FORMATS; f++) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      decode_case c = case_of(&formats[f]);
      c.problem.heads = cases[i].heads;
      c.problem.q_len = cases[i].q_len;
      c.problem.latent_rank = cases[i].latent;
      if (formats[f].format == SNAPMLA_KV_FP8_TILE) c.problem.latent_rank = 512;
      c.problem.page_tokens = cases[i].page;
      c.seed = 7 + i;
      char what[64];
      snprintf(what, sizeof what, "%d x %d, latent %d, page %d", (int)cases[i].heads, (int)cases[i].q_len,
               (int)c.problem.latent_rank, (int)cases[i].page);
      expect_accurate(&formats[f], what, c);
    }
  }
}

static void data_of_every_kind(void **state) {
  (void)state;
  for (int f = 0; f < FORMATS; f++) {
    decode_case c = case_of(&formats[f]);
    const double sigmas[] = {0.3, 3.0};
    for (int i = 0; i < 2; i++) {
      c.sigma = sigmas[i];
      c.lengths[1] =
          i ? 40 : 1; /* a single small logit of sigma 3 has a larger error than its own size allows, in FP8 */
      expect_accurate(&formats[f], i ? "sigma 3" : "sigma 0.3", c);
    }
    c.sigma = 1.0;
    c.value_mean = 1.0;
    expect_accurate(&formats[f], "values of mean 1", c);
    c.kind = data_uniform;
    expect_accurate(&formats[f], "near uniform, values of mean 1", c);
    c.value_mean = 0.0;
    c.kind = data_sink;
    c.sigma = 14;
    c.lengths[5] = 1024;
    expect_accurate(&formats[f], "sink 2^14", c);
  }
}

/* A right kernel gives the same bits whenever its asynchronous work completes. */
static void completion_orders(void **state) {
  (void)state;
  static const struct {
    int32_t heads, latent, page, sms;
    const char *variant;
  } cases[] = {{5, 512, 64, 4, NULL},
               {16, 256, 32, 2, NULL},
               {32, 512, 128, 1, NULL},
               {5, 512, 64, 2, "mla_decode:rows=64"},
               {40, 384, 16, 1, NULL}};
  for (int f = 0; f < FORMATS; f++) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      decode_case c = case_of(&formats[f]);
      c.batch = 3;
      c.lengths[0] = 500, c.lengths[1] = 64, c.lengths[2] = 129;
      c.problem.heads = cases[i].heads;
      c.problem.latent_rank = formats[f].format == SNAPMLA_KV_FP8_TILE ? 512 : cases[i].latent;
      c.problem.page_tokens = cases[i].page;
      c.sms = cases[i].sms;
      c.variant = cases[i].variant;
      if (c.variant && !has_roles(&formats[f])) continue;
      expect_same_in_any_order(c, 2);
    }
  }
}

/* A page number outside the cache, within a length: NaN for that request, a bit in the status word, others untouched. */
static void bad_page(void **state) {
  (void)state;
  for (int f = 0; f < FORMATS; f++) {
    decode_case c = case_of(&formats[f]);
    for (int32_t page = 16; page <= 64; page *= 4) {
      c.problem.page_tokens = page;
      c.bad_page_request = 5;
      for (c.sms = 1; c.sms <= 16; c.sms += 15) {
        decode_result r = decode_case_run(&c);
        c.variant = c.variant || !has_roles(&formats[f]) ? NULL : "mla_decode:rows=64";
        assert_int_equal(r.status_word, SNAPMLA_STATUS_BAD_PAGE);
        assert_true(r.rel_l2 <= formats[f].limit);
        decode_result_free(&r);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes),
      cmocka_unit_test(data_of_every_kind),
      cmocka_unit_test(completion_orders),
      cmocka_unit_test(bad_page),
  };
  return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
