/* The build of a library that is not loaded. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "file.h"
#include "library.h"
#include "nvrtc.h"
#include "util/temporary.h"

/* The C library is loaded and in the loader's cache or directories. Of its functions one that no sanitizer puts its own before. */
static void a_file_tells_the_build_that_the_loaded_library_has(void **state) {
  (void)state;
  smla_buffer path = {0}, of_file = {0}, of_memory = {0};
  void *address = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
  assert_non_null(address);
  assert_int_equal(smla_library_build_id(address, &of_memory), SNAPMLA_OK);
  assert_int_equal(smla_nvrtc_loader_path("libc.so.6", &path), SNAPMLA_OK);
  assert_true(path.length > 0);
  assert_int_equal(smla_library_file_build_id(path.data, &of_file), SNAPMLA_OK);
  assert_true(of_file.length >= 16);
  assert_string_equal(of_file.data, of_memory.data);
  smla_buffer_free(&path);
  smla_buffer_free(&of_file);
  smla_buffer_free(&of_memory);
}

static void what_is_not_there_has_no_path(void **state) {
  (void)state;
  smla_buffer path = {0};
  assert_int_equal(smla_nvrtc_loader_path("libsnapmla-is-not-there.so.7", &path), SNAPMLA_OK);
  assert_int_equal(path.length, 0);
}

static void what_is_no_library_tells_nothing(void **state) {
  smla_buffer id = {0};
  const char *path = in(state, "text");
  static const char start[] = "\177ELF\2\1\1"; /* and no more */
  assert_int_equal(smla_library_file_build_id(path, &id), SNAPMLA_OK);
  assert_int_equal(smla_file_write(path, start, sizeof start, 0600), SNAPMLA_OK);
  assert_int_equal(smla_library_file_build_id(path, &id), SNAPMLA_OK);
  assert_int_equal(id.length, 0);
  setenv("SNAPMLA_NVRTC", path, 1);
  assert_int_equal(smla_nvrtc_build_id(&id), SNAPMLA_OK);
  assert_int_equal(id.length, 0);
  unsetenv("SNAPMLA_NVRTC");
}

/* A toolkit of a stand-in's own, which comes before any that the machine has. */
static void install_toolkit(void **state) {
  static const char *const names[] = {"toolkit/lib64/libnvrtc.so.13", "toolkit/lib64/libnvrtc.so.12"};
  smla_buffer library = {0};
  assert_int_equal(smla_file_read(FAKE_NVRTC, 64 << 20, &library), SNAPMLA_OK);
  assert_int_equal(smla_file_make_directory(in(state, "toolkit/lib64")), SNAPMLA_OK);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) /* what this machine's driver can load */
    assert_int_equal(smla_file_write(in(state, names[i]), library.data, library.length, 0700), SNAPMLA_OK);
  smla_buffer_free(&library);
  unsetenv("SNAPMLA_NVRTC");
  setenv("CUDAToolkit_ROOT", in(state, "toolkit"), 1);
}

static void the_guess_is_the_library_that_is_opened(void **state) {
  smla_buffer before = {0}, after = {0}, of_file = {0};
  const smla_nvrtc *nvrtc;
  install_toolkit(state);
  assert_int_equal(smla_library_file_build_id(FAKE_NVRTC, &of_file), SNAPMLA_OK);
  assert_true(of_file.length >= 16);
  assert_int_equal(smla_nvrtc_build_id(&before), SNAPMLA_OK);
  assert_string_equal(before.data, of_file.data);
  if (smla_nvrtc_open(&nvrtc)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(nvrtc->minor, 7);
  assert_string_equal(nvrtc->build_id, of_file.data);
  assert_int_equal(smla_nvrtc_build_id(&after), SNAPMLA_OK);
  assert_string_equal(after.data, of_file.data);
  smla_buffer_free(&before);
  smla_buffer_free(&after);
  smla_buffer_free(&of_file);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
  const struct CMUnitTest tests[] = {TEST(a_file_tells_the_build_that_the_loaded_library_has),
                                     TEST(what_is_not_there_has_no_path), TEST(what_is_no_library_tells_nothing),
                                     TEST(the_guess_is_the_library_that_is_opened)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
