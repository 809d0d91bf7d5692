/* The search against made-up candidates whose times are known. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "clock.h"
#include "search.h"

enum { COUNT = 12 };

/* What each candidate does when it is tried. */
typedef struct world {
  smla_candidate candidates[COUNT];
  char texts[COUNT][16];
  double times[COUNT]; /* true, in us */
  double noise;        /* relative, uniform */
  smla_fate fails[COUNT];
  double models[COUNT];
  int compiled[COUNT], checked[COUNT], timed[COUNT];
  int cancel_after; /* reports; 0: never */
  int reports;
  double seconds_per_check;
  uint64_t random;
} world;

static double noisy(world *w) {
  w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return 1 + w->noise * ((double)(w->random >> 11) / (double)(1ull << 53) - 0.5);
}

static void refuse(smla_verdict *verdict, smla_fate fate) {
  verdict->fate = fate;
  snprintf(verdict->reason, sizeof verdict->reason, "planted");
}

static void compile(void *user, const size_t *which, size_t count, smla_verdict *verdicts) {
  world *w = user;
  for (size_t i = 0; i < count; i++) {
    w->compiled[which[i]]++;
    verdicts[i].ok = w->fails[which[i]] != SMLA_FATE_COMPILE_FAILED;
    if (!verdicts[i].ok) refuse(&verdicts[i], SMLA_FATE_COMPILE_FAILED);
  }
}

static void check(void *user, size_t c, smla_verdict *verdict) {
  world *w = user;
  w->checked[c]++;
  double end = smla_clock_seconds() + w->seconds_per_check;
  while (smla_clock_seconds() < end) continue;
  verdict->ok = w->fails[c] == SMLA_FATE_PRUNED || w->fails[c] == SMLA_FATE_FAILED;
  if (!verdict->ok) refuse(verdict, w->fails[c]);
}

static void time_it(void *user, size_t c, size_t count, double *microseconds, smla_verdict *verdict) {
  world *w = user;
  assert_int_equal(w->checked[c], 1); /* nothing is timed that is not right */
  w->timed[c]++;
  verdict->ok = w->fails[c] != SMLA_FATE_FAILED;
  if (!verdict->ok) refuse(verdict, SMLA_FATE_FAILED);
  for (size_t i = 0; i < count; i++) microseconds[i] = w->times[c] * noisy(w);
}

static int progress(void *user, const smla_search_progress *p) {
  world *w = user;
  assert_true(p->done <= p->total);
  return w->cancel_after && ++w->reports > w->cancel_after;
}

static const smla_search_options usual = {
    .most_tried = 0, .compile_batch = 4, .first_samples = 3, .finalists = 3, .pair_rounds = 9, .noise_floor = 0.01};

/* Candidates "v00" …, of times 100, 101, …: the last is the default. */
static world make_world(void) {
  world w = {.random = 1};
  for (int i = 0; i < COUNT; i++) {
    w.times[i] = 100 + 5 * i;
    w.models[i] = i;
    w.fails[i] = SMLA_FATE_PRUNED;
  }
  return w;
}

static smla_search_result search(world *w, const smla_search_options *options, smla_search_entry *entries) {
  smla_search_result result;
  for (int i = 0; i < COUNT; i++) {
    snprintf(w->texts[i], sizeof w->texts[i], "v%02d", i);
    w->candidates[i] = (smla_candidate){.text = w->texts[i], .is_default = i == COUNT - 1};
    entries[i].model_us = w->models[i];
  }
  const smla_search_ops ops = {w, compile, check, time_it, progress};
  assert_int_equal(smla_search_run(w->candidates, COUNT, options, &ops, entries, &result), SNAPMLA_OK);
  return result;
}

static void the_fastest_wins(void **state) {
  (void)state;
  world w = make_world();
  w.noise = 0.02;
  smla_search_entry entries[COUNT] = {0};
  w.times[5] = 80;
  smla_search_result r = search(&w, &usual, entries);
  assert_int_equal(r.winner, 5);
  assert_int_equal(r.tied, 1);
  assert_true(r.found && r.timed);
  assert_int_equal(entries[5].fate, SMLA_FATE_WON);
  assert_int_equal(entries[0].fate, SMLA_FATE_LOST);
  assert_true(entries[COUNT - 1].samples > 3); /* the default competes to the end */
}

static void within_the_noise_the_default_wins(void **state) {
  (void)state;
  world w = make_world();
  smla_search_entry entries[COUNT] = {0};
  w.noise = 0.04;
  w.times[COUNT - 1] = 100.2; /* v00 is faster, by less than the floor of 1 % */
  smla_search_result r = search(&w, &usual, entries);
  assert_int_equal(r.winner, COUNT - 1);
  assert_int_equal(r.tied, 2);
  assert_int_equal(entries[0].fate, SMLA_FATE_TIED);
  assert_non_null(strstr(entries[0].reason, "noise"));
}

