#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "log.h"

typedef struct heard {
  int count;
  smla_log_level level;
  char message[128];
} heard;

static void listen(void *user, smla_log_level level, const char *message) {
  heard *h = user;
  h->count++;
  h->level = level;
  snprintf(h->message, sizeof h->message, "%s", message);
}

/* What standard error gets while the environment says `level`, into `text`. */
static void capture(const char *level, char *text, size_t size) {
  if (level)
    setenv("SNAPMLA_LOG", level, 1);
  else
    unsetenv("SNAPMLA_LOG");
  FILE *file = tmpfile();
  assert_non_null(file);
  fflush(stderr);
  int saved = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  smla_log(SMLA_LOG_ERROR, "number %d", 1);
  smla_log(SMLA_LOG_INFO, "number %d", 2);
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  rewind(file);
  text[fread(text, 1, size - 1, file)] = 0;
  fclose(file);
}

static void silent_unless_asked(void **state) {
  (void)state;
  char text[256];
  capture(NULL, text, sizeof text);
  assert_string_equal(text, "");
  capture("none", text, sizeof text);
  assert_string_equal(text, "");
  assert_int_equal(smla_log_wants(SMLA_LOG_ERROR), 0);
}

static void the_environment_sets_the_level(void **state) {
  (void)state;
  char text[256];
  capture("error", text, sizeof text);
  assert_string_equal(text, "snapmla: error: number 1\n");
  capture("debug", text, sizeof text);
  assert_string_equal(text, "snapmla: error: number 1\nsnapmla: info: number 2\n");
  capture("loud", text, sizeof text); /* unknown: warnings */
  assert_string_equal(text, "snapmla: error: number 1\n");
}

static void a_listener_gets_its_level_and_takes_over(void **state) {
  (void)state;
  heard h = {0};
  char text[256];
  smla_log_listen(listen, &h, SMLA_LOG_WARNING);
  assert_int_equal(smla_log_wants(SMLA_LOG_WARNING), 1);
  assert_int_equal(smla_log_wants(SMLA_LOG_INFO), 0);
  capture("debug", text, sizeof text);
  assert_string_equal(text, "");
  assert_int_equal(h.count, 1);
  assert_int_equal(h.level, SMLA_LOG_ERROR);
  assert_string_equal(h.message, "number 1");
  smla_log_listen(NULL, NULL, SMLA_LOG_NONE);
  smla_log(SMLA_LOG_NONE, "never");
  assert_int_equal(h.count, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(silent_unless_asked),
                                     cmocka_unit_test(the_environment_sets_the_level),
                                     cmocka_unit_test(a_listener_gets_its_level_and_takes_over)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
