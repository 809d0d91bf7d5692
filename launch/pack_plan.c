/* A plan of a pack's kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pack_object.h"
#include "problem_shape.h"
#include "status.h"

static snapmla_status check_interface(const snapmla_pack *pack) {
  char interface[SMLA_HASH_HEX];
  smla_pack_hex(pack->data + SMLA_PACK_AT_INTERFACE, interface);
  if (!strcmp(interface, smla_pack_interface)) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_UNSUPPORTED,
                   "pack %s: its kernels take their arguments as another version of snapmla gives them (%.12s, this is "
                   "%s, %.12s); export it again with this version",
                   pack->name, interface, snapmla_version(), smla_pack_interface);
}

static snapmla_status check_host_code(const snapmla_pack *pack, snapmla_target target) {
  if (target != SNAPMLA_TARGET_EMULATOR || pack->allow_host_code) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_UNSUPPORTED,
                   "pack %s: its kernels for the emulator are code that runs in this process, which nobody allowed; if "
                   "you trust the pack, set allow_host_code (--allow-host-code)",
                   pack->name);
}

snapmla_status smla_pack_find_runnable(const snapmla_pack *pack, const snapmla_context *context, const char *shape,
                                       const snapmla_problem *range, smla_pack_found *out) {
  snapmla_status status = check_interface(pack);
  if (!status) status = smla_pack_find(pack, context, shape, range, out);
  return status ? status : check_host_code(pack, context->device->target);
}

snapmla_status smla_pack_describe_kernel(const snapmla_pack *pack, const smla_pack_plan *plan, const char *role,
                                         const char *family, smla_plan_kernel *kernel, const smla_pack_artifact **out) {
  size_t i = 0;
  while (i < plan->kernel_count && strcmp(plan->roles[i], role)) i++;
  if (i == plan->kernel_count)
    return smla_pack_malformed(pack->name, "the plan for %s has no kernel for %s", plan->shape, role);
  const smla_pack_artifact *a = &pack->index.artifacts[plan->kernels[i]];
  if (!smla_pack_is_of_family(a->variant, family))
    return smla_pack_malformed(pack->name, "the plan for %s takes for %s the kernel %s, which is none of family %s",
                               plan->shape, role, a->variant, family);
  if (smla_geometry_read(a->quantities, a->quantity_count, a->variant, &kernel->geometry))
    return smla_pack_malformed(pack->name, "%s", snapmla_error_message());
  kernel->variant = strdup(a->variant);
  if (!kernel->variant) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant");
  *out = a;
  return SNAPMLA_OK;
}

snapmla_status smla_pack_load_kernel(const snapmla_pack *pack, const smla_pack_artifact *artifact, smla_device *device,
                                     smla_plan_kernel *kernel) {
  smla_image *image = NULL;
  snapmla_status status = smla_pack_image(pack, artifact, &image);
  if (!status) status = device->ops->load(device, image, (uint32_t)kernel->geometry.smem_bytes, &kernel->kernel);
  smla_image_release(image);
  return status;
}

/* What the plan is, and that it was meant for other devices. */
static void describe_choice(const snapmla_pack *pack, const smla_pack_found *found, snapmla_plan_report *report) {
  const smla_pack_plan *p = found->plan;
  const char *device_class = found->device_class;
  *report = (snapmla_plan_report){.size = sizeof *report, .provenance = SNAPMLA_PROVENANCE_PACKED};
  snprintf(report->device_class, sizeof report->device_class, "%s", device_class);
  report->microseconds = (double)p->nanoseconds * 1e-3;
  report->time_kind = !strcmp(p->time_kind, "measured")   ? SNAPMLA_TIME_MEASURED
                      : !strcmp(p->time_kind, "modelled") ? SNAPMLA_TIME_MODELLED
                                                          : SNAPMLA_TIME_NONE;
  if (!found->other_class) return;
  snprintf(report->difference, sizeof report->difference, "device %s (here %s)", p->device_class, device_class);
  smla_log(
      SMLA_LOG_WARNING,
      "pack %s: its plan for %s was chosen for the device class %s, and this device is of %s: it computes the same, "
      "perhaps slower; export it with --device-class %s",
      pack->name, p->shape, p->device_class, device_class, device_class);
}

/* Variants and geometries of all kernels, then the workspace, which depends on them, then the kernels. */
static snapmla_status fill(const snapmla_pack *pack, const smla_pack_plan *p, snapmla_plan *plan) {
  const smla_pack_artifact *artifacts[SMLA_FAMILY_COUNT];
  snapmla_status status = SNAPMLA_OK;
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++)
    status = smla_pack_describe_kernel(pack, p, smla_family_names[i], smla_family_names[i], &plan->kernels[i],
                                       &artifacts[i]);
  if (!status) status = smla_plan_lay_out(plan);
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++)
    status = smla_pack_load_kernel(pack, artifacts[i], plan->context->device, &plan->kernels[i]);
  return status;
}

snapmla_status smla_pack_plan_make(const snapmla_pack *pack, const smla_pack_found *found, snapmla_context *context,
                                   const snapmla_problem *problem, snapmla_plan **out) {
  snapmla_plan *plan = NULL;
  snapmla_status status = smla_plan_open(context, problem, &plan);
  if (!status) status = fill(pack, found->plan, plan);
  if (status) {
    snapmla_plan_destroy(plan);
    return status;
  }
  describe_choice(pack, found, &plan->report);
  *out = plan;
  return SNAPMLA_OK;
}

snapmla_status snapmla_plan_create_from_pack(snapmla_context *context, const snapmla_pack *pack,
                                             const snapmla_problem *problem, snapmla_plan **out) {
  if (!context || !pack || !out)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context, pack and out are needed, and one is NULL");
  *out = NULL;
  smla_pack_found found;
  smla_buffer shape = {0};
  snapmla_status status = snapmla_problem_check(problem);
  if (!status) status = smla_problem_shape(problem, &shape);
  if (!status) status = smla_pack_find_runnable(pack, context, shape.data, problem, &found);
  if (!status) status = smla_pack_plan_make(pack, &found, context, problem, out);
  smla_buffer_free(&shape);
  return status;
}
