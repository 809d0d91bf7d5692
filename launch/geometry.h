/* What launching a variant needs of its derived quantities. */
#ifndef SMLA_LAUNCH_GEOMETRY_H
#define SMLA_LAUNCH_GEOMETRY_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

#include "quantity.h"

typedef struct smla_geometry {
  int32_t threads;        /* per block, a multiple of 32 */
  int32_t smem_bytes;     /* dynamic, per block */
  int32_t cluster;        /* blocks per cluster along x; 1: none */
  int32_t partial_bytes;  /* of an element of the partial results; 4 where the family does not say */
  int32_t rows;           /* query rows that a block works on together; 0 where the family does not deal in rows */
  int32_t query_terms;    /* numbers for a channel of the query; 1 where the family does not say */
  int32_t most_pieces;    /* that a request is cut into; 0 where that depends on other requests */
  int32_t resident;       /* blocks that a multiprocessor has at once; 1 where the family does not say */
  int32_t block_elements; /* of the output that a block makes at a time; 0 where the family does not say */
  int32_t least_piece;    /* tiles of 64 tokens of the shortest piece of several; 0 with the above */
} smla_geometry;

/* The quantity `name` of a variant, or `fallback` where it has none; `fallback` < 0: it must be there. Error: TEMPLATE (it is missing,
 * or not `least` to `most`). Pure. */
snapmla_status smla_quantity_pick(const smla_quantity *quantities, size_t count, const char *variant, const char *name,
                                  long long least, long long most, long long fallback, int32_t *out);

/* Picks them out of a variant's `count` quantities. Error: TEMPLATE (one is missing or absurd). Pure. */
snapmla_status smla_geometry_read(const smla_quantity *quantities, size_t count, const char *variant,
                                  smla_geometry *out);

#endif
