/* Tuning end to end on the emulator: what wins, what is remembered, and candidates that crash, hang or lie. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmocka_all.h"

#include <snapmla/snapmla.h>

#include "clock.h"
#include "plan_fixture.h"
#include "util/temporary.h"

static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  return setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1);
}

static void the_winner_is_remembered(void **state) {
  (void)state;
  snapmla_problem p = small_problem(300);
  const snapmla_plan_options measure = {.size = sizeof measure, .effort = SNAPMLA_EFFORT_MEASURE};
  snapmla_plan_report first, second;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan *tuned = make_plan(context, &p, &measure, &first);
  assert_int_equal(first.provenance, SNAPMLA_PROVENANCE_EXACT);
  assert_int_equal(first.time_kind, SNAPMLA_TIME_MODELLED);
  assert_true(first.timed >= 2 && first.tried >= first.timed && first.tied >= 1 && first.microseconds > 0);
  assert_string_equal(first.device_class, "emulator-4sm");
  assert_string_equal(first.problem_key, "h8-q1-l128-r64-p64-fp8_token-fast-b2-c512");
  char *variant = strdup(snapmla_plan_variant(tuned, "mla_decode"));
  snapmla_plan_destroy(tuned);
  snapmla_context_destroy(context);

  /* Another process would do as this context: exact at once, for the whole bucket, without a search. */
  context = open_emulator(NULL);
  p.max_context = 400;
  snapmla_plan *again = make_plan(context, &p, &measure, &second);
  assert_int_equal(second.provenance, SNAPMLA_PROVENANCE_EXACT);
  assert_int_equal(second.candidates, 0);
  assert_string_equal(snapmla_plan_variant(again, "mla_decode"), variant);
  assert_true(fabs(second.microseconds / first.microseconds - 1) < 1e-6);
  snapmla_plan_destroy(again);

  /* The neighbour bucket: estimated, unless the nearest is allowed; an error where only wisdom will do. */
  p.max_context = 1000;
  snapmla_plan_options options = {.size = sizeof options};
  again = make_plan(context, &p, &options, &second);
  assert_int_equal(second.provenance, SNAPMLA_PROVENANCE_ESTIMATED);
  snapmla_plan_destroy(again);
  options.flags = SNAPMLA_PLAN_WISDOM_ONLY;
  assert_int_equal(snapmla_plan_create(context, &p, &options, &again), SNAPMLA_NOT_FOUND);
  options.flags |= SNAPMLA_PLAN_ALLOW_NEAREST;
  again = make_plan(context, &p, &options, &second);
  assert_int_equal(second.provenance, SNAPMLA_PROVENANCE_NEAR);
  assert_non_null(strstr(second.difference, "c512 (here"));
  snapmla_plan_destroy(again);

  /* Without a look at any measurement. */
  p.max_context = 300;
  options.flags = SNAPMLA_PLAN_DETERMINISTIC;
  options.effort = SNAPMLA_EFFORT_MEASURE;
  again = make_plan(context, &p, &options, &second);
  assert_int_equal(second.provenance, SNAPMLA_PROVENANCE_ESTIMATED);
  assert_int_equal(second.candidates, 0);
  snapmla_plan_destroy(again);
  free(variant);
  snapmla_context_destroy(context);
}

