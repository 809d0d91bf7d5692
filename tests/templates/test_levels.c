/* The accuracy levels above `fast` at their limits (docs/accuracy.md), on the emulator or the device that SNAPMLA_TEST_TARGET
 * names. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "env.h"
#include "fixture.h"

typedef struct level {
  snapmla_accuracy accuracy;
  double mean_zero, offset; /* of rel_l2, on values of mean 0 and 1 */
  const char *roles;        /* the variant for 64 rows; latent 512 */
} level;

/* The limit on values of mean 0 contains what rounding the output to bf16 costs, which is this much of values of all sizes; that
 * on values with an offset does not. */
static const double bf16_rounding = 1.66e-3;

static const level levels[] = {
    {SNAPMLA_ACCURACY_BALANCED, 5e-3, 1e-3, "mla_decode:rows=64"},
    {SNAPMLA_ACCURACY_MAX, 2e-3, 1e-3, "mla_decode:rows=64,stages=3"},
};

/* Requests around a tile, and a long one. */
static decode_case mixed_case(int32_t heads) {
  static const int32_t lengths[] = {0, 1, 63, 64, 65, 700};
  decode_case c = decode_case_default();
  c.problem.heads = heads;
  c.batch = sizeof lengths / sizeof *lengths;
  memcpy(c.lengths, lengths, sizeof lengths);
  return c;
}

static void expect_within(const char *name, const level *l, const decode_case *c) {
  decode_result r = decode_case_run(c);
  print_message("%-8s %-36s %3d SMs  rel_l2 %.2e  beyond bf16 %.2e  lse %.2f of its limit\n",
                snapmla_accuracy_name(l->accuracy), name, (int)c->sms, r.rel_l2, r.rel_l2_beyond, r.lse_excess);
  double mean_zero = sqrt(l->mean_zero * l->mean_zero - bf16_rounding * bf16_rounding);
  assert_true(r.rel_l2_beyond <= (c->value_mean != 0.0 ? l->offset : mean_zero));
  assert_true(r.lse_excess <= 1.0);
  assert_int_equal(r.status_word, 0);
  decode_result_free(&r);
}

/* Every level, split and whole, by the shape that the problem takes and by that for 64 rows, which has no residuals. */
static void expect_accurate(const char *name, decode_case c) {
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
    for (int roles = 0; roles < (c.problem.kv_format == SNAPMLA_KV_FP8_TOKEN_R4 ? 1 : 2); roles++) {
      for (int whole = 0; whole < (smla_env(SMLA_ENV_TEST_TARGET) ? 1 : 2); whole++) {
        char text[80];
        snprintf(text, sizeof text, "%s%s", name, roles ? ", 64 rows" : "");
        decode_case run = c;
        run.problem.accuracy = levels[i].accuracy;
        run.variant = roles ? levels[i].roles : NULL;
        if (whole) run.sms = 1;
        expect_within(text, &levels[i], &run);
      }
    }
  }
}

static void normal_logits(void **state) {
  (void)state;
  static const double sigmas[] = {0.3, 1.0, 3.0, 8.0};
  for (int i = 0; i < 4; ++i) {
    for (int offset = 0; offset < 2; ++offset) {
      char name[64];
      decode_case c = mixed_case(16);
      c.sigma = sigmas[i];
      c.seed = 10 + (uint64_t)i;
      c.value_mean = offset;
      snprintf(name, sizeof name, "sigma %.1f, values of mean %d", c.sigma, offset);
      expect_accurate(name, c);
    }
  }
}

/* The rest of the standard data; an offset is promised about for logits of sigma 1. */
static void hard_data(void **state) {
  (void)state;
  static const struct {
    const char *name;
    data_kind kind;
    double sigma, value_mean;
    int32_t length;
  } cases[] = {
      {"sink 2^10", data_sink, 10, 0, 4096},
      {"sink 2^14", data_sink, 14, 0, 4096},
      {"sink 2^17", data_sink, 17, 0, 4096},
      {"near uniform", data_uniform, 0, 0, 700},
      {"near uniform, mean 1", data_uniform, 0, 1, 700},
      {"RoPE outliers of 1000", data_outlier, 1, 0, 700},
      {"RoPE outliers of 1000, mean 1", data_outlier, 1, 1, 700},
      {"4096 tokens", data_normal, 1, 0, 4096},
      {"4096 tokens, mean 1", data_normal, 1, 1, 4096},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    decode_case c = mixed_case(8);
    c.kind = cases[i].kind;
    c.sigma = cases[i].sigma;
    c.value_mean = cases[i].value_mean;
    c.lengths[4] = cases[i].length;
    expect_accurate(cases[i].name, c);
  }
}

