/* The driver path end to end, on a libcuda that runs launches on the emulator: what is launched and how, that every
 * failing call is a clean error, that nothing is left behind. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "device_case.h"
#include "fake_cuda.h"
#include "settings.h"

enum { SMS = 4, LAUNCH_FAILED = 719, OUT_OF_MEMORY = 2 };

static const case_shape shape = {
    .heads = 80, .q_len = 1, .latent_rank = 256, .page_tokens = 64, .batch = 2, .lengths = {100, 30}, .logit_sigma = 1};

static snapmla_status open_gpu(const char *device, snapmla_context **context) {
  const snapmla_context_options options = {.size = sizeof options, .device = device};
  return snapmla_context_create(&options, context);
}

static void assert_nothing_lives(void) {
  fake_cuda_living living = fake_cuda_alive();
  assert_int_equal(living.contexts, 0);
  assert_int_equal(living.allocations, 0);
  assert_int_equal(living.streams, 0);
  assert_int_equal(living.events, 0);
  assert_int_equal(living.modules, 0);
  assert_int_equal(living.pushed, 0);
}

static int reset(void **state) {
  (void)state;
  fake_cuda_reset();
  return 0;
}

static void tells_what_the_driver_shows(void **state) {
  (void)state;
  snapmla_context *context;
  assert_int_equal(open_gpu(NULL, &context), SNAPMLA_OK);
  snapmla_device_info info = {.size = sizeof info};
  assert_int_equal(snapmla_context_info(context, &info), SNAPMLA_OK);
  assert_string_equal(info.name, "cuda:0");
  assert_string_equal(info.product, "Fake Hopper 0");
  assert_int_equal(info.is_emulator, 0);
  assert_int_equal(info.compute_major, 9);
  assert_int_equal(info.multiprocessors, SMS);
  assert_int_equal(info.shared_memory_bytes, 232448);
  assert_int_equal(info.l2_bytes, 50 << 20);
  assert_int_equal(info.driver_version, 13000);
  snapmla_context_destroy(context);
  assert_nothing_lives();
}

static void refuses_what_is_no_hopper(void **state) {
  (void)state;
  snapmla_context *context = NULL;
  fake_cuda_show(1, 8, 0, 13000);
  assert_int_equal(open_gpu("cuda:0", &context), SNAPMLA_NO_DEVICE);
  assert_non_null(strstr(snapmla_error_message(), "compute capability 8.0"));
  assert_int_equal(open_gpu(NULL, &context), SNAPMLA_OK); /* the emulator stands in */
  snapmla_device_info info = {.size = sizeof info};
  assert_int_equal(snapmla_context_info(context, &info), SNAPMLA_OK);
  assert_int_equal(info.is_emulator, 1);
  snapmla_context_destroy(context);
  fake_cuda_show(1, 9, 0, 13000);
  assert_int_equal(open_gpu("cuda:1", &context), SNAPMLA_NO_DEVICE);
  assert_non_null(strstr(snapmla_error_message(), "cuda:1 does not exist"));
  fake_cuda_show(0, 9, 0, 13000);
  assert_int_equal(open_gpu("cuda:0", &context), SNAPMLA_NO_DEVICE);
  assert_nothing_lives();
}

