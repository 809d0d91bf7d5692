/* The generator's memo: an answer is that of its question, the oldest goes, and threads may share it. */
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"

#include "memo.h"

static void put(smla_memo *memo, int question) {
  char key[SMLA_HASH_HEX];
  smla_buffer answer = {0};
  snprintf(key, sizeof key, "%d", question);
  assert_int_equal(smla_buffer_printf(&answer, "answer %d", question), SNAPMLA_OK);
  smla_memo_put(memo, key, &answer);
  smla_buffer_free(&answer);
}

static int knows(smla_memo *memo, int question) {
  char key[SMLA_HASH_HEX], expected[32];
  smla_buffer answer = {0};
  snprintf(key, sizeof key, "%d", question);
  snprintf(expected, sizeof expected, "answer %d", question);
  int known = smla_memo_get(memo, key, &answer);
  if (known) assert_string_equal(answer.data, expected);
  smla_buffer_free(&answer);
  return known;
}

static void the_newest_are_kept(void **state) {
  (void)state;
  static smla_memo memo;
  smla_memo_init(&memo);
  assert_false(knows(&memo, 0));
  for (int i = 0; i < SMLA_MEMO_ANSWERS + 3; i++) {
    put(&memo, i);
    put(&memo, i); /* known already: nothing changes */
    assert_true(knows(&memo, i));
  }
  for (int i = 0; i < SMLA_MEMO_ANSWERS + 3; i++) assert_int_equal(knows(&memo, i), i >= 3);
  smla_memo_clear(&memo);
}

static void an_empty_answer_is_one(void **state) {
  (void)state;
  static smla_memo memo;
  const char nothing[SMLA_HASH_HEX] = "nothing";
  smla_buffer none = {0}, got = {0};
  smla_memo_init(&memo);
  smla_memo_put(&memo, nothing, &none);
  assert_true(smla_memo_get(&memo, nothing, &got));
  assert_int_equal(got.length, 0);
  smla_buffer_free(&got);
  smla_memo_clear(&memo);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_newest_are_kept), cmocka_unit_test(an_empty_answer_is_one)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
