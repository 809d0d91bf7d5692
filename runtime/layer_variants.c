/* The variants of a layer's own kernels, as texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer_make.h"
#include "problem_settings.h"
#include "problem_shape.h"
#include "quantities.h"
#include "status.h"

/* A layer's problem as axis values, beside the attention's. */
typedef struct layer_settings {
  char nope[16], v[16], step_tokens[16], values[24], hidden[16], multiprocessors[16];
  smla_setting settings[SMLA_MORE_SETTINGS];
  size_t count;
} layer_settings;

static void read_settings(const snapmla_layer_problem *problem, int32_t multiprocessors, smla_layer_kernel kernel,
                          layer_settings *out) {
  snprintf(out->nope, sizeof out->nope, "%d", problem->nope_dim);
  snprintf(out->v, sizeof out->v, "%d", problem->v_dim);
  snprintf(out->values, sizeof out->values, "%lld", (long long)problem->attention.heads * problem->v_dim);
  snprintf(out->hidden, sizeof out->hidden, "%d", problem->hidden_size);
  snprintf(out->multiprocessors, sizeof out->multiprocessors, "%d", multiprocessors);
  int few = kernel == SMLA_LAYER_ABSORB_FEW || kernel == SMLA_LAYER_PROJECT_FEW || kernel == SMLA_LAYER_OUTPUT_FEW;
  int32_t most = problem->attention.max_batch * problem->attention.q_len;
  snprintf(out->step_tokens, sizeof out->step_tokens, "%d",
           few && most > SMLA_LAYER_FEW_TOKENS ? SMLA_LAYER_FEW_TOKENS : most);
  const smla_setting settings[] = {{"nope", out->nope},
                                   {"v", out->v},
                                   {"step_tokens", out->step_tokens},
                                   {"values", out->values},
                                   {"hidden", out->hidden},
                                   {"weights", smla_layer_weights(problem)},
                                   {"rotate", smla_layer_rotate(problem)},
                                   {"norm", smla_layer_norm(problem)},
                                   {"to", kernel == SMLA_LAYER_MOVE ? "cache" : "rows"},
                                   {"multiprocessors", out->multiprocessors}};
  out->count = sizeof settings / sizeof *settings - !multiprocessors; /* unknown, the spaces take their own */
  memcpy(out->settings, settings, sizeof settings);
}

snapmla_status smla_layer_variants(const smla_generator *generator, const snapmla_layer_problem *problem,
                                   int32_t multiprocessors, const char *decode_variant, const char *override_text,
                                   char *variants[SMLA_LAYER_KERNEL_COUNT]) {
  smla_buffer text = {0};
  for (int i = 0; i < SMLA_LAYER_KERNEL_COUNT; i++) variants[i] = NULL;
  snapmla_status status = smla_buffer_printf(&text, "%s;%s", decode_variant, override_text ? override_text : "");
  for (int i = 0; i < smla_layer_kernel_count(problem) && !status; i++) {
    layer_settings s;
    smla_buffer variant = {0};
    read_settings(problem, multiprocessors, (smla_layer_kernel)i, &s);
    status = smla_problem_resolve_with(generator, &problem->attention, smla_layer_families[i], text.data, s.settings,
                                       s.count, &variant);
    if (!status && !(variants[i] = smla_buffer_take(&variant)))
      status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant");
    smla_geometry geometry;
    if (!status) status = smla_geometry_get(generator, variants[i], &geometry);
    if (!status) status = smla_layer_split_check(problem, (smla_layer_kernel)i, &geometry, variants[i]);
    smla_buffer_free(&variant);
  }
  smla_buffer_free(&text);
  for (int i = 0; i < SMLA_LAYER_KERNEL_COUNT && status; i++) {
    free(variants[i]);
    variants[i] = NULL;
  }
  return status;
}

static void add_family(const char **families, size_t *count, const char *name) {
  for (size_t i = 0; i < *count; i++)
    if (!strcmp(families[i], name)) return;
  families[(*count)++] = name;
}

snapmla_status smla_layer_override_share(const snapmla_layer_problem *problem, const char *text, smla_buffer *layers,
                                         smla_buffer *attention) {
  const char *families[SMLA_LAYER_KERNEL_COUNT + SMLA_FAMILY_COUNT]; /* the layer's, then the attention's others */
  size_t count = 0;
  for (int i = 0; i < smla_layer_kernel_count(problem); i++) add_family(families, &count, smla_layer_families[i]);
  size_t layer_count = count;
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) add_family(families, &count, smla_family_names[i]);
  snapmla_status status = smla_override_check(text, families, count);
  if (!status) status = smla_override_part(text, families, layer_count, layers);
  if (!status) status = smla_override_part(text, families + layer_count, count - layer_count, attention);
  return status;
}
