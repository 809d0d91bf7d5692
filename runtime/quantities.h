/* A variant's derived quantities, by name. */
#ifndef SMLA_RUNTIME_QUANTITIES_H
#define SMLA_RUNTIME_QUANTITIES_H

#include <snapmla/status.h>

#include "generator.h"
#include "geometry.h"

/* Errors: as smla_generator_describe; TEMPLATE (a quantity is missing or absurd). */
snapmla_status smla_geometry_get(const smla_generator *generator, const char *variant, smla_geometry *out);

#endif
