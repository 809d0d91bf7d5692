/* A context that runs plans of packs, and makes no kernels. */
#include <snapmla/context.h>

#include <stddef.h>

#include "context_object.h"
#include "status.h"

snapmla_status snapmla_context_create(const snapmla_context_options *options, snapmla_context **out) {
  snapmla_status status = smla_context_open(options, out);
  if (status || !options || !options->templates) return status;
  snapmla_context_destroy(*out);
  *out = NULL;
  return smla_fail(SNAPMLA_UNSUPPORTED,
                   "templates is \"%s\", and snapmla-deploy expands none: leave it NULL, or link the whole library",
                   options->templates);
}
