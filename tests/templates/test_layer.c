/* The layer's step against its reference: append, absorb, attend, up-project, in every form of its problem. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "layer_fixture.h"
#include "narrow_float.h"
#include "runtime/settings.h"

static layer_case small(int32_t rank) {
  layer_case c = {.batch = 3, .lengths = {70, 0, 9}};
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = 3;
  c.problem.attention.latent_rank = rank;
  c.problem.attention.page_tokens = 16;
  c.problem.attention.max_batch = 4;
  c.problem.attention.max_context = 256;
  return c;
}

/* All but what the step appends. */
static void append_prompts(layer_device *d) {
  const layer_case *c = d->host;
  for (int32_t b = 0; b < c->batch; b++) {
    int64_t count = c->lengths[b] - c->problem.attention.q_len;
    if (count > 0) layer_device_append(d, c->row_of[b], count);
  }
}

/* What append wrote is what the reference says, but for the format's rounding and one bf16 rounding before it. */
static void check_rows(const layer_device *d) {
  static const double step[] = {[SNAPMLA_KV_FP8_TOKEN] = 1.0 / 16,
                                [SNAPMLA_KV_BF16] = 1.0 / 256,
                                [SNAPMLA_KV_FP8_TENSOR] = 1.0 / 16,
                                [SNAPMLA_KV_FP8_TILE] = 1.0 / 16,
                                [SNAPMLA_KV_FP8_TOKEN_R4] = 1.0 / 256};
  const layer_case *c = d->host;
  size_t rank = (size_t)c->problem.attention.latent_rank, dim = (size_t)c->problem.attention.rope_dim;
  double limit = step[c->problem.attention.kv_format];
  float *latent, *rope, *exact_latent, *exact_rope;
  layer_device_cached(d, &latent, &rope);
  layer_case_rows(c, &exact_latent, &exact_rope);
  for (size_t i = 0; i < (size_t)c->tokens * rank; i++)
    if (!(fabs((double)latent[i] - (double)exact_latent[i]) <= limit * fabs((double)exact_latent[i]) * 1.07 + 1e-3))
      fail_msg("latent %zu is %g, the reference's %g", i, (double)latent[i], (double)exact_latent[i]);
  double rope_limit = c->problem.attention.kv_format == SNAPMLA_KV_FP8_TENSOR ? limit : 1.0 / 128;
  for (size_t i = 0; i < (size_t)c->tokens * dim; i++)
    if (!(fabs((double)rope[i] - (double)exact_rope[i]) <= rope_limit * fabs((double)exact_rope[i]) * 1.07 + 1e-3))
      fail_msg("rope %zu is %g, the reference's %g", i, (double)rope[i], (double)exact_rope[i]);
  free(latent), free(rope), free(exact_latent), free(exact_rope);
}

/* The level's 3.5e-2 is against the quantised query; here the query's own rounding is in it too. */
static double limit_of(snapmla_kv_format format) { return format == SNAPMLA_KV_BF16 ? 8e-3 : 6e-2; }

static void run(layer_case *c, uint64_t seed, const char *variant) {
  static const float sinks[] = {2.0f, -INFINITY, 5.0f};
  layer_case_create(c, seed);
  if (c->problem.attention.flags & SNAPMLA_PROBLEM_SINKS) c->args.decode.sinks = sinks;
  uint16_t *first = NULL;
  for (int order = 0; order < 3; order++) {
    layer_device d = layer_device_create(c, (snapmla_emulator_order)order, seed, variant);
    append_prompts(&d);
    uint16_t *out = layer_device_step(&d);
    size_t request = (size_t)(c->problem.attention.q_len * d.args.out_stride_token);
    if (!first) {
      check_rows(&d);
      double error = layer_device_distance(&d, SNAPMLA_LAYER_ABSORBED, out);
      print_message("%s: %.2e\n", snapmla_layer_plan_variant(d.plan, "query_absorb"), error);
      if (!(error <= limit_of(c->problem.attention.kv_format))) fail_msg("the step is %g from the reference", error);
      first = out;
    } else {
      assert_memory_equal(out, first, (size_t)c->batch * request * 2); /* the same bits in every order */
      free(out);
    }
    layer_device_destroy(&d);
  }
  free(first);
  layer_case_destroy(c);
}

