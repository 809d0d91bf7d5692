/* Contexts, buffers, streams and events on the emulator. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include <snapmla/snapmla.h>

/* A buffer too large for the machine is asked for on purpose: no reason for the sanitizer to end the test. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

static snapmla_context *open_emulator(void) {
  const snapmla_context_options options = {.size = sizeof options, .device = "emulator", .emulator_sms = 8};
  snapmla_context *context;
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_OK);
  return context;
}

static void refuses_unknown_devices(void **state) {
  (void)state;
  static const char *const texts[] = {"",          "cuda",       "cuda:",   "cuda:x",
                                      "cuda:-1",   "cuda:1x",    "cuda: 1", "cuda:99999999999999",
                                      "cuda:2000", "emulator:0", "gpu",     "CUDA:0"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const snapmla_context_options options = {.size = sizeof options, .device = texts[i]};
    snapmla_context *context = (snapmla_context *)&options;
    assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_INVALID_ARGUMENT);
    assert_null(context);
    assert_non_null(strstr(snapmla_error_message(), "\"cuda:0\""));
  }
}

static void refuses_bad_options(void **state) {
  (void)state;
  snapmla_context *context;
  snapmla_context_options options = {.size = 4, .device = "emulator"};
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_INVALID_ARGUMENT);
  options = (snapmla_context_options){.size = sizeof options, .device = "emulator", .emulator_sms = -1};
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "emulator_sms"));
  options = (snapmla_context_options){.size = sizeof options, .device = "emulator", .emulator_threads = 5000};
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "emulator_threads"));
  options = (snapmla_context_options){
      .size = sizeof options, .device = "emulator", .emulator_order = (snapmla_emulator_order)9};
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "emulator_order"));
  options =
      (snapmla_context_options){.size = sizeof options, .device = "emulator", .templates = "/nonexistent/templates"};
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_NOT_FOUND);
  assert_int_equal(snapmla_context_create(&options, NULL), SNAPMLA_INVALID_ARGUMENT);
  assert_null(context);
}

static void describes_the_emulator(void **state) {
  (void)state;
  snapmla_context *context = open_emulator();
  snapmla_device_info info = {.size = sizeof info};
  assert_int_equal(snapmla_context_info(context, &info), SNAPMLA_OK);
  assert_string_equal(info.name, "emulator");
  assert_string_equal(info.product, "emulated Hopper");
  assert_int_equal(info.is_emulator, 1);
  assert_int_equal(info.compute_major, 9);
  assert_int_equal(info.compute_minor, 0);
  assert_int_equal(info.multiprocessors, 8);
  assert_int_equal(info.shared_memory_bytes, 232448);
  assert_int_equal(info.driver_version, 0);
  assert_int_equal(info.size, sizeof info);
  info.size = 0;
  assert_int_equal(snapmla_context_info(context, &info), SNAPMLA_INVALID_ARGUMENT);
  char *log = NULL;
  assert_int_equal(snapmla_context_compile_log(context, &log), SNAPMLA_OK);
  assert_string_equal(log, "");
  snapmla_text_free(log);
  snapmla_text_free(NULL);
  snapmla_context_destroy(context);
  snapmla_context_destroy(NULL);
}

static void buffers_hold_bytes(void **state) {
  (void)state;
  snapmla_context *context = open_emulator();
  snapmla_buffer *buffer = NULL;
  assert_int_equal(snapmla_buffer_create(context, 0, &buffer), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_buffer_create(context, SIZE_MAX - 100, &buffer), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_buffer_create(context, SIZE_MAX / 4, &buffer), SNAPMLA_OUT_OF_MEMORY);
  assert_null(buffer);
  assert_int_equal(snapmla_buffer_create(context, 1001, &buffer), SNAPMLA_OK);
  assert_int_equal((uintptr_t)snapmla_buffer_pointer(buffer) % 1024, 0);
  assert_int_equal(snapmla_buffer_bytes(buffer), 1001);
  unsigned char bytes[1001];
  assert_int_equal(snapmla_buffer_read(buffer, 0, bytes, 1001), SNAPMLA_OK);
  for (size_t i = 0; i < 1001; i++) assert_int_equal(bytes[i], 0xff);
  assert_int_equal(snapmla_buffer_write(buffer, 998, "abc", 3), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_read(buffer, 997, bytes, 4), SNAPMLA_OK);
  assert_memory_equal(bytes, "\377abc", 4);
  assert_int_equal(snapmla_buffer_write(buffer, 999, "abc", 3), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "1001 bytes"));
  assert_int_equal(snapmla_buffer_read(buffer, SIZE_MAX, bytes, 4), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_buffer_read(buffer, 1001, bytes, 0), SNAPMLA_OK);
  assert_int_equal(snapmla_buffer_read(buffer, 0, NULL, 1), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_buffer_write(NULL, 0, "a", 1), SNAPMLA_INVALID_ARGUMENT);
  snapmla_buffer_destroy(buffer);
  snapmla_buffer_destroy(NULL);
  snapmla_context_destroy(context);
}

static void streams_and_events_belong_to_a_context(void **state) {
  (void)state;
  snapmla_context *one = open_emulator(), *two = open_emulator();
  snapmla_stream *stream, *foreign;
  snapmla_event *start, *stop;
  double us = -1;
  assert_int_equal(snapmla_stream_create(one, &stream), SNAPMLA_OK);
  assert_int_equal(snapmla_stream_create(two, &foreign), SNAPMLA_OK);
  assert_int_equal(snapmla_event_create(one, &start), SNAPMLA_OK);
  assert_int_equal(snapmla_event_create(one, &stop), SNAPMLA_OK);
  assert_non_null(snapmla_stream_handle(stream));
  assert_int_equal(snapmla_event_record(start, stream), SNAPMLA_OK);
  assert_int_equal(snapmla_event_record(stop, foreign), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_event_elapsed(start, stop, &us), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_event_record(stop, stream), SNAPMLA_OK);
  assert_int_equal(snapmla_event_elapsed(start, stop, &us), SNAPMLA_OK);
  assert_true(us == 0);
  assert_int_equal(snapmla_stream_synchronize(stream), SNAPMLA_OK);
  assert_int_equal(snapmla_stream_synchronize(NULL), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_event_record(NULL, stream), SNAPMLA_INVALID_ARGUMENT);
  snapmla_event_destroy(start);
  snapmla_event_destroy(stop);
  snapmla_event_destroy(NULL);
  snapmla_stream_destroy(foreign);
  snapmla_stream_destroy(stream);
  snapmla_stream_destroy(NULL);
  snapmla_context_destroy(one);
  snapmla_context_destroy(two);
}

static void tells_its_version(void **state) {
  (void)state;
  assert_string_equal(snapmla_version(), "0.1.0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses_unknown_devices),
      cmocka_unit_test(refuses_bad_options),
      cmocka_unit_test(describes_the_emulator),
      cmocka_unit_test(buffers_hold_bytes),
      cmocka_unit_test(streams_and_events_belong_to_a_context),
      cmocka_unit_test(tells_its_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