/* Though an exact measurement of that effort is known, here and in the store. */
static void what_is_known_is_measured_again_when_asked(void **state) {
  (void)state;
  const snapmla_problem p = small_problem(300);
  snapmla_plan_options options = {.size = sizeof options, .effort = SNAPMLA_EFFORT_MEASURE};
  snapmla_plan_report first, second;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan *plan = make_plan(context, &p, &options, &first);
  char *variant = strdup(snapmla_plan_variant(plan, "mla_decode"));
  snapmla_plan_destroy(plan);
  plan = make_plan(context, &p, &options, &second);
  assert_int_equal(second.candidates, 0);
  snapmla_plan_destroy(plan);
  options.flags = SNAPMLA_PLAN_AGAIN;
  plan = make_plan(context, &p, &options, &second);
  assert_int_equal(second.provenance, SNAPMLA_PROVENANCE_EXACT);
  assert_int_equal(second.candidates, first.candidates);
  assert_true(second.timed >= 2);
  assert_string_equal(snapmla_plan_variant(plan, "mla_decode"), variant); /* the emulator's times are the same */
  snapmla_plan_destroy(plan);

  const snapmla_plan_options wrong[] = {
      {.size = sizeof options, .flags = SNAPMLA_PLAN_AGAIN},
      {.size = sizeof options, .flags = SNAPMLA_PLAN_AGAIN, .effort = SNAPMLA_EFFORT_MEASURE, .variant = variant},
      {.size = sizeof options,
       .flags = SNAPMLA_PLAN_AGAIN | SNAPMLA_PLAN_WISDOM_ONLY,
       .effort = SNAPMLA_EFFORT_MEASURE},
      {.size = sizeof options, .flags = SNAPMLA_PLAN_AGAIN | SNAPMLA_PLAN_NO_JIT, .effort = SNAPMLA_EFFORT_MEASURE},
      {.size = sizeof options,
       .flags = SNAPMLA_PLAN_AGAIN | SNAPMLA_PLAN_DETERMINISTIC,
       .effort = SNAPMLA_EFFORT_MEASURE}};
  static const char *const names[] = {"SNAPMLA_EFFORT_ESTIMATE", "an override", "WISDOM_ONLY", "NO_JIT",
                                      "DETERMINISTIC"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(snapmla_plan_create(context, &p, &wrong[i], &plan), SNAPMLA_INVALID_ARGUMENT);
    assert_non_null(strstr(snapmla_error_message(), names[i]));
  }
  free(variant);
  snapmla_context_destroy(context);
}

static void five_cold_tunes_agree(void **state) {
  (void)state;
  const snapmla_problem p = small_problem(200);
  const snapmla_plan_options measure = {.size = sizeof measure, .effort = SNAPMLA_EFFORT_MEASURE};
  char *winner = NULL;
  for (int i = 0; i < 5; i++) {
    assert_int_equal(snapmla_wisdom_forget(NULL, NULL), SNAPMLA_OK);
    snapmla_plan_report report;
    snapmla_context *context = open_emulator(NULL);
    snapmla_plan *plan = make_plan(context, &p, &measure, &report);
    assert_true(report.candidates > 0);
    if (winner)
      assert_string_equal(snapmla_plan_variant(plan, "mla_decode"), winner);
    else
      winner = strdup(snapmla_plan_variant(plan, "mla_decode"));
    snapmla_plan_destroy(plan);
    snapmla_context_destroy(context);
  }
  free(winner);
}

/* --- planted candidates ------------------------------------------------------------------------------------------- */

/* A copy of `from`, with `insert` after the first `mark`. */
static void plant(const char *from, const char *to, const char *mark, const char *insert) {
  smla_buffer text = {0}, changed = {0};
  assert_int_equal(smla_file_read(from, 1 << 20, &text), SNAPMLA_OK);
  char *at = strstr(text.data, mark);
  if (!at) fail_msg("%s has no \"%s\" any more", from, mark);
  at += strlen(mark);
  assert_int_equal(smla_buffer_append(&changed, text.data, (size_t)(at - text.data)), SNAPMLA_OK);
  assert_int_equal(smla_buffer_append_text(&changed, insert), SNAPMLA_OK);
  assert_int_equal(smla_buffer_append_text(&changed, at), SNAPMLA_OK);
  assert_int_equal(smla_file_write(to, changed.data, changed.length, 0600), SNAPMLA_OK);
  smla_buffer_free(&text);
  smla_buffer_free(&changed);
}

