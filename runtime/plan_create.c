/* Making a plan: which variants, and then the kernels. */
#include <stdlib.h>
#include <string.h>

#include "compiler_start.h"
#include "log.h"
#include "plan_make.h"
#include "status.h"
#include "struct_size.h"
#include "tuner.h"

static void describe(const smla_tuning *t, snapmla_plan_report *report) {
  memcpy(report->device_class, t->key.device, sizeof report->device_class);
  memcpy(report->templates, t->key.templates, sizeof report->templates);
  smla_problem_key_text(&t->key.problem, report->problem_key);
}

/* By the override, or by this problem's own wisdom: what needs no look at anything else. *done: nonzero where it sufficed. */
static snapmla_status choose_at_once(snapmla_context *context, const snapmla_problem *problem,
                                     const snapmla_plan_options *options, char **override_text,
                                     snapmla_plan_report *report, int *done) {
  smla_tuning t = {0};
  int blind = options->variant || (options->flags & SNAPMLA_PLAN_DETERMINISTIC);
  snapmla_status status = smla_tuning_open(context, problem, blind ? SMLA_TUNING_BLIND : SMLA_TUNING_PROBLEM, &t);
  if (status) return status;
  describe(&t, report);
  if (options->variant) {
    report->provenance = SNAPMLA_PROVENANCE_GIVEN;
    *override_text = strdup(options->variant);
    if (!*override_text) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan");
    *done = 1;
  } else {
    status = smla_planner_exact(&t, options, override_text, report, done);
  }
  smla_tuning_close(&t);
  return status;
}

static snapmla_status choose(snapmla_context *context, const snapmla_problem *problem,
                             const snapmla_plan_options *options, char **override_text, snapmla_plan_report *report) {
  smla_tuning t = {0};
  int tune = 0, done = 0;
  snapmla_status status = choose_at_once(context, problem, options, override_text, report, &done);
  if (status || done) return status;
  status = smla_tuning_open(context, problem,
                            options->flags & SNAPMLA_PLAN_DETERMINISTIC ? SMLA_TUNING_BLIND : SMLA_TUNING_ALL, &t);
  if (status) return status;
  status = smla_planner_choose(&t, options, override_text, report, &tune);
  if (!status && tune) {
    char *tuned = NULL;
    status = smla_tuning_search(&t, options, &tuned, report);
    if (tuned) {
      free(*override_text);
      *override_text = tuned;
      report->difference[0] = 0;
    }
  }
  smla_tuning_close(&t);
  return status;
}

snapmla_status snapmla_plan_create(snapmla_context *context, const snapmla_problem *problem,
                                   const snapmla_plan_options *options, snapmla_plan **out) {
  if (!context || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context and out are needed, and one is NULL");
  *out = NULL;
  snapmla_plan_options known;
  snapmla_plan_report report = {.size = sizeof report};
  char *override_text = NULL;
  snapmla_status status = snapmla_problem_check(problem);
  if (!status) status = smla_plan_options_read(options, &known);
  if (status) return status;
  smla_compiler_start start;
  smla_compiler_start_begin(&start, context->device->target);
  status = choose(context, problem, &known, &override_text, &report);
  if (!status) status = smla_plan_make(context, problem, override_text, known.flags, out);
  if ((status == SNAPMLA_COMPILE || status == SNAPMLA_ILLEGAL_VARIANT) && override_text && !known.variant) {
    smla_log(SMLA_LOG_ERROR, "the chosen variants fail, the default ones are taken: %s", snapmla_error_message());
    report.provenance = SNAPMLA_PROVENANCE_ESTIMATED;
    report.time_kind = SNAPMLA_TIME_NONE;
    report.microseconds = 0;
    status = smla_plan_make(context, problem, NULL, known.flags, out);
  }
  if (!status) (*out)->report = report;
  smla_compiler_start_end(&start);
  free(override_text);
  return status;
}

snapmla_status snapmla_plan_report_get(const snapmla_plan *plan, snapmla_plan_report *out) {
  if (!plan || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan and out are needed, and one is NULL");
  snapmla_status status = smla_struct_size_check("snapmla_plan_report", out, out->size, sizeof *out);
  if (status) return status;
  snapmla_plan_report report = plan->report;
  report.size = out->size;
  status = snapmla_plan_fingerprint(plan, report.fingerprint);
  if (!status) *out = report;
  return status;
}
