/* The problem, the device and the plan options that tune, explain, model and bench share. */
#ifndef SMLA_CLI_PLANNING_H
#define SMLA_CLI_PLANNING_H

#include <jansson.h>

#include <snapmla/snapmla.h>

#include "settings.h"

/* The problem of the settings: its largest batch from --batch or the lengths of --context, its largest context from
 * --max-context or the longest of them. Errors: those of smla_lengths_read and snapmla_problem_check. */
snapmla_status smla_planning_problem(const smla_settings *settings, snapmla_problem *out);

/* Plan options of the settings. `effort`: where none is given. `variant` may be NULL; it must outlive the options. */
snapmla_plan_options smla_planning_options(const smla_settings *settings, snapmla_effort effort, const char *variant);

/* A plan's report as the members of a JSON object, or as lines on stdout. */
void smla_planning_report_json(json_t *object, const snapmla_plan_report *report);
void smla_planning_report_print(const snapmla_plan_report *report);

/* A callback of snapmla_explain: adds what explain --json prints of a variant to the JSON array `user`. */
void smla_planning_collect(void *user, const snapmla_explanation *explanation);

#endif