/* Templates whose decode kernel has an axis `planted`, and few variants else. */
static void make_templates(void **state) {
  char space[4096];
  assert_int_equal(smla_file_make_directory(in(state, "templates/mla_decode")), SNAPMLA_OK);
  snprintf(space, sizeof space, "%s", in(state, "space.lua"));
  plant("templates/mla_decode/space.lua", space, "  axes = {\n",
        "    { name = \"planted\", values = { \"none\", \"crash\", \"hang\", \"syntax\", \"wrong\", \"lse\" }, default "
        "= \"none\","
        " about = \"what is wrong\" },\n");
  plant(space, in(state, "templates/mla_decode/space.lua"), "  rules = {\n",
        "    { name = \"few\", reason = \"few\", legal = function(v) return v.stages == 4 and v.rows == 8 end },\n");
  plant("templates/mla_decode/mla_decode.cu.tmpl", in(state, "templates/mla_decode/mla_decode.cu.tmpl"),
        "KERNEL(${entry}, ${threads}) {\n",
        "% if planted == \"crash\" then\n  { volatile int *volatile nowhere = nullptr; *nowhere = 1; }\n"
        "% elseif planted == \"hang\" then\n  { volatile int forever = 1; while (forever) {} }\n"
        "% elseif planted == \"syntax\" then\n  this is not C++;\n% end\n");
  plant("templates/mla_decode/reference.inc", in(state, "templates/mla_decode/reference.inc"), "* p.scale_log2e",
        "${planted == \"wrong\" and \" * 1.5f\" or \"\"}");
  plant("templates/mla_decode/output.inc", in(state, "templates/mla_decode/output.inc"), "u32 r, float lse) {\n",
        "% if planted == \"lse\" then\n  lse += 2e-3f; /* more than the level allows, and little */\n% end\n");
}

typedef struct fates {
  int crashed, hung, wrong, lse, failed;
} fates;

static void count_fate(void *user, const snapmla_quarantine_entry *e) {
  fates *f = user;
  assert_non_null(strstr(e->variant, "planted="));
  f->crashed += !strcmp(e->fate, "crashed") && strstr(e->variant, "planted=crash") && strstr(e->reason, "its process");
  f->hung += !strcmp(e->fate, "hung") && strstr(e->variant, "planted=hang") && strstr(e->reason, "killed");
  f->wrong += !strcmp(e->fate, "wrong") && strstr(e->variant, "planted=wrong") && strstr(e->reason, "oracle");
  f->lse += !strcmp(e->fate, "wrong") && strstr(e->variant, "planted=lse") && strstr(e->reason, "its lse is");
  f->failed += !strcmp(e->fate, "does not compile") && strstr(e->variant, "planted=syntax");
}

static void crashing_hanging_and_lying_candidates_are_caught(void **state) {
  make_templates(state);
  const snapmla_problem p = small_problem(200);
  const snapmla_plan_options options = {.size = sizeof options,
                                        .effort = SNAPMLA_EFFORT_EXHAUSTIVE,
                                        .flags = SNAPMLA_PLAN_ISOLATED,
                                        .candidate_seconds = 4};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(in(state, "templates"));
  snapmla_plan *plan = make_plan(context, &p, &options, &report);
  assert_int_equal(report.provenance, SNAPMLA_PROVENANCE_EXACT);
  assert_non_null(strstr(snapmla_plan_variant(plan, "mla_decode"), "planted=none"));
  assert_true(report.failed >= 5 && report.timed >= 1);
  snapmla_plan_destroy(plan);
  fates f = {0};
  assert_int_equal(snapmla_quarantine_list(count_fate, &f), SNAPMLA_OK);
  assert_true(f.crashed >= 1 && f.hung >= 1 && f.wrong >= 1 && f.lse >= 1 && f.failed >= 1);

  /* They stay out: the next search does not try them, and takes no time for it. */
  assert_int_equal(snapmla_wisdom_forget(NULL, NULL), SNAPMLA_OK);
  snapmla_context_destroy(context);
  context = open_emulator(in(state, "templates"));
  double start = smla_clock_seconds();
  plan = make_plan(context, &p, &options, &report);
  assert_true(report.quarantined >= 3);
  assert_true(smla_clock_seconds() - start < 60);
  fates same = {0};
  assert_int_equal(snapmla_quarantine_list(count_fate, &same), SNAPMLA_OK);
  assert_memory_equal(&same, &f, sizeof f);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  int64_t released;
  assert_int_equal(snapmla_quarantine_release(NULL, &released), SNAPMLA_OK);
  assert_true(released >= 4);
}

