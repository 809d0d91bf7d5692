#include "program.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

enum { MOST_ARGUMENTS = 64 };

/* The test lies in <build>/bin/tests, so that both may be moved together. */
static void find_program(enum program_kind kind, char *path, size_t room) {
  char self[4096];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(length > 0);
  self[length] = 0;
  *strrchr(self, '/') = 0;
  static const char *const places[] = {
      [PROGRAM] = "../snapmla", [PROGRAM_ON_REFERENCE] = "snapmla_on_reference", [PACK_RUN] = "../snapmla-run"};
  snprintf(path, room, "%s/%s", self, places[kind]);
}

static char *read_stream(FILE *stream) {
  fseek(stream, 0, SEEK_END);
  long length = ftell(stream);
  char *text = malloc((size_t)length + 1);
  assert_non_null(text);
  rewind(stream);
  assert_int_equal(fread(text, 1, (size_t)length, stream), length);
  text[length] = 0;
  fclose(stream);
  return text;
}

program_result program_run(enum program_kind kind, ...) {
  char path[5000];
  char *arguments[MOST_ARGUMENTS + 2] = {path}, *variables[MOST_ARGUMENTS];
  int count = 1, variable_count = 0, status;
  va_list list;
  find_program(kind, path, sizeof path);
  va_start(list, kind);
  for (char *word; (word = va_arg(list, char *)) && count <= MOST_ARGUMENTS;) {
    if (count == 1 && word[0] >= 'A' && word[0] <= 'Z' && strchr(word, '='))
      variables[variable_count++] = word;
    else
      arguments[count++] = word;
  }
  va_end(list);
  FILE *out = tmpfile(), *err = tmpfile();
  assert_true(out && err);
  pid_t child = fork();
  if (!child) {
    int nothing = open("/dev/null", O_RDONLY);
    for (int i = 0; i < variable_count; ++i) putenv(variables[i]);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(fileno(out), 1) < 0 || dup2(fileno(err), 2) < 0) _exit(126);
    execv(path, arguments);
    _exit(127);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  program_result result = {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_stream(out),
                           read_stream(err)};
  return result;
}

void program_free(program_result *result) {
  free(result->out);
  free(result->err);
  *result = (program_result){0};
}

void program_check(const program_result *result, int code, const char *text, const char *file, int line) {
  int right = result->code == code && (text ? strstr(result->err, text) != NULL : !result->err[0]);
  if (right) return;
  print_error("exit code %d, expected %d; stderr should %s%s, is:\n%s", result->code, code,
              text ? "hold: " : "be empty", text ? text : "", result->err);
  _fail(file, line);
}

json_t *program_json(const program_result *result) {
  json_error_t error;
  json_t *root = json_loads(result->out, JSON_REJECT_DUPLICATES, &error);
  if (!root) fail_msg("stdout is not one JSON value: %s\n%s\n%s", error.text, result->out, result->err);
  return root;
}

char *program_read_file(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)ftell(file);
  return read_stream(file);
}

void program_write_file(const char *path, const void *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, bytes, file), bytes);
  assert_int_equal(fclose(file), 0);
}

int program_count_files(const char *directory) {
  DIR *list = opendir(directory);
  int count = 0;
  if (!list) return -1;
  for (struct dirent *entry; (entry = readdir(list));)
    count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
  closedir(list);
  return count;
}
