#include <pthread.h>
#include <string.h>

#include "cmocka_all.h"
#include "status.h"

static void every_code_has_a_text_of_its_own(void **state) {
  (void)state;
  assert_string_equal(snapmla_status_text(SNAPMLA_OK), "ok");
  assert_string_equal(snapmla_status_text(SNAPMLA_IO), "input or output failed");
  assert_string_equal(snapmla_status_text((snapmla_status)4711), "unknown status");
  for (int a = SNAPMLA_OK; a < SNAPMLA_INTERNAL; a++)
    assert_string_not_equal(snapmla_status_text((snapmla_status)a), snapmla_status_text((snapmla_status)(a + 1)));
}

static void a_failure_sets_the_reason_and_returns_its_code(void **state) {
  (void)state;
  assert_int_equal(smla_fail(SNAPMLA_NOT_FOUND, "no %s at %d", "thing", 7), SNAPMLA_NOT_FOUND);
  assert_string_equal(snapmla_error_message(), "no thing at 7");
}

static void a_reason_may_quote_the_one_before(void **state) {
  (void)state;
  (void)smla_fail(SNAPMLA_IO, "disk full");
  (void)smla_fail(SNAPMLA_COMPILE, "cannot compile: %s", snapmla_error_message());
  assert_string_equal(snapmla_error_message(), "cannot compile: disk full");
}

static void a_long_reason_is_cut(void **state) {
  (void)state;
  char text[10000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = 0;
  (void)smla_fail(SNAPMLA_IO, "%s", text);
  size_t length = strlen(snapmla_error_message());
  assert_in_range(length, 1000, sizeof text - 2);
}

static void *fail_elsewhere(void *unused) {
  (void)unused;
  (void)smla_fail(SNAPMLA_IO, "elsewhere");
  return NULL;
}

static void a_reason_belongs_to_its_thread(void **state) {
  (void)state;
  (void)smla_fail(SNAPMLA_IO, "here");
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
  pthread_join(thread, NULL);
  assert_string_equal(snapmla_error_message(), "here");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_code_has_a_text_of_its_own),
                                     cmocka_unit_test(a_failure_sets_the_reason_and_returns_its_code),
                                     cmocka_unit_test(a_reason_may_quote_the_one_before),
                                     cmocka_unit_test(a_long_reason_is_cut),
                                     cmocka_unit_test(a_reason_belongs_to_its_thread)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