static void a_wrong_answer_is_caught_in_process_too(void **state) {
  make_templates(state);
  /* The crash and the hang are taken out: in this process they could not be survived. */
  plant("templates/mla_decode/mla_decode.cu.tmpl", in(state, "templates/mla_decode/mla_decode.cu.tmpl"), "", "");
  const snapmla_problem p = small_problem(200);
  const snapmla_plan_options options = {.size = sizeof options, .effort = SNAPMLA_EFFORT_MEASURE};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(in(state, "templates"));
  snapmla_plan *plan = make_plan(context, &p, &options, &report);
  assert_null(strstr(snapmla_plan_variant(plan, "mla_decode"), "planted=wrong"));
  assert_true(report.failed >= 1);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
}

/* --- limits --------------------------------------------------------------------------------------------------------- */

static int cancel(void *user, const snapmla_tune_progress *progress) {
  assert_true(progress->size == sizeof *progress && progress->phase && progress->candidate);
  return ++*(int *)user >= 3;
}

static void deadline_and_progress_end_a_search(void **state) {
  (void)state;
  const snapmla_problem p = small_problem(200);
  snapmla_plan_options options = {
      .size = sizeof options, .effort = SNAPMLA_EFFORT_EXHAUSTIVE, .deadline_seconds = 0.001, .workers = 1};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan *plan = make_plan(context, &p, &options, &report);
  assert_true(report.deadline_passed);
  snapmla_plan_destroy(plan);
  int calls = 0;
  options.deadline_seconds = 0;
  options.progress = cancel;
  options.progress_user = &calls;
  plan = make_plan(context, &p, &options, &report);
  assert_true(report.cancelled && calls <= 4);
  snapmla_plan_destroy(plan);
  options.effort = (snapmla_effort)7;
  assert_int_equal(snapmla_plan_create(context, &p, &options, &plan), SNAPMLA_INVALID_ARGUMENT);
  snapmla_context_destroy(context);
}

static void index_lists_are_tuned_too(void **state) {
  (void)state;
  snapmla_problem p = small_problem(300);
  p.q_len = 2;
  p.max_indices = 100;
  const snapmla_plan_options options = {.size = sizeof options, .effort = SNAPMLA_EFFORT_MEASURE};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan_destroy(make_plan(context, &p, &options, &report));
  assert_int_equal(report.provenance, SNAPMLA_PROVENANCE_EXACT);
  assert_string_equal(report.problem_key, "h8-q2-l128-r64-p64-fp8_token-fast-b2-c64-s128");
  assert_true(report.timed > 1 && report.failed == 0);
  assert_int_equal(report.timed_tokens, 100 + 50 + 75 + 25); /* of four query tokens */
  snapmla_context_destroy(context);
}

/* More than 32 lists (two requests' query tokens), and more query tokens than a request may have tokens: the longest are then timed. */
static void many_query_tokens_are_tuned_too(void **state) {
  (void)state;
  for (int sparse = 0; sparse < 2; sparse++) {
    snapmla_problem p = small_problem(16);
    p.heads = 1;
    p.q_len = 17;
    p.max_indices = sparse ? 4 : 0;
    const snapmla_plan_options options = {.size = sizeof options, .effort = SNAPMLA_EFFORT_MEASURE};
    snapmla_plan_report report;
    snapmla_context *context = open_emulator(NULL);
    snapmla_plan_destroy(make_plan(context, &p, &options, &report));
    assert_int_equal(report.provenance, SNAPMLA_PROVENANCE_EXACT);
    assert_true(report.timed > 1 && report.failed == 0);
    if (!sparse) assert_int_equal(report.timed_tokens, 16 * report.timed_batch);
    snapmla_context_destroy(context);
  }
}

static void keeps_to_a_memory_limit(void **state) {
  (void)state;
  snapmla_problem p = small_problem(1000);
  p.max_batch = 16;
  snapmla_plan_options options = {
      .size = sizeof options, .effort = SNAPMLA_EFFORT_MEASURE, .memory_limit_bytes = 1 << 19};
  snapmla_plan_report report;
  snapmla_page_layout layout = {.size = sizeof layout};
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan_destroy(make_plan(context, &p, &options, &report));
  assert_int_equal(snapmla_page_layout_get(&p, &layout), SNAPMLA_OK);
  assert_true(report.timed_tokens > 0 && report.timed_batch >= 1);
  assert_true((double)report.timed_tokens * layout.bytes_per_token <= 1 << 19);
  assert_true(report.timed_tokens < 16 * 1000 / 2);
  snapmla_context_destroy(context);
}

