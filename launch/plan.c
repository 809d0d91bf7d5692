/* What is common to plans, whatever made them. */
#include "plan_object.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"
#include "struct_size.h"

static snapmla_status make_tally(snapmla_plan *plan) {
  plan->tally = calloc(1, sizeof *plan->tally);
  if (!plan->tally) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan");
  pthread_mutex_init(&plan->tally->lock, NULL);
  return SNAPMLA_OK;
}

snapmla_status smla_plan_open(snapmla_context *context, const snapmla_problem *problem, snapmla_plan **out) {
  if (!context) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context is NULL; make one with snapmla_context_create");
  snapmla_status status = snapmla_problem_check(problem);
  if (status) return status;
  snapmla_plan *plan = calloc(1, sizeof *plan);
  if (!plan) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan");
  plan->context = context;
  plan->problem = *problem;
  snapmla_device_info info = {.size = sizeof info};
  context->device->ops->info(context->device, &info);
  plan->multiprocessors = info.multiprocessors;
  status = make_tally(plan);
  if (status) {
    snapmla_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return SNAPMLA_OK;
}

snapmla_status smla_plan_lay_out(snapmla_plan *plan) {
  const smla_plan_kernel *decode = &plan->kernels[SMLA_MLA_DECODE], *schedule = &plan->kernels[SMLA_SCHEDULE],
                         *combine = &plan->kernels[SMLA_MLA_COMBINE];
  if (decode->geometry.rows < 1)
    return smla_fail(SNAPMLA_TEMPLATE, "%s: its space derives no \"rows\"; that of mla_decode must", decode->variant);
  if (combine->geometry.block_elements < 1)
    return smla_fail(SNAPMLA_TEMPLATE, "%s: its space derives no \"block_elements\"; that of mla_combine must",
                     combine->variant);
  const smla_workspace_kernels kernels = {
      .group_rows = decode->geometry.rows,
      .query_terms = decode->geometry.query_terms,
      .partial_bytes = decode->geometry.partial_bytes,
      .merges_at_once = combine->geometry.resident,
      .most_pieces = schedule->geometry.most_pieces,
      .least_piece = schedule->geometry.least_piece,
  };
  snapmla_status status = smla_workspace_plan(&plan->problem, plan->multiprocessors, &kernels, &plan->workspace);
  if (status) return status;
  return smla_clusters_check(&plan->problem, decode->geometry.rows, decode->geometry.cluster, decode->variant);
}

snapmla_status smla_plan_load(snapmla_plan *plan, smla_family family, const smla_image *image) {
  smla_device *device = plan->context->device;
  smla_plan_kernel *kernel = &plan->kernels[family];
  return device->ops->load(device, image, (uint32_t)kernel->geometry.smem_bytes, &kernel->kernel);
}

void snapmla_plan_destroy(snapmla_plan *plan) {
  if (!plan) return;
  smla_device *device = plan->context->device;
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) {
    if (plan->kernels[i].kernel) device->ops->unload(device, plan->kernels[i].kernel);
    free(plan->kernels[i].variant);
  }
  if (plan->tally) pthread_mutex_destroy(&plan->tally->lock);
  free(plan->tally);
  free(plan);
}

const char *snapmla_plan_variant(const snapmla_plan *plan, const char *family) {
  for (int i = 0; plan && family && i < SMLA_FAMILY_COUNT; i++)
    if (!strcmp(family, smla_family_names[i])) return plan->kernels[i].variant;
  return NULL;
}

size_t snapmla_plan_workspace_bytes(const snapmla_plan *plan) { return plan ? plan->workspace.bytes : 0; }

snapmla_status snapmla_plan_last_counters(const snapmla_plan *plan, snapmla_plan_counters *out) {
  if (!plan || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan and out are needed, and one is NULL");
  snapmla_status status = smla_struct_size_check("snapmla_plan_counters", out, out->size, sizeof *out);
  if (status) return status;
  if (!plan->context->device->is_emulator)
    return smla_fail(SNAPMLA_UNSUPPORTED, "counters are the emulator's; on a GPU time the calls with snapmla_event_*");
  size_t size = out->size;
  pthread_mutex_lock(&plan->tally->lock);
  *out = plan->tally->counters;
  pthread_mutex_unlock(&plan->tally->lock);
  out->size = size;
  return SNAPMLA_OK;
}
