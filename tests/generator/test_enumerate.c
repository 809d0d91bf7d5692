/* Enumerating a space: what is legal, in which order, and what an axis that is named does. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "buffer.h"
#include "enumerate.h"
#include "inline_family.h"
#include "status.h"

static const char space[] =
    "return { family = 'f', entry = 'f', about = 'x', axes = {\n"
    "  { name = 'rows', values = { 8, 16 }, default = 8, about = 'r' },\n"
    "  { name = 'stages', values = { 2, 3, 4 }, default = 3, about = 's' } },\n"
    "  rules = { { name = 'even', reason = 'sixteen rows take even stages',\n"
    "    legal = function(v) return v.rows == 8 or v.stages % 2 == 0 end } },\n"
    "  derived = function(v) return { threads = 32 * v.stages, smem_bytes = v.rows } end }\n";

static smla_generator *make_family(void) {
  const smla_template_file files[] = {TEXT_FILE("f/space.lua", space), TEXT_FILE("f/f.cu.tmpl", "x\n")};
  return make(files, 2);
}

static snapmla_status visit(void *user, const char *variant, const smla_quantity *quantities, size_t count) {
  long long threads = 0;
  for (size_t i = 0; i < count; i++)
    if (!strcmp(quantities[i].name, "threads")) threads = quantities[i].value;
  return smla_buffer_printf(user, "%s %lld\n", variant, threads);
}

static snapmla_status refuse(void *user, const char *variant, const char *reason) {
  assert_non_null(strstr(reason, "sixteen rows take even stages"));
  return smla_buffer_printf(user, "%s refused\n", variant);
}

static void enumerates(const smla_setting *settings, size_t count, const char *text, const char *expected) {
  smla_generator *generator = make_family();
  smla_buffer out = {0};
  assert_int_equal(smla_generator_enumerate(generator, "f", settings, count, text, visit, refuse, &out), SNAPMLA_OK);
  assert_string_equal(out.data, expected);
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
}

static void visits_every_point(void **state) {
  (void)state;
  enumerates(NULL, 0, NULL,
             "f:rows=8,stages=2 64\nf:rows=8,stages=3 96\nf:rows=8,stages=4 128\nf:rows=16,stages=2 64\n"
             "f:rows=16,stages=3 refused\nf:rows=16,stages=4 128\n");
}

static void a_named_axis_has_one_value(void **state) {
  (void)state;
  const smla_setting settings[] = {{"rows", "16"}, {"unknown", "1"}};
  enumerates(settings, 2, NULL, "f:rows=16,stages=2 64\nf:rows=16,stages=3 refused\nf:rows=16,stages=4 128\n");
  enumerates(NULL, 0, "f:stages=4", "f:rows=8,stages=4 128\nf:rows=16,stages=4 128\n");
}

static void an_axis_that_is_not_searched_keeps_its_default(void **state) {
  (void)state;
  static const char text[] =
      "return { family = 'f', entry = 'f', about = 'x', axes = {\n"
      "  { name = 'rows', values = { 8, 16 }, default = 8, about = 'r' },\n"
      "  { name = 'terms', values = { 1, 2 }, default = function(s) return s.level == 'high' and 2 or 1 end,\n"
      "    searched = false, about = 't' } },\n"
      "  rules = {}, derived = function(v) return { threads = 32 * v.terms, smem_bytes = 0 } end }\n";
  const smla_template_file files[] = {TEXT_FILE("f/space.lua", text), TEXT_FILE("f/f.cu.tmpl", "x\n")};
  const smla_setting settings[] = {{"level", "high"}};
  const char *const expected[] = {"f:rows=8,terms=1 32\nf:rows=16,terms=1 32\n",
                                  "f:rows=8,terms=2 64\nf:rows=16,terms=2 64\n", "f:rows=16,terms=2 64\n"};
  smla_generator *generator = make(files, 2);
  for (size_t i = 0; i < 3; i++) {
    smla_buffer out = {0};
    assert_int_equal(smla_generator_enumerate(generator, "f", settings, i == 1, i == 2 ? "f:terms=2,rows=16" : NULL,
                                              visit, refuse, &out),
                     SNAPMLA_OK);
    assert_string_equal(out.data, expected[i]);
    smla_buffer_free(&out);
  }
  smla_generator_destroy(generator);
}

/* A quiet axis is named where it is not at its default, whoever moved it. */
static void a_quiet_axis_is_named_where_it_is_moved(void **state) {
  (void)state;
  static const char text[] =
      "return { family = 'f', entry = 'f', about = 'x', axes = {\n"
      "  { name = 'extra', values = { 'off', 'on' }, default = 'off', searched = false, quiet = true, about = 'e' },\n"
      "  { name = 'rows', values = { 8 }, default = 8, about = 'r' } },\n"
      "  rules = {}, derived = function(v) return { threads = v.extra == 'on' and 64 or 32, smem_bytes = 0 } end }\n";
  const smla_template_file files[] = {TEXT_FILE("f/space.lua", text), TEXT_FILE("f/f.cu.tmpl", "x\n")};
  const smla_setting settings[] = {{"extra", "on"}};
  static const struct {
    size_t settings;
    const char *text, *expected;
  } cases[] = {{0, NULL, "f:rows=8 32\n"},
               {0, "f:extra=off", "f:rows=8 32\n"},
               {0, "f:extra=on", "f:extra=on,rows=8 64\n"},
               {1, NULL, "f:extra=on,rows=8 64\n"},
               {1, "f:rows=8", "f:extra=on,rows=8 64\n"}};
  smla_generator *generator = make(files, 2);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    smla_buffer out = {0};
    assert_int_equal(
        smla_generator_enumerate(generator, "f", settings, cases[i].settings, cases[i].text, visit, refuse, &out),
        SNAPMLA_OK);
    assert_string_equal(out.data, cases[i].expected);
    smla_buffer_free(&out);
  }
  smla_generator_destroy(generator);
}

static snapmla_status stop(void *user, const char *variant, const smla_quantity *quantities, size_t count) {
  (void)variant, (void)quantities, (void)count;
  ++*(int *)user;
  return smla_fail(SNAPMLA_CANCELLED, "enough");
}

static void a_visit_ends_it(void **state) {
  (void)state;
  smla_generator *generator = make_family();
  int visits = 0;
  assert_int_equal(smla_generator_enumerate(generator, "f", NULL, 0, NULL, stop, NULL, &visits), SNAPMLA_CANCELLED);
  assert_int_equal(visits, 1);
  assert_int_equal(smla_generator_enumerate(generator, "g", NULL, 0, NULL, stop, NULL, &visits),
                   SNAPMLA_INVALID_ARGUMENT);
  smla_generator_destroy(generator);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(visits_every_point), cmocka_unit_test(a_named_axis_has_one_value),
                                     cmocka_unit_test(an_axis_that_is_not_searched_keeps_its_default),
                                     cmocka_unit_test(a_quiet_axis_is_named_where_it_is_moved),
                                     cmocka_unit_test(a_visit_ends_it)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