/* The axes of the merge and of the query's kernel are searched as well, and win together with it. */
static void a_patient_search_looks_around(void **state) {
  (void)state;
  const snapmla_problem p = small_problem(64);
  snapmla_plan_options options = {.size = sizeof options, .effort = SNAPMLA_EFFORT_MEASURE};
  snapmla_plan_report measured, patient;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan_destroy(make_plan(context, &p, &options, &measured));
  options.effort = SNAPMLA_EFFORT_PATIENT;
  snapmla_plan_destroy(make_plan(context, &p, &options, &patient));
  assert_int_equal(patient.effort, SNAPMLA_EFFORT_PATIENT);
  assert_true(patient.candidates > measured.candidates && patient.timed > measured.timed);
  assert_true(patient.microseconds <= measured.microseconds * 1.01);
  options.effort = SNAPMLA_EFFORT_MEASURE; /* less effort takes the patient result as it is */
  snapmla_plan_destroy(make_plan(context, &p, &options, &measured));
  assert_int_equal(measured.effort, SNAPMLA_EFFORT_PATIENT);
  assert_int_equal(measured.candidates, 0);
  snapmla_context_destroy(context);
}

static void a_store_that_fails_is_done_without(void **state) {
  /* A file where the store would be: nothing can be written, nor read. */
  assert_int_equal(smla_file_write(in(state, "cache"), "x", 1, 0600), SNAPMLA_OK);
  const snapmla_problem p = small_problem(100);
  const snapmla_plan_options measure = {.size = sizeof measure, .effort = SNAPMLA_EFFORT_MEASURE};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan *plan = make_plan(context, &p, &measure, &report);
  assert_true(report.timed > 0);
  snapmla_plan_destroy(plan);
  plan = make_plan(context, &p, &measure, &report); /* remembered in memory */
  assert_int_equal(report.provenance, SNAPMLA_PROVENANCE_EXACT);
  assert_int_equal(report.candidates, 0);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
}

static void nothing_is_compiled_or_written_unasked(void **state) {
  snapmla_problem p = small_problem(100);
  p.latent_rank = 384; /* compiled by no other test of this program */
  snapmla_plan_options options = {.size = sizeof options, .flags = SNAPMLA_PLAN_NO_JIT};
  snapmla_plan_report report;
  snapmla_plan *plan = NULL;
  snapmla_context *context = open_emulator(NULL);
  assert_int_equal(snapmla_plan_create(context, &p, &options, &plan), SNAPMLA_NOT_FOUND);
  assert_non_null(strstr(snapmla_error_message(), "NO_JIT"));
  options.flags = SNAPMLA_PLAN_NO_WRITE;
  options.effort = SNAPMLA_EFFORT_MEASURE;
  plan = make_plan(context, &p, &options, &report);
  assert_true(report.timed > 0);
  assert_false(smla_file_exists(in(state, "cache/v1/obj")));
  assert_false(smla_file_exists(in(state, "cache/v1/tune")));
  snapmla_plan_destroy(plan);
  options = (snapmla_plan_options){.size = sizeof options, .flags = SNAPMLA_PLAN_NO_JIT};
  plan = make_plan(context, &p, &options, &report); /* this process has them by now */
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
}

/* --- what is told ------------------------------------------------------------------------------------------------- */

typedef struct told {
  int chosen, missed, illegal, all;
} told;

static void on_line(void *user, const snapmla_explanation *e) {
  told *t = user;
  t->all++;
  t->chosen += !strcmp(e->fate, "chosen");
  t->missed += !strcmp(e->fate, "missed") && strstr(e->reason, "problem");
  t->illegal += !strcmp(e->fate, "illegal") && *e->reason;
  assert_true(!strcmp(e->fate, "illegal") || !strcmp(e->fate, "missed") || e->estimated_us > 0);
}