/* Where they tie, what the model says takes less by more than the margin comes before the default. */
static void a_margin_of_the_model_decides_against_the_default(void **state) {
  (void)state;
  smla_search_options with_margin = usual;
  with_margin.default_margin = 1.25;
  for (int far = 0; far <= 1; far++) {
    world w = make_world();
    smla_search_entry entries[COUNT] = {0};
    w.times[3] = w.times[5] = w.times[COUNT - 1] = 50;
    w.models[COUNT - 1] = 10;
    w.models[3] = far ? 7.9 : 8.1;
    w.models[5] = 8.1;
    assert_int_equal(search(&w, &with_margin, entries).winner, far ? 3 : COUNT - 1);
  }
}

static void other_ties_go_by_the_model_and_then_by_text(void **state) {
  (void)state;
  for (int alike = 0; alike <= 1; alike++) {
    world w = make_world();
    smla_search_entry entries[COUNT] = {0};
    w.times[7] = w.times[3] = 50;
    w.models[7] = alike ? w.models[3] : w.models[3] - 0.5;
    assert_int_equal(search(&w, &usual, entries).winner, alike ? 3 : 7);
  }
}

static void five_noisy_searches_agree(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) {
    world w = make_world();
    smla_search_entry entries[COUNT] = {0};
    w.random = 1000 + (uint64_t)i;
    w.noise = 0.03;
    w.times[4] = w.times[6] = 90;
    smla_search_result r = search(&w, &usual, entries);
    assert_true(r.winner == 4 || (r.winner == 6 && r.tied > 1));
    assert_true(r.tied > 1 || entries[4].fate == SMLA_FATE_WON);
  }
}

static void what_fails_is_out_and_the_rest_goes_on(void **state) {
  (void)state;
  world w = make_world();
  smla_search_entry entries[COUNT] = {0};
  w.fails[0] = SMLA_FATE_CRASHED;
  w.fails[1] = SMLA_FATE_HUNG;
  w.fails[2] = SMLA_FATE_WRONG;
  w.fails[3] = SMLA_FATE_COMPILE_FAILED;
  w.fails[4] = SMLA_FATE_FAILED; /* only when it is timed */
  entries[5].fate = SMLA_FATE_QUARANTINED;
  assert_int_equal(search(&w, &usual, entries).winner, 6);
  assert_int_equal(entries[0].fate, SMLA_FATE_CRASHED);
  assert_int_equal(entries[1].fate, SMLA_FATE_HUNG);
  assert_int_equal(entries[2].fate, SMLA_FATE_WRONG);
  assert_string_equal(entries[2].reason, "planted");
  assert_int_equal(entries[3].fate, SMLA_FATE_COMPILE_FAILED);
  assert_int_equal(w.checked[3], 0);
  assert_int_equal(entries[4].fate, SMLA_FATE_FAILED);
  assert_int_equal(w.compiled[5], 0);
  for (int i = 0; i < 4; i++) assert_int_equal(w.timed[i], 0);
}

static void the_model_prunes_but_not_the_default(void **state) {
  (void)state;
  world w = make_world();
  smla_search_entry entries[COUNT] = {0};
  smla_search_options few = usual;
  few.most_tried = 3;
  w.times[8] = 1; /* fast, but modelled slow: not tried */
  assert_int_equal(search(&w, &few, entries).winner, 0);
  int compiled = 0;
  for (int i = 0; i < COUNT; i++) compiled += w.compiled[i];
  assert_int_equal(compiled, 4);
  assert_int_equal(w.compiled[COUNT - 1], 1);
  assert_int_equal(entries[8].fate, SMLA_FATE_PRUNED);
}

static void a_deadline_gives_the_best_so_far(void **state) {
  (void)state;
  world w = make_world();
  smla_search_entry entries[COUNT] = {0};
  smla_search_options hurried = usual;
  hurried.deadline = smla_clock_seconds() + 0.03;
  hurried.compile_batch = 1;
  w.seconds_per_check = 0.02;
  smla_search_result r = search(&w, &hurried, entries);
  assert_true(r.deadline_passed && r.found && !r.timed);
  assert_int_equal(r.winner, COUNT - 1); /* the default was tried first */
  assert_int_equal(w.compiled[COUNT - 2], 0);
  hurried.deadline = smla_clock_seconds() - 1;
  w = make_world();
  r = search(&w, &hurried, entries);
  assert_true(r.deadline_passed && !r.found);
  assert_int_equal(r.winner, COUNT - 1);
}

static void progress_cancels(void **state) {
  (void)state;
  world w = make_world();
  smla_search_entry entries[COUNT] = {0};
  w.cancel_after = 3;
  smla_search_result r = search(&w, &usual, entries);
  assert_true(r.cancelled);
  assert_true(w.reports <= 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_fastest_wins),
      cmocka_unit_test(within_the_noise_the_default_wins),
      cmocka_unit_test(a_margin_of_the_model_decides_against_the_default),
      cmocka_unit_test(other_ties_go_by_the_model_and_then_by_text),
      cmocka_unit_test(five_noisy_searches_agree),
      cmocka_unit_test(what_fails_is_out_and_the_rest_goes_on),
      cmocka_unit_test(the_model_prunes_but_not_the_default),
      cmocka_unit_test(a_deadline_gives_the_best_so_far),
      cmocka_unit_test(progress_cancels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
