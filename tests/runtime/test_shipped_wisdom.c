/* The wisdom that ships is of the templates that ship, or it is acknowledged that it is not; and plans find it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "file.h"
#include "plan_make.h"
#include "tuner.h"
#include "tuning_key.h"
#include "wisdom.h"

/* Written by scripts/renew_wisdom.sh --acknowledge REASON: lines of a word and its value. */
static const char stale_file[] = "autotune/wisdom/stale.txt";

enum { PROBLEMS = 34 /* of scripts/tune_shipped.sh */ };

typedef struct fixture {
  smla_generator *generator;
  smla_measurements wisdom;
  char here[SMLA_HASH_HEX]; /* the digest of the templates in the tree */
  size_t stale;             /* measurements that are of others */
} fixture;

static int is_stale(const fixture *f, const smla_measurement *m) { return strcmp(m->templates, f->here) != 0; }

static int setup(void **state) {
  static fixture f;
  *state = &f;
  if (setenv("SNAPMLA_CACHE_DIR", "/nonexistent", 1)) return -1; /* nothing but what ships */
  if (smla_generator_create(NULL, &f.generator) || smla_plan_timed_digest(f.generator, f.here) ||
      smla_wisdom_shipped(&f.wisdom))
    return -1;
  for (size_t i = 0; i < f.wisdom.count; i++) f.stale += is_stale(&f, &f.wisdom.items[i]);
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  smla_generator_destroy(f->generator);
  smla_measurements_free(&f->wisdom);
  return 0;
}

static void both_devices_have_wisdom(void **state) {
  static const char *const devices[] = {"sm90-132sm-l2_50m-smem227k-bus5120-clk2000",  /* H100 80GB HBM3 */
                                        "sm90-132sm-l2_60m-smem227k-bus6016-clk2000"}; /* H200 */
  const fixture *f = *state;
  for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
    size_t count = 0;
    for (size_t i = 0; i < f->wisdom.count; i++) count += !strcmp(f->wisdom.items[i].device, devices[d]);
    if (count != PROBLEMS) fail_msg("%zu measurements of %s are shipped, not %d", count, devices[d], PROBLEMS);
  }
}

/* --- what is stale is acknowledged -------------------------------------------------------------------------------- */

/* Whether `text` has a line "word value" with that value, or with any where it is NULL. */
static int has_line(const char *text, const char *word, const char *value) {
  const size_t length = strlen(word);
  for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
    if (strncmp(line, word, length) || line[length] != ' ') continue;
    const char *got = line + length + 1;
    const size_t bytes = strcspn(got, "\n");
    if (value ? bytes == strlen(value) && !strncmp(got, value, bytes) : bytes > 0) return 1;
  }
  return 0;
}

/* What is wrong with the acknowledgement (NULL: there is none) of `stale` measurements under templates of the digest `here`; NULL: nothing. */
static const char *complaint(const char *acknowledged, size_t stale, const char *here) {
  if (!stale) return acknowledged ? "nothing is stale, and it is acknowledged that something is" : NULL;
  if (!acknowledged) return "nothing acknowledges that they are stale";
  if (!has_line(acknowledged, "templates", here)) return "what is acknowledged is of other templates than the tree's";
  return has_line(acknowledged, "reason", NULL) ? NULL : "the acknowledgement gives no reason";
}

static void what_is_an_acknowledgement(void **state) {
  (void)state;
  static const char right[] = "# how\ntemplates 12ab\nreason the merge is another\n";
  assert_null(complaint(NULL, 0, "12ab"));
  assert_null(complaint(right, 1, "12ab"));
  assert_non_null(complaint(right, 0, "12ab"));
  assert_non_null(complaint("", 0, "12ab"));
  assert_non_null(complaint(NULL, 1, "12ab"));
  assert_non_null(complaint("", 1, "12ab"));
  assert_non_null(complaint(right, 1, "12a"));
  assert_non_null(complaint(right, 1, "12abc"));
  assert_non_null(complaint("templates 12ab\n", 1, "12ab"));
  assert_non_null(complaint("templates 12ab\nreason \n", 1, "12ab"));
  assert_non_null(complaint("# templates 12ab\nreason x", 1, "12ab"));
}

static void what_is_stale_is_acknowledged(void **state) {
  const fixture *f = *state;
  smla_buffer text = {0};
  const snapmla_status status = smla_file_read(stale_file, 1 << 16, &text);
  if (status && status != SNAPMLA_NOT_FOUND) fail_msg("%s", snapmla_error_message());
  const char *wrong = complaint(status ? NULL : text.data ? text.data : "", f->stale, f->here);
  print_message("%zu of %zu shipped measurements are stale: of other templates than the tree's, %.12s\n", f->stale,
                f->wisdom.count, f->here);
  if (wrong)
    fail_msg(
        "%s: %s. Run 'sh scripts/renew_wisdom.sh', which renews what was timed with the same programs; 'sh "
        "scripts/renew_wisdom.sh --acknowledge REASON' says of the rest that it is stale, and why; 'sh "
        "scripts/tune_shipped.sh FILE' on such a GPU measures again",
        stale_file, wrong);
  smla_buffer_free(&text);
}

