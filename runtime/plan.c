/* Making a plan: resolve, lay out, expand, compile and load the kernels of a problem. */
#include "plan_object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "build.h"
#include "problem_settings.h"
#include "status.h"
#include "struct_size.h"

/* The variants, and the workspace that the decode kernel's calls for. */
static snapmla_status resolve(snapmla_plan *plan, const char *override_text) {
  const smla_generator *generator = plan->context->generator;
  char *variants[SMLA_FAMILY_COUNT];
  snapmla_status status = smla_plan_variants(plan->context, &plan->problem, override_text, variants);
  if (status) return status;
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) plan->kernels[i].variant = variants[i];
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++)
    status = smla_geometry_get(generator, plan->kernels[i].variant, &plan->kernels[i].geometry);
  if (status) return status;
  const smla_plan_kernel *decode = &plan->kernels[SMLA_MLA_DECODE];
  if (decode->geometry.rows < 1)
    return smla_fail(SNAPMLA_TEMPLATE, "%s: its space derives no \"rows\"; that of mla_decode must", decode->variant);
  status = smla_workspace_plan(&plan->problem, plan->multiprocessors, decode->geometry.rows,
                               decode->geometry.partial_bytes, &plan->workspace);
  if (status) return status;
  int32_t blocks = plan->workspace.unit_count * plan->workspace.groups;
  if (blocks % decode->geometry.cluster)
    status =
        smla_fail(SNAPMLA_ILLEGAL_VARIANT,
                  "%s: its clusters of %d blocks do not divide the grid of %d blocks (%d row groups); choose a cluster "
                  "that divides it",
                  decode->variant, decode->geometry.cluster, blocks, plan->workspace.groups);
  return status;
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
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++) {
    smla_plan_kernel *kernel = &plan->kernels[i];
    status = device->ops->load(device, builds[i].image, (uint32_t)kernel->geometry.smem_bytes, &kernel->kernel);
  }
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) smla_build_clear(&builds[i]);
  return status;
}

static snapmla_status make_tally(snapmla_plan *plan) {
  plan->tally = calloc(1, sizeof *plan->tally);
  if (!plan->tally) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan");
  pthread_mutex_init(&plan->tally->lock, NULL);
  return SNAPMLA_OK;
}

snapmla_status smla_plan_make(snapmla_context *context, const snapmla_problem *problem, const char *override_text,
                              uint32_t flags, snapmla_plan **out) {
  snapmla_device_info info = {.size = sizeof info};
  snapmla_plan *plan = calloc(1, sizeof *plan);
  if (!plan) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan");
  plan->context = context;
  plan->problem = *problem;
  context->device->ops->info(context->device, &info);
  plan->multiprocessors = info.multiprocessors;
  snapmla_status status = make_tally(plan);
  if (!status) status = resolve(plan, override_text);
  if (!status) status = compile_and_load(plan, flags);
  if (status) {
    snapmla_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return SNAPMLA_OK;
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
