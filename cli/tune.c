/* snapmla tune: finds the fastest variants of a problem and remembers them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "html_report.h"
#include "json_output.h"
#include "library.h"
#include "planning.h"
#include "problem.h"
#include "session.h"
#include "tune_layer.h"

snapmla_status smla_planning_problem(const smla_settings *settings, snapmla_problem *out) {
  smla_lengths lengths = {0};
  snapmla_status status = settings->context ? smla_lengths_read(settings, settings->context, &lengths) : SNAPMLA_OK;
  if (!status) status = smla_problem_read(settings, settings->context ? &lengths : NULL, out);
  if (!status) status = smla_problem_verify(out);
  smla_lengths_free(&lengths);
  return status;
}

snapmla_plan_options smla_planning_options(const smla_settings *settings, snapmla_effort effort, const char *variant) {
  snapmla_plan_options o = {.size = sizeof o, .variant = variant};
  o.effort = settings->effort >= 0 ? (snapmla_effort)settings->effort : effort;
  if (settings->no_write) o.flags |= SNAPMLA_PLAN_NO_WRITE;
  if (settings->wisdom_only) o.flags |= SNAPMLA_PLAN_WISDOM_ONLY;
  if (settings->allow_nearest) o.flags |= SNAPMLA_PLAN_ALLOW_NEAREST;
  if (settings->deterministic) o.flags |= SNAPMLA_PLAN_DETERMINISTIC;
  o.deadline_seconds = settings->deadline;
  o.candidate_seconds = settings->candidate_seconds;
  o.memory_limit_bytes = (size_t)settings->memory_limit << 20;
  o.workers = settings->workers;
  return o;
}

void smla_planning_report_json(json_t *object, const snapmla_plan_report *r) {
  smla_json_set(object, "provenance", json_string(snapmla_provenance_name(r->provenance)));
  smla_json_set(object, "time_kind", json_string(snapmla_time_kind_name(r->time_kind)));
  smla_json_set(object, "time_us", r->microseconds > 0 ? smla_json_real(r->microseconds) : json_null());
  smla_json_set(object, "effort", json_string(snapmla_effort_name(r->effort)));
  smla_json_set(object, "device_class", json_string(r->device_class));
  smla_json_set(object, "problem", json_string(r->problem_key));
  smla_json_set(object, "templates", json_string(r->templates));
  smla_json_set(object, "difference", json_string(r->difference));
  smla_json_set(object, "candidates", json_integer(r->candidates));
  smla_json_set(object, "tried", json_integer(r->tried));
  smla_json_set(object, "failed", json_integer(r->failed));
  smla_json_set(object, "quarantined", json_integer(r->quarantined));
  smla_json_set(object, "timed", json_integer(r->timed));
  smla_json_set(object, "tied", json_integer(r->tied));
  smla_json_set(object, "noise", smla_json_real(r->noise));
  smla_json_set(object, "deadline_passed", json_boolean(r->deadline_passed));
  smla_json_set(object, "cancelled", json_boolean(r->cancelled));
  smla_json_set(object, "timed_batch", json_integer(r->timed_batch));
  smla_json_set(object, "timed_tokens", json_integer(r->timed_tokens));
  smla_json_set(object, "seconds", smla_json_real(r->seconds));
}

void smla_planning_report_print(const snapmla_plan_report *r) {
  printf("problem     %s\ndevice      %s\n", r->problem_key, r->device_class);
  printf("provenance  %s%s%s\n", snapmla_provenance_name(r->provenance), *r->difference ? ": " : "", r->difference);
  if (r->microseconds > 0)
    printf("time        %.2f us a decode call (%s%s%s)\n", r->microseconds, snapmla_time_kind_name(r->time_kind),
           r->time_kind == SNAPMLA_TIME_ESTIMATED ? "" : ", effort ",
           r->time_kind == SNAPMLA_TIME_ESTIMATED ? "" : snapmla_effort_name(r->effort));
  if (r->timed_batch)
    printf("timed       %d requests of %lld tokens in all\n", r->timed_batch, (long long)r->timed_tokens);
  if (r->candidates)
    printf(
        "search      %d candidates, %d tried, %d failed, %d quarantined, %d timed, %d tied within %.1f %%, %.1f s%s\n",
        r->candidates, r->tried, r->failed, r->quarantined, r->timed, r->tied, 100 * r->noise, r->seconds,
        r->deadline_passed ? ", ended by the deadline" : "");
}

static int on_progress(void *user, const snapmla_tune_progress *p) {
  (void)user;
  if (p->best_us > 0)
    smla_console_progress("%s %lld of %lld, best %.2f us  %s", p->phase, (long long)p->done, (long long)p->total,
                          p->best_us, p->candidate);
  else
    smla_console_progress("%s %lld of %lld  %s", p->phase, (long long)p->done, (long long)p->total, p->candidate);
  return 0;
}

/* What was found of a layer's own kernels, as a member of the result. */
static void add_layer(json_t *root, const smla_layer_choice *layer) {
  if (!layer->variant) return;
  json_t *object = json_object();
  smla_json_set(object, "variant", json_string(layer->variant));
  smla_json_set(object, "time_us", smla_json_real(layer->us));
  smla_json_set(object, "candidates", json_incref(layer->candidates));
  smla_json_set(root, "layer", object);
}

