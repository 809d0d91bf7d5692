/* Many processes that want one kernel of an empty store at a time; compilations that fail, remembered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "build.h"
#include "hash.h"
#include "util/temporary.h"

enum { PROCESSES = 32 };

/* A compiler that says in a file that it was run, and takes its time. */
static int setup(void **state) {
  static const char script[] =
      "#!/bin/sh\ncase \" $* \" in *\" -o \"*) echo run >>\"$COMPILES\"; sleep 0.3 ;; esac\nexec c++ \"$@\"\n";
  if (temporary_setup(state)) return -1;
  if (smla_file_write(in(state, "compiler"), script, sizeof script - 1, 0700)) return -1;
  return setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1) || setenv("SNAPMLA_CXX", in(state, "compiler"), 1) ||
                 setenv("COMPILES", in(state, "compiles"), 1)
             ? -1
             : 0;
}

static int count_compiles(void **state) {
  smla_buffer text = {0};
  int count = 0;
  if (!smla_file_read(in(state, "compiles"), 1 << 20, &text))
    for (size_t i = 0; i < text.length; i++) count += text.data[i] == '\n';
  smla_buffer_free(&text);
  return count;
}

/* Builds the schedule kernel in this process; the first 32 digits of its image's hash, or "". */
static void build(char digest[33]) {
  smla_generator *generator = NULL;
  char hex[SMLA_HASH_HEX] = "";
  digest[0] = 0;
  if (smla_generator_create(NULL, &generator)) return;
  smla_build b = {.generator = generator, .target = SNAPMLA_TARGET_EMULATOR, .variant = "schedule:block=128"};
  if (!smla_build_run(&b)) {
    smla_hash_buffer(b.image->bytes, b.image->size, hex);
    memcpy(digest, hex, 32);
    digest[32] = 0;
  }
  smla_build_clear(&b);
  smla_generator_destroy(generator);
}

static void thirty_two_processes_compile_once_or_twice(void **state) {
  int ends[2];
  pid_t children[PROCESSES];
  assert_int_equal(pipe(ends), 0);
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    assert_true(children[i] >= 0);
    if (children[i]) continue;
    char digest[33];
    build(digest);
    _exit(*digest && write(ends[1], digest, 32) == 32 ? 0 : 1);
  }
  for (int i = 0; i < PROCESSES; i++) {
    int how;
    assert_int_equal(waitpid(children[i], &how, 0), children[i]);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
  }
  char first[32], other[32];
  assert_int_equal(read(ends[0], first, 32), 32);
  for (int i = 1; i < PROCESSES; i++) {
    assert_int_equal(read(ends[0], other, 32), 32);
    assert_memory_equal(first, other, 32);
  }
  close(ends[0]);
  close(ends[1]);
  assert_in_range(count_compiles(state), 1, 2);
}

static void a_failed_compilation_is_remembered(void **state) {
  static const char script[] =
      "#!/bin/sh\ncase \" $* \" in *\" -o \"*) echo run >>\"$COMPILES\"; echo 'kernel.cpp:1: error: "
      "planted'; exit 1 ;; esac\nexec c++ \"$@\"\n";
  assert_int_equal(smla_file_write(in(state, "compiler"), script, sizeof script - 1, 0700), SNAPMLA_OK);
  smla_generator *generator;
  assert_int_equal(smla_generator_create(NULL, &generator), SNAPMLA_OK);
  for (int i = 0; i < 3; i++) {
    smla_build b = {.generator = generator, .target = SNAPMLA_TARGET_EMULATOR, .variant = "schedule:block=512"};
    assert_int_equal(smla_build_run(&b), SNAPMLA_COMPILE);
    assert_non_null(strstr(b.reason, "error: planted"));
    assert_non_null(strstr(b.log, "planted"));
    smla_build_clear(&b);
  }
  assert_int_equal(count_compiles(state), 1);
  smla_generator_destroy(generator);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {TEST(thirty_two_processes_compile_once_or_twice),
                                     TEST(a_failed_compilation_is_remembered)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
