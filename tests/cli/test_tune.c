/* Tuning, wisdom and the store by the program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "html_report.h"
#include "program.h"
#include "util/temporary.h"

static char cache[4200];

static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  snprintf(cache, sizeof cache, "SNAPMLA_CACHE_DIR=%s", in(state, "cache"));
  return 0;
}

#define PROBLEM "--device", "emulator", "--emulator-sms", "4", "--heads", "8", "--latent", "128", "--batch", "2"

static json_t *run_json(int code, const char *const *words) {
  program_result r = program_run(PROGRAM, cache, words[0], words[1], words[2], words[3], words[4], words[5], words[6],
                                 words[7], words[8], words[9], words[10], words[11], words[12], words[13], words[14],
                                 words[15], (const char *)NULL);
  if (r.code != code) fail_msg("exit code %d: %s", r.code, r.err);
  json_t *json = program_json(&r);
  program_free(&r);
  return json;
}

static json_t *tune(const char *context) {
  const char *words[16] = {"tune", PROBLEM, "--max-context", context, "--json"};
  return run_json(0, words);
}

static void tunes_explains_and_lists(void **state) {
  (void)state;
  json_t *first = tune("200");
  assert_true(json_is_true(json_object_get(first, "ok")));
  assert_string_equal(json_string_value(json_object_get(first, "provenance")), "exact");
  assert_string_equal(json_string_value(json_object_get(first, "time_kind")), "modelled");
  assert_string_equal(json_string_value(json_object_get(first, "device_class")), "emulator-4sm");
  assert_true(json_integer_value(json_object_get(first, "timed")) >= 2);
  assert_true(json_number_value(json_object_get(first, "time_us")) > 0);
  json_t *second = tune("250"); /* the same bucket: known */
  assert_int_equal(json_integer_value(json_object_get(second, "candidates")), 0);
  assert_true(json_equal(json_object_get(first, "variants"), json_object_get(second, "variants")));
  json_decref(second);
  const char *again[16] = {"tune", PROBLEM, "--max-context", "250", "--again", "--json"};
  second = run_json(0, again);
  assert_int_equal(json_integer_value(json_object_get(second, "candidates")),
                   json_integer_value(json_object_get(first, "candidates")));
  json_decref(first);
  json_decref(second);
  assert_program(PROGRAM, 2, "SNAPMLA_PLAN_AGAIN asks for a search", cache, "tune", PROBLEM, "--again", "--effort",
                 "estimate");

  const char *words[16] = {"explain", PROBLEM, "--max-context", "200", "--json"};
  json_t *explained = run_json(0, words);
  const json_t *lines = json_object_get(explained, "variants");
  assert_string_equal(json_string_value(json_object_get(json_array_get(lines, 0), "fate")), "chosen");
  assert_true(json_array_size(lines) > 5);
  json_decref(explained);

  const char *listing[16] = {"ls", "--json"};
  json_t *won = run_json(0, listing);
  size_t own = 0;
  for (size_t i = 0; i < json_array_size(won); i++)
    own += !json_is_true(json_object_get(json_array_get(won, i), "shipped"));
  assert_int_equal(own, 1);
  json_decref(won);
  assert_program(PROGRAM, 0, NULL, cache, "ls", "--all");
  assert_program(PROGRAM, 0, "no measurement that won and matches is known", cache, "ls", "--device-class", "h100");
}

static void reports_in_html(void **state) {
  char path[4096];
  size_t bytes;
  snprintf(path, sizeof path, "%s", in(state, "report <&>.html"));
  assert_program(PROGRAM, 0, NULL, cache, "tune", PROBLEM, "--max-context", "200", "--report", path);
  char *text = program_read_file(path, &bytes);
  assert_non_null(text);
  assert_non_null(strstr(text, "<title>snapmla tune: "));
  assert_non_null(strstr(text, "class=\"chosen\"><td>chosen</td>"));
  assert_non_null(strstr(text, "<td>not measured</td>"));
  assert_non_null(strstr(text, "class=\"n\">1.000</td>"));
  assert_non_null(strstr(text, "</html>"));
  assert_null(strstr(text, "http"));
  free(text);
  assert_program(PROGRAM, 0, NULL, cache, "bench", PROBLEM, "--max-context", "200", "--report", path);
  text = program_read_file(path, &bytes);
  assert_non_null(strstr(text, "<tr><th>plan_cold_store</th>"));
  assert_non_null(strstr(text, "100.0 %"));
  free(text);
  assert_program(PROGRAM, 1, "such.html", cache, "tune", PROBLEM, "--max-context", "200", "--report",
                 in(state, "no/such.html"));
}

