/* Generated source, without a device. */
#include <snapmla/source.h>

#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "layer_make.h"
#include "plan_make.h"
#include "problem_settings.h"
#include "source_options.h"
#include "status.h"
#include "struct_size.h"

snapmla_status smla_source_options_open(const snapmla_source_options *options, snapmla_source_options *known,
                                        smla_generator **generator) {
  *known = (snapmla_source_options){.size = sizeof *known};
  if (options) {
    snapmla_status status = smla_struct_size_check("snapmla_source_options", options, options->size, sizeof *options);
    if (status) return status;
    *known = *options;
  }
  if (known->target != SNAPMLA_TARGET_SM90A && known->target != SNAPMLA_TARGET_EMULATOR)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "target is %d, it must be SNAPMLA_TARGET_SM90A or SNAPMLA_TARGET_EMULATOR", (int)known->target);
  return smla_generator_create(smla_templates_directory(known->templates), generator);
}

snapmla_status snapmla_variant_resolve(const snapmla_source_options *options, const snapmla_problem *problem,
                                       const char *family, const char *override_text, char **out) {
  if (!problem || !family || !out)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "problem, family and out are needed, and one is NULL");
  *out = NULL;
  smla_generator *generator = NULL;
  smla_buffer text = {0};
  snapmla_source_options known;
  snapmla_status status = snapmla_problem_check(problem);
  if (!status) status = smla_source_options_open(options, &known, &generator);
  if (!status) status = smla_problem_resolve_with(generator, problem, family, override_text, NULL, 0, &text);
  if (!status && !(*out = smla_buffer_take(&text)))
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant");
  smla_buffer_free(&text);
  smla_generator_destroy(generator);
  return status;
}

/* Appends a line, unless there is one like it. */
static snapmla_status add_line(smla_buffer *lines, const char *variant) {
  size_t length = strlen(variant);
  for (const char *at = lines->data; at && *at; at = strchr(at, '\n') + 1)
    if (!strncmp(at, variant, length) && at[length] == '\n') return SNAPMLA_OK;
  return smla_buffer_printf(lines, "%s\n", variant);
}

snapmla_status snapmla_layer_variants_resolve(const snapmla_source_options *options,
                                              const snapmla_layer_problem *problem, const char *override_text,
                                              char **out) {
  if (!problem || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "problem and out are needed, and one is NULL");
  *out = NULL;
  char *all[SMLA_FAMILY_COUNT + SMLA_LAYER_KERNEL_COUNT] = {0}, **own = all + SMLA_FAMILY_COUNT;
  smla_generator *generator = NULL;
  smla_buffer layers = {0}, attention = {0}, lines = {0};
  snapmla_source_options known;
  snapmla_status status = snapmla_layer_problem_check(problem);
  if (!status) status = smla_source_options_open(options, &known, &generator);
  if (!status) status = smla_layer_override_share(problem, override_text, &layers, &attention);
  if (!status) status = smla_plan_variants(generator, &problem->attention, attention.data, all);
  if (!status) status = smla_layer_variants(generator, problem, 0, all[SMLA_MLA_DECODE], layers.data, own);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (!status && all[i]) status = add_line(&lines, all[i]);
    free(all[i]);
  }
  if (!status && !(*out = smla_buffer_take(&lines)))
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a layer's variants");
  smla_buffer_free(&layers);
  smla_buffer_free(&attention);
  smla_buffer_free(&lines);
  smla_generator_destroy(generator);
  return status;
}

snapmla_status snapmla_source_expand(const snapmla_source_options *options, const char *variant, char **out) {
  if (!variant || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "variant and out are needed, and one is NULL");
  *out = NULL;
  smla_generator *generator = NULL;
  smla_buffer text = {0};
  snapmla_source_options known;
  snapmla_status status = smla_source_options_open(options, &known, &generator);
  if (!status) {
    smla_expand_options expand = {known.target == SNAPMLA_TARGET_EMULATOR, known.line_directives};
    status = smla_generator_expand(generator, variant, &expand, &text);
  }
  if (!status && !(*out = smla_buffer_take(&text)))
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a source");
  smla_buffer_free(&text);
  smla_generator_destroy(generator);
  return status;
}