static void print_layer(const smla_layer_choice *layer) {
  size_t i;
  json_t *row;
  if (!layer->variant) return;
  json_array_foreach(layer->candidates, i, row) {
    const char *error = json_string_value(json_object_get(row, "error"));
    printf("layer       ");
    if (error)
      printf("%9s    %s: %s\n", "-", json_string_value(json_object_get(row, "variant")), error);
    else
      printf("%9.2f us %s%s\n", json_number_value(json_object_get(row, "time_us")),
             json_string_value(json_object_get(row, "variant")),
             json_is_true(json_object_get(row, "default")) ? " (the default)" : "");
  }
  printf("chosen      --variant '%s', %.2f us a layer\n", layer->variant, layer->us);
}

static json_t *result_of(const snapmla_plan *plan, const snapmla_plan_report *report) {
  json_t *root = json_object(), *variants = json_array();
  const char *const *families = snapmla_family_names();
  smla_json_set(root, "ok", json_true());
  for (size_t i = 0; families[i]; ++i)
    if (snapmla_plan_variant(plan, families[i]))
      json_array_append_new(variants, json_string(snapmla_plan_variant(plan, families[i])));
  smla_json_set(root, "variants", variants);
  smla_planning_report_json(root, report);
  smla_json_set(root, "fingerprint", json_string(report->fingerprint));
  return root;
}

/* With what the store knows now of the variants: what was tried, and what was not. */
static snapmla_status write_report(const smla_settings *settings, snapmla_context *context,
                                   const snapmla_problem *problem, const snapmla_plan *plan,
                                   const snapmla_plan_report *report) {
  if (!settings->report) return SNAPMLA_OK;
  json_t *rows = json_array(), *root = result_of(plan, report);
  const snapmla_plan_options options = smla_planning_options(settings, SNAPMLA_EFFORT_ESTIMATE, NULL);
  snapmla_status status =
      smla_library_status(snapmla_explain(context, problem, &options, smla_planning_collect, rows, NULL));
  if (!status) status = smla_html_report_tune(settings->report, root, rows);
  json_decref(rows);
  json_decref(root);
  return status;
}

static void print_attention(const snapmla_plan *plan, const snapmla_plan_report *report) {
  const char *const *families = snapmla_family_names();
  smla_console_progress_end();
  smla_planning_report_print(report);
  for (size_t i = 0; families[i]; ++i)
    if (snapmla_plan_variant(plan, families[i])) printf("variant     %s\n", snapmla_plan_variant(plan, families[i]));
  printf("fingerprint %s\n", report->fingerprint);
  fflush(stdout);
}

static snapmla_status print(const smla_settings *settings, const snapmla_plan *plan, const snapmla_plan_report *report,
                            const smla_layer_choice *layer) {
  smla_console_progress_end();
  if (!settings->json) {
    if (!settings->layer) print_attention(plan, report);
    print_layer(layer);
    return SNAPMLA_OK;
  }
  json_t *root = result_of(plan, report);
  add_layer(root, layer);
  return smla_json_print(root);
}

smla_exit smla_command_tune(const smla_settings *settings) {
  snapmla_context *context = NULL;
  snapmla_plan *plan = NULL;
  snapmla_device_info info;
  snapmla_problem problem;
  snapmla_plan_report report = {.size = sizeof report};
  smla_layer_choice layer = {0};
  snapmla_status status = smla_problem_layer_check(settings);
  if (!status && settings->layer && (settings->sparse || settings->sinks || settings->batch_invariant))
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "%s is not for a layer: leave it out, or tune the attention alone, without --layer",
                               settings->sparse  ? "--sparse"
                               : settings->sinks ? "--sinks"
                                                 : "--batch-invariant");
  if (!status && settings->variants.count)
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--variant leaves tune nothing to search: leave it out");
  if (!status) status = smla_planning_problem(settings, &problem);
  if (!status) status = smla_device_open(settings, &context, &info);
  snapmla_plan_options options = smla_planning_options(settings, SNAPMLA_EFFORT_MEASURE, NULL);
  if (!settings->in_process) options.flags |= SNAPMLA_PLAN_ISOLATED;
  if (settings->again) options.flags |= SNAPMLA_PLAN_AGAIN;
  options.progress = on_progress;
  if (!status) status = smla_library_status(snapmla_plan_create(context, &problem, &options, &plan));
  if (!status) status = smla_library_status(snapmla_plan_report_get(plan, &report));
  if (!status) status = write_report(settings, context, &problem, plan, &report);
  if (!status && settings->layer) {
    if (!settings->json) print_attention(plan, &report); /* in case that the layer's part fails */
    status = smla_tune_layer(settings, &problem, plan, context, &info, &layer);
  }
  if (!status) status = print(settings, plan, &report, &layer);
  if (status && settings->json) smla_json_print_failure(status);
  if (status) smla_console_error();
  smla_layer_choice_free(&layer);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  return smla_console_exit_code(status);
}
