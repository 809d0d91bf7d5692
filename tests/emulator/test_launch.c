/* Launches: what is checked, what they count and model, and that nothing depends on host threads or seeds. */
#include <string.h>

#include "cmocka_all.h"
#include "kernel_object.h"
#include "model.h"

enum { PAGES = 17, PAGE = 1024, BLOCKS = 40 };
static _Alignas(64) unsigned char in[65536], out[65536];

static void test_same_for_any_threads_and_seed(void **state) {
  (void)state;
  kernel_object kernel = kernel_object_load("copies");
  static unsigned char first[sizeof out];
  smla_counters counters = {0};
  for (size_t i = 0; i < sizeof in; i++) in[i] = (unsigned char)(i * 7 + i / 256);
  for (int i = 0; i < 26; i++) {
    kernel_run run = {.order = i < 3   ? SNAPMLA_EMULATOR_EAGER
                               : i < 6 ? SNAPMLA_EMULATOR_LATE
                                       : SNAPMLA_EMULATOR_RANDOM,
                      .seed = (uint64_t)i,
                      .host_threads = 1 + i % 3 * 3,
                      .grid = {BLOCKS},
                      .count = PAGES,
                      .in = in,
                      .in_bytes = sizeof in,
                      .out = out,
                      .out_bytes = sizeof out};
    memset(out, 0, sizeof out);
    if (kernel_object_run(&kernel, &run) != SNAPMLA_OK) fail_msg("%s", snapmla_error_message());
    if (i == 0) {
      memcpy(first, out, sizeof out);
      counters = run.counters;
    }
    assert_memory_equal(first, out, sizeof out);
    assert_memory_equal(&counters, &run.counters, sizeof counters);
  }
  kernel_object_unload(&kernel);
}

/* Blocks 5 and up fault at one line, each in another thread: block 5's report stands, and alone. */
static void test_report_of_the_first_block(void **state) {
  (void)state;
  kernel_object kernel = kernel_object_load("faults_barriers");
  for (int threads = 1; threads <= 8; threads *= 2)
    for (int repeat = 0; repeat < 5; repeat++) {
      kernel_run run = {.host_threads = threads,
                        .grid = {64},
                        .threads = 256,
                        .which = 40,
                        .in = in,
                        .in_bytes = sizeof in,
                        .out = out,
                        .out_bytes = sizeof out};
      assert_int_equal(kernel_object_run(&kernel, &run), SNAPMLA_EMULATOR_FAULT);
      assert_non_null(strstr(run.report, "thread 5 (warp 0, lane 5) of block 5 reads"));
      assert_ptr_equal(strchr(run.report, '\n'), run.report + strlen(run.report) - 1);
    }
  /* Two lines of one kind are two faults, four of one line are one. */
  kernel_run run = {.host_threads = 1,
                    .threads = 256,
                    .which = 29,
                    .in = in,
                    .in_bytes = sizeof in,
                    .out = out,
                    .out_bytes = sizeof out};
  assert_int_equal(kernel_object_run(&kernel, &run), SNAPMLA_EMULATOR_FAULT);
  int lines = 0;
  for (const char *c = run.report; *c; c++) lines += *c == '\n';
  assert_int_equal(lines, 2);
  kernel_object_unload(&kernel);
}

static void refuse(smla_emulator *emulator, smla_launch launch, const char *text) {
  assert_int_equal(smla_emulator_launch(emulator, &launch, NULL), SNAPMLA_INVALID_ARGUMENT);
  if (!strstr(snapmla_error_message(), text)) fail_msg("'%s' does not say '%s'", snapmla_error_message(), text);
}

static void nothing(const smla_services *services, const void *params) {
  (void)services;
  (void)params;
}

static void test_bad_launches(void **state) {
  (void)state;
  const smla_emulator_options options = {.threads = 1};
  smla_emulator *emulator;
  assert_int_equal(smla_emulator_create(&options, &emulator), SNAPMLA_OK);
  const smla_launch good = {.entry = nothing, .name = "k", .grid = {2, 1, 1}, .threads = 64, .smem_bytes = 232448};
  assert_int_equal(smla_emulator_launch(emulator, &good, NULL), SNAPMLA_OK);
  assert_string_equal(smla_emulator_report(emulator), "");
  smla_launch bad = good;
  bad.entry = NULL;
  refuse(emulator, bad, "no entry");
  bad = good;
  bad.threads = 48;
  refuse(emulator, bad, "48 threads");
  bad.threads = 1056;
  refuse(emulator, bad, "1056 threads");
  bad = good;
  bad.grid[1] = 0;
  refuse(emulator, bad, "grid 2 x 0 x 1");
  bad = good;
  bad.cluster = 4;
  refuse(emulator, bad, "clusters of 4");
  bad = good;
  bad.smem_bytes = 232449;
  refuse(emulator, bad, "232449 bytes");
  smla_emulator_destroy(emulator);
  smla_emulator_destroy(NULL);
  assert_int_equal(smla_emulator_create(&(smla_emulator_options){.threads = -1}, &emulator), SNAPMLA_INVALID_ARGUMENT);
  assert_null(emulator);
  assert_int_equal(smla_emulator_create(&(smla_emulator_options){.sms = 5000}, &emulator), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_emulator_create(&(smla_emulator_options){.order = (snapmla_emulator_order)3}, &emulator),
                   SNAPMLA_INVALID_ARGUMENT);
}

