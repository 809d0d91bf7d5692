/* Why a variant was chosen, and the others were not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_make.h"
#include "status.h"
#include "tuner.h"

enum { REASON_MAX = 600 };

/* One line of the explanation; owns its texts. */
typedef struct line {
  char *variant, *reason;
  const char *fate;
  double estimated_us, timed_us;
  snapmla_time_kind kind;
} line;

typedef struct lines {
  line *items;
  size_t count;
} lines;

static snapmla_status add(lines *all, const char *variant, const char *fate, const char *reason, double estimated_us,
                          double timed_us, snapmla_time_kind kind) {
  line *grown = realloc(all->items, (all->count + 1) * sizeof *grown);
  if (grown) all->items = grown;
  line l = {.variant = strdup(variant),
            .reason = strdup(reason),
            .fate = fate,
            .estimated_us = estimated_us,
            .timed_us = timed_us,
            .kind = kind};
  if (!grown || !l.variant || !l.reason) {
    free(l.variant);
    free(l.reason);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an explanation");
  }
  all->items[all->count++] = l;
  return SNAPMLA_OK;
}

static snapmla_status add_illegal(void *user, const char *variant, const char *reason) {
  return add(user, variant, "illegal", reason, 0, 0, SNAPMLA_TIME_NONE);
}

/* The decode part of a text. */
static int same_decode(const char *a, const char *b) {
  const char *x = strstr(a, "mla_decode:"), *y = strstr(b, "mla_decode:");
  if (!x || !y) return 0;
  size_t length = strcspn(x, ";");
  return length == strcspn(y, ";") && !strncmp(x, y, length);
}

/* The exact measurement of a candidate; of several (with other kernels around it) the fastest. */
static const smla_measurement *measurement_of(const smla_tuning *t, const char *text) {
  const smla_measurement *best = NULL;
  char problem[SMLA_PROBLEM_KEY_MAX];
  smla_problem_key_text(&t->key.problem, problem);
  for (size_t i = 0; i < t->known.count; i++) {
    const smla_measurement *m = &t->known.items[i];
    if (strcmp(m->device, t->key.device) || strcmp(m->problem, problem) || strcmp(m->target, t->key.target) ||
        strcmp(m->templates, t->key.templates) || !same_decode(m->variant, text))
      continue;
    if (!best || m->us < best->us) best = m;
  }
  return best;
}

static snapmla_status add_candidate(const smla_tuning *t, const smla_candidate *c, const char *chosen, double best_us,
                                    lines *all) {
  double tokens = smla_work_tokens(&t->problem);
  double estimated = smla_tuning_model(t, c, t->problem.max_batch, tokens);
  const smla_measurement *m = measurement_of(t, c->text);
  smla_mark mark;
  char reason[REASON_MAX] = "";
  const char *fate = "not measured";
  if (!smla_tuning_mark(&t->key, c->text, &mark)) {
    snprintf(reason, sizeof reason, "%s: %.500s", mark.fate, mark.reason);
    smla_mark_clear(&mark);
    fate = "quarantined";
  } else if (chosen && same_decode(chosen, c->text)) {
    fate = "chosen";
  } else if (m && m->final && best_us > 0) {
    fate = m->us <= best_us * (1 + 0.01) ? "tied" : "lost";
  } else if (m) {
    fate = "lost";
  }
  if (m && strcmp(fate, "quarantined"))
    snprintf(reason, sizeof reason, "%.1f %% from the fastest, spread %.1f %%, %d samples, effort %s%s",
             best_us > 0 ? 100 * (m->us / best_us - 1) : 0, 100 * m->spread, m->samples,
             snapmla_effort_name((snapmla_effort)m->effort), c->is_default ? ", the default" : "");
  else if (!*reason)
    snprintf(reason, sizeof reason, "%sestimated only", c->is_default ? "the default, " : "");
  return add(all, c->text, fate, reason, estimated, m ? m->us : 0,
             !m            ? SNAPMLA_TIME_NONE
             : m->modelled ? SNAPMLA_TIME_MODELLED
                           : SNAPMLA_TIME_MEASURED);
}

