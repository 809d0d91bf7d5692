/* The kernels of a layer's own: what they are called, and what launching them needs of their variants. */
#include "layer_object.h"
#include "status.h"

const char *const smla_layer_families[SMLA_LAYER_KERNEL_COUNT] = {
    [SMLA_LAYER_APPEND] = "kv_append",
    [SMLA_LAYER_ABSORB] = "query_absorb",
    [SMLA_LAYER_ABSORB_FEW] = "query_absorb",
    [SMLA_LAYER_PROJECT] = "value_project",
    [SMLA_LAYER_PROJECT_FEW] = "value_project",
    [SMLA_LAYER_FETCH] = "kv_fetch",
    [SMLA_LAYER_MOVE] = "kv_fetch",
    [SMLA_LAYER_OUTPUT] = "output_project",
    [SMLA_LAYER_OUTPUT_FEW] = "output_project",
};

const char *const smla_layer_roles[SMLA_LAYER_KERNEL_COUNT] = {
    [SMLA_LAYER_APPEND] = "layer_append",
    [SMLA_LAYER_ABSORB] = "layer_absorb",
    [SMLA_LAYER_ABSORB_FEW] = "layer_absorb_few",
    [SMLA_LAYER_PROJECT] = "layer_project",
    [SMLA_LAYER_PROJECT_FEW] = "layer_project_few",
    [SMLA_LAYER_FETCH] = "layer_fetch",
    [SMLA_LAYER_MOVE] = "layer_move",
    [SMLA_LAYER_OUTPUT] = "layer_output",
    [SMLA_LAYER_OUTPUT_FEW] = "layer_output_few",
};

snapmla_status smla_layer_tile_read(smla_layer_kernel kernel, const smla_quantity *quantities, size_t count,
                                    const char *variant, smla_layer_tile *out) {
  static const char *const box_rows[SMLA_LAYER_KERNEL_COUNT] = {
      [SMLA_LAYER_ABSORB] = "chunk",  [SMLA_LAYER_ABSORB_FEW] = "chunk", [SMLA_LAYER_PROJECT] = "m",
      [SMLA_LAYER_PROJECT_FEW] = "m", [SMLA_LAYER_OUTPUT] = "m",         [SMLA_LAYER_OUTPUT_FEW] = "m",
  };
  *out = (smla_layer_tile){0};
  if (!box_rows[kernel]) return SNAPMLA_OK;
  snapmla_status status =
      smla_quantity_pick(quantities, count, variant, "columns", 1, SMLA_LAYER_MOST_BOX, -1, &out->columns);
  if (!status) status = smla_quantity_pick(quantities, count, variant, "merges", 0, 1, 0, &out->merges);
  if (status) return status;
  return smla_quantity_pick(quantities, count, variant, box_rows[kernel], 1, SMLA_LAYER_MOST_BOX, -1, &out->box_rows);
}

snapmla_status smla_layer_split_check(const snapmla_layer_problem *problem, smla_layer_kernel kernel,
                                      const smla_geometry *geometry, const char *variant) {
  if (kernel != SMLA_LAYER_OUTPUT && kernel != SMLA_LAYER_OUTPUT_FEW) return SNAPMLA_OK;
  int64_t chunk = problem->weight_type == SNAPMLA_WEIGHT_FP8_BLOCK ? 128 : 64; /* 128 bytes of weights */
  int64_t chunks = ((int64_t)problem->attention.heads * problem->v_dim + chunk - 1) / chunk;
  if (geometry->cluster <= chunks) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_ILLEGAL_VARIANT,
                   "variant %s: %d blocks share %lld chunks of %lld values, and each needs one: take a smaller split",
                   variant, geometry->cluster, (long long)chunks, (long long)chunk);
}
