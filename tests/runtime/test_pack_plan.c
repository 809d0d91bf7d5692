/* Plans of a pack's kernels: on the emulator and through a libcuda that runs launches on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "device_case.h"
#include "fake_cuda.h"
#include "pack_format.h"
#include "sample_pack.h"
#include "settings.h"

static const case_shape shape = {
    .heads = 80, .q_len = 1, .latent_rank = 256, .page_tokens = 64, .batch = 2, .lengths = {100, 30}, .logit_sigma = 1};
static const char override[] = "mla_decode:stages=3";

/* A pack of the case's problem for the emulator, made once. */
static void *made;
static size_t made_bytes;

static snapmla_pack *open_pack(int allow_host_code) {
  const snapmla_pack_options options = {.size = sizeof options, .allow_host_code = allow_host_code};
  snapmla_pack *pack = NULL;
  if (snapmla_pack_open_memory(made, made_bytes, &options, &pack)) fail_msg("%s", snapmla_error_message());
  return pack;
}

static snapmla_context *open_device(const char *device) {
  const snapmla_context_options options = {.size = sizeof options, .device = device, .emulator_sms = 4};
  snapmla_context *context = NULL;
  if (snapmla_context_create(&options, &context)) fail_msg("%s", snapmla_error_message());
  return context;
}

static void make(const snapmla_problem *problem, const char *variant, void **data, size_t *bytes) {
  static const snapmla_target targets[] = {SNAPMLA_TARGET_EMULATOR};
  const snapmla_pack_request request = {.size = sizeof request, .problem = problem, .variant = variant};
  const snapmla_pack_make_options options = {.size = sizeof options, .targets = targets, .target_count = 1};
  if (snapmla_pack_make(&options, &request, 1, data, bytes)) fail_msg("%s", snapmla_error_message());
}

