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

const char *const smla_family_names[SMLA_FAMILY_COUNT] = {
    [SMLA_QUERY_QUANT] = "query_quant", [SMLA_MLA_DECODE] = "mla_decode", [SMLA_MLA_COMBINE] = "mla_combine",
    [SMLA_KV_APPEND] = "kv_append",     [SMLA_SCHEDULE] = "schedule",
};

/* The variants, and the workspace that the decode kernel's calls for. */
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
  if (status) return status;
  const smla_plan_kernel *decode = &plan->kernels[SMLA_MLA_DECODE];
  if (decode->geometry.rows < 1)
    return smla_fail(SNAPMLA_TEMPLATE, "%s: its space derives no \"rows\"; that of mla_decode must", decode->variant);
  status = smla_workspace_plan(&plan->problem, plan->multiprocessors, decode->geometry.rows,
                               decode->geometry.query_terms, decode->geometry.partial_bytes, &plan->workspace);
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

static snapmla_status compile_and_load(snapmla_plan *plan) {
  smla_device *device = plan->context->device;
  smla_build builds[SMLA_FAMILY_COUNT];
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++)
    builds[i] = (smla_build){
        .generator = plan->context->generator, .target = device->target, .variant = plan->kernels[i].variant};
  snapmla_status status = smla_build_all(builds, SMLA_FAMILY_COUNT, report_progress, plan->context);
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

static snapmla_status check_options(const snapmla_plan_options *options, snapmla_plan_options *known) {
  *known = (snapmla_plan_options){.size = sizeof *known};
  if (!options) return SNAPMLA_OK;
  snapmla_status status = smla_struct_size_check("snapmla_plan_options", options, options->size, sizeof *options);
  if (!status) *known = *options;
  return status;
}

snapmla_status snapmla_plan_create(snapmla_context *context, const snapmla_problem *problem,
                                   const snapmla_plan_options *options, snapmla_plan **out) {
  if (!context || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context and out are needed, and one is NULL");
  *out = NULL;
  snapmla_plan_options known;
  snapmla_device_info info = {.size = sizeof info};
  snapmla_status status = snapmla_problem_check(problem);
  if (!status) status = check_options(options, &known);
  if (status) return status;
  snapmla_plan *plan = calloc(1, sizeof *plan);
  if (!plan) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan");
  plan->context = context;
  plan->problem = *problem;
  context->device->ops->info(context->device, &info);
  plan->multiprocessors = info.multiprocessors;
  status = make_tally(plan);
  if (!status) status = resolve(plan, known.variant);
  if (!status) status = compile_and_load(plan);
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
