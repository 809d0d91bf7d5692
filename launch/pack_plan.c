/* A plan of a pack's kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pack_object.h"
#include "plan_object.h"
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

static const smla_pack_artifact *kernel_of(const snapmla_pack *pack, const smla_pack_plan *p, const char *family) {
  size_t length = strlen(family);
  for (size_t i = 0; i < p->kernel_count; i++) {
    const smla_pack_artifact *a = &pack->index.artifacts[p->kernels[i]];
    if (!strncmp(a->variant, family, length) && a->variant[length] == ':') return a;
  }
  return NULL;
}

/* Variants and geometries of all kernels, then the workspace, which depends on them. */
static snapmla_status describe_kernels(const snapmla_pack *pack, const smla_pack_artifact *const artifacts[],
                                       snapmla_plan *plan) {
  snapmla_status status = SNAPMLA_OK;
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++) {
    const smla_pack_artifact *a = artifacts[i];
    smla_plan_kernel *kernel = &plan->kernels[i];
    status = smla_geometry_read(a->quantities, a->quantity_count, a->variant, &kernel->geometry);
    if (status) return smla_pack_malformed(pack->name, "%s", snapmla_error_message());
    kernel->variant = strdup(a->variant);
    if (!kernel->variant) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant");
  }
  return status ? status : smla_plan_lay_out(plan);
}

/* What the plan is, and that it was meant for other devices. */
static void describe_choice(const snapmla_pack *pack, const smla_pack_plan *p, const char *device_class,
                            int other_class, snapmla_plan_report *report) {
  *report = (snapmla_plan_report){.size = sizeof *report, .provenance = SNAPMLA_PROVENANCE_PACKED};
  snprintf(report->device_class, sizeof report->device_class, "%s", device_class);
  report->microseconds = (double)p->nanoseconds * 1e-3;
  report->time_kind = !strcmp(p->time_kind, "measured")   ? SNAPMLA_TIME_MEASURED
                      : !strcmp(p->time_kind, "modelled") ? SNAPMLA_TIME_MODELLED
                                                          : SNAPMLA_TIME_NONE;
  if (!other_class) return;
  snprintf(report->difference, sizeof report->difference, "device %s (here %s)", p->device_class, device_class);
  smla_log(
      SMLA_LOG_WARNING,
      "pack %s: its plan for %s was chosen for the device class %s, and this device is of %s: it computes the same, "
      "perhaps slower; export it with --device-class %s",
      pack->name, p->shape, p->device_class, device_class, device_class);
}

static snapmla_status fill(const snapmla_pack *pack, snapmla_plan *plan) {
  const smla_pack_plan *found;
  const smla_pack_artifact *artifacts[SMLA_FAMILY_COUNT];
  snapmla_target target = plan->context->device->target;
  char device_class[SMLA_DEVICE_CLASS_MAX];
  int other_class;
  smla_context_device_class(plan->context, device_class);
  snapmla_status status = check_interface(pack);
  if (!status) status = smla_pack_find(pack, &plan->problem, target, device_class, &found, &other_class);
  if (!status) status = check_host_code(pack, target);
  if (status) return status;
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++)
    if (!(artifacts[i] = kernel_of(pack, found, smla_family_names[i])))
      return smla_pack_malformed(pack->name, "the plan for %s has no kernel of family %s", found->shape,
                                 smla_family_names[i]);
  status = describe_kernels(pack, artifacts, plan);
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++) {
    smla_image *image = NULL;
    status = smla_pack_image(pack, artifacts[i], &image);
    if (!status) status = smla_plan_load(plan, (smla_family)i, image);
    smla_image_release(image);
  }
  if (!status) describe_choice(pack, found, device_class, other_class, &plan->report);
  return status;
}

snapmla_status snapmla_plan_create_from_pack(snapmla_context *context, const snapmla_pack *pack,
                                             const snapmla_problem *problem, snapmla_plan **out) {
  if (!pack || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "pack and out are needed, and one is NULL");
  *out = NULL;
  snapmla_plan *plan = NULL;
  snapmla_status status = smla_plan_open(context, problem, &plan);
  if (!status) status = fill(pack, plan);
  if (status)
    snapmla_plan_destroy(plan);
  else
    *out = plan;
  return status;
}