static void explains_and_models(void **state) {
  (void)state;
  snapmla_problem p = small_problem(100);
  const snapmla_plan_options measure = {.size = sizeof measure, .effort = SNAPMLA_EFFORT_MEASURE};
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(NULL);
  snapmla_plan_destroy(make_plan(context, &p, &measure, &report));
  told t = {0};
  assert_int_equal(snapmla_explain(context, &p, NULL, on_line, &t, &report), SNAPMLA_OK);
  assert_true(t.chosen == 1 && t.missed == 0 && t.illegal > 0 && t.all > 5);
  p.max_batch = 64;
  t = (told){0};
  assert_int_equal(snapmla_explain(context, &p, NULL, on_line, &t, &report), SNAPMLA_OK);
  assert_true(t.chosen == 1 && t.missed == 1);
  assert_int_equal(report.provenance, SNAPMLA_PROVENANCE_ESTIMATED);

  snapmla_model_point short_one = {.size = sizeof short_one}, long_one = short_one;
  snapmla_problem_init(&p);
  assert_int_equal(snapmla_model_query(NULL, "h100", &p, NULL, 1, 1024, &short_one), SNAPMLA_OK);
  assert_int_equal(snapmla_model_query(NULL, "h100", &p, NULL, 128, 8192, &long_one), SNAPMLA_OK);
  assert_true(short_one.total_us < long_one.total_us && long_one.tokens_per_second > short_one.tokens_per_second);
  assert_int_equal(snapmla_model_query(NULL, "vax", &p, NULL, 1, 1024, &short_one), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_model_query(context, NULL, &p, NULL, 1, 1024, &short_one), SNAPMLA_OK);
  assert_true(short_one.calibration_samples > 0);
  snapmla_context_destroy(context);
}

/* Variants whose blocks read their pages together, which a search could try, and those that are refused as the groups do not divide. */
typedef struct clusters {
  int open, refused;
} clusters;

static void on_cluster(void *user, const snapmla_explanation *e) {
  clusters *c = user;
  if (!strstr(e->variant, "cluster=2")) return;
  c->open += strcmp(e->fate, "illegal") != 0;
  c->refused += strstr(e->reason, "groups of rows: take cluster=1") != NULL;
}

/* Two groups of 64 rows can be a cluster, one cannot, nor can lists. */
static void clusters_divide_the_groups(void **state) {
  (void)state;
  snapmla_problem p;
  snapmla_plan_report report;
  snapmla_context *context = open_emulator(NULL);
  snapmla_problem_init(&p);
  const struct {
    int32_t heads, q_len, lists;
    int is_open, is_refused;
  } cases[] = {{128, 1, 0, 1, 0}, {64, 1, 0, 0, 1}, {64, 2, 0, 1, 0}, {96, 2, 0, 0, 1}, {128, 1, 64, 0, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    clusters c = {0};
    p.heads = cases[i].heads, p.q_len = cases[i].q_len, p.max_indices = cases[i].lists;
    report = (snapmla_plan_report){.size = sizeof report};
    assert_int_equal(snapmla_explain(context, &p, NULL, on_cluster, &c, &report), SNAPMLA_OK);
    assert_int_equal(c.open > 0, cases[i].is_open);
    assert_int_equal(c.refused > 0, cases[i].is_refused);
  }
  snapmla_context_destroy(context);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      TEST(the_winner_is_remembered),
      TEST(what_is_known_is_measured_again_when_asked),
      TEST(five_cold_tunes_agree),
      TEST(crashing_hanging_and_lying_candidates_are_caught),
      TEST(a_wrong_answer_is_caught_in_process_too),
      TEST(deadline_and_progress_end_a_search),
      TEST(index_lists_are_tuned_too),
      TEST(many_query_tokens_are_tuned_too),
      TEST(keeps_to_a_memory_limit),
      TEST(a_patient_search_looks_around),
      TEST(a_store_that_fails_is_done_without),
      TEST(nothing_is_compiled_or_written_unasked),
      TEST(explains_and_models),
      TEST(clusters_divide_the_groups),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
