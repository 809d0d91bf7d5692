/* Making a layer plan: the attention's plan, then the layer's own kernels for the same problem. */
#include <stdlib.h>

#include "layer_make.h"
#include "plan_kernels.h"
#include "status.h"
#include "tuner.h"

/* The kernels follow the decode kernel that was chosen. */
static snapmla_status resolve(snapmla_layer_plan *plan, const char *layers_text) {
  const smla_generator *generator = plan->attention->context->generator;
  char *variants[SMLA_LAYER_KERNEL_COUNT];
  snapmla_status status = smla_layer_variants(generator, &plan->problem, plan->attention->multiprocessors,
                                              plan->attention->kernels[SMLA_MLA_DECODE].variant, layers_text, variants);
  if (status) return status;
  const int own = smla_layer_kernel_count(&plan->problem);
  for (int i = 0; i < own; i++) plan->kernels[i].variant = variants[i];
  for (int i = 0; i < own && !status; i++) {
    smla_quantity *quantities = NULL;
    size_t count = 0;
    status = smla_generator_describe(generator, variants[i], &quantities, &count);
    if (!status) status = smla_geometry_read(quantities, count, variants[i], &plan->kernels[i].geometry);
    if (!status) status = smla_layer_tile_read((smla_layer_kernel)i, quantities, count, variants[i], &plan->tiles[i]);
    free(quantities);
  }
  return status;
}

static snapmla_status compile_and_load(snapmla_layer_plan *plan, uint32_t flags) {
  smla_device *device = plan->attention->context->device;
  smla_build builds[SMLA_LAYER_KERNEL_COUNT];
  const char *variants[SMLA_LAYER_KERNEL_COUNT];
  const int count = smla_layer_kernel_count(&plan->problem);
  for (int i = 0; i < count; i++) variants[i] = plan->kernels[i].variant;
  snapmla_status status = smla_plan_build_kernels(plan->attention->context, variants, (size_t)count, flags, builds);
  for (int i = 0; i < count && !status; i++)
    status = device->ops->load(device, builds[i].image, (uint32_t)plan->kernels[i].geometry.smem_bytes,
                               &plan->kernels[i].kernel);
  for (int i = 0; i < count; i++) smla_build_clear(&builds[i]);
  return status;
}

snapmla_status snapmla_layer_plan_create(snapmla_context *context, const snapmla_layer_problem *problem,
                                         const snapmla_plan_options *options, snapmla_layer_plan **out) {
  if (!context || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context and out are needed, and one is NULL");
  *out = NULL;
  snapmla_plan_options known;
  snapmla_layer_plan *plan = NULL;
  smla_buffer layers = {0}, others = {0};
  snapmla_status status = snapmla_layer_problem_check(problem);
  if (!status) status = smla_plan_options_read(options, &known);
  if (!status) status = smla_layer_override_share(problem, known.variant, &layers, &others);
  if (!status) status = smla_layer_plan_open(problem, &plan);
  if (!status) {
    known.variant = others.data;
    status = snapmla_plan_create(context, &problem->attention, &known, &plan->attention);
  }
  if (!status) status = resolve(plan, layers.data);
  if (!status) status = smla_layer_product_open(plan);
  if (!status) status = smla_layer_lay_out(plan);
  if (!status) status = compile_and_load(plan, known.flags);
  smla_buffer_free(&layers);
  smla_buffer_free(&others);
  if (status) {
    snapmla_layer_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return SNAPMLA_OK;
}
