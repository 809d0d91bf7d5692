/* The last stage of a layer's step, values . W_O: against the reference, and alone, in every shape of its kernel; on the emulator, or the
 * device that SNAPMLA_TEST_TARGET names. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "env.h"
#include "layer_fixture.h"
#include "narrow_float.h"
#include "runtime/settings.h"

/* In bf16, whose limit is the sharper. */
static layer_case small(int32_t hidden) {
  layer_case c = {.batch = 3, .lengths = {20, 0, 9}};
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = 3;
  c.problem.attention.latent_rank = 128;
  c.problem.attention.page_tokens = 16;
  c.problem.attention.max_batch = 4;
  c.problem.attention.max_context = 64;
  c.problem.attention.kv_format = SNAPMLA_KV_BF16;
  c.problem.nope_dim = 64;
  c.problem.v_dim = 64;
  c.problem.hidden_size = hidden;
  return c;
}

static void append_prompts(layer_device *d) {
  const layer_case *c = d->host;
  for (int32_t b = 0; b < c->batch; b++) {
    int64_t count = c->lengths[b] - c->problem.attention.q_len;
    if (count > 0) layer_device_append(d, c->row_of[b], count);
  }
}

/* The step agrees with the reference, with the same bits whatever completes when. Three roundings to bf16: attended latent, value, output. */
static void run(layer_case *c, uint64_t seed, const char *variant, const char *expected_variant) {
  layer_case_create(c, seed);
  uint16_t *first = NULL;
  for (int order = 0; order < 3; order++) {
    layer_device d = layer_device_create(c, (snapmla_emulator_order)order, seed, variant);
    append_prompts(&d);
    uint16_t *out = layer_device_step(&d);
    const char *used = snapmla_layer_plan_variant(d.plan, "output_project");
    if (!strstr(used, expected_variant)) fail_msg("%s is not the variant asked for, %s", used, expected_variant);
    if (!first) {
      double error = layer_device_distance(&d, SNAPMLA_LAYER_ABSORBED, out);
      print_message("%s: %.2e\n", used, error);
      if (!(error <= 8e-3)) fail_msg("%s: the step is %g from the reference", used, error);
      first = out;
    } else {
      assert_memory_equal(out, first, (size_t)(c->batch * c->problem.attention.q_len) * layer_case_width(c) * 2);
      free(out);
    }
    layer_device_destroy(&d);
  }
  free(first);
  layer_case_destroy(c);
}

