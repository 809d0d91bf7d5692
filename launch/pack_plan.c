/* A plan of a pack's kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "pack_object.h"
#include "plan_object.h"
#include "problem_shape.h"
#include "status.h"
#include "target_name.h"

static snapmla_status check_interface(const snapmla_pack *pack) {
  char interface[SMLA_HASH_HEX];
  smla_pack_hex(pack->data + SMLA_PACK_AT_INTERFACE, interface);
  if (!strcmp(interface, smla_pack_interface)) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_UNSUPPORTED,
                   "pack %s: its kernels take their arguments as another version of snapmla gives them (%.12s, this is "
                   "%s, %.12s); export it again with this version",
                   pack->name, interface, snapmla_version(), smla_pack_interface);
}

/* Of what the pack has for this shape, for the message of a miss. */
static snapmla_status describe(const snapmla_pack *pack, const char *shape, smla_buffer *out) {
  enum { MOST_SHOWN = 4 };
  size_t of_shape = 0;
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < pack->index.plan_count && !status; i++) {
    const smla_pack_plan *p = &pack->index.plans[i];
    if (strcmp(p->shape, shape) || ++of_shape > MOST_SHOWN) continue;
    status =
        smla_buffer_printf(out, "%s%s up to batch %d and context %d", of_shape == 1 ? "it has this shape for " : ", ",
                           p->target, p->max_batch, p->max_context);
  }
  for (size_t i = 0; i < pack->index.plan_count && !status && !of_shape && i <= MOST_SHOWN; i++) {
    const smla_pack_plan *p = &pack->index.plans[i];
    status = i == MOST_SHOWN ? smla_buffer_append_text(out, ", …")
                             : smla_buffer_printf(out, "%s%s (%s)", i ? ", " : "it has ", p->shape, p->target);
  }
  if (!status && !pack->index.plan_count) status = smla_buffer_append_text(out, "it has none");
  return status;
}

static snapmla_status missing(const snapmla_pack *pack, const snapmla_problem *problem, const char *target,
                              const char *shape) {
  smla_buffer known = {0};
  snapmla_status status = describe(pack, shape, &known);
  if (!status)
    status =
        smla_fail(SNAPMLA_NOT_FOUND,
                  "pack %s has no plan for %s up to batch %d and context %d on target %s: %s; export one that does",
                  pack->name, shape, problem->max_batch, problem->max_context, target, known.data);
  smla_buffer_free(&known);
  return status;
}

/* The smallest plan that covers the problem: they are sorted by batch, then context. */
static snapmla_status find(const snapmla_pack *pack, const snapmla_problem *problem, snapmla_target wanted,
                           const smla_pack_plan **out) {
  const char *target = smla_target_name(wanted);
  smla_buffer shape = {0};
  snapmla_status status = smla_problem_shape(problem, &shape);
  *out = NULL;
  for (size_t i = 0; i < pack->index.plan_count && !status && !*out; i++) {
    const smla_pack_plan *p = &pack->index.plans[i];
    if (!strcmp(p->target, target) && !strcmp(p->shape, shape.data) && p->max_batch >= problem->max_batch &&
        p->max_context >= problem->max_context)
      *out = p;
  }
  if (!status && !*out) status = missing(pack, problem, target, shape.data);
  smla_buffer_free(&shape);
  return status;
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

static snapmla_status fill(const snapmla_pack *pack, snapmla_plan *plan) {
  const smla_pack_plan *found;
  const smla_pack_artifact *artifacts[SMLA_FAMILY_COUNT];
  snapmla_target target = plan->context->device->target;
  snapmla_status status = check_interface(pack);
  if (!status) status = find(pack, &plan->problem, target, &found);
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
  if (!status)
    plan->report = (snapmla_plan_report){.size = sizeof plan->report, .provenance = SNAPMLA_PROVENANCE_PACKED};
  return status;
}