static void test_memory(void **state) {
  (void)state;
  smla_emulator *emulator;
  assert_int_equal(smla_emulator_create(&(smla_emulator_options){.threads = 1}, &emulator), SNAPMLA_OK);
  assert_int_equal(smla_emulator_memory_add(emulator, in + 100, 100, 1), SNAPMLA_OK);
  assert_int_equal(smla_emulator_memory_add(emulator, in + 300, 100, 1), SNAPMLA_OK);
  assert_int_equal(smla_emulator_memory_add(emulator, in + 200, 100, 1), SNAPMLA_OK);
  assert_int_equal(smla_emulator_memory_add(emulator, in + 399, 1, 1), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "overlaps"));
  assert_int_equal(smla_emulator_memory_add(emulator, in, 101, 1), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_emulator_memory_add(emulator, in, 0, 1), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_emulator_memory_add(emulator, NULL, 8, 1), SNAPMLA_INVALID_ARGUMENT);
  smla_emulator_memory_remove(emulator, in + 250); /* no buffer begins there */
  assert_int_equal(smla_emulator_memory_add(emulator, in + 250, 10, 1), SNAPMLA_INVALID_ARGUMENT);
  smla_emulator_memory_remove(emulator, in + 200);
  assert_int_equal(smla_emulator_memory_add(emulator, in + 250, 50, 1), SNAPMLA_OK);
  smla_emulator_destroy(emulator);
}

/* Every quantity by hand; constants as model.c gives their sources. */
static void test_model(void **state) {
  (void)state;
  /* At the peak an m64n256k32 takes 2 * 64 * 256 * 32 / 8192 = 128 cycles, an m64n64k16 in bf16 32 of 0.937 of the
   * peak. */
  assert_int_equal(smla_model_wgmma(0, 256, 0), 128 * 256);
  assert_int_equal(smla_model_wgmma(1, 64, 0), (uint64_t)(32 / 0.937 * 256 + 0.5));
  assert_true(smla_model_wgmma(0, 16, 0) > smla_model_wgmma(0, 16, 1));
  smla_block_cost cost = {0};
  cost.roles[0].shared_bytes = 128 * 1000;
  assert_float_equal(smla_model_block_cycles(&cost, 132), 1000, 1e-6);
  cost.roles[3].exponentials = 16 * 1500;
  assert_float_equal(smla_model_block_cycles(&cost, 132), 1500, 1e-6);
  cost.roles[1].tensor_cycles = 2000 * 256;
  assert_float_equal(smla_model_block_cycles(&cost, 132), 2000, 1e-6);
  cost.roles[2].global_read = 4530000; /* 1 us of the whole GPU's memory, 132 us of one multiprocessor's share */
  assert_float_equal(smla_model_block_cycles(&cost, 132), 132 * 1755, 1e-3);
  /* Three equal blocks on two multiprocessors take two turns. */
  smla_block_cost blocks[3] = {0};
  for (int i = 0; i < 3; i++) blocks[i].roles[0].shared_bytes = 128 * 1755;
  assert_float_equal(smla_model_time(blocks, 3, 2) - smla_model_time(blocks, 0, 2), 2, 1e-5);
  assert_float_equal(smla_model_time(blocks, 0, 2), 6.6, 1e-5);
}

/* Who did what: in the ring warpgroup 0 does it all; in the tensor kernel too. */
static void test_roles(void **state) {
  (void)state;
  kernel_object kernel = kernel_object_load("copies");
  const kernel_params params = {.which = 0, .count = PAGES, .in = in, .out = out};
  const smla_launch launch = {
      .entry = kernel.entry, .name = "ring", .grid = {2, 1, 1}, .threads = 128, .smem_bytes = 49152, .params = &params};
  smla_emulator *emulator;
  smla_role role;
  assert_int_equal(smla_emulator_create(&(smla_emulator_options){.threads = 1}, &emulator), SNAPMLA_OK);
  assert_int_equal(smla_emulator_memory_add(emulator, in, sizeof in, 0), SNAPMLA_OK);
  assert_int_equal(smla_emulator_memory_add(emulator, out, sizeof out, 1), SNAPMLA_OK);
  assert_int_equal(smla_emulator_launch(emulator, &launch, NULL), SNAPMLA_OK);
  smla_emulator_role(emulator, 0, &role);
  assert_int_equal(role.copied, 2 * PAGES * PAGE);
  assert_int_equal(role.global_written, 2 * 96 * 4);
  assert_int_equal(role.tensor_flops, 0);
  assert_true(role.primitives > 2 * PAGES * 96 * 2);
  smla_emulator_role(emulator, 1, &role);
  assert_int_equal(role.primitives, 0);
  smla_emulator_destroy(emulator);
  kernel_object_unload(&kernel);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_for_any_threads_and_seed),
                                     cmocka_unit_test(test_report_of_the_first_block),
                                     cmocka_unit_test(test_bad_launches),
                                     cmocka_unit_test(test_memory),
                                     cmocka_unit_test(test_model),
                                     cmocka_unit_test(test_roles)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
