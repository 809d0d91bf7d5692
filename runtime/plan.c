/* Making a plan: resolve, lay out, expand, compile and load the kernels of a problem. */
#include "plan_make.h"

#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "quantities.h"
#include "status.h"

/* The variants, and the workspace that they call for. */
static snapmla_status resolve(snapmla_plan *plan, const char *override_text) {
  char *variants[SMLA_FAMILY_COUNT];
  snapmla_status status = smla_plan_variants(plan->context->generator, &plan->problem, override_text, variants);
  if (status) return status;
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) plan->kernels[i].variant = variants[i];
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++)
    status = smla_geometry_get(plan->context->generator, plan->kernels[i].variant, &plan->kernels[i].geometry);
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

static snapmla_status compile_and_load(snapmla_plan *plan, uint32_t flags) {
  smla_device *device = plan->context->device;
  smla_build builds[SMLA_FAMILY_COUNT];
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++)
    builds[i] = (smla_build){.generator = plan->context->generator,
                             .target = device->target,
                             .variant = plan->kernels[i].variant,
                             .no_jit = (flags & SNAPMLA_PLAN_NO_JIT) != 0,
                             .no_write = (flags & SNAPMLA_PLAN_NO_WRITE) != 0};
  snapmla_status status = smla_build_all(builds, SMLA_FAMILY_COUNT, 0, report_progress, plan->context);
  keep_logs(plan->context, builds);
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++) status = smla_plan_load(plan, (smla_family)i, builds[i].image);
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) smla_build_clear(&builds[i]);
  return status;
}

snapmla_status smla_plan_make(snapmla_context *context, const snapmla_problem *problem, const char *override_text,
                              uint32_t flags, snapmla_plan **out) {
  snapmla_plan *plan = NULL;
  snapmla_status status = smla_plan_open(context, problem, &plan);
  if (!status) status = resolve(plan, override_text);
  if (!status) status = compile_and_load(plan, flags);
  if (status) {
    snapmla_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return SNAPMLA_OK;
}
