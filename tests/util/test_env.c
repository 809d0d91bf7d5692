#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "cmocka_all.h"
#include "env.h"
#include "file.h"

static void set_unset_and_empty(void **state) {
  (void)state;
  setenv("SNAPMLA_TEMPLATES", "/some/where", 1);
  assert_string_equal(smla_env(SMLA_ENV_TEMPLATES), "/some/where");
  setenv("SNAPMLA_TEMPLATES", "", 1);
  assert_null(smla_env(SMLA_ENV_TEMPLATES));
  unsetenv("SNAPMLA_TEMPLATES");
  assert_null(smla_env(SMLA_ENV_TEMPLATES));
}

static void each_name_reads_its_own_variable(void **state) {
  (void)state;
  for (int i = 0; i < SMLA_ENV_COUNT; i++) setenv(smla_env_describe((smla_env_name)i)->variable, "other", 1);
  for (int i = 0; i < SMLA_ENV_COUNT; i++) {
    const char *variable = smla_env_describe((smla_env_name)i)->variable;
    setenv(variable, "this", 1);
    for (int j = 0; j < SMLA_ENV_COUNT; j++) assert_string_equal(smla_env((smla_env_name)j), i == j ? "this" : "other");
    setenv(variable, "other", 1);
  }
}

/* docs/environment.md has exactly one row per entry, in the table's order and words. */
static void the_page_shows_the_table(void **state) {
  (void)state;
  smla_buffer page = {0}, rows = {0};
  assert_int_equal(smla_file_read("docs/environment.md", 1 << 20, &page), SNAPMLA_OK);
  for (int i = 0; i < SMLA_ENV_COUNT; i++) {
    const smla_env_entry *entry = smla_env_describe((smla_env_name)i);
    assert_int_equal(
        smla_buffer_printf(&rows, "| `%s` | %s | %s |\n", entry->variable, entry->fallback, entry->meaning),
        SNAPMLA_OK);
  }
  const char *shown = strstr(page.data, "| `");
  assert_non_null(shown);
  assert_string_equal(shown, rows.data);
  smla_buffer_free(&page);
  smla_buffer_free(&rows);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(set_unset_and_empty),
                                     cmocka_unit_test(each_name_reads_its_own_variable),
                                     cmocka_unit_test(the_page_shows_the_table)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
