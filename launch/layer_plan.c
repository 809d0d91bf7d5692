/* A layer plan seen from outside, and its end. */
#include <stdlib.h>
#include <string.h>

#include "layer_object.h"

void snapmla_layer_plan_destroy(snapmla_layer_plan *plan) {
  if (!plan) return;
  for (int i = 0; i < SMLA_LAYER_KERNEL_COUNT; i++) {
    smla_device *device = plan->attention ? plan->attention->context->device : NULL;
    if (plan->kernels[i].kernel) device->ops->unload(device, plan->kernels[i].kernel);
    free(plan->kernels[i].variant);
  }
  if (plan->product)
    plan->attention->context->device->ops->product_close(plan->attention->context->device, plan->product);
  snapmla_plan_destroy(plan->attention);
  pthread_mutex_destroy(&plan->tally->lock);
  free(plan->tally);
  free(plan);
}

const snapmla_plan *snapmla_layer_plan_attention(const snapmla_layer_plan *plan) {
  return plan ? plan->attention : NULL;
}

const char *snapmla_layer_plan_variant(const snapmla_layer_plan *plan, const char *family) {
  for (int i = 0; plan && family && i < smla_layer_kernel_count(&plan->problem); i++)
    if (!strcmp(family, smla_layer_families[i])) return plan->kernels[i].variant;
  return NULL;
}

const char *snapmla_layer_plan_library(const snapmla_layer_plan *plan) {
  return plan && plan->product ? smla_plain_product_library(plan->product) : NULL;
}

size_t snapmla_layer_plan_workspace_bytes(const snapmla_layer_plan *plan) { return plan ? plan->workspace_bytes : 0; }
