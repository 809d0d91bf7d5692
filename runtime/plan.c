/* Making a plan: resolve, lay out, expand, compile and load the kernels of a problem. */
#include "plan_make.h"

#include <stdlib.h>
#include <string.h>

#include "plan_kernels.h"
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

static snapmla_status compile_and_load(snapmla_plan *plan, uint32_t flags) {
  smla_build builds[SMLA_FAMILY_COUNT];
  const char *variants[SMLA_FAMILY_COUNT];
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) variants[i] = plan->kernels[i].variant;
  snapmla_status status = smla_plan_build_kernels(plan->context, variants, SMLA_FAMILY_COUNT, flags, builds);
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