/* --- what plans make of it ---------------------------------------------------------------------------------------- */

/* A plan of a shipped problem finds its measurement: exact, or near where it is stale. */
static void a_plan_finds_it(void **state) {
  const fixture *f = *state;
  for (size_t i = 0; i < f->wisdom.count; i++) {
    const smla_measurement *m = &f->wisdom.items[i];
    snapmla_problem problem;
    smla_device_facts facts;
    smla_wisdom_query query;
    smla_wisdom_reach reached;
    if (smla_tuning_problem(m->problem, &problem)) fail_msg("%s", snapmla_error_message());
    assert_true(smla_device_class_facts(m->device, &facts));
    assert_int_equal(smla_tuning_key(f->generator, &problem, &facts, SNAPMLA_TARGET_SM90A, &query), SNAPMLA_OK);
    assert_ptr_equal(smla_wisdom_best(&f->wisdom, &query, SMLA_WISDOM_TEMPLATES, NULL, NULL, &reached), m);
    assert_int_equal(reached, is_stale(f, m) ? SMLA_WISDOM_TEMPLATES : SMLA_WISDOM_EXACT);
  }
}

/* Where digests agree nobody asks again whether a variant is legal. A stale one that is legal no more, or that has axes which the
 * templates have no more, is passed over by plans; any other's plan has what was timed, and new axes at what they follow. */
static void a_plan_has_the_kernels_that_were_timed(void **state) {
  const fixture *f = *state;
  size_t gone = 0, grown = 0;
  for (size_t i = 0; i < f->wisdom.count; i++) {
    const smla_measurement *m = &f->wisdom.items[i];
    snapmla_problem problem;
    char *variants[SMLA_FAMILY_COUNT];
    smla_buffer text = {0};
    if (smla_tuning_problem(m->problem, &problem)) fail_msg("%s", snapmla_error_message());
    if (smla_plan_variants(f->generator, &problem, m->variant, variants)) {
      if (!is_stale(f, m)) fail_msg("%s: %s", m->problem, snapmla_error_message());
      print_message("%s on %s: %s\n", m->problem, m->device, snapmla_error_message());
      gone++;
      continue;
    }
    assert_int_equal(smla_plan_variants_text(variants, &text), SNAPMLA_OK);
    if (strcmp(text.data, m->variant)) {
      if (!is_stale(f, m) || text.length <= strlen(m->variant))
        fail_msg("%s: timed were %s, a plan has %s", m->problem, m->variant, text.data);
      grown++;
    }
    smla_buffer_free(&text);
    for (int k = 0; k < SMLA_FAMILY_COUNT; k++) free(variants[k]);
  }
  if (gone || grown)
    print_message("of the stale ones %zu are legal no more, and %zu have axes more than were timed\n", gone, grown);
}

/* --- what the model makes of it ----------------------------------------------------------------------------------- */

static int rows_of(const char *variant) {
  const char *rows = strstr(variant, "mla_decode:rows=");
  return rows ? atoi(rows + strlen("mla_decode:rows=")) : 0;
}

/* The rows of a block that ESTIMATE would choose for what was timed, with the measurements as its calibration. */
static int estimated_rows(const fixture *f, const smla_measurement *m) {
  snapmla_problem problem;
  smla_tuning t;
  char *override = NULL, *variants[SMLA_FAMILY_COUNT];
  if (smla_tuning_problem(m->problem, &problem) ||
      smla_tuning_open_class(f->generator, m->device, SNAPMLA_TARGET_SM90A, &problem, SMLA_TUNING_ALL, &t) ||
      smla_tuning_estimate(&t, m->timed_batch, (double)m->timed_context / m->timed_batch, &override, NULL) ||
      smla_plan_variants(f->generator, &problem, override, variants))
    fail_msg("%s", snapmla_error_message());
  const int rows = rows_of(variants[SMLA_MLA_DECODE]);
  for (int k = 0; k < SMLA_FAMILY_COUNT; k++) free(variants[k]);
  free(override);
  smla_tuning_close(&t);
  return rows;
}

/* docs/tuning.md says of how many. Eleven of the others are 16 rows for 8. What the model loses, test_model_rows holds to times. */
static void the_model_chooses_as_was_measured(void **state) {
  const fixture *f = *state;
  size_t same = 0;
  for (size_t i = 0; i < f->wisdom.count; i++) {
    const smla_measurement *m = &f->wisdom.items[i];
    const int timed = rows_of(m->variant), chosen = estimated_rows(f, m);
    same += timed == chosen;
    if (timed != chosen)
      print_message("%s on %.40s: %d rows won, the model takes %d\n", m->problem, m->device, timed, chosen);
  }
  print_message("the model chooses the rows of %zu of %zu measured winners\n", same, f->wisdom.count);
  assert_true(same >= f->wisdom.count * 2 / 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_devices_have_wisdom),
      cmocka_unit_test(what_is_an_acknowledgement),
      cmocka_unit_test(what_is_stale_is_acknowledged),
      cmocka_unit_test(a_plan_finds_it),
      cmocka_unit_test(a_plan_has_the_kernels_that_were_timed),
      cmocka_unit_test(the_model_chooses_as_was_measured),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
