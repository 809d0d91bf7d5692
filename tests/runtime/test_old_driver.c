/* A driver that is older than the kernels or than snapmla, in a process of its own: its version is read once. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include <snapmla/snapmla.h>

#include "driver.h"
#include "fake_cuda.h"
#include "nvrtc.h"
#include "settings.h"

static void refuses_what_is_before_cuda_12(void **state) {
  (void)state;
  const snapmla_context_options options = {.size = sizeof options, .device = "cuda:0"};
  snapmla_context *context = NULL;
  fake_cuda_show(1, 9, 0, 11080);
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_NO_DEVICE);
  assert_null(context);
  assert_non_null(strstr(snapmla_error_message(), "supports CUDA 11.8, and 12.0 is the least"));
}

static void says_when_it_does_not_start(void **state) {
  (void)state;
  const smla_driver *driver;
  fake_cuda_show(1, 9, 0, 12040);
  fake_cuda_fail("cuDriverGetVersion", 0, 1);
  assert_int_equal(smla_driver_open(&driver), SNAPMLA_NO_DEVICE);
  assert_null(driver);
  fake_cuda_fail("cuInit", 0, 100);
  assert_int_equal(smla_driver_start(&driver), SNAPMLA_NO_DEVICE);
  assert_non_null(strstr(snapmla_error_message(), "cuInit says"));
  assert_non_null(strstr(snapmla_error_message(), "emulator"));
  assert_int_equal(smla_driver_start(&driver), SNAPMLA_OK);
  assert_int_equal(driver->version, 12040);
}

/* Where the only NVRTC is newer than the driver, the plan says so rather than the driver. */
static void names_the_driver_that_is_needed(void **state) {
  (void)state;
  const smla_nvrtc *nvrtc;
  if (smla_nvrtc_open(&nvrtc) || nvrtc->major < 13) skip();
  const snapmla_context_options options = {.size = sizeof options, .device = "cuda:0"};
  snapmla_context *context;
  snapmla_plan *plan = NULL;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_OK);
  assert_int_equal(snapmla_plan_create(context, &problem, NULL, &plan), SNAPMLA_DEVICE);
  assert_null(plan);
  assert_non_null(strstr(snapmla_error_message(), "it supports CUDA 12.4 and the kernels come from NVRTC 13"));
  assert_non_null(strstr(snapmla_error_message(), "driver 580 or newer"));
  assert_int_equal(fake_cuda_calls("cuModuleLoadData"), 0);
  snapmla_context_destroy(context);
  assert_int_equal(fake_cuda_alive().contexts, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses_what_is_before_cuda_12),
      cmocka_unit_test(says_when_it_does_not_start),
      cmocka_unit_test(names_the_driver_that_is_needed),
  };
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
