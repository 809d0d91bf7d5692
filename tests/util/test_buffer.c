#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "cmocka_all.h"

static void it_grows_and_stays_terminated(void **state) {
  (void)state;
  smla_buffer buffer = {0};
  for (int i = 0; i < 1000; i++) assert_int_equal(smla_buffer_printf(&buffer, "%d,", i), SNAPMLA_OK);
  assert_int_equal(buffer.length, 10 * 2 + 90 * 3 + 900 * 4);
  assert_int_equal(strlen(buffer.data), buffer.length);
  assert_string_equal(buffer.data + buffer.length - 8, "998,999,");
  smla_buffer_free(&buffer);
  assert_null(buffer.data);
}

static void it_holds_any_byte(void **state) {
  (void)state;
  smla_buffer buffer = {0};
  assert_int_equal(smla_buffer_append(&buffer, "a\0b", 3), SNAPMLA_OK);
  assert_int_equal(smla_buffer_append(&buffer, NULL, 0), SNAPMLA_OK);
  assert_int_equal(buffer.length, 3);
  assert_memory_equal(buffer.data, "a\0b", 4);
  smla_buffer_free(&buffer);
}

static void an_impossible_size_leaves_it_as_it_was(void **state) {
  (void)state;
  smla_buffer buffer = {0};
  assert_int_equal(smla_buffer_append_text(&buffer, "kept"), SNAPMLA_OK);
  assert_int_equal(smla_buffer_append(&buffer, "x", SIZE_MAX - 2), SNAPMLA_OUT_OF_MEMORY);
  assert_string_equal(buffer.data, "kept");
  smla_buffer_free(&buffer);
}

static void taking_hands_the_text_over(void **state) {
  (void)state;
  smla_buffer buffer = {0};
  char *nothing = smla_buffer_take(&buffer);
  assert_string_equal(nothing, "");
  free(nothing);
  assert_int_equal(smla_buffer_append_text(&buffer, "text"), SNAPMLA_OK);
  char *text = smla_buffer_take(&buffer);
  assert_string_equal(text, "text");
  assert_int_equal(buffer.length, 0);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_grows_and_stays_terminated), cmocka_unit_test(it_holds_any_byte),
      cmocka_unit_test(an_impossible_size_leaves_it_as_it_was), cmocka_unit_test(taking_hands_the_text_over)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
