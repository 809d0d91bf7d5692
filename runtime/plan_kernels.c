#include "plan_kernels.h"

#include <snapmla/plan.h>

#include "status.h"

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
static void keep_logs(snapmla_context *context, const smla_build *builds, size_t count) {
  smla_buffer log = {0};
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < count && !status; i++)
    if (builds[i].log) status = smla_buffer_printf(&log, "== %s\n%s\n", builds[i].variant, builds[i].log);
  if (!status && log.length) smla_context_keep_log(context, log.data);
  smla_buffer_free(&log);
}

snapmla_status smla_plan_build_kernels(snapmla_context *context, const char *const *variants, size_t count,
                                       uint32_t flags, smla_build *builds) {
  for (size_t i = 0; i < count; i++)
    builds[i] = (smla_build){.generator = context->generator,
                             .target = context->device->target,
                             .variant = variants[i],
                             .no_jit = (flags & SNAPMLA_PLAN_NO_JIT) != 0,
                             .no_write = (flags & SNAPMLA_PLAN_NO_WRITE) != 0};
  snapmla_status status = smla_build_all(builds, count, 0, report_progress, context);
  keep_logs(context, builds, count);
  return status;
}
