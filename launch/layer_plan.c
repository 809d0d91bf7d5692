/* What is common to layer plans, whatever made them. */
#include <stdlib.h>
#include <string.h>

#include "layer_object.h"
#include "log.h"
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

snapmla_status smla_layer_product_open(snapmla_layer_plan *plan) {
  const snapmla_layer_problem *p = &plan->problem;
  smla_device *device = plan->attention->context->device;
  if (!p->hidden_size || !(p->flags & SNAPMLA_LAYER_CUBLASLT) || p->weight_type != SNAPMLA_WEIGHT_BF16 ||
      !device->ops->product_open)
    return SNAPMLA_OK;
  const smla_product_shape shape = {.rows = p->hidden_size,
                                    .k = p->attention.heads * p->v_dim,
                                    .most_tokens = p->attention.max_batch * p->attention.q_len};
  snapmla_status status = device->ops->product_open(device, &shape, &plan->product);
  if (status == SNAPMLA_OUT_OF_MEMORY) return status;
  if (status) smla_log(SMLA_LOG_WARNING, "W_O by the generated kernel: %s", snapmla_error_message());
  return SNAPMLA_OK;
}

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