/* Measurements of the same kind of problem that could not serve, with the fields that differ. */
static snapmla_status add_missed(const smla_tuning *t, lines *all) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < t->known.count && !status; i++) {
    const smla_measurement *m = &t->known.items[i];
    smla_problem_key problem;
    char difference[REASON_MAX];
    if (!m->won || !smla_problem_key_read(m->problem, &problem) ||
        smla_problem_key_distance(&problem, &t->key.problem) < 0)
      continue;
    smla_wisdom_difference(m, &t->key, difference, sizeof difference);
    if (*difference)
      status = add(all, m->variant, "missed", difference, 0, m->us,
                   m->modelled ? SNAPMLA_TIME_MODELLED : SNAPMLA_TIME_MEASURED);
  }
  return status;
}

static int rank_of(const line *l) {
  static const char *const order[] = {"chosen", "tied", "lost", "not measured", "quarantined", "missed", "illegal"};
  int rank = 0;
  while (rank < 7 && strcmp(order[rank], l->fate)) rank++;
  return rank;
}

static int compare(const void *a, const void *b) {
  const line *x = a, *y = b;
  if (rank_of(x) != rank_of(y)) return rank_of(x) - rank_of(y);
  double p = x->timed_us > 0 ? x->timed_us : x->estimated_us, q = y->timed_us > 0 ? y->timed_us : y->estimated_us;
  if (p != q) return p < q ? -1 : 1;
  return strcmp(x->variant, y->variant);
}

static snapmla_status collect(const smla_tuning *t, const char *chosen, lines *all) {
  smla_candidate *candidates = NULL;
  size_t count = 0;
  double best_us = 0;
  snapmla_status status =
      smla_candidates_make(t->generator, &t->problem, "mla_decode", NULL, add_illegal, all, &candidates, &count);
  for (size_t i = 0; i < count && !status; i++) {
    const smla_measurement *m = measurement_of(t, candidates[i].text);
    if (m && (!best_us || m->us < best_us)) best_us = m->us;
  }
  for (size_t i = 0; i < count && !status; i++) status = add_candidate(t, &candidates[i], chosen, best_us, all);
  if (!status) status = add_missed(t, all);
  smla_candidates_free(candidates, count);
  if (!status && all->count) qsort(all->items, all->count, sizeof *all->items, compare);
  return status;
}

snapmla_status snapmla_explain(snapmla_context *context, const snapmla_problem *problem,
                               const snapmla_plan_options *options,
                               void (*each)(void *user, const snapmla_explanation *explanation), void *user,
                               snapmla_plan_report *report) {
  if (!context || !each) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context and each are needed, and one is NULL");
  snapmla_plan_options known;
  snapmla_plan_report choice = {.size = sizeof choice};
  smla_tuning t = {0};
  lines all = {0};
  char *chosen = NULL;
  int tune;
  snapmla_status status = snapmla_problem_check(problem);
  if (!status) status = smla_plan_options_read(options, &known);
  if (!status) status = smla_tuning_open(context, problem, SMLA_TUNING_ALL, &t);
  if (!status) {
    memcpy(choice.device_class, t.key.device, sizeof choice.device_class);
    memcpy(choice.templates, t.key.templates, sizeof choice.templates);
    smla_problem_key_text(&t.key.problem, choice.problem_key);
    status = smla_planner_choose(&t, &known, &chosen, &choice, &tune);
    if (status == SNAPMLA_NOT_FOUND) status = SNAPMLA_OK; /* nothing is chosen: the lines say why */
  }
  if (!status) status = collect(&t, chosen, &all);
  for (size_t i = 0; i < all.count; i++) {
    const line *l = &all.items[i];
    const snapmla_explanation e = {l->variant, l->fate, l->reason, l->estimated_us, l->timed_us, l->kind};
    if (!status) each(user, &e);
    free(l->variant);
    free(l->reason);
  }
  free(all.items);
  free(chosen);
  smla_tuning_close(&t);
  if (!status && report) *report = choice;
  return status;
}
