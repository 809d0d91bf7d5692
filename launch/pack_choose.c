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

snapmla_status smla_pack_find(const snapmla_pack *pack, const snapmla_problem *problem, snapmla_target wanted,
                              const char *device_class, const smla_pack_plan **out, int *other_class) {
  const char *target = smla_target_name(wanted);
  const smla_pack_plan *found = NULL;
  double nearest = 0;
  smla_buffer shape = {0};
  snapmla_status status = smla_problem_shape(problem, &shape);
  for (size_t i = 0; i < pack->index.plan_count && !status; i++) {
    const smla_pack_plan *p = &pack->index.plans[i];
    if (strcmp(p->target, target) || strcmp(p->shape, shape.data) || p->max_batch < problem->max_batch ||
        p->max_context < problem->max_context)
      continue;
    double distance = distance_of(p, device_class); /* of one class the smallest comes first: they are sorted */
    if (found && distance >= nearest) continue;
    found = p;
    nearest = distance;
  }
  int other = found && *found->device_class && strcmp(found->device_class, device_class);
  if (!status && !found) status = missing(pack, problem, target, shape.data);
  if (!status && other && pack->require_device_class)
    status =
        smla_fail(SNAPMLA_NOT_FOUND,
                  "pack %s has a plan for %s chosen for the device class %s and none for %s, which this device is, and "
                  "strict use takes no other; export it with --device-class %s, or do without --strict "
                  "(require_device_class)",
                  pack->name, shape.data, found->device_class, device_class, device_class);
  smla_buffer_free(&shape);
  if (status) return status;
  *out = found;
  *other_class = other;
  return SNAPMLA_OK;
}

snapmla_status snapmla_pack_choose(snapmla_context *context, const snapmla_pack *pack, const snapmla_problem *problem,
                                   snapmla_pack_choice *out) {
  if (!context || !pack || !out)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context, pack and out are needed, and one is NULL");
  snapmla_status status = smla_struct_size_check("snapmla_pack_choice", out, out->size, sizeof *out);
  if (!status) status = snapmla_problem_check(problem);
  if (status) return status;
  char device_class[SMLA_DEVICE_CLASS_MAX];
  const smla_pack_plan *found;
  int other_class;
  smla_context_device_class(context, device_class);
  status = smla_pack_find(pack, problem, context->device->target, device_class, &found, &other_class);
  if (status) return status;
  out->plan = (int32_t)(found - pack->index.plans);
  out->other_class = other_class;
  return SNAPMLA_OK;
}
