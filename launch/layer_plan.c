/* What is common to layer plans, whatever made them. */
#include <stdlib.h>
#include <string.h>

#include "layer_object.h"
#include "status.h"

const char *const smla_layer_families[SMLA_LAYER_KERNEL_COUNT] = {
    [SMLA_LAYER_APPEND] = "kv_append",
    [SMLA_LAYER_ABSORB] = "query_absorb",
    [SMLA_LAYER_ABSORB_FEW] = "query_absorb",
    [SMLA_LAYER_PROJECT] = "value_project",
    [SMLA_LAYER_PROJECT_FEW] = "value_project",
    [SMLA_LAYER_FETCH] = "kv_fetch",
    [SMLA_LAYER_MOVE] = "kv_fetch",
};

const char *const smla_layer_roles[SMLA_LAYER_KERNEL_COUNT] = {
    [SMLA_LAYER_APPEND] = "layer_append",
    [SMLA_LAYER_ABSORB] = "layer_absorb",
    [SMLA_LAYER_ABSORB_FEW] = "layer_absorb_few",
    [SMLA_LAYER_PROJECT] = "layer_project",
    [SMLA_LAYER_PROJECT_FEW] = "layer_project_few",
    [SMLA_LAYER_FETCH] = "layer_fetch",
    [SMLA_LAYER_MOVE] = "layer_move",
};

snapmla_status smla_layer_plan_open(const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  snapmla_layer_plan *plan = calloc(1, sizeof *plan);
  if (plan) plan->tally = calloc(1, sizeof *plan->tally);
  if (!plan || !plan->tally) {
    free(plan);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a layer plan");
  }
  pthread_mutex_init(&plan->tally->lock, NULL);
  plan->problem = *problem;
  *out = plan;
  return SNAPMLA_OK;
}

snapmla_status smla_layer_tile_read(smla_layer_kernel kernel, const smla_quantity *quantities, size_t count,
                                    const char *variant, smla_layer_tile *out) {
  static const char *const box_rows[SMLA_LAYER_KERNEL_COUNT] = {
      [SMLA_LAYER_ABSORB] = "chunk",
      [SMLA_LAYER_ABSORB_FEW] = "chunk",
      [SMLA_LAYER_PROJECT] = "m",
      [SMLA_LAYER_PROJECT_FEW] = "m",
  };
  *out = (smla_layer_tile){0};
  if (!box_rows[kernel]) return SNAPMLA_OK;
  snapmla_status status =
      smla_quantity_pick(quantities, count, variant, "columns", 1, SMLA_LAYER_MOST_BOX, -1, &out->columns);
  if (status) return status;
  return smla_quantity_pick(quantities, count, variant, box_rows[kernel], 1, SMLA_LAYER_MOST_BOX, -1, &out->box_rows);
}

void snapmla_layer_plan_destroy(snapmla_layer_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < SMLA_LAYER_KERNEL_COUNT; i++) {
    smla_device *device = plan->attention ? plan->attention->context->device : NULL;
    if (plan->kernels[i].kernel) device->ops->unload(device, plan->kernels[i].kernel);
    free(plan->kernels[i].variant);
  }
  snapmla_plan_destroy(plan->attention);
  pthread_mutex_destroy(&plan->tally->lock);
  free(plan->tally);
  free(plan);
}

const snapmla_plan *snapmla_layer_plan_attention(const snapmla_layer_plan *plan) {
  return plan ? plan->attention : NULL;
}

const char *snapmla_layer_plan_variant(const snapmla_layer_plan *plan, const char *family) {
  for (int i = 0; plan && family && i < SMLA_LAYER_KERNEL_COUNT; i++)
    if (!strcmp(family, smla_layer_families[i])) return plan->kernels[i].variant;
  return NULL;
}

size_t snapmla_layer_plan_workspace_bytes(const snapmla_layer_plan *plan) { return plan ? plan->workspace_bytes : 0; }
