/* snapmla explain: why a variant is chosen, and the others are not. */
#include <stdio.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "library.h"
#include "planning.h"
#include "session.h"

void smla_planning_collect(void *user, const snapmla_explanation *e) {
  json_t *row = json_object();
  smla_json_set(row, "variant", json_string(e->variant));
  smla_json_set(row, "fate", json_string(e->fate));
  smla_json_set(row, "reason", smla_json_text(e->reason));
  smla_json_set(row, "estimated_us", e->estimated_us > 0 ? smla_json_real(e->estimated_us) : json_null());
  smla_json_set(row, "timed_us", e->timed_us > 0 ? smla_json_real(e->timed_us) : json_null());
  smla_json_set(row, "time_kind", json_string(snapmla_time_kind_name(e->time_kind)));
  json_array_append_new(user, row);
}

static void print_row(const json_t *row) {
  const json_t *estimated = json_object_get(row, "estimated_us"), *timed = json_object_get(row, "timed_us");
  char cells[2][32] = {"-", "-"};
  if (json_is_number(estimated)) snprintf(cells[0], sizeof cells[0], "%.2f", json_number_value(estimated));
  if (json_is_number(timed)) snprintf(cells[1], sizeof cells[1], "%.2f", json_number_value(timed));
  printf("%-13s %10s %10s  %s\n", json_string_value(json_object_get(row, "fate")), cells[0], cells[1],
         json_string_value(json_object_get(row, "variant")));
  const char *reason = json_string_value(json_object_get(row, "reason"));
  if (reason && *reason) printf("%-13s %10s %10s    %s\n", "", "", "", reason);
}

smla_exit smla_command_explain(const smla_settings *settings) {
  snapmla_context *context = NULL;
  snapmla_device_info info;
  snapmla_problem problem;
  snapmla_plan_report report = {.size = sizeof report};
  json_t *rows = json_array();
  snapmla_status status = smla_planning_problem(settings, &problem);
  if (!status) status = smla_device_open(settings, &context, &info);
  const snapmla_plan_options options = smla_planning_options(settings, SNAPMLA_EFFORT_ESTIMATE, NULL);
  if (!status)
    status = smla_library_status(snapmla_explain(context, &problem, &options, smla_planning_collect, rows, &report));
  if (!status && settings->json) {
    json_t *root = json_object();
    smla_planning_report_json(root, &report);
    smla_json_set(root, "variants", json_incref(rows));
    status = smla_json_print(root);
  } else if (!status) {
    smla_planning_report_print(&report);
    printf("\n%-13s %10s %10s  %s\n", "fate", "model us", "timed us", "variant");
    for (size_t i = 0; i < json_array_size(rows); ++i) print_row(json_array_get(rows, i));
  }
  if (status) smla_console_error();
  json_decref(rows);
  snapmla_context_destroy(context);
  return smla_console_exit_code(status);
}
