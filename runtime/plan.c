/* Making a plan: resolve, lay out, expand, compile and load the kernels of a problem. */
#include "plan_object.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "build.h"
#include "problem_settings.h"
#include "quantities.h"
#include "status.h"
#include "struct_size.h"

/* The variants, and the workspace that they call for. */
static snapmla_status resolve(snapmla_plan *plan, const char *override_text) {
  const smla_generator *generator = plan->context->generator;
  snapmla_status status = smla_override_check(override_text, smla_family_names, SMLA_FAMILY_COUNT);
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++) {
    smla_plan_kernel *kernel = &plan->kernels[i];
    smla_buffer text = {0};
    status = smla_problem_resolve(generator, &plan->problem, smla_family_names[i], override_text, &text);
    if (!status && !(kernel->variant = smla_buffer_take(&text)))
      status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant");
    smla_buffer_free(&text);
    if (!status) status = smla_geometry_get(generator, kernel->variant, &kernel->geometry);
  }
  return status ? status : smla_plan_lay_out(plan);
}

static void report_progress(void *user, const smla_build *build) {
  snapmla_context *context = user;
  smla_buffer text = {0};
  if (!context->progress) return;
  if (!smla_buffer_printf(&text, "%s %s in %.2f s", build->status ? "failed to compile" : "compiled", build->variant,
                          build->seconds))
    context->progress(context->progress_user, text.data);
  smla_buffer_free(&text);
}

/* Logs of all kernels, each under its variant. */
static void keep_logs(snapmla_context *context, const smla_build *builds) {
  smla_buffer log = {0};
  snapmla_status status = SNAPMLA_OK;
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++)
    if (builds[i].log) status = smla_buffer_printf(&log, "== %s\n%s\n", builds[i].variant, builds[i].log);
  if (!status) smla_context_keep_log(context, log.data);
  smla_buffer_free(&log);
}

static snapmla_status compile_and_load(snapmla_plan *plan) {
  smla_device *device = plan->context->device;
  smla_build builds[SMLA_FAMILY_COUNT];
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++)
    builds[i] = (smla_build){
        .generator = plan->context->generator, .target = device->target, .variant = plan->kernels[i].variant};
  snapmla_status status = smla_build_all(builds, SMLA_FAMILY_COUNT, report_progress, plan->context);
  keep_logs(plan->context, builds);
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++) status = smla_plan_load(plan, (smla_family)i, builds[i].image);
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) smla_build_clear(&builds[i]);
  return status;
}

static snapmla_status check_options(const snapmla_plan_options *options, snapmla_plan_options *known) {
  *known = (snapmla_plan_options){.size = sizeof *known};
  if (!options) return SNAPMLA_OK;
  snapmla_status status = smla_struct_size_check("snapmla_plan_options", options, options->size, sizeof *options);
  if (!status) *known = *options;
  return status;
}

snapmla_status snapmla_plan_create(snapmla_context *context, const snapmla_problem *problem,
                                   const snapmla_plan_options *options, snapmla_plan **out) {
  if (!out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "out is NULL; pass where the plan goes");
  *out = NULL;
  snapmla_plan_options known;
  snapmla_plan *plan = NULL;
  snapmla_status status = check_options(options, &known);
  if (!status) status = smla_plan_open(context, problem, &plan);
  if (!status) status = resolve(plan, known.variant);
  if (!status) status = compile_and_load(plan);
  if (status) {
    snapmla_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return SNAPMLA_OK;
}
