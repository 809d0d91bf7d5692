/* Making a layer plan: the attention's plan, then the layer's own kernels for the same problem. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer_object.h"
#include "log.h"
#include "plan_kernels.h"
#include "problem_settings.h"
#include "quantities.h"
#include "status.h"
#include "tuner.h"

/* A layer's problem as axis values, beside the attention's. */
typedef struct layer_settings {
  char nope[16], v[16], step_tokens[16], values[24], hidden[16], multiprocessors[16];
  smla_setting settings[10];
  size_t count;
} layer_settings;

static void read_settings(const snapmla_layer_plan *plan, smla_layer_kernel kernel, layer_settings *out) {
  const snapmla_layer_problem *problem = &plan->problem;
  const char *rotate = problem->flags & SNAPMLA_LAYER_ROTATED            ? "none"
                       : problem->rope_pairs == SNAPMLA_ROPE_INTERLEAVED ? "interleaved"
                                                                         : "half";
  snprintf(out->nope, sizeof out->nope, "%d", problem->nope_dim);
  snprintf(out->v, sizeof out->v, "%d", problem->v_dim);
  snprintf(out->values, sizeof out->values, "%lld", (long long)problem->attention.heads * problem->v_dim);
  snprintf(out->hidden, sizeof out->hidden, "%d", problem->hidden_size);
  snprintf(out->multiprocessors, sizeof out->multiprocessors, "%d", plan->attention->multiprocessors);
  int few = kernel == SMLA_LAYER_ABSORB_FEW || kernel == SMLA_LAYER_PROJECT_FEW || kernel == SMLA_LAYER_OUTPUT_FEW;
  int32_t most = problem->attention.max_batch * problem->attention.q_len;
  snprintf(out->step_tokens, sizeof out->step_tokens, "%d",
           few && most > SMLA_LAYER_FEW_TOKENS ? SMLA_LAYER_FEW_TOKENS : most);
  const smla_setting settings[] = {{"nope", out->nope},
                                   {"v", out->v},
                                   {"step_tokens", out->step_tokens},
                                   {"values", out->values},
                                   {"hidden", out->hidden},
                                   {"multiprocessors", out->multiprocessors},
                                   {"weights", problem->weight_type == SNAPMLA_WEIGHT_FP8_BLOCK ? "fp8" : "bf16"},
                                   {"rotate", rotate},
                                   {"norm", problem->flags & SNAPMLA_LAYER_NORMED ? "none" : "rms"},
                                   {"to", kernel == SMLA_LAYER_MOVE ? "cache" : "rows"}};
  out->count = sizeof settings / sizeof *settings;
  memcpy(out->settings, settings, sizeof settings);
}

/* The number that a variant's space names; 0 where it has none of that name. */
static snapmla_status quantity(const smla_generator *generator, const char *variant, const char *name, int32_t *out) {
  smla_quantity *quantities = NULL;
  size_t count = 0;
  snapmla_status status = smla_generator_describe(generator, variant, &quantities, &count);
  *out = 0;
  for (size_t i = 0; i < count && !status; i++)
    if (!strcmp(quantities[i].name, name)) *out = (int32_t)quantities[i].value;
  free(quantities);
  if (!status && *out < 1)
    status = smla_fail(SNAPMLA_TEMPLATE, "%s: its space has no \"%s\", which a layer needs", variant, name);
  return status;
}

/* No block's share of the output's reduction may be empty. */
static snapmla_status check_split(const snapmla_layer_plan *plan, int kernel) {
  const snapmla_layer_problem *p = &plan->problem;
  const smla_plan_kernel *k = &plan->kernels[kernel];
  int64_t chunk = p->weight_type == SNAPMLA_WEIGHT_FP8_BLOCK ? 128 : 64;
  int64_t chunks = ((int64_t)p->attention.heads * p->v_dim + chunk - 1) / chunk;
  if (k->geometry.cluster <= chunks) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_ILLEGAL_VARIANT,
                   "variant %s: %d blocks share %lld chunks of %lld values, and each needs one: take a smaller split",
                   k->variant, k->geometry.cluster, (long long)chunks, (long long)chunk);
}