/* A row's largest rises by just less and just more than P of each type can hold before its reference moves, and beyond what it follows. */
static void late_peaks(void **state) {
  (void)state;
  static const int heights[] = {6, 7, 8, 12, 13, 14, 25, 26, 27, 40};
  for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
    char name[64];
    decode_case c = decode_case_default();
    c.problem.heads = 8;
    c.problem.latent_rank = 512;
    c.lengths[0] = 330;
    c.kind = data_sink;
    c.sink_at = 200;
    c.sigma = heights[i];
    snprintf(name, sizeof name, "late peak of 2^%d", heights[i]);
    expect_accurate(name, c);
    c.problem.kv_format = SNAPMLA_KV_BF16;
    c.problem.accuracy = SNAPMLA_ACCURACY_BALANCED;
    expect_within("in bf16", &levels[0], &c);
    c.variant = "mla_decode:rows=64";
    expect_within("in bf16, 64 rows", &levels[0], &c);
  }
}

/* Residuals, which the shape for few rows alone decodes: every level, ranks and pages that take each width. */
static void residuals(void **state) {
  (void)state;
  static const decode_shape cases[] = {{8, 1, 512, 64, NULL},  {16, 1, 512, 16, NULL}, {32, 1, 512, 128, NULL},
                                       {40, 2, 512, 64, NULL}, {16, 2, 256, 32, NULL}, {33, 1, 384, 64, NULL},
                                       {5, 3, 128, 128, NULL}, {50, 1, 128, 16, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char name[64];
    decode_case c = mixed_case(8);
    decode_case_reshape(&c, &cases[i]);
    c.problem.kv_format = SNAPMLA_KV_FP8_TOKEN_R4;
    c.value_mean = (double)(i % 2);
    snprintf(name, sizeof name, "r4, %d x %d, latent %d, page %d", (int)cases[i].heads, (int)cases[i].q_len,
             (int)cases[i].latent, (int)cases[i].page);
    expect_accurate(name, c);
  }
}

/* The interchange layout: balanced in bf16 by either shape, max in f16 by the one for few rows. */
static void scales_of_groups(void **state) {
  (void)state;
  static const int32_t heads[] = {8, 16, 32, 64};
  for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
      char name[64];
      decode_case c = mixed_case(heads[i]);
      c.problem.kv_format = SNAPMLA_KV_FP8_TILE;
      c.problem.latent_rank = 512;
      c.problem.page_tokens = i % 2 ? 16 : 64;
      c.problem.accuracy = levels[l].accuracy;
      c.value_mean = (double)(i / 2);
      c.lengths[4] = i == 0 ? 2500 : c.lengths[4];
      snprintf(name, sizeof name, "fp8_tile, %d heads, mean %g", (int)heads[i], c.value_mean);
      expect_within(name, &levels[l], &c);
    }
  }
}

/* Heads, query tokens, ranks and pages that take every shape and width; the default stages fit. */
static void other_dimensions(void **state) {
  (void)state;
  static const decode_shape cases[] = {
      {8, 1, 512, 64, NULL},
      {32, 1, 512, 64, NULL},
      {64, 1, 512, 64, NULL},
      {40, 2, 512, 64, NULL},
      {16, 1, 384, 16, NULL},
      {16, 2, 256, 128, NULL},
      {33, 1, 384, 32, NULL},
      {64, 1, 256, 16, NULL},
      {5, 3, 128, 64, NULL},
      {50, 1, 128, 128, NULL},
      {32, 1, 256, 32, NULL},
      {20, 1, 512, 64, "mla_decode:rows=8"},
      {32, 1, 512, 16, "mla_decode:stages=2"},
      {64, 1, 512, 32, "mla_decode:stages=2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (size_t k = 0; k < sizeof levels / sizeof *levels; k++) {
      char name[80];
      decode_case c = mixed_case(cases[i].heads);
      c.lengths[5] = 200;
      c.seed = 200 + i;
      c.problem.accuracy = levels[k].accuracy;
      decode_case_reshape(&c, &cases[i]);
      c.sms = 3;
      snprintf(name, sizeof name, "%d x %d, latent %d, page %d", cases[i].heads, cases[i].q_len, cases[i].latent,
               cases[i].page);
      expect_within(name, &levels[k], &c);
    }
  }
}

