/* The inside of an open pack. */
#ifndef SMLA_LAUNCH_PACK_OBJECT_H
#define SMLA_LAUNCH_PACK_OBJECT_H

#include <snapmla/pack.h>

#include "image.h"
#include "pack_index.h"

struct snapmla_pack {
  char *name;          /* its path, or what stands for one in messages */
  unsigned char *data; /* the file: private, checked, never written again */
  size_t bytes;
  smla_pack_index index;
  int allow_host_code, require_device_class;
};

/* The plan that serves a checked problem on a device of `device_class`: snapmla_pack_choose says which. *other_class: nonzero
 * where it was chosen for another. Errors: NOT_FOUND, OUT_OF_MEMORY. */
snapmla_status smla_pack_find(const snapmla_pack *pack, const snapmla_problem *problem, snapmla_target target,
                              const char *device_class, const smla_pack_plan **out, int *other_class);

/* Checks the stored bytes of a kernel, and that they decode. Errors: BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_pack_check_blob(const snapmla_pack *pack, const smla_pack_artifact *artifact);

/* Checks and decodes a kernel of a known target: one reference. Errors: BAD_FORMAT, UNSUPPORTED, OUT_OF_MEMORY. */
snapmla_status smla_pack_image(const snapmla_pack *pack, const smla_pack_artifact *artifact, smla_image **out);

#endif
