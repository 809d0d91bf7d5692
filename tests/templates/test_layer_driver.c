/* A layer's step by way of libcuda, on the fake: what it launches, and that it does nothing else, so that a graph can hold it. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "fake_cuda.h"
#include "layer_fixture.h"
#include "runtime/settings.h"

static layer_case small(void) {
  layer_case c = {.batch = 2, .lengths = {20, 5}};
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = 3;
  c.problem.attention.latent_rank = 128;
  c.problem.attention.page_tokens = 16;
  c.problem.attention.q_len = 5; /* ten tokens: more than few */
  c.problem.attention.max_batch = 4;
  c.problem.attention.max_context = 64;
  c.problem.nope_dim = 64;
  c.problem.v_dim = 192;
  return c;
}

static void launches_dependents_and_nothing_else(void **state) {
  (void)state;
  fake_cuda_reset();
  layer_case c = small();
  layer_case_create(&c, 1);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, "value_project:combine=separate");
  layer_device_append(&d, 0, c.tokens);
  d.args.weights = &d.weights;
  fake_cuda_living before = fake_cuda_alive();
  fake_cuda_reset();
  must(snapmla_layer_schedule(d.plan, &d.args));
  must(snapmla_layer_step(d.plan, &d.args));
  static const struct {
    const char *name;
    unsigned x, y;
    int programmatic;
    /* Of mla_combine three blocks fit a multiprocessor, of which there are 4. */
  } expected[] = {{"snapmla_schedule", 1, 1, 0},     {"snapmla_kv_append", 2, 1, 1},
                  {"snapmla_query_absorb", 3, 1, 1}, {"snapmla_mla_decode", 4, 1, 1},
                  {"snapmla_mla_combine", 12, 1, 1}, {"snapmla_value_project", 9, 1, 1}};
  size_t count = sizeof expected / sizeof *expected;
  assert_int_equal(fake_cuda_launch_count(), count);
  for (size_t i = 0; i < count; i++) {
    const fake_cuda_launch *l = fake_cuda_launch_at(i);
    assert_string_equal(l->name, expected[i].name);
    assert_int_equal(l->grid[0], expected[i].x);
    assert_int_equal(l->grid[1], expected[i].y);
    assert_int_equal(l->programmatic, expected[i].programmatic);
    assert_ptr_equal(l->stream, d.args.decode.stream);
  }
  static const char *const others[] = {"cuMemAlloc_v2",   "cuMemFree_v2",    "cuModuleLoadData", "cuStreamSynchronize",
                                       "cuMemcpyHtoD_v2", "cuMemcpyDtoH_v2", "cuStreamCreate",   "cuEventRecord"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_int_equal(fake_cuda_calls(others[i]), 0);
  fake_cuda_living after = fake_cuda_alive();
  assert_memory_equal(&before, &after, sizeof before);

  /* Few tokens take other kernels of the same families: their blocks have fewer columns, so less shared memory. */
  unsigned many = fake_cuda_launch_at(2)->shared_bytes;
  d.args.decode.batch = 1;
  must(snapmla_layer_step(d.plan, &d.args));
  assert_int_equal(fake_cuda_launch_count(), count + 5);
  assert_string_equal(fake_cuda_launch_at(count + 1)->name, "snapmla_query_absorb");
  assert_true(fake_cuda_launch_at(count + 1)->shared_bytes < many);

  /* Cached already: no append. Nothing to do, or a bad argument: no launch. */
  d.args.slot_mapping = NULL;
  must(snapmla_layer_step(d.plan, &d.args));
  assert_string_equal(fake_cuda_launch_at(count + 5)->name, "snapmla_query_absorb");
  size_t all = fake_cuda_launch_count();
  d.args.decode.batch = 0;
  must(snapmla_layer_step(d.plan, &d.args));
  d.args.decode.batch = 1;
  d.args.out = NULL;
  assert_int_equal(snapmla_layer_step(d.plan, &d.args), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(fake_cuda_launch_count(), all);
  layer_device_destroy(&d);
  layer_case_destroy(&c);
  after = fake_cuda_alive();
  assert_int_equal(after.allocations + after.modules + after.streams + after.contexts, 0);
}

/* An up-projection that merges the pieces itself follows the decode kernel, in its own grid. */
static void a_fused_merge_is_one_launch_less(void **state) {
  (void)state;
  fake_cuda_reset();
  layer_case c = small();
  layer_case_create(&c, 1);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, "value_project:combine=fused");
  layer_device_append(&d, 0, c.tokens);
  d.args.weights = &d.weights;
  must(snapmla_layer_schedule(d.plan, &d.args));
  for (int few = 0; few < 2; few++) {
    fake_cuda_reset();
    d.args.decode.batch = few ? 1 : 2;
    must(snapmla_layer_step(d.plan, &d.args));
    assert_int_equal(fake_cuda_launch_count(), 4);
    assert_string_equal(fake_cuda_launch_at(2)->name, "snapmla_mla_decode");
    const fake_cuda_launch *l = fake_cuda_launch_at(3);
    assert_string_equal(l->name, "snapmla_value_project");
    assert_int_equal(l->grid[0], 9);
    assert_true(l->programmatic);
  }
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

/* With W_O the product with it comes last; its kernels for few tokens and for many are two more, and blocks that share a tile a cluster. */
static void the_output_is_one_launch_more(void **state) {
  (void)state;
  fake_cuda_reset();
  layer_case c = small();
  c.problem.hidden_size = 200;
  layer_case_create(&c, 1);
  layer_device d = layer_device_create(&c, SNAPMLA_EMULATOR_EAGER, 0, NULL);
  assert_int_equal(fake_cuda_alive().modules, 6 + 9);
  layer_device_append(&d, 0, c.tokens);
  d.args.weights = &d.weights;
  must(snapmla_layer_schedule(d.plan, &d.args));
  fake_cuda_reset();
  must(snapmla_layer_step(d.plan, &d.args));
  assert_int_equal(fake_cuda_launch_count(), 6);
  assert_string_equal(fake_cuda_launch_at(4)->name, "snapmla_value_project");
  const fake_cuda_launch *l = fake_cuda_launch_at(5);
  assert_string_equal(l->name, "snapmla_output_project");
  assert_int_equal(l->grid[0], 2 * 2); /* two tiles of 128 channels, on four multiprocessors: two blocks to a tile */
  assert_int_equal(l->grid[1], 1);
  assert_int_equal(l->cluster, 2);
  assert_true(l->programmatic);
  assert_int_equal(fake_cuda_calls("cuMemAlloc_v2") + fake_cuda_calls("cuStreamSynchronize"), 0);

  unsigned many = l->shared_bytes;
  d.args.decode.batch = 1;
  must(snapmla_layer_step(d.plan, &d.args));
  l = fake_cuda_launch_at(11);
  assert_string_equal(l->name, "snapmla_output_project");
  assert_int_equal(l->grid[0],
                   4 * 2); /* tiles of 64 channels, whose ring is smaller: two blocks fit a multiprocessor */
  assert_int_equal(l->cluster, 2);
  assert_true(l->shared_bytes < many);

  size_t all = fake_cuda_launch_count();
  d.weights.o = NULL;
  assert_int_equal(snapmla_layer_step(d.plan, &d.args), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(fake_cuda_launch_count(), all);
  layer_device_destroy(&d);
  layer_case_destroy(&c);
  assert_int_equal(fake_cuda_alive().modules, 0);
}

/* Whatever call fails while a plan is made, it is told and nothing is left. */
static void a_plan_that_fails_leaves_nothing(void **state) {
  (void)state;
  fake_cuda_reset();
  snapmla_context *context;
  const snapmla_context_options options = {.size = sizeof options, .device = "cuda:0"};
  must(snapmla_context_create(&options, &context));
  layer_case c = small();
  snapmla_layer_plan *plan;
  must(snapmla_layer_plan_create(context, &c.problem, NULL, &plan));
  int loads = fake_cuda_alive().modules;
  assert_true(loads >= 6 + 7); /* the attention's and its own */
  snapmla_layer_plan_destroy(plan);
  for (int n = 0; n < loads; n++) {
    fake_cuda_reset();
    fake_cuda_fail("cuModuleLoadData", n, 2);
    assert_true(snapmla_layer_plan_create(context, &c.problem, NULL, &plan) != SNAPMLA_OK);
    assert_null(plan);
    assert_int_equal(fake_cuda_alive().modules, 0);
  }
  snapmla_context_destroy(context);
}

static int setup(void **state) {
  return fake_cuda_use() || setenv("SNAPMLA_CUDA_TARGET", "emulator", 1) ||
         setenv("SNAPMLA_TEST_TARGET", "cuda:0", 1) || settings_setup(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(launches_dependents_and_nothing_else),
      cmocka_unit_test(a_fused_merge_is_one_launch_less),
      cmocka_unit_test(the_output_is_one_launch_more),
      cmocka_unit_test(a_plan_that_fails_leaves_nothing),
  };
  return cmocka_run_group_tests(tests, setup, settings_teardown);
}
