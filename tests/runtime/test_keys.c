/* Keys: flipping any field changes them, and nothing else does. The changes are generated from the fields. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "artifact_key.h"
#include "build.h"
#include "generator.h"
#include "tuning_key.h"
#include "util/temporary.h"

/* --- compiled kernels ----------------------------------------------------------------------------------------------- */

enum { OPTIONS = 3, TEXTS = OPTIONS + 4, MOST_KEYS = 4096 };

static char keys[MOST_KEYS][SMLA_HASH_HEX];
static int key_count;

/* Keeps a key, which none before it may equal. */
static void assert_new(const char key[SMLA_HASH_HEX], const char *what) {
  for (int i = 0; i < key_count; i++)
    if (!strcmp(keys[i], key)) fail_msg("%s does not change the key, or gives that of another change", what);
  assert_true(key_count < MOST_KEYS);
  memcpy(keys[key_count++], key, SMLA_HASH_HEX);
}

/* texts: source, options, compiler, target, entry. */
static void key_of(int schema, char *const texts[TEXTS], char key[SMLA_HASH_HEX]) {
  const char *options[OPTIONS + 1] = {0};
  for (int i = 0; i < OPTIONS; i++) options[i] = texts[1 + i];
  const smla_artifact_fields fields = {
      schema, texts[0], strlen(texts[0]), options, texts[OPTIONS + 1], texts[OPTIONS + 2], texts[OPTIONS + 3]};
  smla_artifact_key(&fields, key);
}

static void every_field_of_an_artifact_is_in_its_key(void **state) {
  (void)state;
  static const char *const written[TEXTS] = {"kernel text\n\"x\"", "-O2",      "-std=c++17",        "-fPIC",
                                             "c++ 12.2.0 id 0123", "emulator", "snapmla_mla_decode"};
  char room[TEXTS][64], key[SMLA_HASH_HEX], again[SMLA_HASH_HEX], what[64];
  char *texts[TEXTS];
  for (int i = 0; i < TEXTS; i++) {
    snprintf(room[i], sizeof room[i], "%s", written[i]);
    texts[i] = room[i];
  }
  key_count = 0;
  key_of(SMLA_ARTIFACT_SCHEMA, texts, key);
  assert_new(key, "nothing");
  key_of(SMLA_ARTIFACT_SCHEMA + 1, texts, again);
  assert_new(again, "the schema");
  for (int f = 0; f < TEXTS; f++) {
    size_t length = strlen(texts[f]);
    for (size_t i = 0; i < length; i++) {
      for (int bit = 0; bit < 7; bit++) { /* every bit that leaves a text */
        char before = texts[f][i];
        texts[f][i] = (char)(before ^ 1 << bit);
        if (texts[f][i]) {
          snprintf(what, sizeof what, "bit %d of byte %zu of field %d", bit, i, f);
          key_of(SMLA_ARTIFACT_SCHEMA, texts, again);
          assert_new(again, what);
        }
        texts[f][i] = before;
      }
    }
    snprintf(what, sizeof what, "a byte more in field %d", f);
    strcat(texts[f], "+");
    key_of(SMLA_ARTIFACT_SCHEMA, texts, again);
    assert_new(again, what);
    snprintf(what, sizeof what, "a byte less in field %d", f);
    texts[f][length - 1] = 0;
    key_of(SMLA_ARTIFACT_SCHEMA, texts, again);
    assert_new(again, what);
    snprintf(texts[f], sizeof room[f], "%s", written[f]);
    if (f + 1 == TEXTS) break;
    /* where one field ends and the next begins is in the key too */
    char last[2] = {texts[f][length - 1], 0}, moved[64];
    texts[f][length - 1] = 0;
    snprintf(moved, sizeof moved, "%s%s", last, written[f + 1]);
    snprintf(texts[f + 1], sizeof room[f + 1], "%s", moved);
    snprintf(what, sizeof what, "a byte moved from field %d to the next", f);
    key_of(SMLA_ARTIFACT_SCHEMA, texts, again);
    assert_new(again, what);
    snprintf(texts[f], sizeof room[f], "%s", written[f]);
    snprintf(texts[f + 1], sizeof room[f + 1], "%s", written[f + 1]);
    char *first = texts[f];
    texts[f] = texts[f + 1];
    texts[f + 1] = first;
    snprintf(what, sizeof what, "fields %d and %d changed about", f, f + 1);
    key_of(SMLA_ARTIFACT_SCHEMA, texts, again);
    assert_new(again, what);
    texts[f + 1] = texts[f];
    texts[f] = first;
  }
  key_of(SMLA_ARTIFACT_SCHEMA, texts, again);
  assert_string_equal(again, key);
}

