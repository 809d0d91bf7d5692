#include "quantities.h"

#include <stdlib.h>

snapmla_status smla_geometry_get(const smla_generator *generator, const char *variant, smla_geometry *out) {
  smla_quantity *quantities = NULL;
  size_t count = 0;
  snapmla_status status = smla_generator_describe(generator, variant, &quantities, &count);
  if (!status) status = smla_geometry_read(quantities, count, variant, out);
  free(quantities);
  return status;
}
