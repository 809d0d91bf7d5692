/* A context of the whole library: one that can make kernels too. */
#include <snapmla/context.h>

#include <stdlib.h>
#include <string.h>

#include "context_object.h"
#include "generator.h"
#include "measurement.h"
#include "problem_settings.h"
#include "status.h"

static void close_additions(snapmla_context *context) {
  smla_generator_destroy(context->generator);
  if (context->wisdom) smla_measurements_free(context->wisdom);
  free(context->wisdom);
  free((char *)context->options.templates);
}

static snapmla_status add(snapmla_context *context, const snapmla_context_options *options) {
  const char *directory = smla_templates_directory(options ? options->templates : NULL);
  if (options) context->options = *options;
  context->options.device = NULL;
  context->options.templates = directory ? strdup(directory) : NULL;
  context->wisdom = calloc(1, sizeof *context->wisdom);
  if (!context->wisdom || (directory && !context->options.templates))
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a context");
  return smla_generator_create(directory, &context->generator);
}

snapmla_status snapmla_context_create(const snapmla_context_options *options, snapmla_context **out) {
  snapmla_status status = smla_context_open(options, out);
  if (status) return status;
  (*out)->close_additions = close_additions;
  status = add(*out, options);
  if (status) {
    snapmla_context_destroy(*out);
    *out = NULL;
  }
  return status;
}