/* Tiles that are not full, a reduction that ends within a chunk, shares of one chunk, shares of unequal size, few and many tokens. */
static void agrees_in_every_shape(void **state) {
  (void)state;
  static const struct {
    int32_t hidden, heads, v, q_len;
    snapmla_weight_type weights;
    const char *variant, *used;
  } cases[] = {
      {8, 1, 64, 1, SNAPMLA_WEIGHT_BF16, NULL, "columns=8,groups=1,split=1"},
      {200, 3, 64, 1, SNAPMLA_WEIGHT_BF16, "output_project:split=2", "columns=8,groups=1,split=2"},
      {72, 3, 64, 1, SNAPMLA_WEIGHT_FP8_BLOCK, "output_project:split=2,stages=2",
       "columns=8,groups=1,split=2,stages=2"},
      {328, 5, 192, 1, SNAPMLA_WEIGHT_FP8_BLOCK, "output_project:groups=2,split=8", "groups=2,split=8"},
      {328, 5, 192, 1, SNAPMLA_WEIGHT_BF16, "output_project:groups=2,split=1,stages=3", "groups=2,split=1,stages=3"},
      {136, 3, 128, 5, SNAPMLA_WEIGHT_BF16, "output_project:split=4,stages=2", "columns=32,groups=2,split=4,stages=2"},
      {264, 2, 256, 5, SNAPMLA_WEIGHT_FP8_BLOCK, "output_project:columns=32,groups=1,split=2",
       "columns=32,groups=1,split=2"},
      {264, 3, 64, 5, SNAPMLA_WEIGHT_BF16, "output_project:columns=64,groups=2,split=2,stages=4",
       "columns=64,groups=2,split=2"},
      {136, 3, 64, 5, SNAPMLA_WEIGHT_FP8_BLOCK, "output_project:columns=128,groups=2,stages=2",
       "columns=128,groups=2,split=1"},
      {136, 4, 64, 5, SNAPMLA_WEIGHT_BF16, "output_project:columns=128,groups=2,split=4,stages=2",
       "columns=128,groups=2,split=4"},
      {136, 3, 64, 5, SNAPMLA_WEIGHT_BF16, "output_project:columns=8,groups=1,split=2", "columns=8,groups=1,split=2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    layer_case c = small(cases[i].hidden);
    c.problem.attention.heads = cases[i].heads;
    c.problem.attention.q_len = cases[i].q_len;
    c.problem.v_dim = cases[i].v;
    c.problem.weight_type = cases[i].weights;
    run(&c, 40 + i, cases[i].variant, cases[i].used);
  }
}

/* One column tile of the most tokens that it takes, and several that they do not fill. */
static void agrees_with_many_tokens(void **state) {
  (void)state;
  static const struct {
    int32_t batch;
    const char *variant, *used;
  } cases[] = {{16, NULL, "columns=128,groups=2"},
               {13, "output_project:columns=64,split=2", "columns=64,groups=2,split=2"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    layer_case c = small(72);
    c.batch = cases[i].batch;
    for (int32_t b = 0; b < c.batch; b++) c.lengths[b] = 8 + b;
    c.problem.attention.heads = 2;
    c.problem.attention.q_len = 8;
    c.problem.attention.max_batch = 16;
    run(&c, 60 + i, cases[i].variant, cases[i].used);
  }
}

/* A plan for many tokens takes the kernel for few where there are few. */
static void few_tokens_have_a_kernel_of_their_own(void **state) {
  (void)state;
  layer_case c = small(72);
  c.problem.attention.max_batch = 64;
  run(&c, 63, NULL, "columns=64");
}

/* With the unit matrix for W_O the output is the values, bit for bit: those of a plan that ends with them. Nothing is written between
 * the output's rows. */
static void the_unit_matrix_passes_the_values_on(void **state) {
  (void)state;
  enum { VALUES = 192, STRIDE = VALUES + 8 };
  for (int i = 0; i < 4; i++) {
    int is_fp8 = i & 1;
    layer_case c = small(VALUES), plain = small(0);
    c.problem.weight_type = plain.problem.weight_type = is_fp8 ? SNAPMLA_WEIGHT_FP8_BLOCK : SNAPMLA_WEIGHT_BF16;
    c.problem.attention.q_len = plain.problem.attention.q_len = 3;
    layer_case_create(&c, 70), layer_case_create(&plain, 70);
    for (int row = 0; row < VALUES; row++)
      for (int k = 0; k < VALUES; k++) {
        if (is_fp8)
          ((uint8_t *)c.o)[row * VALUES + k] = row == k ? 0x38 : 0;
        else
          ((uint16_t *)c.o)[row * VALUES + k] = row == k ? 0x3f80 : 0;
      }
    for (size_t k = 0; k < c.o_scale_count; k++)
      c.o_scale[k] = k % 3 ? 1 : 0; /* 1 on the diagonal, or a zero that scales zeros */
    if (is_fp8) c.o_scale[0] = c.o_scale[3] = 1;
    layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_RANDOM, 5, i & 2 ? "output_project:split=2" : NULL);
    layer_device e = layer_device_create(&plain, SNAPMLA_EMULATOR_RANDOM, 6, NULL);
    d.args.out_stride_token = STRIDE;
    d.args.out = layer_device_upload(&d, NULL, 9 * STRIDE * 2);
    append_prompts(&d), append_prompts(&e);
    uint16_t *out = layer_device_step(&d), *expected = layer_device_step(&e);
    int nonzero = 0;
    for (int t = 0; t < 9; t++)
      for (int k = 0; k < STRIDE; k++) {
        uint16_t want = k < VALUES ? expected[t * VALUES + k] : 0xffff;
        if (out[t * STRIDE + k] != want && (out[t * STRIDE + k] | want) != 0x8000) /* the sign of zero may be lost */
          fail_msg("token %d, channel %d is %04x, the value %04x", t, k, out[t * STRIDE + k], want);
        nonzero += k < VALUES && (want & 0x7fff);
      }
    assert_true(nonzero > 2 * VALUES); /* two of three requests are not empty */
    free(out), free(expected);
    layer_device_destroy(&d), layer_device_destroy(&e);
    layer_case_destroy(&c), layer_case_destroy(&plain);
  }
}

/* A rank with some of a model's heads takes its columns of the whole W_O by the stride: the same bits as of a copy of them. */
static void a_rank_takes_its_columns_of_the_whole_matrix(void **state) {
  (void)state;
  enum { HIDDEN = 72, VALUES = 192, WHOLE = 2 * VALUES };
  layer_case c = small(HIDDEN);
  layer_case_create(&c, 75);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_LATE, 0, NULL);
  append_prompts(&d);
  uint16_t *expected = layer_device_step(&d), *whole = malloc(HIDDEN * WHOLE * 2);
  assert_non_null(whole);
  memset(whole, 0xff, HIDDEN * WHOLE * 2); /* NaN */
  for (int row = 0; row < HIDDEN; row++)
    memcpy(whole + row * WHOLE + VALUES, (uint16_t *)c.o + row * VALUES, VALUES * 2);
  d.weights.o = (uint16_t *)layer_device_upload(&d, whole, HIDDEN * WHOLE * 2) + VALUES;
  d.weights.o_stride = WHOLE;
  uint16_t *out = layer_device_step(&d);
  assert_memory_equal(out, expected, 3 * HIDDEN * 2);
  free(out), free(expected), free(whole);
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

#define REFUSED(change, word)                                                            \
  do {                                                                                   \
    snapmla_layer_args kept = d.args;                                                    \
    snapmla_layer_weights kept_weights = d.weights;                                      \
    change;                                                                              \
    assert_int_equal(snapmla_layer_step(d.plan, &d.args), SNAPMLA_INVALID_ARGUMENT);     \
    if (!strstr(snapmla_error_message(), word)) fail_msg("%s", snapmla_error_message()); \
    d.args = kept;                                                                       \
    d.weights = kept_weights;                                                            \
  } while (0)

static void bad_arguments_are_told(void **state) {
  (void)state;
  layer_case c = small(72);
  c.problem.weight_type = SNAPMLA_WEIGHT_FP8_BLOCK;
  layer_case_create(&c, 80);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
  append_prompts(&d);
  d.args.weights = &d.weights;
  must(snapmla_layer_schedule(d.plan, &d.args));
  REFUSED(d.weights.o = NULL, "weights.o is NULL");
  REFUSED(d.weights.o = (const char *)d.weights.o + 8, "weights.o is ");
  REFUSED(d.weights.o_stride = 176, "weights.o_stride is 176");
  REFUSED(d.weights.o_stride = 200, "weights.o_stride is 200");
  REFUSED(d.weights.o_scale = NULL, "weights.o_scale is NULL");
  REFUSED(d.weights.o_scale_stride = 1, "weights.o_scale_stride is 1");
  REFUSED(d.args.out_stride_token = 64, "out_stride_token is 64");
  REFUSED(d.args.decode.workspace_bytes--, "workspace_bytes");
  d.args.out_stride_head = 0; /* nobody asks */
  must(snapmla_layer_step(d.plan, &d.args));
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

static void refuse_plan(snapmla_context *context, const snapmla_layer_problem *problem, const char *variant,
                        snapmla_status expected, const char *word) {
  const snapmla_plan_options options = {.size = sizeof options, .variant = variant};
  snapmla_layer_plan *plan = NULL;
  assert_int_equal(snapmla_layer_plan_create(context, problem, &options, &plan), expected);
  if (!strstr(snapmla_error_message(), word)) fail_msg("%s", snapmla_error_message());
  assert_null(plan);
}

static void bad_plans_are_told(void **state) {
  (void)state;
  snapmla_context *context;
  const char *device = smla_env(SMLA_ENV_TEST_TARGET);
  const snapmla_context_options options = {.size = sizeof options, .device = device ? device : "emulator"};
  must(snapmla_context_create(&options, &context));
  layer_case c = small(72);
  refuse_plan(context, &c.problem, "output_project:split=4", SNAPMLA_ILLEGAL_VARIANT, "4 blocks share 3 chunks");
  refuse_plan(context, &c.problem, "output_project:stages=16,columns=128,groups=2", SNAPMLA_ILLEGAL_VARIANT,
              "shared memory");
  refuse_plan(context, &c.problem, "output_project:weights=fp8", SNAPMLA_INVALID_ARGUMENT, "weights is fp8");
  c.problem.hidden_size = 0;
  refuse_plan(context, &c.problem, "output_project:split=2", SNAPMLA_INVALID_ARGUMENT, "output_project");
  snapmla_layer_plan *plan;
  must(snapmla_layer_plan_create(context, &c.problem, NULL, &plan));
  assert_null(snapmla_layer_plan_variant(plan, "output_project"));
  snapmla_layer_plan_destroy(plan);
  c.problem.hidden_size = 100;
  refuse_plan(context, &c.problem, NULL, SNAPMLA_UNSUPPORTED, "hidden_size is 100");
  snapmla_context_destroy(context);
}

/* As many blocks as fill three quarters of the multiprocessors, where the reduction can be shared so often; two with few tokens, where
 * they fit at once. Of the emulator alone, which has as many as one likes. */
static void the_reduction_is_shared_as_the_device_needs_it(void **state) {
  (void)state;
  if (smla_env(SMLA_ENV_TEST_TARGET)) return;
  static const struct {
    int32_t hidden, heads, sms, batch;
    const char *split;
  } cases[] = {{7168, 16, 132, 4, "split=2"},  {7168, 16, 132, 16, "split=1"}, {7168, 16, 96, 4, "split=1"},
               {5120, 16, 132, 16, "split=2"}, {2048, 16, 132, 4, "split=4"},  {512, 16, 132, 4, "split=8"},
               {512, 2, 132, 4, "split=1"},    {512, 16, 8, 4, "split=2"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snapmla_context *context;
    const snapmla_context_options options = {
        .size = sizeof options, .device = "emulator", .emulator_sms = cases[i].sms};
    must(snapmla_context_create(&options, &context));
    layer_case c = small(cases[i].hidden);
    c.problem.attention.heads = cases[i].heads;
    c.problem.attention.max_batch = cases[i].batch;
    c.problem.v_dim = 128;
    snapmla_layer_plan *plan;
    must(snapmla_layer_plan_create(context, &c.problem, NULL, &plan));
    const char *variant = snapmla_layer_plan_variant(plan, "output_project");
    if (!strstr(variant, cases[i].split)) fail_msg("%s has not %s", variant, cases[i].split);
    snapmla_layer_plan_destroy(plan);
    snapmla_context_destroy(context);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_in_every_shape),
      cmocka_unit_test(agrees_with_many_tokens),
      cmocka_unit_test(few_tokens_have_a_kernel_of_their_own),
      cmocka_unit_test(the_unit_matrix_passes_the_values_on),
      cmocka_unit_test(a_rank_takes_its_columns_of_the_whole_matrix),
      cmocka_unit_test(bad_arguments_are_told),
      cmocka_unit_test(bad_plans_are_told),
      cmocka_unit_test(the_reduction_is_shared_as_the_device_needs_it),
  };
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
