/* Plans as bytes, and what their fingerprint is of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include <snapmla/snapmla.h>

#include "buffer.h"
#include "file.h"
#include "plan_fixture.h"
#include "plan_object.h"
#include "util/temporary.h"

static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  return setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1);
}

static void a_plan_survives_as_bytes(void **state) {
  (void)state;
  const snapmla_problem p = small_problem(100);
  const snapmla_plan_options given = {.size = sizeof given, .variant = "mla_decode:stages=2"};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan *plan = make_plan(context, &p, &given, &report), *loaded = NULL;
  char *text, fingerprint[65], other[65];
  size_t bytes;
  assert_int_equal(report.provenance, SNAPMLA_PROVENANCE_GIVEN);
  assert_int_equal(snapmla_plan_fingerprint(plan, fingerprint), SNAPMLA_OK);
  assert_string_equal(fingerprint, report.fingerprint);
  assert_int_equal(snapmla_plan_save(plan, &text, &bytes), SNAPMLA_OK);
  if (snapmla_plan_load(context, text, bytes, NULL, &loaded)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(snapmla_plan_fingerprint(loaded, other), SNAPMLA_OK);
  assert_string_equal(fingerprint, other);
  assert_string_equal(snapmla_plan_variant(loaded, "mla_decode"), snapmla_plan_variant(plan, "mla_decode"));
  snapmla_plan_destroy(loaded);

  assert_int_equal(snapmla_plan_load(context, text, bytes - 3, NULL, &loaded), SNAPMLA_BAD_FORMAT);
  char *stages = strstr(text, "stages=2");
  assert_non_null(stages);
  stages[7] = '4'; /* another plan under the same fingerprint */
  assert_int_equal(snapmla_plan_load(context, text, bytes, NULL, &loaded), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "fingerprint"));
  stages[7] = '2';

  const snapmla_context_options more = {.size = sizeof more, .device = "emulator", .emulator_sms = SMS + 1};
  snapmla_context *wider;
  assert_int_equal(snapmla_context_create(&more, &wider), SNAPMLA_OK);
  assert_int_equal(snapmla_plan_load(wider, text, bytes, NULL, &loaded), SNAPMLA_UNSUPPORTED);
  snapmla_context_destroy(wider);
  snapmla_text_free(text);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
}

/* Flipping any field of the problem changes the fingerprint. */
static void every_field_is_in_the_fingerprint(void **state) {
  (void)state;
  snapmla_context *context = open_emulator(NULL);
  snapmla_problem base = small_problem(100), changed[6];
  for (int i = 0; i < 6; i++) changed[i] = base;
  changed[0].heads = 7;
  changed[1].q_len = 2;
  changed[2].latent_rank = 256;
  changed[3].page_tokens = 128;
  changed[4].max_batch = 3;
  changed[5].max_context = 101;
  snapmla_plan_report reports[7];
  const snapmla_plan_options deterministic = {.size = sizeof deterministic, .flags = SNAPMLA_PLAN_DETERMINISTIC};
  for (int i = 0; i < 7; i++)
    snapmla_plan_destroy(make_plan(context, i ? &changed[i - 1] : &base, &deterministic, &reports[i]));
  for (int i = 0; i < 7; i++)
    for (int k = 0; k < i; k++) assert_string_not_equal(reports[i].fingerprint, reports[k].fingerprint);
  snapmla_context_destroy(context);
}

/* Where two versions of the library would cut otherwise, bits differ though the templates do not. */
static void what_the_schedule_cuts_by_is_in_the_fingerprint(void **state) {
  (void)state;
  const snapmla_problem p = small_problem(100);
  const snapmla_plan_options deterministic = {.size = sizeof deterministic, .flags = SNAPMLA_PLAN_DETERMINISTIC};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan *plan = make_plan(context, &p, &deterministic, &report);
  smla_workspace *w = &plan->workspace;
  int32_t *const numbers[] = {&w->unit_count, &w->min_share, &w->merge_cost, &w->slack};
  for (int i = 0; i < 4; i++) {
    char fingerprint[65];
    ++*numbers[i];
    assert_int_equal(snapmla_plan_fingerprint(plan, fingerprint), SNAPMLA_OK);
    assert_string_not_equal(fingerprint, report.fingerprint);
    --*numbers[i];
  }
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
}

/* The fingerprint of a plan where a line was added to one file of the templates. */
static void fingerprint_with(void **state, const char *file, const char *line, char out[65]) {
  const snapmla_plan_options deterministic = {.size = sizeof deterministic, .flags = SNAPMLA_PLAN_DETERMINISTIC};
  const snapmla_problem p = small_problem(100);
  char folder[256], path[256];
  smla_buffer text = {0};
  snapmla_plan_report report;
  snprintf(path, sizeof path, "templates/%s", file);
  snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
  assert_int_equal(smla_file_read(path, 1 << 20, &text), SNAPMLA_OK);
  assert_int_equal(smla_buffer_append_text(&text, line), SNAPMLA_OK);
  assert_int_equal(smla_file_make_directory(in(state, folder)), SNAPMLA_OK);
  assert_int_equal(smla_file_write(in(state, path), text.data, text.length, 0600), SNAPMLA_OK);
  snapmla_context *context = open_emulator(in(state, "templates"));
  snapmla_plan_destroy(make_plan(context, &p, &deterministic, &report));
  snapmla_context_destroy(context);
  memcpy(out, report.fingerprint, 65);
  assert_int_equal(remove(in(state, path)), 0);
  smla_buffer_free(&text);
}

/* Of a layer's kernels it is not, whatever a plan's are made of. */
static void it_is_of_the_templates_that_a_plan_is_made_of(void **state) {
  char plain[65], now[65];
  fingerprint_with(state, "output_project/space.lua", "", plain);
  fingerprint_with(state, "output_project/space.lua", "-- a comment\n", now);
  assert_string_equal(now, plain);
  fingerprint_with(state, "kv_append/norm.inc", "// a comment\n", now);
  assert_string_not_equal(now, plain);
  fingerprint_with(state, "dialect/emulator.inc", "// a comment\n", now);
  assert_string_not_equal(now, plain);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {TEST(a_plan_survives_as_bytes), TEST(every_field_is_in_the_fingerprint),
                                     TEST(what_the_schedule_cuts_by_is_in_the_fingerprint),
                                     TEST(it_is_of_the_templates_that_a_plan_is_made_of)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