/* Whatever a text holds stays text. */
static void a_report_escapes_its_texts(void **state) {
  char path[4096];
  size_t bytes;
  snprintf(path, sizeof path, "%s", in(state, "escaped.html"));
  json_t *rows = json_pack("[{s:s, s:s, s:s}]", "variant", "<script>", "fate", "\"lost'", "reason", "a & b");
  json_t *root = json_pack("{s:s, s:[s]}", "problem", "</title><b>", "variants", "x>y");
  assert_int_equal(smla_html_report_tune(path, root, rows), SNAPMLA_OK);
  char *text = program_read_file(path, &bytes);
  assert_non_null(strstr(text, "<code>&lt;script&gt;</code>"));
  assert_non_null(strstr(text, "&quot;lost&#39;"));
  assert_non_null(strstr(text, "a &amp; b"));
  assert_non_null(strstr(text, "&lt;/title&gt;&lt;b&gt;"));
  assert_non_null(strstr(text, "<code>x&gt;y</code>"));
  free(text);
  json_decref(rows);
  json_decref(root);
}

static void wisdom_travels(void **state) {
  json_decref(tune("200"));
  char path[4096], merged[4096], elsewhere[4200];
  snprintf(path, sizeof path, "%s", in(state, "wisdom.json"));
  snprintf(merged, sizeof merged, "%s", in(state, "merged.json"));
  snprintf(elsewhere, sizeof elsewhere, "SNAPMLA_CACHE_DIR=%s", in(state, "other"));
  assert_program(PROGRAM, 0, NULL, cache, "wisdom", "-o", path);
  assert_program(PROGRAM, 0, NULL, cache, "merge", "--file", path, "--file", path, "-o", merged);
  size_t bytes, merged_bytes;
  char *text = program_read_file(path, &bytes), *other = program_read_file(merged, &merged_bytes);
  assert_int_equal(bytes, merged_bytes);
  assert_memory_equal(text, other, bytes);

  program_result r = program_run(PROGRAM, elsewhere, "import", "--json", "--file", path, (const char *)NULL);
  assert_int_equal(r.code, 0);
  json_t *json = program_json(&r);
  assert_true(json_integer_value(json_object_get(json, "added")) >= 2);
  json_decref(json);
  program_free(&r);
  assert_program(PROGRAM, 0, NULL, elsewhere, "tune", PROBLEM, "--max-context", "200", "--wisdom-only");

  /* One wrong time: nothing of it is imported. */
  char *us = strstr(text, "\"microseconds\": ");
  assert_non_null(us);
  us[strlen("\"microseconds\": ")] = '-';
  program_write_file(merged, text, bytes);
  assert_program(PROGRAM, 0, NULL, elsewhere, "forget", "--all");
  assert_program(PROGRAM, 2, "merged.json", elsewhere, "import", "--file", merged);
  assert_program(PROGRAM, 2, "no wisdom", elsewhere, "tune", PROBLEM, "--max-context", "200", "--wisdom-only");
  free(text);
  free(other);
}

static void models_without_a_device(void **state) {
  (void)state;
  program_result r = program_run(PROGRAM, cache, "model", "--device", "emulator", "--machine", "h200", "--batches",
                                 "1,64", "--contexts", "1024,8192,65536", "--csv", (const char *)NULL);
  assert_int_equal(r.code, 0);
  int lines = 0;
  for (const char *c = r.out; *c; c++) lines += *c == '\n';
  assert_int_equal(lines, 7);
  assert_int_equal(strncmp(r.out, "batch,context,time_us,", 22), 0);
  program_free(&r);
  assert_program(PROGRAM, 2, "machine \"vax\" is not known", cache, "model", "--device", "emulator", "--machine",
                 "vax");
  assert_program(PROGRAM, 2, "--batches", cache, "model", "--device", "emulator", "--batches", "1,x");
}

