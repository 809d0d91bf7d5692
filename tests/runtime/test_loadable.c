/* The public library can be opened at run time, as a Python module or a server's plug-in opens it: it claims no part of
 * the thread-local storage that is fixed when a program starts. */
#include <dlfcn.h>
#include <string.h>

#include "cmocka_all.h"

#include <snapmla/snapmla.h>

static void opens_at_run_time(void **state) {
  (void)state;
  void *library = dlopen(TEST_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) fail_msg("%s", dlerror());
  const char *(*version)(void);
  void *address = dlsym(library, "snapmla_version");
  assert_non_null(address);
  memcpy(&version, &address, sizeof address);
  assert_string_equal(version(), "0.1.0");
  assert_null(dlsym(library, "smla_fail"));
  assert_null(dlsym(library, "smla_generator_create"));
  assert_int_equal(dlclose(library), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(opens_at_run_time)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