static void agrees_in_every_format(void **state) {
  (void)state;
  for (int format = SNAPMLA_KV_FP8_TOKEN; format <= SNAPMLA_KV_FP8_TENSOR; format++) {
    layer_case c = small(128);
    c.problem.attention.kv_format = (snapmla_kv_format)format;
    run(&c, 3 + (uint64_t)format, NULL);
  }
  layer_case c = small(512);
  c.problem.attention.kv_format = SNAPMLA_KV_FP8_TILE;
  run(&c, 6, NULL);
}

static void agrees_with_sinks(void **state) {
  (void)state;
  layer_case c = small(128);
  c.problem.attention.flags = SNAPMLA_PROBLEM_SINKS;
  run(&c, 21, NULL);
}

static void agrees_with_deepseeks_shape(void **state) {
  (void)state;
  layer_case c = small(512);
  c.problem.attention.heads = 2;
  run(&c, 11, NULL);
}

static void agrees_with_fp8_weights(void **state) {
  (void)state;
  layer_case c = small(512);
  c.problem.attention.heads = 2;
  c.problem.weight_type = SNAPMLA_WEIGHT_FP8_BLOCK;
  c.problem.attention.kv_format = SNAPMLA_KV_BF16; /* the sharper limit */
  run(&c, 12, NULL);
}

/* Heads of 192 and 256 (GLM-5): blocks of weights straddle heads, the ring goes round, and two blocks share a head's values. */
static void agrees_with_other_head_dims(void **state) {
  (void)state;
  layer_case c = small(256);
  c.problem.nope_dim = 192;
  c.problem.v_dim = 256;
  c.problem.weight_type = SNAPMLA_WEIGHT_FP8_BLOCK;
  c.problem.rope_pairs = SNAPMLA_ROPE_HALF;
  c.problem.attention.kv_format = SNAPMLA_KV_BF16;
  run(&c, 13, "value_project:groups=2");
  c = small(384);
  c.problem.nope_dim = 256;
  c.problem.v_dim = 64;
  c.problem.rope_pairs = SNAPMLA_ROPE_HALF;
  run(&c, 14, NULL);
}

/* Several query tokens a request, column tiles that the tokens do not fill, and records whose last group of rows is not full. */
static void agrees_with_many_tokens(void **state) {
  (void)state;
  layer_case c = small(128);
  c.batch = 4;
  c.lengths[3] = 33;
  c.problem.attention.q_len = 3;
  run(&c, 15, "query_absorb:columns=8;value_project:columns=8,groups=1");
  c = small(128);
  c.problem.attention.q_len = 33; /* more than some requests have tokens; two groups of rows */
  run(&c, 16, NULL);
}

/* Column tiles of every width, filled in part; a plan for many tokens has kernels for few besides. */
static void agrees_in_every_width(void **state) {
  (void)state;
  static const char *const widths[] = {"query_absorb:columns=16;value_project:columns=16",
                                       "query_absorb:columns=32;value_project:columns=32,groups=2",
                                       "query_absorb:columns=64,stages=3;value_project:columns=64", NULL};
  for (int i = 0; i < 4; i++) {
    layer_case c = small(i == 1 ? 512 : 256);
    c.batch = i == 3 ? 3 : 4;
    c.lengths[3] = 20;
    c.problem.attention.heads = 2;
    c.problem.attention.q_len = i == 3 ? 1 : 5;
    c.problem.attention.max_batch = 16;
    c.problem.attention.kv_format = SNAPMLA_KV_BF16;
    c.problem.weight_type = i & 1 ? SNAPMLA_WEIGHT_FP8_BLOCK : SNAPMLA_WEIGHT_BF16;
    run(&c, 20 + (uint64_t)i, widths[i]);
  }
}

/* RoPE of every width turned both ways, by append and by absorb; without any there is nothing to turn. */
static void agrees_with_other_ropes(void **state) {
  (void)state;
  static const int32_t ropes[] = {32, 128, 32, 128, 0};
  for (int i = 0; i < 5; i++) {
    layer_case c = small(128);
    c.problem.attention.rope_dim = ropes[i];
    c.problem.attention.kv_format = i == 3 ? SNAPMLA_KV_FP8_TENSOR : SNAPMLA_KV_FP8_TOKEN;
    c.problem.rope_pairs = i < 2 ? SNAPMLA_ROPE_HALF : SNAPMLA_ROPE_INTERLEAVED;
    c.problem.flags = ropes[i] ? 0 : SNAPMLA_LAYER_ROTATED;
    run(&c, 40 + (uint64_t)i, NULL);
  }
}

