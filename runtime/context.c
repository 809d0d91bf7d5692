/* A context of the whole library: one that can make kernels too. */
#include <snapmla/context.h>

#include <stddef.h>

#include "context_object.h"
#include "generator.h"
#include "problem_settings.h"

snapmla_status snapmla_context_create(const snapmla_context_options *options, snapmla_context **out) {
  snapmla_status status = smla_context_open(options, out);
  if (status) return status;
  (*out)->close_generator = smla_generator_destroy;
  status = smla_generator_create(smla_templates_directory(options ? options->templates : NULL), &(*out)->generator);
  if (status) {
    snapmla_context_destroy(*out);
    *out = NULL;
  }
  return status;
}