/* The plan of the pack decodes the bits of the one that was compiled, and right ones. */
static void decodes_on(const char *device) {
  snapmla_context *context = open_device(device);
  decode_case host = case_create(&shape, 1);
  snapmla_plan *compiled, *packed;
  const snapmla_plan_options options = {.size = sizeof options, .variant = override};
  if (snapmla_plan_create(context, &host.problem, &options, &compiled)) fail_msg("%s", snapmla_error_message());
  snapmla_pack *pack = open_pack(1);
  if (snapmla_plan_create_from_pack(context, pack, &host.problem, &packed)) fail_msg("%s", snapmla_error_message());
  snapmla_pack_close(pack); /* the plan holds what it needs */
  assert_string_equal(snapmla_plan_variant(packed, "mla_decode"), snapmla_plan_variant(compiled, "mla_decode"));
  assert_non_null(strstr(snapmla_plan_variant(packed, "mla_decode"), "stages=3"));
  assert_int_equal(snapmla_plan_workspace_bytes(packed), snapmla_plan_workspace_bytes(compiled));
  device_case one = device_case_create(context, compiled, &host), other = device_case_create(context, packed, &host);
  if (device_case_run(compiled, &one)) fail_msg("%s", snapmla_error_message());
  if (device_case_run(packed, &other)) fail_msg("%s", snapmla_error_message());
  device_case_check(&other);
  uint16_t *expected = device_case_out(&one), *out = device_case_out(&other);
  assert_memory_equal(out, expected, (size_t)host.out_count * sizeof *out);
  free(expected);
  free(out);
  device_case_destroy(&one);
  device_case_destroy(&other);
  snapmla_plan_destroy(compiled);
  snapmla_plan_destroy(packed);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

/* A plan of a pack merges the results of shards. */
static void merges_shards(void **state) {
  (void)state;
  enum { HEADS = 80, LATENT = 256, ROWS = HEADS, SHARDS = 2 };
  static const uint16_t one = 0x3f80, three = 0x4040; /* bf16 */
  uint16_t outs[SHARDS * ROWS * LATENT];
  float lses[SHARDS * ROWS] = {0};
  snapmla_context *context = open_device("emulator");
  decode_case host = case_create(&shape, 1);
  snapmla_pack *pack = open_pack(1);
  snapmla_plan *plan;
  if (snapmla_plan_create_from_pack(context, pack, &host.problem, &plan)) fail_msg("%s", snapmla_error_message());
  snapmla_pack_close(pack);
  for (int i = 0; i < SHARDS * ROWS * LATENT; i++) outs[i] = i < ROWS * LATENT ? one : three;
  snapmla_buffer *buffers[3];
  const size_t bytes[] = {sizeof outs, sizeof lses, sizeof outs / SHARDS};
  for (int i = 0; i < 3; i++) assert_int_equal(snapmla_buffer_create(context, bytes[i], &buffers[i]), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_write(buffers[0], 0, outs, sizeof outs), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_write(buffers[1], 0, lses, sizeof lses), SNAPMLA_OK);
  const snapmla_merge_args args = {.size = sizeof args,
                                   .shards = SHARDS,
                                   .batch = 1,
                                   .outs = snapmla_buffer_pointer(buffers[0]),
                                   .outs_stride_shard = ROWS * LATENT,
                                   .outs_stride_head = LATENT,
                                   .lses = snapmla_buffer_pointer(buffers[1]),
                                   .lses_stride_shard = ROWS,
                                   .lses_stride_head = 1,
                                   .out = snapmla_buffer_pointer(buffers[2]),
                                   .out_stride_head = LATENT};
  if (snapmla_plan_merge(plan, &args)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(snapmla_buffer_read(buffers[2], 0, outs, bytes[2]), SNAPMLA_OK);
  for (int i = 0; i < ROWS * LATENT; i++) assert_int_equal(outs[i], 0x4000); /* 2, their mean */
  for (int i = 0; i < 3; i++) snapmla_buffer_destroy(buffers[i]);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static void decodes_on_the_emulator(void **state) {
  (void)state;
  decodes_on("emulator");
}

static void decodes_through_the_driver(void **state) {
  (void)state;
  fake_cuda_reset();
  decodes_on("cuda:0");
  assert_int_equal(fake_cuda_alive().modules, 0);
}

static void makes_the_same_bytes(void **state) {
  (void)state;
  decode_case host = case_create(&shape, 1);
  void *again;
  size_t bytes;
  make(&host.problem, override, &again, &bytes);
  assert_int_equal(bytes, made_bytes);
  assert_memory_equal(again, made, bytes);
  snapmla_pack_data_free(again);
  case_destroy(&host);
}

static void wants_host_code_allowed(void **state) {
  (void)state;
  decode_case host = case_create(&shape, 1);
  snapmla_pack *pack = open_pack(0);
  static const char *const devices[] = {"emulator", "cuda:0"};
  for (size_t i = 0; i < 2; i++) {
    snapmla_context *context = open_device(devices[i]);
    snapmla_plan *plan = NULL;
    assert_int_equal(snapmla_plan_create_from_pack(context, pack, &host.problem, &plan), SNAPMLA_UNSUPPORTED);
    assert_non_null(strstr(snapmla_error_message(), "--allow-host-code"));
    assert_null(plan);
    snapmla_context_destroy(context);
  }
  snapmla_pack_close(pack);
  case_destroy(&host);
}

static void assert_missing(snapmla_context *context, const snapmla_pack *pack, const snapmla_problem *problem,
                           const char *expected) {
  snapmla_plan *plan = NULL;
  assert_int_equal(snapmla_plan_create_from_pack(context, pack, problem, &plan), SNAPMLA_NOT_FOUND);
  if (!strstr(snapmla_error_message(), expected)) fail_msg("\"%s\" lacks \"%s\"", snapmla_error_message(), expected);
  assert_null(plan);
}

static void misses_are_errors(void **state) {
  (void)state;
  snapmla_context *context = open_device("emulator");
  decode_case host = case_create(&shape, 1);
  snapmla_pack *pack = open_pack(1);
  snapmla_plan *plan = NULL;
  snapmla_problem problem = host.problem;
  char expected[96];
  snprintf(expected, sizeof expected, "it has this shape for emulator up to batch %d and context %d", problem.max_batch,
           problem.max_context);
  problem.max_batch++;
  assert_missing(context, pack, &problem, expected);
  problem = host.problem;
  problem.max_context++;
  assert_missing(context, pack, &problem, expected);
  problem = host.problem;
  problem.heads++;
  assert_missing(context, pack, &problem, "it has heads=80,");
  /* less than what was asked for is served */
  problem = host.problem;
  problem.max_batch--;
  problem.max_context--;
  if (snapmla_plan_create_from_pack(context, pack, &problem, &plan)) fail_msg("%s", snapmla_error_message());
  snapmla_plan_destroy(plan);
  assert_int_equal(snapmla_plan_create_from_pack(context, NULL, &problem, &plan), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_create_from_pack(NULL, pack, &problem, &plan), SNAPMLA_INVALID_ARGUMENT);
  snapmla_pack_close(pack);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static void takes_the_smallest_that_covers(void **state) {
  (void)state;
  snapmla_context *context = open_device("emulator");
  decode_case host = case_create(&shape, 1);
  snapmla_problem large = host.problem;
  large.max_batch = 64;
  static const snapmla_target targets[] = {SNAPMLA_TARGET_EMULATOR};
  const snapmla_pack_request requests[] = {
      {.size = sizeof *requests, .problem = &large, .variant = "mla_decode:stages=4"},
      {.size = sizeof *requests, .problem = &host.problem, .variant = override},
  };
  const snapmla_pack_make_options options = {.size = sizeof options, .targets = targets, .target_count = 1};
  const snapmla_pack_options allowed = {.size = sizeof allowed, .allow_host_code = 1};
  void *data;
  size_t bytes;
  snapmla_pack *pack;
  snapmla_plan *plan;
  if (snapmla_pack_make(&options, requests, 2, &data, &bytes)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(snapmla_pack_open_memory(data, bytes, &allowed, &pack), SNAPMLA_OK);
  snapmla_pack_info info = {.size = sizeof info};
  assert_int_equal(snapmla_pack_info_get(pack, &info), SNAPMLA_OK);
  assert_int_equal(info.artifact_count, 7); /* the five others once */
  assert_int_equal(info.plan_count, 2);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(snapmla_plan_create_from_pack(context, pack, i ? &large : &host.problem, &plan), SNAPMLA_OK);
    assert_non_null(strstr(snapmla_plan_variant(plan, "mla_decode"), i ? "stages=4" : "stages=3"));
    snapmla_plan_destroy(plan);
  }
  snapmla_pack_close(pack);
  snapmla_pack_data_free(data);
  /* one problem, two variants */
  large = host.problem;
  assert_int_equal(snapmla_pack_make(&options, requests, 2, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "asked for twice"));
  /* a cluster that no plan could launch */
  const snapmla_pack_request lone = {.size = sizeof lone, .problem = &large, .variant = "mla_decode:rows=64,cluster=2"};
  large.heads = 64;
  assert_int_equal(snapmla_pack_make(&options, &lone, 1, &data, &bytes), SNAPMLA_ILLEGAL_VARIANT);
  assert_non_null(strstr(snapmla_error_message(), "take cluster=1"));
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static void names_the_other_architecture(void **state) {
  (void)state;
  static const char *const targets[] = {"sm_90a", "sm_100a"};
  snapmla_context *context = open_device("emulator");
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.max_batch = 8;
  problem.max_context = 8192;
  for (size_t i = 0; i < 2; i++) {
    smla_buffer bytes = {0};
    snapmla_pack *pack;
    char expected[64];
    sample_pack(targets[i], 12, 0, &bytes);
    assert_int_equal(snapmla_pack_open_memory(bytes.data, bytes.length, NULL, &pack), SNAPMLA_OK);
    assert_int_equal(snapmla_pack_verify(pack), SNAPMLA_OK);
    snprintf(expected, sizeof expected, "on target emulator: it has this shape for %s", targets[i]);
    assert_missing(context, pack, &problem, expected);
    snapmla_pack_close(pack);
    smla_buffer_free(&bytes);
  }
  snapmla_context_destroy(context);
}

/* A pack of this shape whose plan lacks a family, and one that a driver cannot load. */
static void refuses_what_cannot_be_loaded(void **state) {
  (void)state;
  smla_buffer bytes = {0};
  snapmla_pack *pack;
  snapmla_plan *plan;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.max_batch = 8;
  problem.max_context = 8192;
  const snapmla_pack_options allowed = {.size = sizeof allowed, .allow_host_code = 1};
  snapmla_context *context = open_device("emulator");
  sample_pack("emulator", 12, 0, &bytes);
  assert_int_equal(snapmla_pack_open_memory(bytes.data, bytes.length, &allowed, &pack), SNAPMLA_OK);
  assert_int_equal(snapmla_plan_create_from_pack(context, pack, &problem, &plan), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "has no kernel for query_quant"));
  snapmla_pack_close(pack);
  smla_buffer_free(&bytes);
  snapmla_context_destroy(context);
}

static void refuses_kernels_of_another_interface(void **state) {
  (void)state;
  decode_case host = case_create(&shape, 1);
  const snapmla_pack_options allowed = {.size = sizeof allowed, .allow_host_code = 1};
  smla_buffer bytes = {0};
  snapmla_pack *pack;
  snapmla_plan *plan;
  snapmla_pack_info info = {.size = sizeof info};
  snapmla_context *context = open_device("emulator");
  assert_int_equal(smla_buffer_append(&bytes, made, made_bytes), SNAPMLA_OK);
  bytes.data[SMLA_PACK_AT_INTERFACE] ^= 1;
  sample_reseal(&bytes);
  assert_int_equal(snapmla_pack_open_memory(bytes.data, bytes.length, &allowed, &pack), SNAPMLA_OK);
  assert_int_equal(snapmla_pack_info_get(pack, &info), SNAPMLA_OK);
  assert_int_equal(info.runs_here, 0);
  assert_int_equal(snapmla_plan_create_from_pack(context, pack, &host.problem, &plan), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "another version of snapmla"));
  snapmla_pack_close(pack);
  smla_buffer_free(&bytes);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

/* A kernel changed after the pack was opened for the first time is seen when it is used. */
static void checks_kernels_when_used(void **state) {
  (void)state;
  decode_case host = case_create(&shape, 1);
  const snapmla_pack_options allowed = {.size = sizeof allowed, .allow_host_code = 1};
  snapmla_pack *pack;
  snapmla_plan *plan;
  snapmla_context *context = open_device("emulator");
  unsigned char *copy = malloc(made_bytes);
  assert_non_null(copy);
  memcpy(copy, made, made_bytes);
  size_t blobs = SMLA_PACK_HEADER_BYTES + (size_t)smla_get_u64(copy + SMLA_PACK_AT_INDEX);
  copy[blobs + SMLA_PACK_ALIGNMENT] ^= 1;
  assert_int_equal(snapmla_pack_open_memory(copy, made_bytes, &allowed, &pack), SNAPMLA_OK);
  assert_int_equal(snapmla_pack_verify(pack), SNAPMLA_BAD_FORMAT);
  assert_int_equal(snapmla_plan_create_from_pack(context, pack, &host.problem, &plan), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "was changed"));
  snapmla_pack_close(pack);
  free(copy);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static void refuses_bad_requests(void **state) {
  (void)state;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  snapmla_pack_request request = {.size = sizeof request, .problem = &problem};
  snapmla_pack_make_options options = {.size = sizeof options, .compression = 20};
  void *data;
  size_t bytes;
  assert_int_equal(snapmla_pack_make(&options, &request, 1, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "compression"));
  options.compression = 0;
  assert_int_equal(snapmla_pack_make(&options, &request, 0, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  request.variant = "nothing:a=1";
  assert_int_equal(snapmla_pack_make(&options, &request, 1, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "no family"));
  request.variant = NULL;
  problem.heads = 0;
  assert_int_equal(snapmla_pack_make(&options, &request, 1, &data, &bytes), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "heads"));
}

static int setup(void **state) {
  if (fake_cuda_use() || setenv("SNAPMLA_CUDA_TARGET", "emulator", 1) || settings_setup(state)) return -1;
  decode_case host = case_create(&shape, 1);
  make(&host.problem, override, &made, &made_bytes);
  case_destroy(&host);
  return 0;
}

static int teardown(void **state) {
  snapmla_pack_data_free(made);
  return settings_teardown(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(merges_shards),
      cmocka_unit_test(decodes_on_the_emulator),
      cmocka_unit_test(decodes_through_the_driver),
      cmocka_unit_test(makes_the_same_bytes),
      cmocka_unit_test(wants_host_code_allowed),
      cmocka_unit_test(misses_are_errors),
      cmocka_unit_test(takes_the_smallest_that_covers),
      cmocka_unit_test(names_the_other_architecture),
      cmocka_unit_test(refuses_what_cannot_be_loaded),
      cmocka_unit_test(refuses_kernels_of_another_interface),
      cmocka_unit_test(checks_kernels_when_used),
      cmocka_unit_test(refuses_bad_requests),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
