/* The kernels of a layer's own: what they are called, and what launching them needs of their variants. */
#include "layer_object.h"

const char *const smla_layer_families[SMLA_LAYER_KERNEL_COUNT] = {
    [SMLA_LAYER_APPEND] = "kv_append",
    [SMLA_LAYER_ABSORB] = "query_absorb",
    [SMLA_LAYER_ABSORB_FEW] = "query_absorb",
    [SMLA_LAYER_PROJECT] = "value_project",
    [SMLA_LAYER_PROJECT_FEW] = "value_project",
    [SMLA_LAYER_FETCH] = "kv_fetch",
    [SMLA_LAYER_MOVE] = "kv_fetch",
};

const char *const smla_layer_roles[SMLA_LAYER_KERNEL_COUNT] = {
    [SMLA_LAYER_APPEND] = "layer_append",
    [SMLA_LAYER_ABSORB] = "layer_absorb",
    [SMLA_LAYER_ABSORB_FEW] = "layer_absorb_few",
    [SMLA_LAYER_PROJECT] = "layer_project",
    [SMLA_LAYER_PROJECT_FEW] = "layer_project_few",
    [SMLA_LAYER_FETCH] = "layer_fetch",
    [SMLA_LAYER_MOVE] = "layer_move",
};

snapmla_status smla_layer_tile_read(smla_layer_kernel kernel, const smla_quantity *quantities, size_t count,
                                    const char *variant, smla_layer_tile *out) {
  static const char *const box_rows[SMLA_LAYER_KERNEL_COUNT] = {
      [SMLA_LAYER_ABSORB] = "chunk",
      [SMLA_LAYER_ABSORB_FEW] = "chunk",
      [SMLA_LAYER_PROJECT] = "m",
      [SMLA_LAYER_PROJECT_FEW] = "m",
  };
  *out = (smla_layer_tile){0};
  if (!box_rows[kernel]) return SNAPMLA_OK;
  snapmla_status status =
      smla_quantity_pick(quantities, count, variant, "columns", 1, SMLA_LAYER_MOST_BOX, -1, &out->columns);
  if (status) return status;
  return smla_quantity_pick(quantities, count, variant, box_rows[kernel], 1, SMLA_LAYER_MOST_BOX, -1, &out->box_rows);
}
