/* W_O by cuBLASLt: when it is there, when it is not, and when it fails. On the fakes. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include <snapmla/pack.h>
#include <snapmla/pack_make.h>
#include "fake_cublaslt.h"
#include "fake_cuda.h"

#include "layer_fixture.h"
#include "runtime/settings.h"

enum { NOT_SUPPORTED = 15, EXECUTION_FAILED = 13, HIDDEN = 136, VALUES = 192 };

static layer_case small(void) {
  layer_case c = {.batch = 3, .lengths = {20, 7, 9}};
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = 3;
  c.problem.attention.latent_rank = 128;
  c.problem.attention.page_tokens = 16;
  c.problem.attention.q_len = 4;
  c.problem.attention.max_batch = 5;
  c.problem.attention.max_context = 64;
  c.problem.attention.kv_format = SNAPMLA_KV_BF16;
  c.problem.nope_dim = 64;
  c.problem.v_dim = 64;
  c.problem.hidden_size = HIDDEN;
  c.problem.flags = SNAPMLA_LAYER_CUBLASLT;
  return c;
}

static void append_prompts(layer_device *d) {
  const layer_case *c = d->host;
  for (int32_t b = 0; b < c->batch; b++)
    layer_device_append(d, c->row_of[b], c->lengths[b] - c->problem.attention.q_len);
}

static void check_step(const layer_device *d, const uint16_t *out) {
  double error = layer_device_distance(d, SNAPMLA_LAYER_ABSORBED, out);
  if (!(error <= 8e-3)) fail_msg("the step is %g from the reference", error);
}

/* Launches of the generated kernel since the last reset. */
static int kernel_launches(void) {
  int count = 0;
  for (size_t i = 0; i < fake_cuda_launch_count(); i++)
    count += !strcmp(fake_cuda_launch_at(i)->name, "snapmla_output_project");
  return count;
}

