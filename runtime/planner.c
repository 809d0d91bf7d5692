/* Which variants a plan takes by what is known, and whether that calls for tuning. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "struct_size.h"
#include "tuner.h"

static const uint32_t known_flags = SNAPMLA_PLAN_WISDOM_ONLY | SNAPMLA_PLAN_NO_JIT | SNAPMLA_PLAN_NO_WRITE |
                                    SNAPMLA_PLAN_ALLOW_NEAREST | SNAPMLA_PLAN_DETERMINISTIC | SNAPMLA_PLAN_ISOLATED |
                                    SNAPMLA_PLAN_AGAIN;
/* With these nothing is tuned. */
static const uint32_t untuned_flags = SNAPMLA_PLAN_WISDOM_ONLY | SNAPMLA_PLAN_NO_JIT | SNAPMLA_PLAN_DETERMINISTIC;

snapmla_status smla_plan_options_read(const snapmla_plan_options *options, snapmla_plan_options *known) {
  *known = (snapmla_plan_options){.size = sizeof *known};
  if (!options) return SNAPMLA_OK;
  snapmla_status status = smla_struct_size_check("snapmla_plan_options", options, options->size, sizeof *options);
  if (status) return status;
  *known = *options;
  if (known->effort < SNAPMLA_EFFORT_ESTIMATE || known->effort > SNAPMLA_EFFORT_EXHAUSTIVE)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "effort is %d, it must be a snapmla_effort", (int)known->effort);
  if (known->flags & ~known_flags)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "flags are 0x%x, of which 0x%x mean nothing; use SNAPMLA_PLAN_…",
                     known->flags, known->flags & ~known_flags);
  if ((known->flags & SNAPMLA_PLAN_AGAIN) &&
      (known->effort == SNAPMLA_EFFORT_ESTIMATE || known->variant || (known->flags & untuned_flags)))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "SNAPMLA_PLAN_AGAIN asks for a search, and there is none with %s; leave one of the two out",
                     known->variant                             ? "an override of variants"
                     : known->effort == SNAPMLA_EFFORT_ESTIMATE ? "SNAPMLA_EFFORT_ESTIMATE"
                     : known->flags & SNAPMLA_PLAN_WISDOM_ONLY  ? "SNAPMLA_PLAN_WISDOM_ONLY"
                     : known->flags & SNAPMLA_PLAN_NO_JIT       ? "SNAPMLA_PLAN_NO_JIT"
                                                                : "SNAPMLA_PLAN_DETERMINISTIC");
  if (!(known->deadline_seconds >= 0) || !(known->candidate_seconds >= 0) || known->workers < 0)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "deadline_seconds, candidate_seconds and workers must not be negative; 0 is the default");
  return SNAPMLA_OK;
}

static snapmla_status take(const smla_tuning *t, const smla_measurement *m, smla_wisdom_reach reached,
                           char **override_text, snapmla_plan_report *report) {
  if (!(*override_text = strdup(m->variant))) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan");
  report->provenance = reached == SMLA_WISDOM_EXACT ? SNAPMLA_PROVENANCE_EXACT : SNAPMLA_PROVENANCE_NEAR;
  report->time_kind = m->modelled ? SNAPMLA_TIME_MODELLED : SNAPMLA_TIME_MEASURED;
  report->microseconds = m->us;
  report->effort = (snapmla_effort)m->effort;
  report->timed_batch = m->timed_batch;
  report->timed_tokens = m->timed_context;
  smla_wisdom_difference(m, &t->key, report->difference, sizeof report->difference);
  return SNAPMLA_OK;
}

/* Nonzero where a measurement was made under another driver or product: it is checked again when tuning is asked for. */
static int is_stale(const smla_tuning *t, const smla_measurement *m) {
  char now[SMLA_SOFT_FACTS_MAX];
  smla_tuning_soft_facts(t->context, now);
  return strcmp(now, m->soft_facts) != 0;
}

static const smla_measurement *find_exact(const smla_tuning *t, const snapmla_plan_options *options, int *tune) {
  smla_wisdom_reach reached;
  const smla_measurement *exact =
      smla_wisdom_best(&t->known, &t->key, SMLA_WISDOM_EXACT, smla_tuning_usable, (void *)t, &reached);
  int may_tune = options->effort > SNAPMLA_EFFORT_ESTIMATE && !(options->flags & untuned_flags);
  *tune = may_tune && (!exact || exact->effort < (int)options->effort || (options->flags & SNAPMLA_PLAN_AGAIN) ||
                       is_stale(t, exact));
  return exact;
}

snapmla_status smla_planner_exact(const smla_tuning *t, const snapmla_plan_options *options, char **override_text,
                                  snapmla_plan_report *report, int *done) {
  int tune;
  const smla_measurement *exact = find_exact(t, options, &tune);
  *done = exact && !tune;
  return *done ? take(t, exact, SMLA_WISDOM_EXACT, override_text, report) : SNAPMLA_OK;
}

snapmla_status smla_planner_choose(const smla_tuning *t, const snapmla_plan_options *options, char **override_text,
                                   snapmla_plan_report *report, int *tune) {
  smla_wisdom_reach reached;
  uint32_t flags = options->flags;
  const smla_measurement *exact = find_exact(t, options, tune);
  if (exact) return take(t, exact, SMLA_WISDOM_EXACT, override_text, report);
  smla_wisdom_reach reach = flags & SNAPMLA_PLAN_ALLOW_NEAREST ? SMLA_WISDOM_NEAREST : SMLA_WISDOM_TEMPLATES;
  const smla_measurement *near = smla_wisdom_best(&t->known, &t->key, reach, smla_tuning_usable, (void *)t, &reached);
  if (near) return take(t, near, reached, override_text, report);
  if (flags & SNAPMLA_PLAN_WISDOM_ONLY)
    return smla_fail(SNAPMLA_NOT_FOUND,
                     "there is no wisdom for %s on %s, and SNAPMLA_PLAN_WISDOM_ONLY takes nothing else; tune it "
                     "('snapmla tune'), import wisdom, or allow the nearest",
                     report->problem_key, t->key.device);
  report->provenance = SNAPMLA_PROVENANCE_ESTIMATED;
  report->time_kind = SNAPMLA_TIME_ESTIMATED;
  return smla_tuning_estimate(t, t->problem.max_batch, smla_work_tokens(&t->problem), override_text,
                              &report->microseconds);
}

const char *snapmla_provenance_name(snapmla_provenance provenance) {
  static const char *const names[] = {"given", "exact", "near", "estimated", "packed"};
  return (unsigned)provenance < sizeof names / sizeof *names ? names[provenance] : NULL;
}

const char *snapmla_effort_name(snapmla_effort effort) {
  static const char *const names[] = {"estimate", "measure", "patient", "exhaustive"};
  return (unsigned)effort < sizeof names / sizeof *names ? names[effort] : NULL;
}

const char *snapmla_time_kind_name(snapmla_time_kind kind) {
  static const char *const names[] = {"none", "measured", "modelled", "estimated"};
  return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : NULL;
}
