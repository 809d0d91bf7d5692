#include "plan_fixture.h"

#include "cmocka_all.h"

snapmla_context *open_emulator(const char *templates) {
  const snapmla_context_options options = {
      .size = sizeof options, .device = "emulator", .templates = templates, .emulator_sms = SMS};
  snapmla_context *context = NULL;
  if (snapmla_context_create(&options, &context)) fail_msg("%s", snapmla_error_message());
  return context;
}

snapmla_problem small_problem(int32_t max_context) {
  snapmla_problem p;
  snapmla_problem_init(&p);
  p.heads = 8;
  p.latent_rank = 128;
  p.max_batch = 2;
  p.max_context = max_context;
  return p;
}

snapmla_plan *make_plan(snapmla_context *context, const snapmla_problem *problem, const snapmla_plan_options *options,
                        snapmla_plan_report *report) {
  snapmla_plan *plan = NULL;
  if (snapmla_plan_create(context, problem, options, &plan)) fail_msg("%s", snapmla_error_message());
  *report = (snapmla_plan_report){.size = sizeof *report};
  if (snapmla_plan_report_get(plan, report)) fail_msg("%s", snapmla_error_message());
  return plan;
}