static void benches_sweeps_and_releases(void **state) {
  (void)state;
  const char *words[16] = {"bench", PROBLEM, "--max-context", "200", "--json"};
  json_t *times = run_json(0, words);
  double cold = json_number_value(json_object_get(times, "plan_cold_store"));
  double warm = json_number_value(json_object_get(times, "plan_warm_store"));
  assert_true(warm > 0 && cold > 2 * warm); /* compiled, and not */
  json_decref(times);
  json_decref(tune("200"));
  program_result r = program_run(PROGRAM, cache, "gc", "--limit", "0", "--json", (const char *)NULL);
  assert_int_equal(r.code, 0);
  json_t *json = program_json(&r);
  assert_true(json_integer_value(json_object_get(json, "removed_files")) > 4);
  json_decref(json);
  program_free(&r);
  assert_program(PROGRAM, 0, NULL, cache, "quarantine");
  assert_program(PROGRAM, 2, "nothing is quarantined", cache, "quarantine", "--release", "ab");
  assert_program(PROGRAM, 2, "forget needs", cache, "forget");
  assert_program(PROGRAM, 2, "--variant", cache, "tune", PROBLEM, "--variant", "stages=2");
}

/* Of a layer: every value of an axis is a row, timed or refused, and what is chosen is no slower than the default. */
static void tunes_what_a_layers_kernels_leave_open(void **state) {
  (void)state;
  program_result r = program_run(PROGRAM, cache, "tune", "--layer", PROBLEM, "--max-context", "300", "--hidden", "512",
                                 "--v", "64", "--weights", "fp8", "--effort", "estimate", "--json", (const char *)NULL);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *layer = json_object_get(root, "layer"), *row;
  const json_t *rows = json_object_get(layer, "candidates");
  const char *chosen = json_string_value(json_object_get(layer, "variant"));
  assert_int_equal(json_array_size(rows), 2 + 4); /* 512 values are four chunks of fp8: eight shares are too many */
  size_t i;
  int refused = 0, defaults = 0;
  double usual = 0;
  json_array_foreach(rows, i, row) {
    const char *variant = json_string_value(json_object_get(row, "variant"));
    assert_int_equal(!strncmp(variant, "value_project:combine=", 22), 1);
    assert_int_equal(strstr(variant, ";output_project:split=") != NULL, i >= 2);
    const char *error = json_string_value(json_object_get(row, "error"));
    refused += error && strstr(error, "8 blocks share 4 chunks") && json_is_null(json_object_get(row, "time_us"));
    if (!error) assert_true(json_number_value(json_object_get(row, "rel_l2")) < 1e-2);
    if (i < 2 || !json_is_true(json_object_get(row, "default"))) continue;
    usual = json_number_value(json_object_get(row, "time_us"));
    defaults++;
  }
  assert_int_equal(refused, 1);
  assert_int_equal(defaults, 1);
  assert_non_null(strstr(chosen, ";output_project:split="));
  /* the fastest, or the default within a hundredth of it */
  double least = usual, time = json_number_value(json_object_get(layer, "time_us"));
  json_array_foreach(rows, i, row) {
    const json_t *of = json_object_get(row, "time_us");
    if (i >= 2 && !json_is_null(of) && json_number_value(of) < least) least = json_number_value(of);
  }
  assert_true(usual > 0 && (time == least || (time == usual && least > 0.99 * usual)));
  /* what it prints is an override that a layer takes */
  assert_program(PROGRAM, 0, NULL, cache, "layer", PROBLEM, "--context", "100,7", "--hidden", "512", "--v", "64",
                 "--weights", "fp8", "--variant", chosen);
  json_decref(root);
  program_free(&r);
  assert_program(PROGRAM, 2, "--hidden is of a layer's problem", cache, "tune", PROBLEM, "--hidden", "512");
  assert_program(PROGRAM, 2, "--sinks is not for a layer", cache, "tune", "--layer", PROBLEM, "--sinks");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {TEST(tunes_explains_and_lists),
                                     TEST(reports_in_html),
                                     TEST(a_report_escapes_its_texts),
                                     TEST(wisdom_travels),
                                     TEST(models_without_a_device),
                                     TEST(benches_sweeps_and_releases),
                                     TEST(tunes_what_a_layers_kernels_leave_open)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
