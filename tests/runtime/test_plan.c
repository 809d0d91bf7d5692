/* Plans end to end, on the device that SNAPMLA_TEST_TARGET names: append, schedule, decode, against the oracle. What
 * only the emulator does is tested there. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "device_case.h"
#include "settings.h"

enum { SMS = 4 };

static const case_shape shapes[] = {
    {.heads = 16,
     .q_len = 1,
     .latent_rank = 256,
     .page_tokens = 64,
     .batch = 3,
     .lengths = {65, 0, 300},
     .logit_sigma = 1},
    {.heads = 40,
     .q_len = 2,
     .latent_rank = 512,
     .page_tokens = 128,
     .batch = 2,
     .lengths = {2, 200},
     .logit_sigma = 1},
};

static snapmla_context *open_device(void) {
  const snapmla_context_options options = {.size = sizeof options, .device = settings_device(), .emulator_sms = SMS};
  snapmla_context *context = NULL;
  if (snapmla_context_create(&options, &context)) fail_msg("%s", snapmla_error_message());
  return context;
}

static snapmla_context *open_emulator(snapmla_emulator_order order, uint64_t seed) {
  const snapmla_context_options options = {.size = sizeof options,
                                           .device = "emulator",
                                           .emulator_order = order,
                                           .emulator_seed = seed,
                                           .emulator_sms = SMS};
  snapmla_context *context;
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_OK);
  return context;
}

static snapmla_plan *make_plan(snapmla_context *context, const decode_case *host) {
  snapmla_plan *plan = NULL;
  if (snapmla_plan_create(context, &host->problem, NULL, &plan)) fail_msg("%s", snapmla_error_message());
  return plan;
}

static void decodes_as_the_oracle(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    snapmla_context *context = open_device();
    decode_case host = case_create(&shapes[i], 7 + i);
    snapmla_plan *plan = make_plan(context, &host);
    device_case device = device_case_create(context, plan, &host);
    if (device_case_run(plan, &device)) fail_msg("%s", snapmla_error_message());
    device_case_check(&device);
    device_case_destroy(&device);
    snapmla_plan_destroy(plan);
    snapmla_context_destroy(context);
    case_destroy(&host);
  }
}

static void gives_the_same_bits_in_every_order(void **state) {
  (void)state;
  static const snapmla_emulator_order orders[] = {SNAPMLA_EMULATOR_EAGER, SNAPMLA_EMULATOR_LATE,
                                                  SNAPMLA_EMULATOR_RANDOM, SNAPMLA_EMULATOR_RANDOM};
  decode_case host = case_create(&shapes[0], 3);
  size_t bytes = (size_t)host.out_count * sizeof(uint16_t);
  uint16_t *first = NULL;
  for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
    snapmla_context *context = open_emulator(orders[i], i);
    snapmla_plan *plan = make_plan(context, &host);
    device_case device = device_case_create(context, plan, &host);
    if (device_case_run(plan, &device)) fail_msg("%s", snapmla_error_message());
    uint16_t *out = device_case_out(&device);
    if (first) assert_memory_equal(out, first, bytes);
    if (first)
      free(out);
    else
      first = out;
    device_case_destroy(&device);
    snapmla_plan_destroy(plan);
    snapmla_context_destroy(context);
  }
  free(first);
  case_destroy(&host);
}

/* Every token appended at its slot gives the reference's cache, byte for byte. */
static void appends_what_the_reference_writes(void **state) {
  (void)state;
  decode_case host = case_create(&shapes[1], 11);
  snapmla_context *context = open_device();
  snapmla_plan *plan = make_plan(context, &host);
  int64_t tokens = 0;
  for (int32_t b = 0; b < host.args.batch; b++) tokens += host.seqlens[b];
  int64_t *slots = malloc((size_t)(tokens + 1) * sizeof *slots);
  assert_non_null(slots);
  for (int32_t b = 0; b < host.args.batch; b++)
    for (int32_t t = 0; t < host.seqlens[b]; t++)
      slots[host.row_of[b] + t] =
          (int64_t)host.block_table[b * host.args.block_table_stride + t / host.problem.page_tokens] *
              host.problem.page_tokens +
          t % host.problem.page_tokens;

  snapmla_buffer *latent, *rope, *mapping, *kv;
  size_t latent_bytes = (size_t)(tokens * host.problem.latent_rank) * 2, rope_bytes = (size_t)(tokens * 64) * 2;
  assert_int_equal(snapmla_buffer_create(context, latent_bytes, &latent), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_create(context, rope_bytes, &rope), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_create(context, (size_t)tokens * sizeof *slots, &mapping), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_create(context, (size_t)host.kv_bytes, &kv), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_write(latent, 0, host.latent, latent_bytes), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_write(rope, 0, host.rope, rope_bytes), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_write(mapping, 0, slots, (size_t)tokens * sizeof *slots), SNAPMLA_OK);
  const snapmla_append_args args = {.size = sizeof args,
                                    .tokens = tokens,
                                    .latent = snapmla_buffer_pointer(latent),
                                    .latent_stride = host.problem.latent_rank,
                                    .rope = snapmla_buffer_pointer(rope),
                                    .rope_stride = 64,
                                    .slot_mapping = snapmla_buffer_pointer(mapping),
                                    .kv = snapmla_buffer_pointer(kv),
                                    .page_stride = host.args.page_stride,
                                    .num_pages = host.args.num_pages};
  if (snapmla_plan_append(plan, &args)) fail_msg("%s", snapmla_error_message());
  unsigned char *bytes = malloc((size_t)host.kv_bytes);
  assert_non_null(bytes);
  assert_int_equal(snapmla_buffer_read(kv, 0, bytes, (size_t)host.kv_bytes), SNAPMLA_OK);
  assert_memory_equal(bytes, host.kv, (size_t)host.kv_bytes);

  free(bytes);
  free(slots);
  snapmla_buffer_destroy(latent);
  snapmla_buffer_destroy(rope);
  snapmla_buffer_destroy(mapping);
  snapmla_buffer_destroy(kv);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static void counts_and_times_the_last_decode(void **state) {
  (void)state;
  decode_case host = case_create(&shapes[0], 5);
  snapmla_context *context = open_emulator(SNAPMLA_EMULATOR_EAGER, 0);
  snapmla_plan *plan = make_plan(context, &host);
  snapmla_plan_counters counters = {.size = sizeof counters, .tensor_flops = -1};
  assert_int_equal(snapmla_plan_last_counters(plan, &counters), SNAPMLA_OK);
  assert_int_equal(counters.tensor_flops, 0);
  device_case device = device_case_create(context, plan, &host);
  snapmla_event *start, *stop;
  assert_int_equal(snapmla_event_create(context, &start), SNAPMLA_OK);
  assert_int_equal(snapmla_event_create(context, &stop), SNAPMLA_OK);
  double us = -1;
  assert_int_equal(snapmla_event_elapsed(start, stop, &us), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_schedule(plan, &device.args), SNAPMLA_OK);
  assert_int_equal(snapmla_event_record(start, device.stream), SNAPMLA_OK);
  assert_int_equal(snapmla_plan_decode(plan, &device.args), SNAPMLA_OK);
  assert_int_equal(snapmla_event_record(stop, device.stream), SNAPMLA_OK);
  assert_int_equal(snapmla_event_elapsed(start, stop, &us), SNAPMLA_OK);
  assert_int_equal(snapmla_plan_last_counters(plan, &counters), SNAPMLA_OK);
  /* 6 and 1 tiles of 64 tokens by 16 rows: QK over 256 + 64 channels and PV over 256. */
  assert_int_equal(counters.tensor_flops, 7LL * 2 * 64 * 16 * (256 + 64 + 256));
  assert_true(counters.global_bytes_read >= 365LL * (256 + 128 + 4));
  assert_true(counters.global_bytes_written >= 3LL * 16 * 256 * 2);
  assert_true(counters.modelled_us > 0);
  assert_true(us > 0.999 * counters.modelled_us && us < 1.001 * counters.modelled_us);
  device.args.batch = 0;
  assert_int_equal(snapmla_plan_decode(plan, &device.args), SNAPMLA_OK);
  assert_int_equal(snapmla_plan_last_counters(plan, &counters), SNAPMLA_OK);
  assert_true(counters.modelled_us == 0 && counters.global_bytes_read == 0);
  snapmla_event_destroy(start);
  snapmla_event_destroy(stop);
  device_case_destroy(&device);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static void says_how_to_get_memory_it_may_touch(void **state) {
  (void)state;
  decode_case host = case_create(&shapes[0], 5);
  snapmla_context *context = open_emulator(SNAPMLA_EMULATOR_EAGER, 0);
  snapmla_plan *plan = make_plan(context, &host);
  device_case device = device_case_create(context, plan, &host);
  assert_int_equal(snapmla_plan_schedule(plan, &device.args), SNAPMLA_OK);
  void *own = aligned_alloc(256, 1 << 20);
  assert_non_null(own);
  device.args.out = own;
  assert_int_equal(snapmla_plan_decode(plan, &device.args), SNAPMLA_EMULATOR_FAULT);
  if (!strstr(snapmla_error_message(), "snapmla_buffer_create")) fail_msg("%s", snapmla_error_message());
  assert_int_equal(snapmla_stream_synchronize(device.stream), SNAPMLA_EMULATOR_FAULT);
  assert_int_equal(snapmla_stream_synchronize(device.stream), SNAPMLA_OK);
  free(own);
  device_case_destroy(&device);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static void takes_overrides(void **state) {
  (void)state;
  snapmla_context *context = open_emulator(SNAPMLA_EMULATOR_EAGER, 0);
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.latent_rank = 256;
  snapmla_plan_options options = {.size = sizeof options, .variant = "mla_decode:stages=2;schedule:block=128"};
  snapmla_plan *plan = NULL;
  if (snapmla_plan_create(context, &problem, &options, &plan)) fail_msg("%s", snapmla_error_message());
  assert_string_equal(
      snapmla_plan_variant(plan, "mla_decode"),
      "mla_decode:rows=64,latent=256,rope=64,page=64,format=fp8_token,accuracy=fast,"
      "query_terms=1,p_terms=1,score_parts=2,promotion=tile,sums=rounded,limits=kept,pipeline=on,tokens=paged,"
      "partial=bf16,stages=2");
  assert_string_equal(snapmla_plan_variant(plan, "schedule"), "schedule:block=128");
  assert_non_null(snapmla_plan_variant(plan, "kv_append"));
  assert_null(snapmla_plan_variant(plan, "mla_encode"));
  assert_null(snapmla_plan_variant(plan, NULL));
  assert_null(snapmla_plan_variant(NULL, "schedule"));
  assert_int_equal(snapmla_plan_workspace_bytes(NULL), 0);
  snapmla_plan_destroy(plan);
  snapmla_plan_destroy(NULL);
  static const struct {
    const char *text;
    snapmla_status status;
    const char *word;
  } cases[] = {{"mla_encode:stages=2", SNAPMLA_INVALID_ARGUMENT, "is no family"},
               {"mla_decode:stages=99", SNAPMLA_INVALID_ARGUMENT, "legal"},
               {"mla_decode:page=128", SNAPMLA_INVALID_ARGUMENT, "may not change the problem"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    options.variant = cases[i].text;
    assert_int_equal(snapmla_plan_create(context, &problem, &options, &plan), cases[i].status);
    assert_null(plan);
    if (!strstr(snapmla_error_message(), cases[i].word)) fail_msg("%s", snapmla_error_message());
  }
  problem.heads = 64; /* one group of rows, which two blocks cannot share */
  options.variant = "mla_decode:rows=64,cluster=2";
  assert_int_equal(snapmla_plan_create(context, &problem, &options, &plan), SNAPMLA_ILLEGAL_VARIANT);
  assert_non_null(strstr(snapmla_error_message(), "one group of 64 rows: take cluster=1"));
  problem.latent_rank = 512;
  options.variant = "mla_decode:stages=8";
  assert_int_equal(snapmla_plan_create(context, &problem, &options, &plan), SNAPMLA_ILLEGAL_VARIANT);
  options.size = 1;
  assert_int_equal(snapmla_plan_create(context, &problem, &options, &plan), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_create(context, NULL, NULL, &plan), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_create(NULL, &problem, NULL, &plan), SNAPMLA_INVALID_ARGUMENT);
  snapmla_context_destroy(context);
}

/* A template of the user's own that does not compile: the error names its line, the context keeps the whole log. */
static void keeps_the_log_of_a_failure(void **state) {
  (void)state;
  smla_buffer folder = {0}, file = {0};
  assert_int_equal(smla_buffer_printf(&folder, "%s/templates/schedule", settings_directory), SNAPMLA_OK);
  assert_int_equal(smla_file_make_directory(folder.data), SNAPMLA_OK);
  assert_int_equal(smla_buffer_printf(&file, "%s/schedule.cu.tmpl", folder.data), SNAPMLA_OK);
  assert_int_equal(smla_file_write(file.data, "int x;\nint y = z;\n", 18, 0600), SNAPMLA_OK);
  folder.data[folder.length - strlen("/schedule")] = 0;
  const snapmla_context_options options = {
      .size = sizeof options, .device = "emulator", .templates = folder.data, .emulator_sms = SMS};
  snapmla_context *context;
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_OK);
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.latent_rank = 256;
  snapmla_plan *plan = NULL;
  assert_int_equal(snapmla_plan_create(context, &problem, NULL, &plan), SNAPMLA_COMPILE);
  assert_null(plan);
  if (!strstr(snapmla_error_message(), "schedule.cu.tmpl:2")) fail_msg("%s", snapmla_error_message());
  char *log;
  assert_int_equal(snapmla_context_compile_log(context, &log), SNAPMLA_OK);
  assert_non_null(strstr(log, "== schedule:"));
  assert_non_null(strstr(log, "schedule.cu.tmpl:2"));
  snapmla_text_free(log);
  snapmla_context_destroy(context);
  smla_buffer_free(&folder);
  smla_buffer_free(&file);
}

static void refuses_foreign_streams(void **state) {
  (void)state;
  decode_case host = case_create(&shapes[0], 5);
  snapmla_context *context = open_emulator(SNAPMLA_EMULATOR_EAGER, 0),
                  *other = open_emulator(SNAPMLA_EMULATOR_EAGER, 0);
  snapmla_plan *plan = make_plan(context, &host);
  device_case device = device_case_create(context, plan, &host);
  snapmla_stream *stream;
  assert_int_equal(snapmla_stream_create(other, &stream), SNAPMLA_OK);
  device.args.stream = snapmla_stream_handle(stream);
  assert_int_equal(snapmla_plan_schedule(plan, &device.args), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "not one of the emulator's"));
  device.args.stream = NULL;
  assert_int_equal(snapmla_plan_schedule(plan, &device.args), SNAPMLA_OK);
  assert_int_equal(snapmla_plan_decode(plan, &device.args), SNAPMLA_OK);
  device_case_check(&device);
  snapmla_stream_destroy(stream);
  device_case_destroy(&device);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  snapmla_context_destroy(other);
  case_destroy(&host);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decodes_as_the_oracle),
      cmocka_unit_test(gives_the_same_bits_in_every_order),
      cmocka_unit_test(appends_what_the_reference_writes),
      cmocka_unit_test(counts_and_times_the_last_decode),
      cmocka_unit_test(says_how_to_get_memory_it_may_touch),
      cmocka_unit_test(takes_overrides),
      cmocka_unit_test(keeps_the_log_of_a_failure),
      cmocka_unit_test(refuses_foreign_streams),
  };
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
