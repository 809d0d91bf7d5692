/* The inside of an open pack. */
#ifndef SMLA_LAUNCH_PACK_OBJECT_H
#define SMLA_LAUNCH_PACK_OBJECT_H

#include <snapmla/pack.h>

#include "device_class.h"
#include "image.h"
#include "pack_index.h"
#include "plan_object.h"

struct snapmla_pack {
  char *name;          /* its path, or what stands for one in messages */
  unsigned char *data; /* the file: private, checked, never written again */
  size_t bytes;
  smla_pack_index index;
  int allow_host_code, require_device_class;
};

/* A plan that serves what was asked for on a device. */
typedef struct smla_pack_found {
  const smla_pack_plan *plan;
  int other_class;                          /* nonzero: it was chosen for another class than the device's */
  char device_class[SMLA_DEVICE_CLASS_MAX]; /* the device's */
} smla_pack_found;

/* The plan of `shape` that covers the batch and context of `range`, a checked problem, on the context's device: snapmla_pack_choose says
 * which. Errors: NOT_FOUND, OUT_OF_MEMORY. */
snapmla_status smla_pack_find(const snapmla_pack *pack, const snapmla_context *context, const char *shape,
                              const snapmla_problem *range, smla_pack_found *out);

/* The same, where its kernels may run in this library and process. Errors: and UNSUPPORTED (another interface; host code that was not
 * allowed). */
snapmla_status smla_pack_find_runnable(const snapmla_pack *pack, const snapmla_context *context, const char *shape,
                                       const snapmla_problem *range, smla_pack_found *out);

/* Describes in `kernel` the plan's kernel for `role`, which must be of `family`. Errors: BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_pack_describe_kernel(const snapmla_pack *pack, const smla_pack_plan *plan, const char *role,
                                         const char *family, smla_plan_kernel *kernel, const smla_pack_artifact **out);

/* Loads a kernel that was described. Errors: those of smla_pack_image and of the device's load. */
snapmla_status smla_pack_load_kernel(const snapmla_pack *pack, const smla_pack_artifact *artifact, smla_device *device,
                                     smla_plan_kernel *kernel);

/* The plan of a problem with the found plan's kernels, those whose roles are families. Errors: those of the above; of
 * smla_plan_open. */
snapmla_status smla_pack_plan_make(const snapmla_pack *pack, const smla_pack_found *found, snapmla_context *context,
                                   const snapmla_problem *problem, snapmla_plan **out);

/* Checks the stored bytes of a kernel, and that they decode. Errors: BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_pack_check_blob(const snapmla_pack *pack, const smla_pack_artifact *artifact);

/* Checks and decodes a kernel of a known target: one reference. Errors: BAD_FORMAT, UNSUPPORTED, OUT_OF_MEMORY. */
snapmla_status smla_pack_image(const snapmla_pack *pack, const smla_pack_artifact *artifact, smla_image **out);

#endif
