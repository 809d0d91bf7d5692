/* What is common to layer plans, whatever made them. */
#include <stdlib.h>
#include <string.h>

#include "layer_object.h"
#include "status.h"

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
