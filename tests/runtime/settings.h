/* Settings of the environment for a test program: a cache of its own in a temporary directory that goes with the
 * program. */
#ifndef SMLA_TESTS_RUNTIME_SETTINGS_H
#define SMLA_TESTS_RUNTIME_SETTINGS_H

#include <stdlib.h>

#include "buffer.h"
#include "file.h"

static char *settings_directory;

/* The device that a test of both uses: SNAPMLA_TEST_TARGET, else the emulator. */
__attribute__((unused)) static const char *settings_device(void) {
  const char *device = getenv("SNAPMLA_TEST_TARGET");
  return device && *device ? device : "emulator";
}

/* cmocka group setup: SNAPMLA_CACHE_DIR is <directory>/cache. */
static int settings_setup(void **state) {
  (void)state;
  smla_buffer path = {0}, cache = {0};
  if (smla_file_make_temporary("snapmla-test", &path) || smla_buffer_printf(&cache, "%s/cache", path.data)) return -1;
  settings_directory = smla_buffer_take(&path);
  int failed = setenv("SNAPMLA_CACHE_DIR", cache.data, 1);
  smla_buffer_free(&cache);
  return failed;
}

static int settings_teardown(void **state) {
  (void)state;
  int failed = smla_file_remove_tree(settings_directory) != SNAPMLA_OK;
  free(settings_directory);
  return failed ? -1 : 0;
}

#endif