/* Near-uniform attention over 32K values of one sign, every level: the tensor cores' sums stagnate (docs/numerics.md), so that
 * the level's limit holds with promotion, and without it does not. */
static void drift_needs_promotion(void **state) {
  (void)state;
  static const level fast = {SNAPMLA_ACCURACY_FAST, 3.5e-2, 3e-3, "mla_decode:rows=64"};
  const level *all[] = {&fast, &levels[0], &levels[1]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    for (int roles = 0; roles < 2; roles++) {
      char variant[128];
      decode_case c = decode_case_default();
      c.kind = data_uniform;
      c.value_mean = 1.0;
      c.lengths[0] = c.problem.max_context = 32768;
      c.problem.heads = 2;
      c.problem.latent_rank = 128;
      c.problem.accuracy = all[i]->accuracy;
      c.sms = 1;
      c.variant = roles ? "mla_decode:rows=64" : NULL;
      expect_within(roles ? "32768 near uniform, 64 rows" : "32768 near uniform", all[i], &c);
      /* In one piece, on a GPU of many multiprocessors too: sums of short pieces do not stagnate. */
      c.problem.flags |= SNAPMLA_PROBLEM_BATCH_INVARIANT;
      snprintf(variant, sizeof variant, "mla_decode:promotion=none,limits=waived%s;schedule:pieces=1",
               roles ? ",rows=64" : "");
      c.variant = variant;
      decode_result r = decode_case_run(&c);
      print_message("%-8s not promoted: rel_l2 %.2e\n", snapmla_accuracy_name(all[i]->accuracy), r.rel_l2);
      /* Roles half of everything, a stream a third of its half of the tokens. Two terms of P are f16 in roles: those sums do not stagnate. */
      assert_true(roles && i > 0 ? r.rel_l2_beyond <= all[i]->offset : r.rel_l2 > 0.1);
      assert_true(r.lse_excess <= 1.0);
      decode_result_free(&r);
    }
  }
}

/* Every axis, in both shapes and all widths: the same bits however asynchronous work completes. */
static void completion_orders(void **state) {
  (void)state;
  static const struct {
    int32_t heads;
    snapmla_accuracy accuracy;
    const char *variant;
    snapmla_kv_format format;
  } cases[] = {
      {5, SNAPMLA_ACCURACY_BALANCED, NULL, SNAPMLA_KV_FP8_TOKEN},
      {16, SNAPMLA_ACCURACY_BALANCED, NULL, SNAPMLA_KV_FP8_TOKEN},
      {32, SNAPMLA_ACCURACY_BALANCED, NULL, SNAPMLA_KV_FP8_TOKEN},
      {40, SNAPMLA_ACCURACY_BALANCED, NULL, SNAPMLA_KV_FP8_TOKEN},
      {8, SNAPMLA_ACCURACY_MAX, NULL, SNAPMLA_KV_FP8_TOKEN},
      {16, SNAPMLA_ACCURACY_MAX, NULL, SNAPMLA_KV_FP8_TOKEN},
      {32, SNAPMLA_ACCURACY_MAX, NULL, SNAPMLA_KV_FP8_TOKEN},
      {40, SNAPMLA_ACCURACY_MAX, NULL, SNAPMLA_KV_FP8_TOKEN},
      {40, SNAPMLA_ACCURACY_MAX, "mla_decode:stages=2", SNAPMLA_KV_FP8_TOKEN},
      {32, SNAPMLA_ACCURACY_MAX, "mla_decode:stages=2", SNAPMLA_KV_FP8_TOKEN},
      {16, SNAPMLA_ACCURACY_FAST, "mla_decode:promotion=none,sums=exact,score_parts=1,limits=waived",
       SNAPMLA_KV_FP8_TOKEN},
      {40, SNAPMLA_ACCURACY_FAST, "mla_decode:promotion=none,sums=exact,score_parts=1,limits=waived",
       SNAPMLA_KV_FP8_TOKEN},
      {32, SNAPMLA_ACCURACY_BALANCED, "mla_decode:promotion=none,score_parts=4,limits=waived", SNAPMLA_KV_FP8_TOKEN},
      {64, SNAPMLA_ACCURACY_BALANCED, "mla_decode:promotion=none,score_parts=4,limits=waived", SNAPMLA_KV_FP8_TOKEN},
      {16, SNAPMLA_ACCURACY_MAX, NULL, SNAPMLA_KV_FP8_TENSOR},
      {40, SNAPMLA_ACCURACY_MAX, NULL, SNAPMLA_KV_FP8_TENSOR},
      {16, SNAPMLA_ACCURACY_BALANCED, NULL, SNAPMLA_KV_BF16},
      {40, SNAPMLA_ACCURACY_BALANCED, NULL, SNAPMLA_KV_BF16},
      {40, SNAPMLA_ACCURACY_FAST, "mla_decode:pipeline=off,stages=1", SNAPMLA_KV_FP8_TOKEN},
      {40, SNAPMLA_ACCURACY_MAX, "mla_decode:pipeline=off,stages=1", SNAPMLA_KV_FP8_TOKEN},
      {16, SNAPMLA_ACCURACY_FAST, "mla_decode:pipeline=off,stages=2", SNAPMLA_KV_FP8_TOKEN},
      {32, SNAPMLA_ACCURACY_FAST, "mla_decode:pipeline=off,stages=2", SNAPMLA_KV_BF16},
      {40, SNAPMLA_ACCURACY_FAST, "mla_decode:pipeline=off,stages=1", SNAPMLA_KV_BF16},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    decode_case c = decode_case_default();
    c.problem.heads = cases[i].heads;
    c.problem.accuracy = cases[i].accuracy;
    c.problem.latent_rank = 256;
    c.problem.kv_format = cases[i].format;
    c.variant = cases[i].variant;
    c.batch = 3;
    c.lengths[0] = 500, c.lengths[1] = 64, c.lengths[2] = 129;
    c.sms = 2;
    expect_same_in_any_order(c, 2);
  }
}

