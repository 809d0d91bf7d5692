/* The up-projection that merges the pieces of cut requests itself: the bits and the lse of a step with mla_combine, in every shape and
 * whatever completes when, and the reference's values; on the emulator, or the device that SNAPMLA_TEST_TARGET names. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "env.h"
#include "layer_fixture.h"
#include "runtime/settings.h"

enum { MANY_SMS = 32, LSE_STRIDE = 35 };

typedef struct fused_case {
  int32_t rank, v, heads, q_len, batch, lengths[4], bad_request /* counted from 1 */, max_indices;
  uint32_t flags;
  snapmla_weight_type weights;
  const char *variant; /* of both steps */
} fused_case;

/* The step's result, and the lse of [batch, heads, q_len], its rows LSE_STRIDE apart. */
typedef struct outcome {
  uint16_t *out;
  uint32_t *lse;
  size_t out_bytes, lse_bytes;
} outcome;

static layer_case case_of(const fused_case *f) {
  layer_case c = {.batch = f->batch};
  memcpy(c.lengths, f->lengths, sizeof f->lengths);
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = f->heads;
  c.problem.attention.latent_rank = f->rank;
  c.problem.attention.page_tokens = 64;
  c.problem.attention.q_len = f->q_len;
  c.problem.attention.max_batch = 4;
  c.problem.attention.max_context = 4096;
  c.problem.attention.max_indices = f->max_indices;
  c.problem.attention.flags = f->flags;
  if (!f->max_indices) c.problem.attention.kv_format = SNAPMLA_KV_BF16; /* the sharper limit */
  c.problem.nope_dim = 64;
  c.problem.v_dim = f->v;
  c.problem.weight_type = f->weights;
  return c;
}

static outcome step(const fused_case *f, layer_case *c, const char *combine, snapmla_emulator_order order,
                    int compares) {
  static const float sinks[] = {2.0f, -INFINITY, 5.0f};
  char variant[256];
  snprintf(variant, sizeof variant, "value_project:combine=%s%s", combine, f->variant);
  layer_case_create(c, 90);
  if (f->flags & SNAPMLA_PROBLEM_SINKS) c->args.decode.sinks = sinks;
  layer_device d = layer_device_create_of(c, order, 7, variant, MANY_SMS);
  const char *used = snapmla_layer_plan_variant(d.plan, "value_project");
  if (!strstr(used, combine)) fail_msg("%s does not have combine=%s", used, combine);
  if (f->max_indices) layer_device_make_lists(&d);
  for (int32_t b = 0; b < c->batch; b++)
    if (c->lengths[b] > f->q_len) layer_device_append(&d, c->row_of[b], c->lengths[b] - f->q_len);
  outcome o = {.lse_bytes = (size_t)(f->batch * f->heads * LSE_STRIDE) * 4};
  o.out_bytes = (size_t)(f->batch * f->q_len) * layer_case_width(c) * 2;
  o.lse = malloc(o.lse_bytes);
  assert_non_null(o.lse);
  memset(o.lse, 0x55, o.lse_bytes);
  d.args.decode.lse = layer_device_upload(&d, o.lse, o.lse_bytes);
  d.args.decode.lse_stride_token = 1;
  d.args.decode.lse_stride_head = LSE_STRIDE;
  d.args.decode.lse_stride_batch = (int64_t)f->heads * LSE_STRIDE;
  if (f->bad_request) {
    const int32_t too_long = 5000;
    must(snapmla_buffer_write(layer_device_buffer(&d, d.args.decode.seqlens),
                              (size_t)(f->bad_request - 1) * sizeof too_long, &too_long, sizeof too_long));
  }
  o.out = layer_device_step(&d);
  must(snapmla_buffer_read(layer_device_buffer(&d, d.args.decode.lse), 0, o.lse, o.lse_bytes));
  if (compares) {
    double error = layer_device_distance(&d, SNAPMLA_LAYER_ABSORBED, o.out);
    print_message("%s: %.2e\n", used, error);
    if (!(error <= 8e-3)) fail_msg("%s is %g from the reference", used, error);
  }
  layer_device_destroy(&d);
  layer_case_destroy(c);
  return o;
}

static void run(const fused_case *f) {
  layer_case c = case_of(f);
  outcome separate = step(f, &c, "separate", SNAPMLA_EMULATOR_EAGER, 0);
  size_t row = separate.out_bytes / (size_t)(f->batch * f->q_len) / 2;
  for (int32_t t = 0; t < f->q_len && f->bad_request; t++)
    assert_true((separate.out[(size_t)((f->bad_request - 1) * f->q_len + t) * row] & 0x7fff) > 0x7f80);
  for (int order = 0; order < 3; order++) {
    c = case_of(f);
    outcome fused = step(f, &c, "fused", (snapmla_emulator_order)order, !order && !f->bad_request && !f->max_indices);
    assert_memory_equal(fused.out, separate.out, fused.out_bytes);
    assert_memory_equal(fused.lse, separate.lse, fused.lse_bytes);
    free(fused.out), free(fused.lse);
  }
  free(separate.out), free(separate.lse);
}

/* One token, whose pieces warps share; so many that mla_combine reads them in lanes, with and without warps to share them; an empty and an
 * uncut request beside. */
static void few_tokens_have_the_bits_of_a_merge_before(void **state) {
  (void)state;
  run(&(fused_case){512, 128, 2, 1, 1, {1300}, 0, 0, 0, SNAPMLA_WEIGHT_FP8_BLOCK, ""});
  run(&(fused_case){128, 128, 3, 1, 4, {2600, 0, 9, 70}, 0, 0, 0, SNAPMLA_WEIGHT_BF16, ",groups=2"});
  run(&(fused_case){512, 64, 1, 2, 1, {2400}, 0, 0, 0, SNAPMLA_WEIGHT_BF16, ",stages=2"});
}

/* Column tiles that the tokens do not fill, rows of several groups, two blocks to a head, fp32 pieces, sinks, a length that is too long. */
static void many_tokens_have_them_too(void **state) {
  (void)state;
  run(&(fused_case){256,
                    128,
                    3,
                    3,
                    4,
                    {1500, 2, 0, 300},
                    4,
                    0,
                    SNAPMLA_PROBLEM_SINKS,
                    SNAPMLA_WEIGHT_BF16,
                    ",columns=8,groups=1;mla_decode:partial=f32"});
  run(&(fused_case){128, 192, 3, 4, 4, {700, 130, 65, 640}, 0, 0, 0, SNAPMLA_WEIGHT_FP8_BLOCK, ",columns=64,stages=3"});
  run(&(fused_case){128, 64, 3, 33, 3, {700, 20, 40}, 0, 0, 0, SNAPMLA_WEIGHT_BF16, ""});
}

static void index_lists_have_them_too(void **state) {
  (void)state;
  run(&(fused_case){128, 64, 3, 2, 2, {1200, 40}, 0, 640, SNAPMLA_PROBLEM_SINKS, SNAPMLA_WEIGHT_BF16, ""});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(few_tokens_have_the_bits_of_a_merge_before),
      cmocka_unit_test(many_tokens_have_them_too),
      cmocka_unit_test(index_lists_have_them_too),
  };
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
