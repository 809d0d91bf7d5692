/* Which of a pack's plans serves a problem on a device. */
#include <string.h>

#include "buffer.h"
#include "context_object.h"
#include "device_class.h"
#include "pack_object.h"
#include "problem_shape.h"
#include "status.h"
#include "struct_size.h"
#include "target_name.h"

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

/* How far a plan's device class is from the device's: less is better. 0 is the same one. */
static double distance_of(const smla_pack_plan *p, const char *device_class) {
  static const double for_none = 1e-3, unlike = 1e9; /* nearer and farther than any two classes are from one another */
  if (!*p->device_class) return for_none;
  double distance = smla_device_class_distance(p->device_class, device_class);
  return distance < 0 ? unlike : distance;
}

snapmla_status smla_pack_find(const snapmla_pack *pack, const snapmla_context *context, const char *shape,
                              const snapmla_problem *range, smla_pack_found *out) {
  const char *target = smla_target_name(context->device->target);
  const smla_pack_plan *found = NULL;
  double nearest = 0;
  smla_context_device_class(context, out->device_class);
  for (size_t i = 0; i < pack->index.plan_count; i++) {
    const smla_pack_plan *p = &pack->index.plans[i];
    if (strcmp(p->target, target) || strcmp(p->shape, shape) || p->max_batch < range->max_batch ||
        p->max_context < range->max_context)
      continue;
    double distance = distance_of(p, out->device_class); /* of one class the smallest comes first: they are sorted */
    if (found && distance >= nearest) continue;
    found = p;
    nearest = distance;
  }
  if (!found) return missing(pack, range, target, shape);
  out->plan = found;
  out->other_class = *found->device_class && strcmp(found->device_class, out->device_class);
  if (!out->other_class || !pack->require_device_class) return SNAPMLA_OK;
  return smla_fail(
      SNAPMLA_NOT_FOUND,
      "pack %s has a plan for %s chosen for the device class %s and none for %s, which this device is, and "
      "strict use takes no other; export it with --device-class %s, or do without --strict "
      "(require_device_class)",
      pack->name, shape, found->device_class, out->device_class, out->device_class);
}

/* The choice for a shape, which is freed. */
static snapmla_status choose(const snapmla_context *context, const snapmla_pack *pack, smla_buffer *shape,
                             const snapmla_problem *range, snapmla_pack_choice *out) {
  smla_pack_found found;
  snapmla_status status = smla_pack_find(pack, context, shape->data, range, &found);
  smla_buffer_free(shape);
  if (status) return status;
  out->plan = (int32_t)(found.plan - pack->index.plans);
  out->other_class = found.other_class;
  return SNAPMLA_OK;
}

static snapmla_status check_arguments(const snapmla_context *context, const snapmla_pack *pack,
                                      const snapmla_pack_choice *out) {
  if (!context || !pack || !out)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context, pack and out are needed, and one is NULL");
  return smla_struct_size_check("snapmla_pack_choice", out, out->size, sizeof *out);
}

snapmla_status snapmla_pack_choose(snapmla_context *context, const snapmla_pack *pack, const snapmla_problem *problem,
                                   snapmla_pack_choice *out) {
  smla_buffer shape = {0};
  snapmla_status status = check_arguments(context, pack, out);
  if (!status) status = snapmla_problem_check(problem);
  if (!status) status = smla_problem_shape(problem, &shape);
  return status ? status : choose(context, pack, &shape, problem, out);
}

snapmla_status snapmla_pack_choose_layer(snapmla_context *context, const snapmla_pack *pack,
                                         const snapmla_layer_problem *problem, snapmla_pack_choice *out) {
  smla_buffer shape = {0};
  snapmla_status status = check_arguments(context, pack, out);
  if (!status) status = snapmla_layer_problem_check(problem);
  if (!status) status = smla_layer_shape(problem, &shape);
  return status ? status : choose(context, pack, &shape, &problem->attention, out);
}
