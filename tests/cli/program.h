/* The program as a stranger runs it: arguments in, exit code and both streams out. */
#ifndef SMLA_TESTS_CLI_PROGRAM_H
#define SMLA_TESTS_CLI_PROGRAM_H

#include <jansson.h>

typedef struct program_result {
  int code;        /* of exit; 128 + the signal otherwise */
  char *out, *err; /* owned */
} program_result;

enum program_kind {
  PROGRAM,              /* <build>/bin/snapmla */
  PROGRAM_ON_REFERENCE, /* the same on reference_device.c, beside the tests */
  PACK_RUN              /* <build>/bin/snapmla-run */
};

/* Runs with the arguments up to a NULL; words NAME=VALUE before the first other are set in its environment. */
program_result program_run(enum program_kind kind, ...) __attribute__((sentinel));
void program_free(program_result *result);

/* As program_run, and asserts the code and that stderr holds `text` (NULL: that it is empty). */
#define assert_program(kind, expected_code, text, ...)                           \
  do {                                                                           \
    program_result result_ = program_run(kind, __VA_ARGS__, (const char *)NULL); \
    program_check(&result_, expected_code, text, __FILE__, __LINE__);            \
    program_free(&result_);                                                      \
  } while (0)
void program_check(const program_result *result, int code, const char *text, const char *file, int line);

/* The JSON of stdout, which holds nothing else; released by the caller. Fails the test if it is none. */
json_t *program_json(const program_result *result);

/* Bytes of a file, NUL-terminated, owned by the caller; NULL if it cannot be read. */
char *program_read_file(const char *path, size_t *bytes);
void program_write_file(const char *path, const void *data, size_t bytes);
/* Files in a directory, without . and ..; -1 if it is none. */
int program_count_files(const char *directory);

#endif