/* The key of a kernel that is built here, with templates from `directory`, NULL: the embedded ones. */
static void build_key(const char *directory, char key[SMLA_HASH_HEX]) {
  smla_generator *generator;
  assert_int_equal(smla_generator_create(directory, &generator), SNAPMLA_OK);
  smla_build build = {.generator = generator, .target = SNAPMLA_TARGET_EMULATOR, .variant = "schedule:block=256"};
  if (smla_build_run(&build)) fail_msg("%s", snapmla_error_message());
  memcpy(key, build.image->key, SMLA_HASH_HEX);
  smla_build_clear(&build);
  smla_generator_destroy(generator);
}

static void no_path_and_no_environment_is_in_an_artifacts_key(void **state) {
  static const char *const variables[] = {"HOME", "TMPDIR", "SNAPMLA_CACHE_DIR", "XDG_CACHE_HOME"};
  char key[SMLA_HASH_HEX], again[SMLA_HASH_HEX], where[4096], copy[8400];
  assert_int_equal(setenv("SNAPMLA_CACHE_DIR", in(state, "first"), 1), 0);
  build_key(NULL, key);
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    assert_int_equal(setenv(variables[i], in(state, ""), 1), 0);
    build_key(NULL, again);
    assert_string_equal(again, key);
  }
  /* the same tree elsewhere, seen from elsewhere */
  snprintf(copy, sizeof copy, "cp -R templates %s", in(state, "copied"));
  assert_int_equal(system(copy), 0);
  assert_non_null(getcwd(where, sizeof where));
  assert_int_equal(chdir(in(state, "")), 0);
  build_key("copied", again);
  assert_string_equal(again, key);
  assert_int_equal(system("echo '// changed' >>copied/schedule/schedule.cu.tmpl"), 0);
  build_key("copied", again);
  assert_string_not_equal(again, key);
  assert_int_equal(chdir(where), 0);
}

/* --- measurements --------------------------------------------------------------------------------------------------- */

static const smla_device_facts h100 = {0, 9, 0, 132, 50 << 20, 232448, 5120, 1980, 2619, 0};

/* Device, problem, target and templates of a measurement, in one text. */
static void measurement_key(const smla_generator *generator, const snapmla_problem *problem,
                            const smla_device_facts *facts, snapmla_target target, char key[SMLA_HASH_HEX]) {
  smla_wisdom_query query;
  char text[SMLA_PROBLEM_KEY_MAX];
  smla_hash hash;
  assert_int_equal(smla_tuning_key(generator, problem, facts, target, &query), SNAPMLA_OK);
  smla_problem_key_text(&query.problem, text);
  smla_hash_start(&hash);
  smla_hash_field_text(&hash, query.device);
  smla_hash_field_text(&hash, text);
  smla_hash_field_text(&hash, query.target);
  smla_hash_field_text(&hash, query.templates);
  smla_hash_finish(&hash, key);
}