/* A step of a plan that may have the library, right in any case: by how many products and kernels. */
static void step(layer_case *c, int products, int kernels) {
  layer_case_create(c, 5);
  layer_device d = layer_device_create(c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
  append_prompts(&d);
  fake_cuda_reset();
  int before = fake_cublaslt_count();
  uint16_t *out = layer_device_step(&d);
  check_step(&d, out);
  assert_int_equal(fake_cublaslt_count() - before, products);
  assert_int_equal(kernel_launches(), kernels);
  free(out);
  layer_device_destroy(&d);
  layer_case_destroy(c);
  assert_int_equal(fake_cublaslt_living(), 0);
}

/* Before any other test: once open, the library stays. */
static void without_a_library_the_kernel_serves(void **state) {
  (void)state;
  static const char *const names[] = {NULL, "no/such/libcublasLt.so", "libm.so.6"};
  for (int i = 0; i < 3; i++) { /* a stand-in driver gets a stand-in library or none */
    if (names[i])
      assert_int_equal(setenv("SNAPMLA_CUBLASLT", names[i], 1), 0);
    else
      assert_int_equal(unsetenv("SNAPMLA_CUBLASLT"), 0);
    layer_case c = small();
    layer_case_create(&c, 5);
    layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
    assert_null(snapmla_layer_plan_library(d.plan));
    layer_device_destroy(&d);
    layer_case_destroy(&c);
  }
  layer_case c = small();
  step(&c, 0, 1);
}

static void the_library_multiplies(void **state) {
  (void)state;
  assert_int_equal(fake_cublaslt_use(), 0);
  layer_case c = small();
  layer_case_create(&c, 5);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
  const char *library = snapmla_layer_plan_library(d.plan);
  assert_non_null(library);
  assert_int_equal(strncmp(library, "cuBLASLt 13.0.2, /", 18), 0);
  append_prompts(&d);
  fake_cuda_reset();
  fake_cublaslt_reset();
  uint16_t *out = layer_device_step(&d);
  check_step(&d, out);
  free(out);
  assert_int_equal(fake_cublaslt_count(), 1);
  assert_int_equal(kernel_launches(), 0);
  assert_int_equal(fake_cuda_launch_count(), 6); /* schedule to up-projection */
  fake_cublaslt_product p = fake_cublaslt_last();
  assert_int_equal(p.rows, HIDDEN);
  assert_int_equal(p.k, VALUES);
  assert_int_equal(p.tokens, 12);
  assert_int_equal(p.chosen_for, 16); /* what was chosen for up to 16 tokens */
  assert_int_equal(p.w_stride, VALUES);
  assert_int_equal(p.out_stride, HIDDEN);
  assert_ptr_equal(p.stream, d.args.decode.stream);
  const char *workspace = d.args.decode.workspace, *end = workspace + d.args.decode.workspace_bytes;
  assert_true((const char *)p.workspace >= workspace && (const char *)p.workspace + FAKE_CUBLASLT_WORKSPACE <= end);
  assert_int_equal(fake_cuda_calls("cuMemAlloc_v2") + fake_cuda_calls("cuStreamSynchronize"), 0);

  d.args.decode.batch = 1;
  must(snapmla_layer_step(d.plan, &d.args));
  assert_int_equal(fake_cublaslt_last().tokens, 4);
  assert_int_equal(fake_cublaslt_last().chosen_for, 4);
  layer_device_destroy(&d);
  layer_case_destroy(&c);
  assert_int_equal(fake_cublaslt_living(), 0);

  /* The last class is cut at the plan's most tokens. */
  c = small();
  c.batch = 5;
  c.lengths[3] = c.lengths[4] = 6;
  step(&c, 1, 0);
  assert_int_equal(fake_cublaslt_last().tokens, 20);
  assert_int_equal(fake_cublaslt_last().chosen_for, 20);
}

/* A pack has the kernel; whether the library multiplies is said when the plan is made of it. */
static void a_plan_of_a_pack_has_the_library(void **state) {
  (void)state;
  static const snapmla_target targets[] = {SNAPMLA_TARGET_EMULATOR};
  const snapmla_pack_make_options make_options = {.size = sizeof make_options, .targets = targets, .target_count = 1};
  const snapmla_pack_options open_options = {.size = sizeof open_options, .allow_host_code = 1};
  void *data;
  size_t bytes;
  snapmla_pack *pack;
  layer_case plain = small();
  plain.problem.flags = 0;
  const snapmla_pack_request request = {.size = sizeof request, .layer = &plain.problem};
  must(snapmla_pack_make(&make_options, &request, 1, &data, &bytes));
  must(snapmla_pack_open_memory(data, bytes, &open_options, &pack));
  for (int asks = 0; asks < 2; asks++) {
    layer_case c = small();
    c.problem.flags = asks ? SNAPMLA_LAYER_CUBLASLT : 0;
    layer_case_create(&c, 5);
    layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
    size_t workspace = snapmla_layer_plan_workspace_bytes(d.plan);
    snapmla_layer_plan_destroy(d.plan);
    must(snapmla_layer_plan_create_from_pack(d.context, pack, &c.problem, &d.plan));
    assert_int_equal(snapmla_layer_plan_workspace_bytes(d.plan), workspace);
    assert_int_equal(snapmla_layer_plan_library(d.plan) != NULL, asks);
    append_prompts(&d);
    fake_cuda_reset();
    int before = fake_cublaslt_count();
    uint16_t *out = layer_device_step(&d);
    check_step(&d, out);
    assert_int_equal(fake_cublaslt_count() - before, asks);
    assert_int_equal(kernel_launches(), !asks);
    free(out);
    layer_device_destroy(&d);
    layer_case_destroy(&c);
  }
  snapmla_pack_close(pack);
  snapmla_pack_data_free(data);
  assert_int_equal(fake_cublaslt_living(), 0);
}

static void who_does_not_ask_gets_the_kernel(void **state) {
  (void)state;
  layer_case c = small();
  c.problem.flags = 0;
  step(&c, 0, 1);
  c = small();
  c.problem.weight_type = SNAPMLA_WEIGHT_FP8_BLOCK; /* of which it has no product */
  step(&c, 0, 1);
  c = small();
  c.problem.hidden_size = 0;
  layer_case_create(&c, 5);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
  assert_null(snapmla_layer_plan_library(d.plan));
  layer_device_destroy(&d);
  layer_case_destroy(&c);
  assert_int_equal(setenv("SNAPMLA_TEST_TARGET", "emulator", 1), 0);
  c = small();
  step(&c, 0, 0); /* nothing goes by way of libcuda there */
  assert_int_equal(setenv("SNAPMLA_TEST_TARGET", "cuda:0", 1), 0);
}

/* What it cannot start or has no way for is the kernel's, and nothing is left over. */
static void a_library_that_cannot_leaves_it_to_the_kernel(void **state) {
  (void)state;
  static const char *const calls[] = {"cublasLtCreate", "cublasLtMatmulDescCreate", "cublasLtMatmulDescSetAttribute",
                                      "cublasLtMatmulPreferenceCreate", "cublasLtMatmulAlgoGetHeuristic"};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    fake_cublaslt_fail(calls[i], EXECUTION_FAILED);
    layer_case c = small();
    step(&c, 0, 1);
  }
  fake_cublaslt_fail("cublasLtMatmul", NOT_SUPPORTED);
  layer_case c = small();
  step(&c, 0, 1);
  fake_cublaslt_reset();
}

static void a_product_that_fails_is_told(void **state) {
  (void)state;
  layer_case c = small();
  layer_case_create(&c, 5);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
  append_prompts(&d);
  d.args.weights = &d.weights;
  must(snapmla_layer_schedule(d.plan, &d.args));
  fake_cublaslt_fail("cublasLtMatmul", EXECUTION_FAILED);
  assert_int_equal(snapmla_layer_step(d.plan, &d.args), SNAPMLA_DEVICE);
  assert_non_null(strstr(snapmla_error_message(), "cublasLtMatmul says CUBLAS_STATUS_OF_THE_FAKE"));
  fake_cublaslt_reset();
  must(snapmla_layer_step(d.plan, &d.args));
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

static int setup(void **state) {
  return fake_cuda_use() || setenv("SNAPMLA_CUDA_TARGET", "emulator", 1) ||
         setenv("SNAPMLA_TEST_TARGET", "cuda:0", 1) || settings_setup(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_a_library_the_kernel_serves),
      cmocka_unit_test(the_library_multiplies),
      cmocka_unit_test(a_plan_of_a_pack_has_the_library),
      cmocka_unit_test(who_does_not_ask_gets_the_kernel),
      cmocka_unit_test(a_library_that_cannot_leaves_it_to_the_kernel),
      cmocka_unit_test(a_product_that_fails_is_told),
  };
  return cmocka_run_group_tests(tests, setup, settings_teardown);
}