static snapmla_status resolve(snapmla_layer_plan *plan, const char *layers_text) {
  const smla_generator *generator = plan->attention->context->generator;
  smla_buffer text = {0};
  /* The kernels follow the decode kernel that was chosen. */
  snapmla_status status = smla_buffer_printf(&text, "%s;%s", plan->attention->kernels[SMLA_MLA_DECODE].variant,
                                             layers_text ? layers_text : "");
  for (int i = 0; i < smla_layer_kernel_count(&plan->problem) && !status; i++) {
    smla_plan_kernel *kernel = &plan->kernels[i];
    layer_settings s;
    smla_buffer variant = {0};
    read_settings(plan, (smla_layer_kernel)i, &s);
    status = smla_problem_resolve_with(generator, &plan->problem.attention, smla_layer_families[i], text.data,
                                       s.settings, s.count, &variant);
    if (!status && !(kernel->variant = smla_buffer_take(&variant)))
      status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant");
    if (!status) status = smla_geometry_get(generator, kernel->variant, &kernel->geometry);
    smla_buffer_free(&variant);
  }
  smla_buffer_free(&text);
  static const struct {
    smla_layer_kernel kernel;
    const char *box_rows;
  } products[] = {{SMLA_LAYER_ABSORB, "chunk"},  {SMLA_LAYER_ABSORB_FEW, "chunk"}, {SMLA_LAYER_PROJECT, "m"},
                  {SMLA_LAYER_PROJECT_FEW, "m"}, {SMLA_LAYER_OUTPUT, "m"},         {SMLA_LAYER_OUTPUT_FEW, "m"}};
  for (size_t i = 0; i < sizeof products / sizeof *products && !status; i++) {
    if ((int)products[i].kernel >= smla_layer_kernel_count(&plan->problem)) continue;
    smla_layer_tile *tile = &plan->tiles[products[i].kernel];
    const char *variant = plan->kernels[products[i].kernel].variant;
    status = quantity(generator, variant, "columns", &tile->columns);
    if (!status) status = quantity(generator, variant, products[i].box_rows, &tile->box_rows);
  }
  for (int i = SMLA_LAYER_OUTPUT; i < smla_layer_kernel_count(&plan->problem) && !status; i++)
    status = check_split(plan, i);
  return status;
}

/* The library for W_O, where the problem asks for it. Without it the plan has the kernel: the log says why. */
static snapmla_status open_product(snapmla_layer_plan *plan) {
  const snapmla_layer_problem *p = &plan->problem;
  smla_device *device = plan->attention->context->device;
  if (!p->hidden_size || !(p->flags & SNAPMLA_LAYER_CUBLASLT) || p->weight_type != SNAPMLA_WEIGHT_BF16 ||
      !device->ops->product_open)
    return SNAPMLA_OK;
  const smla_product_shape shape = {.rows = p->hidden_size,
                                    .k = p->attention.heads * p->v_dim,
                                    .most_tokens = p->attention.max_batch * p->attention.q_len};
  snapmla_status status = device->ops->product_open(device, &shape, &plan->product);
  if (status == SNAPMLA_OUT_OF_MEMORY) return status;
  if (status) smla_log(SMLA_LOG_WARNING, "W_O by the generated kernel: %s", snapmla_error_message());
  return SNAPMLA_OK;
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

static void add_family(const char **families, size_t *count, const char *name) {
  for (size_t i = 0; i < *count; i++)
    if (!strcmp(families[i], name)) return;
  families[(*count)++] = name;
}

/* The parts of an override that are for the layer's kernels, and those for the attention's. One that names a family of both, as
 * kv_append is, is for the layer's: of the attention's plan a layer uses no append. */
static snapmla_status share_override(const snapmla_layer_problem *problem, const char *text, smla_buffer *layers,
                                     smla_buffer *attention) {
  const char *families[SMLA_LAYER_KERNEL_COUNT + SMLA_FAMILY_COUNT]; /* the layer's, then the attention's others */
  size_t count = 0;
  int own = smla_layer_kernel_count(problem);
  for (int i = 0; i < own; i++) add_family(families, &count, smla_layer_families[i]);
  size_t layer_count = count;
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) add_family(families, &count, smla_family_names[i]);
  snapmla_status status = smla_override_check(text, families, count);
  if (!status) status = smla_override_part(text, families, layer_count, layers);
  if (!status) status = smla_override_part(text, families + layer_count, count - layer_count, attention);
  return status;
}

/* An empty plan of a checked problem. */
static snapmla_status start(const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  snapmla_layer_plan *plan = calloc(1, sizeof *plan);
  if (plan) plan->tally = calloc(1, sizeof *plan->tally);
  if (!plan || !plan->tally) {
    free(plan);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a layer plan");
  }
  pthread_mutex_init(&plan->tally->lock, NULL);
  plan->problem = *problem;
  *out = plan;
  return SNAPMLA_OK;
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
  if (!status) status = share_override(problem, known.variant, &layers, &others);
  if (!status) status = start(problem, &plan);
  if (!status) {
    known.variant = others.data;
    status = snapmla_plan_create(context, &problem->attention, &known, &plan->attention);
  }
  if (!status) status = resolve(plan, layers.data);
  if (!status) status = open_product(plan);
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