static void every_field_of_a_problem_is_in_a_measurements_key(void **state) {
  (void)state;
  smla_generator *generator;
  char key[SMLA_HASH_HEX];
  assert_int_equal(smla_generator_create(NULL, &generator), SNAPMLA_OK);
  snapmla_problem problem, changed;
  snapmla_problem_init(&problem);
  problem.max_batch = 64;
  problem.max_context = 4096;
  key_count = 0;
  measurement_key(generator, &problem, &h100, SNAPMLA_TARGET_SM90A, key);
  assert_new(key, "nothing");
  /* every field behind the size, by its place: one that is added between them is tried too */
  enum { WORDS = offsetof(snapmla_problem, max_indices) / sizeof(int32_t) + 1 }; /* padding may follow the last field */
  int tried = 0;
  for (size_t word = sizeof problem.size / sizeof(int32_t); word < WORDS; word++) {
    int32_t value;
    changed = problem;
    memcpy(&value, (char *)&changed + word * sizeof value, sizeof value);
    value = word == offsetof(snapmla_problem, max_batch) / sizeof value ||
                    word == offsetof(snapmla_problem, max_context) / sizeof value
                ? 2 * value /* another bucket */
                : value + 1;
    memcpy((char *)&changed + word * sizeof value, &value, sizeof value);
    char what[64];
    snprintf(what, sizeof what, "the problem's word %zu", word);
    measurement_key(generator, &changed, &h100, SNAPMLA_TARGET_SM90A, key);
    assert_new(key, what);
    tried++;
  }
  assert_true(tried >= 11);
  measurement_key(generator, &problem, &h100, SNAPMLA_TARGET_EMULATOR, key);
  assert_new(key, "the target");
  /* within a bucket nothing changes, nor does a fact that is in no class */
  smla_device_facts softer = h100;
  softer.memory_clock_mhz = 1;
  changed = problem;
  changed.max_batch = 33;
  changed.max_context = 2049;
  measurement_key(generator, &changed, &softer, SNAPMLA_TARGET_SM90A, key);
  assert_string_equal(key, keys[0]);
  smla_generator_destroy(generator);
}

/* Key -> problem -> key: the text is the same, and so is every field that it was made of. */
static void a_key_tells_its_problem(void **state) {
  (void)state;
  static const char *const texts[] = {
      "h128-q1-l512-r64-p64-fp8_token-fast-b128-c131072",  "h16-q2-l512-r64-p64-bf16-balanced-b1-c64",
      "h64-q1-l512-r0-p64-fp8_tensor-fast-b8-c1024",       "h128-q1-l512-r64-p64-fp8_token-fast-b32-c64-s2048",
      "h16-q1-l512-r64-p64-fp8_token-fast-b4-c64-s128-f2", "h16-q1-l512-r64-p64-fp8_token-fast-b1-c1024-f1",
  };
  static const char *const wrong[] = {"",
                                      "h128",
                                      "h128-q1-l512-r64-p64-fp9_token-fast-b128-c131072",
                                      "h128-q1-l512-r64-p64-fp8_token-fastest-b128-c131072",
                                      "h0-q1-l512-r64-p64-fp8_token-fast-b128-c131072",
                                      "h128-q1-l500-r64-p64-fp8_token-fast-b128-c131072"};
  smla_generator *generator;
  snapmla_problem problem, untouched;
  assert_int_equal(smla_generator_create(NULL, &generator), SNAPMLA_OK);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    smla_wisdom_query query;
    char back[SMLA_PROBLEM_KEY_MAX];
    if (smla_tuning_problem(texts[i], &problem)) fail_msg("%s: %s", texts[i], snapmla_error_message());
    assert_int_equal(smla_tuning_key(generator, &problem, &h100, SNAPMLA_TARGET_SM90A, &query), SNAPMLA_OK);
    smla_problem_key_text(&query.problem, back);
    assert_string_equal(back, texts[i]);
  }
  assert_int_equal(problem.heads, 16);
  assert_int_equal(problem.max_context, 1024);
  assert_int_equal(problem.max_indices, 0);
  assert_int_equal(problem.flags, 1);
  smla_generator_destroy(generator);
  memset(&untouched, 7, sizeof untouched);
  problem = untouched;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_not_equal(smla_tuning_problem(wrong[i], &problem), SNAPMLA_OK);
    assert_memory_equal(&problem, &untouched, sizeof problem);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_tells_its_problem),
      cmocka_unit_test(every_field_of_an_artifact_is_in_its_key),
      cmocka_unit_test_setup_teardown(no_path_and_no_environment_is_in_an_artifacts_key, temporary_setup,
                                      temporary_teardown),
      cmocka_unit_test(every_field_of_a_problem_is_in_a_measurements_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