/* A level's axes may be better than it needs, and worse only where its limits are waived. */
static void levels_refuse_worse_axes(void **state) {
  (void)state;
  static const struct {
    snapmla_accuracy accuracy;
    const char *variant, *says; /* NULL: legal */
  } cases[] = {
      {SNAPMLA_ACCURACY_FAST, "mla_decode:p_terms=2", "level_p_terms"},
      {SNAPMLA_ACCURACY_FAST, "mla_decode:p_terms=2,score_parts=4,limits=waived", NULL},
      {SNAPMLA_ACCURACY_FAST, "mla_decode:score_parts=1", "level_score_parts"},
      {SNAPMLA_ACCURACY_FAST, "mla_decode:promotion=none", "level_promotion"},
      {SNAPMLA_ACCURACY_FAST, "mla_decode:query_terms=2", "level_query_terms"},
      {SNAPMLA_ACCURACY_FAST, "mla_decode:sums=exact", "level_sums"},
      {SNAPMLA_ACCURACY_BALANCED, "mla_decode:p_terms=1", "level_p_terms"},
      {SNAPMLA_ACCURACY_MAX, "mla_decode:score_parts=2", "level_score_parts"},
      {SNAPMLA_ACCURACY_MAX, "mla_decode:query_terms=1", "limits=waived"},
      {SNAPMLA_ACCURACY_MAX, "mla_decode:partial=bf16", "level_partial"},
      {SNAPMLA_ACCURACY_FAST, "mla_decode:pipeline=off", "pipeline_stages"},
      {SNAPMLA_ACCURACY_FAST, "mla_decode:rows=64,stages=1", "a_tile_ahead"},
      {SNAPMLA_ACCURACY_MAX, "mla_decode:query_terms=1,limits=waived", NULL},
      {SNAPMLA_ACCURACY_MAX, "mla_decode:rows=64,latent=512,stages=4", "ring_fits"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    decode_case c = decode_case_default();
    c.problem.accuracy = cases[i].accuracy;
    c.variant = cases[i].variant;
    expect_variant(&c, cases[i].says);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(normal_logits),
      cmocka_unit_test(hard_data),
      cmocka_unit_test(late_peaks),
      cmocka_unit_test(scales_of_groups),
      cmocka_unit_test(residuals),
      cmocka_unit_test(other_dimensions),
      cmocka_unit_test(drift_needs_promotion),
      cmocka_unit_test(completion_orders),
      cmocka_unit_test(levels_refuse_worse_axes),
  };
  return cmocka_run_group_tests_name("levels", tests, NULL, NULL);
}