static void decodes_as_the_oracle(void **state) {
  (void)state;
  snapmla_context *context;
  snapmla_plan *plan;
  assert_int_equal(open_gpu("cuda:0", &context), SNAPMLA_OK);
  decode_case host = case_create(&shape, 1);
  if (snapmla_plan_create(context, &host.problem, NULL, &plan)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(fake_cuda_alive().modules, 6);
  device_case device = device_case_create(context, plan, &host);
  if (device_case_run(plan, &device)) fail_msg("%s: %s", snapmla_error_message(), fake_cuda_fault());
  device_case_check(&device);
  snapmla_plan_counters counters = {.size = sizeof counters};
  assert_int_equal(snapmla_plan_last_counters(plan, &counters), SNAPMLA_UNSUPPORTED);
  device_case_destroy(&device);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  case_destroy(&host);
  assert_nothing_lives();
}

/* A plan and a case on the fake. */
typedef struct bench {
  snapmla_context *context;
  snapmla_plan *plan;
  decode_case host;
  device_case device;
} bench;

static bench bench_create(void) {
  bench b = {.host = case_create(&shape, 1)};
  assert_int_equal(open_gpu("cuda:0", &b.context), SNAPMLA_OK);
  if (snapmla_plan_create(b.context, &b.host.problem, NULL, &b.plan)) fail_msg("%s", snapmla_error_message());
  b.device = device_case_create(b.context, b.plan, &b.host);
  return b;
}

static void bench_destroy(bench *b) {
  device_case_destroy(&b->device);
  snapmla_plan_destroy(b->plan);
  snapmla_context_destroy(b->context);
  case_destroy(&b->host);
}

/* 80 heads: 2 groups of rows; 4 multiprocessors: 2 units, 16 blocks that combine. */
static void launches_the_right_grids(void **state) {
  (void)state;
  bench b = bench_create();
  assert_int_equal(device_case_run(b.plan, &b.device), SNAPMLA_OK);
  static const struct {
    const char *name;
    unsigned x, y;
    int programmatic;
  } expected[] = {{"snapmla_schedule", 1, 1, 0},
                  {"snapmla_query_quant", 0, 2, 1},
                  {"snapmla_mla_decode", 4, 1, 1},
                  {"snapmla_mla_combine", 16, 1, 1}};
  assert_int_equal(fake_cuda_launch_count(), 4);
  for (size_t i = 0; i < 4; i++) {
    const fake_cuda_launch *l = fake_cuda_launch_at(i);
    assert_string_equal(l->name, expected[i].name);
    if (expected[i].x) assert_int_equal(l->grid[0], expected[i].x);
    assert_int_equal(l->grid[1], expected[i].y);
    assert_int_equal(l->grid[2], 1);
    assert_int_equal(l->block[1] * l->block[2], 1);
    assert_int_equal(l->programmatic, expected[i].programmatic);
    assert_int_equal(l->cluster, 0);
    assert_int_equal(l->attributes, (unsigned)expected[i].programmatic);
    assert_ptr_equal(l->stream, b.device.args.stream);
  }
  const fake_cuda_launch *quant = fake_cuda_launch_at(1);
  assert_int_equal(quant->grid[0] * (quant->block[0] / 32), 2 * 64); /* a warp per row of each group */
  assert_true(fake_cuda_launch_at(2)->shared_bytes > 100000);
  bench_destroy(&b);
  assert_nothing_lives();
}

/* The 2 groups of rows of a unit as one cluster. */
static void launches_clusters(void **state) {
  (void)state;
  bench b = {.host = case_create(&shape, 1)};
  const snapmla_plan_options options = {.size = sizeof options, .variant = "mla_decode:rows=64,cluster=2"};
  assert_int_equal(open_gpu("cuda:0", &b.context), SNAPMLA_OK);
  if (snapmla_plan_create(b.context, &b.host.problem, &options, &b.plan)) fail_msg("%s", snapmla_error_message());
  b.device = device_case_create(b.context, b.plan, &b.host);
  if (device_case_run(b.plan, &b.device)) fail_msg("%s: %s", snapmla_error_message(), fake_cuda_fault());
  device_case_check(&b.device);
  const fake_cuda_launch *decode = fake_cuda_launch_at(2);
  assert_string_equal(decode->name, "snapmla_mla_decode");
  assert_int_equal(decode->cluster, 2);
  assert_int_equal(decode->grid[0], 4);
  assert_int_equal(decode->attributes, 2); /* and dependent */
  bench_destroy(&b);
  assert_nothing_lives();
}

/* One dependent launch on the caller's stream, and no other call that a graph could not hold. 2 x 80 rows of 256 channels: an item is 128 of
 * them, a warp's. */
static void merges_shards_by_one_launch(void **state) {
  (void)state;
  bench b = bench_create();
  assert_int_equal(device_case_run(b.plan, &b.device), SNAPMLA_OK);
  snapmla_buffer *out;
  assert_int_equal(snapmla_buffer_create(b.context, 2 * 80 * 256 * 2, &out), SNAPMLA_OK);
  const snapmla_decode_args *decoded = &b.device.args;
  snapmla_merge_args args = {.size = sizeof args,
                             .shards = 1,
                             .batch = 2,
                             .outs = decoded->out,
                             .outs_stride_batch = decoded->out_stride_batch,
                             .outs_stride_head = decoded->out_stride_head,
                             .lses = decoded->lse,
                             .lses_stride_batch = decoded->lse_stride_batch,
                             .lses_stride_head = decoded->lse_stride_head,
                             .out = snapmla_buffer_pointer(out),
                             .out_stride_batch = decoded->out_stride_batch,
                             .out_stride_head = decoded->out_stride_head,
                             .stream = decoded->stream};
  fake_cuda_living before = fake_cuda_alive();
  fake_cuda_reset();
  assert_int_equal(snapmla_plan_merge(b.plan, &args), SNAPMLA_OK);
  assert_int_equal(fake_cuda_launch_count(), 1);
  const fake_cuda_launch *l = fake_cuda_launch_at(0);
  assert_string_equal(l->name, "snapmla_shard_merge");
  assert_int_equal(l->block[0], 128);
  assert_int_equal(l->grid[0], SMS * 2048 / 128); /* as many as fill the device; 80 would do all items at once */
  assert_int_equal(l->grid[1] * l->grid[2], 1);
  assert_int_equal(l->programmatic, 1);
  assert_ptr_equal(l->stream, args.stream);
  static const char *const others[] = {"cuMemAlloc_v2",   "cuMemFree_v2",    "cuModuleLoadData", "cuStreamSynchronize",
                                       "cuMemcpyHtoD_v2", "cuMemcpyDtoH_v2", "cuStreamCreate",   "cuEventRecord"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_int_equal(fake_cuda_calls(others[i]), 0);
  fake_cuda_living after = fake_cuda_alive();
  assert_memory_equal(&before, &after, sizeof before);
  uint16_t *expected = device_case_out(&b.device), merged[2 * 80 * 256];
  assert_int_equal(snapmla_stream_synchronize(b.device.stream), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_read(out, 0, merged, sizeof merged), SNAPMLA_OK);
  assert_memory_equal(merged, expected, sizeof merged);
  free(expected);
  args.batch = 0;
  assert_int_equal(snapmla_plan_merge(b.plan, &args), SNAPMLA_OK);
  args.batch = 2;
  args.shards = 0;
  assert_int_equal(snapmla_plan_merge(b.plan, &args), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(fake_cuda_launch_count(), 1);
  snapmla_buffer_destroy(out);
  bench_destroy(&b);
  assert_nothing_lives();
}

static void launches_for_empty_calls_only_the_schedule(void **state) {
  (void)state;
  bench b = bench_create();
  b.device.args.batch = 0;
  b.device.args.block_table = NULL;
  b.device.args.seqlens = NULL;
  b.device.args.block_table_stride = INT64_MIN;
  assert_int_equal(device_case_run(b.plan, &b.device), SNAPMLA_OK);
  const snapmla_append_args append = {.size = sizeof append};
  assert_int_equal(snapmla_plan_append(b.plan, &append), SNAPMLA_OK);
  assert_int_equal(fake_cuda_launch_count(), 1); /* which clears the status word and leaves no unit with work */
  assert_string_equal(fake_cuda_launch_at(0)->name, "snapmla_schedule");
  bench_destroy(&b);
}

static void launches_nothing_for_bad_arguments(void **state) {
  (void)state;
  bench b = bench_create();
  snapmla_decode_args args = b.device.args;
  args.workspace_bytes -= 1;
  assert_int_equal(snapmla_plan_decode(b.plan, &args), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "workspace_bytes"));
  assert_int_equal(snapmla_plan_schedule(b.plan, &args), SNAPMLA_INVALID_ARGUMENT);
  args = b.device.args;
  args.batch = b.host.problem.max_batch + 1;
  assert_int_equal(snapmla_plan_decode(b.plan, &args), SNAPMLA_INVALID_ARGUMENT);
  args = b.device.args;
  args.out = (char *)args.out + 2;
  assert_int_equal(snapmla_plan_decode(b.plan, &args), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_decode(b.plan, NULL), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_schedule(NULL, &args), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_append(b.plan, NULL), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(fake_cuda_launch_count(), 0);
  bench_destroy(&b);
}

extern int cuCtxPushCurrent_v2(void *context);
extern int cuCtxPopCurrent_v2(void **context);

static void wants_the_primary_context(void **state) {
  (void)state;
  bench b = bench_create();
  int other = 0;
  void *popped;
  assert_int_equal(cuCtxPushCurrent_v2(&other), 0);
  assert_int_equal(snapmla_plan_decode(b.plan, &b.device.args), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "not the primary context of cuda:0"));
  assert_int_equal(cuCtxPopCurrent_v2(&popped), 0);
  assert_ptr_equal(popped, &other);
  assert_int_equal(fake_cuda_launch_count(), 0);
  bench_destroy(&b);
}

static void tells_of_a_fault_when_synchronised(void **state) {
  (void)state;
  bench b = bench_create();
  assert_int_equal(snapmla_plan_schedule(b.plan, &b.device.args), SNAPMLA_OK);
  void *own = aligned_alloc(256, 1 << 20);
  assert_non_null(own);
  b.device.args.out = own;
  assert_int_equal(snapmla_plan_decode(b.plan, &b.device.args), SNAPMLA_OK); /* as asynchronous as a GPU's */
  assert_int_equal(snapmla_stream_synchronize(b.device.stream), SNAPMLA_DEVICE);
  assert_non_null(strstr(snapmla_error_message(), "cuStreamSynchronize"));
  assert_non_null(strstr(fake_cuda_fault(), "out of bounds"));
  free(own);
  bench_destroy(&b);
}

static void refuses_kernels_newer_than_the_driver(void **state) {
  (void)state;
  bench b = bench_create();
  snapmla_plan *plan = NULL;
  fake_cuda_fail("cuModuleLoadData", 0, 222);
  assert_int_equal(snapmla_plan_create(b.context, &b.host.problem, NULL, &plan), SNAPMLA_DEVICE);
  assert_null(plan);
  assert_non_null(strstr(snapmla_error_message(), "driver 580 or newer"));
  bench_destroy(&b);
  assert_nothing_lives();
}

/* All that a program does, once; the first failure. */
static snapmla_status whole_program(const decode_case *host) {
  snapmla_context *context = NULL;
  snapmla_plan *plan = NULL;
  snapmla_buffer *buffer = NULL;
  snapmla_stream *stream = NULL;
  snapmla_event *start = NULL, *stop = NULL;
  char bytes[64] = {0};
  double us;
  snapmla_status status = open_gpu("cuda:0", &context);
  if (!status) status = snapmla_plan_create(context, &host->problem, NULL, &plan);
  if (!status) status = snapmla_buffer_create(context, snapmla_plan_workspace_bytes(plan), &buffer);
  if (!status) status = snapmla_buffer_write(buffer, 0, bytes, sizeof bytes);
  if (!status) status = snapmla_buffer_read(buffer, 0, bytes, sizeof bytes);
  if (!status) status = snapmla_stream_create(context, &stream);
  if (!status) status = snapmla_event_create(context, &start);
  if (!status) status = snapmla_event_create(context, &stop);
  if (!status) status = snapmla_event_record(start, stream);
  if (!status) {
    snapmla_decode_args args = host->args;
    args.workspace = snapmla_buffer_pointer(buffer);
    args.workspace_bytes = snapmla_buffer_bytes(buffer);
    args.stream = snapmla_stream_handle(stream);
    args.seqlens = snapmla_buffer_pointer(buffer); /* zeros: the lengths are read, and nothing of the requests */
    args.batch = 1;
    status = snapmla_plan_schedule(plan, &args);
  }
  if (!status) status = snapmla_event_record(stop, stream);
  if (!status) status = snapmla_event_elapsed(start, stop, &us);
  if (!status) status = snapmla_stream_synchronize(stream);
  snapmla_event_destroy(stop);
  snapmla_event_destroy(start);
  snapmla_stream_destroy(stream);
  snapmla_buffer_destroy(buffer);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  return status;
}

/* Each call of the driver fails at its first, second, … use. cuInit and cuDriverGetVersion are made once for the
 * process, and are test_missing's. Failures of what only gives back are not reported, and leave behind what was not
 * given back. */
static void survives_every_failure(void **state) {
  (void)state;
  static const char *const calls[] = {"cuDeviceGetCount",
                                      "cuDeviceGet",
                                      "cuDeviceGetName",
                                      "cuDeviceGetAttribute",
                                      "cuDevicePrimaryCtxRetain",
                                      "cuCtxPushCurrent_v2",
                                      "cuMemAlloc_v2",
                                      "cuMemsetD8_v2",
                                      "cuMemcpyHtoD_v2",
                                      "cuMemcpyDtoH_v2",
                                      "cuStreamCreate",
                                      "cuEventCreate",
                                      "cuEventRecord",
                                      "cuEventSynchronize",
                                      "cuEventElapsedTime",
                                      "cuStreamSynchronize",
                                      "cuModuleLoadData",
                                      "cuModuleGetFunction",
                                      "cuFuncSetAttribute",
                                      "cuLaunchKernelEx",
                                      "cuCtxGetCurrent"};
  decode_case host = case_create(&shape, 1);
  assert_int_equal(whole_program(&host), SNAPMLA_OK);
  assert_nothing_lives();
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    fake_cuda_reset();
    assert_int_equal(whole_program(&host), SNAPMLA_OK);
    int uses = fake_cuda_calls(calls[i]);
    if (!uses) fail_msg("%s is never called", calls[i]);
    int destroys =
        !strcmp(calls[i], "cuCtxPushCurrent_v2") ? 3 + 1 + 1 + 6 : 0; /* pushes of what gives back come last */
    for (int n = 0; n < uses - destroys; n++) {
      fake_cuda_reset();
      fake_cuda_fail(calls[i], n, n % 2 ? OUT_OF_MEMORY : LAUNCH_FAILED);
      snapmla_status status = whole_program(&host);
      if (status != (n % 2 ? SNAPMLA_OUT_OF_MEMORY : SNAPMLA_DEVICE))
        fail_msg("%s failing at use %d gives \"%s\"", calls[i], n, snapmla_status_text(status));
      char name[64];
      size_t length = strcspn(calls[i], "_");
      memcpy(name, calls[i], length);
      name[length] = 0;
      if (!strstr(snapmla_error_message(), name)) fail_msg("%s is not in \"%s\"", name, snapmla_error_message());
      assert_nothing_lives();
    }
  }
  case_destroy(&host);
}

static int setup(void **state) {
  return fake_cuda_use() || setenv("SNAPMLA_CUDA_TARGET", "emulator", 1) || settings_setup(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(tells_what_the_driver_shows, reset),
      cmocka_unit_test_setup(refuses_what_is_no_hopper, reset),
      cmocka_unit_test_setup(decodes_as_the_oracle, reset),
      cmocka_unit_test_setup(launches_the_right_grids, reset),
      cmocka_unit_test_setup(launches_clusters, reset),
      cmocka_unit_test_setup(merges_shards_by_one_launch, reset),
      cmocka_unit_test_setup(launches_for_empty_calls_only_the_schedule, reset),
      cmocka_unit_test_setup(launches_nothing_for_bad_arguments, reset),
      cmocka_unit_test_setup(wants_the_primary_context, reset),
      cmocka_unit_test_setup(tells_of_a_fault_when_synchronised, reset),
      cmocka_unit_test_setup(refuses_kernels_newer_than_the_driver, reset),
      cmocka_unit_test_setup(survives_every_failure, reset),
  };
  return cmocka_run_group_tests(tests, setup, settings_teardown);
}