static void passes_over_what_is_done_already(void **state) {
  (void)state;
  for (uint32_t flags = 1; flags <= (SNAPMLA_LAYER_NORMED | SNAPMLA_LAYER_ROTATED); flags++) {
    layer_case c = small(128);
    c.problem.flags = flags;
    run(&c, 16 + flags, NULL);
  }
}

/* The plain decode call of a step whose absorbed query is its query. */
static uint16_t *decode_alone(layer_device *d, size_t bytes) {
  const snapmla_problem *p = &d->host->problem.attention;
  snapmla_decode_args plain = d->args.decode;
  plain.q_nope = d->args.q;
  plain.q_rope = (const uint16_t *)d->args.q + p->latent_rank;
  plain.q_nope_stride_head = plain.q_rope_stride_head = d->args.q_stride_head;
  plain.q_nope_stride_token = plain.q_rope_stride_token = d->args.q_stride_token;
  plain.q_nope_stride_batch = plain.q_rope_stride_batch = p->q_len * d->args.q_stride_token;
  plain.out = layer_device_upload(d, NULL, bytes);
  plain.out_stride_head = p->latent_rank;
  plain.out_stride_token = plain.out_stride_head * p->heads;
  plain.out_stride_batch = plain.out_stride_token * p->q_len;
  must(snapmla_plan_decode(snapmla_layer_plan_attention(d->plan), &plain));
  uint16_t *out = malloc(bytes);
  assert_non_null(out);
  must(snapmla_buffer_read(layer_device_buffer(d, plain.out), 0, out, bytes));
  return out;
}

/* Up-projections that change nothing: the step is the attention's own decode call, bit for bit, so the query's image is what query_quant
 * makes of it; in every format, and with index lists. */
static void identity_weights_change_nothing(void **state) {
  (void)state;
  enum { RANK = 128, HEADS = 3, HEAD_ROWS = 2 * RANK };
  for (int i = 0; i < 4; i++) {
    int sparse = i == 3;
    layer_case c = small(RANK);
    c.problem.attention.kv_format = sparse ? SNAPMLA_KV_FP8_TOKEN : (snapmla_kv_format)i;
    c.problem.attention.q_len = 2;
    c.problem.attention.max_indices = sparse ? 40 : 0;
    c.problem.flags = SNAPMLA_LAYER_NORMED | SNAPMLA_LAYER_ROTATED;
    layer_case_create(&c, 30);
    uint16_t *w = c.kv_b;
    for (int row = 0; row < HEADS * HEAD_ROWS; row++)
      for (int k = 0; k < RANK; k++) w[row * RANK + k] = row % RANK == k ? 0x3f80 : 0;
    layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_RANDOM, 3, NULL);
    if (sparse) layer_device_make_lists(&d);
    append_prompts(&d);
    uint16_t *out = layer_device_step(&d);
    size_t bytes = (size_t)(c.batch * 2) * (size_t)d.args.out_stride_token * 2, different = 0;
    uint16_t *expected = decode_alone(&d, bytes);
    for (size_t k = 0; k < bytes / 2; k++) {
      if (out[k] != expected[k] &&
          (out[k] | expected[k]) != 0x8000) /* a product with zeros may lose the sign of zero */
        fail_msg("element %zu is %04x, the decode call's %04x", k, out[k], expected[k]);
      different += (out[k] & 0x7fff) != 0;
    }
    assert_true(different > bytes / 4); /* two of three requests are not empty */
    free(out), free(expected);
    layer_device_destroy(&d);
    layer_case_destroy(&c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_in_every_format),          cmocka_unit_test(agrees_with_sinks),
      cmocka_unit_test(agrees_with_deepseeks_shape),     cmocka_unit_test(agrees_with_fp8_weights),
      cmocka_unit_test(agrees_with_other_head_dims),     cmocka_unit_test(agrees_with_many_tokens),
      cmocka_unit_test(agrees_in_every_width),           cmocka_unit_test(passes_over_what_is_done_already),
      cmocka_unit_test(identity_weights_change_nothing), cmocka_unit_test(agrees_with_other_ropes),
  };
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
