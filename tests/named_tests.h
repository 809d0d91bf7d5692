/* A group of tests, or those of it that the command line names: a part of a program under a tool that makes all of it take minutes. */
#ifndef SMLA_TESTS_NAMED_TESTS_H
#define SMLA_TESTS_NAMED_TESTS_H

#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"

enum { MOST_NAMED_TESTS = 64 };

/* The number of tests that failed; 1 where a name is no test's. */
static int run_named_tests(const struct CMUnitTest *tests, size_t count, int argc, char **argv, CMFixtureFunction setup,
                           CMFixtureFunction teardown) {
  struct CMUnitTest chosen[MOST_NAMED_TESTS];
  size_t chosen_count = 0;
  for (int i = 1; i < argc; i++) {
    size_t at = 0;
    while (at < count && strcmp(tests[at].name, argv[i]) != 0) at++;
    if (at == count || chosen_count == MOST_NAMED_TESTS) {
      fprintf(stderr, "%s: %s is none of its tests\n", argv[0], argv[i]);
      return 1;
    }
    chosen[chosen_count++] = tests[at];
  }
  if (argc < 2) return _cmocka_run_group_tests("tests", tests, count, setup, teardown);
  return _cmocka_run_group_tests("tests", chosen, chosen_count, setup, teardown);
}

#endif
