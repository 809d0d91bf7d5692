/* A layer plan of a pack's kernels: the attention's by their families, the layer's own by their roles. */
#include <stddef.h>

#include "layer_object.h"
#include "pack_object.h"
#include "problem_shape.h"
#include "status.h"

static snapmla_status fill(const snapmla_pack *pack, const smla_pack_plan *p, snapmla_layer_plan *plan) {
  smla_device *device = plan->attention->context->device;
  const smla_pack_artifact *artifacts[SMLA_LAYER_KERNEL_COUNT];
  snapmla_status status = SNAPMLA_OK;
  for (int i = 0; i < smla_layer_kernel_count(&plan->problem) && !status; i++) {
    const smla_pack_artifact *a;
    status = smla_pack_describe_kernel(pack, p, smla_layer_roles[i], smla_layer_families[i], &plan->kernels[i], &a);
    if (status) return status;
    if (smla_layer_tile_read((smla_layer_kernel)i, a->quantities, a->quantity_count, a->variant, &plan->tiles[i]))
      return smla_pack_malformed(pack->name, "%s", snapmla_error_message());
    status = smla_layer_split_check(&plan->problem, (smla_layer_kernel)i, &plan->kernels[i].geometry, a->variant);
    if (status) return smla_pack_malformed(pack->name, "%s", snapmla_error_message());
    artifacts[i] = a;
  }
  status = smla_layer_product_open(plan);
  if (!status) status = smla_layer_lay_out(plan);
  for (int i = 0; i < smla_layer_kernel_count(&plan->problem) && !status; i++)
    status = smla_pack_load_kernel(pack, artifacts[i], device, &plan->kernels[i]);
  return status;
}

snapmla_status snapmla_layer_plan_create_from_pack(snapmla_context *context, const snapmla_pack *pack,
                                                   const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  if (!context || !pack || !out)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context, pack and out are needed, and one is NULL");
  *out = NULL;
  smla_pack_found found;
  smla_buffer shape = {0};
  snapmla_layer_plan *plan = NULL;
  snapmla_status status = snapmla_layer_problem_check(problem);
  if (!status) status = smla_layer_shape(problem, &shape);
  if (!status) status = smla_pack_find_runnable(pack, context, shape.data, &problem->attention, &found);
  if (!status) status = smla_layer_plan_open(problem, &plan);
  if (!status) status = smla_pack_plan_make(pack, &found, context, &problem->attention, &plan->attention);
  if (!status) status = fill(pack, found.plan, plan);
  smla_buffer_free(&shape);
  if (status)
    snapmla_layer_plan_destroy(plan);
  else
    *out = plan;
  return status;
}
