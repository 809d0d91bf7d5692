/* A variant's derived quantities, by name. */
#ifndef SMLA_RUNTIME_QUANTITIES_H
#define SMLA_RUNTIME_QUANTITIES_H

#include <stdint.h>

#include <snapmla/status.h>

#include "generator.h"

/* What launching a variant needs of them. */
typedef struct smla_geometry {
  int32_t threads;       /* per block, a multiple of 32 */
  int32_t smem_bytes;    /* dynamic, per block */
  int32_t cluster;       /* blocks per cluster along x; 1: none */
  int32_t partial_bytes; /* of an element of the partial results; 4 where the family does not say */
  int32_t rows;          /* query rows that a block works on together; 0 where the family does not deal in rows */
  int32_t query_terms;   /* e4m3 numbers for a channel of the query; 1 where the family does not say */
} smla_geometry;

/* Errors: as smla_generator_describe; TEMPLATE (a quantity is missing or absurd). */
snapmla_status smla_geometry_get(const smla_generator *generator, const char *variant, smla_geometry *out);

#endif
