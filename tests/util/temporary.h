/* A directory of its own for each test, removed afterwards, and paths in it. */
#ifndef SMLA_TESTS_UTIL_TEMPORARY_H
#define SMLA_TESTS_UTIL_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
#include "file.h"

static int temporary_setup(void **state) {
  smla_buffer path = {0};
  if (smla_file_make_temporary("snapmla-test", &path)) return -1;
  *state = smla_buffer_take(&path);
  return 0;
}

static int temporary_teardown(void **state) {
  int failed = smla_file_remove_tree(*state) != SNAPMLA_OK || smla_file_exists(*state);
  free(*state);
  return failed ? -1 : 0;
}

/* The path of `name` in the test's directory; valid until the fourth call after. */
static const char *in(void **state, const char *name) {
  static char paths[4][4096];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", (const char *)*state, name);
  return path;
}

#endif
