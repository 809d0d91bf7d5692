#include "geometry.h"

#include <string.h>

#include "status.h"

enum {
  MOST_THREADS = 1024,
  MOST_SHARED_BYTES = 232448,
  MOST_CLUSTER = 16,
  MOST_ROWS = 1024,
  MOST_TERMS = 2,
  MOST_PIECES = 1024, /* as in mla_combine's space */
  MOST_RESIDENT = 32,
  MOST_ELEMENTS = 1 << 20
};

snapmla_status smla_quantity_pick(const smla_quantity *quantities, size_t count, const char *variant, const char *name,
                                  long long least, long long most, long long fallback, int32_t *out) {
  long long value = fallback;
  int found = fallback >= 0;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(quantities[i].name, name)) continue;
    value = quantities[i].value;
    found = 1;
  }
  if (!found) return smla_fail(SNAPMLA_TEMPLATE, "%s: its space derives no \"%s\"; every space must", variant, name);
  if (value < least || value > most)
    return smla_fail(SNAPMLA_TEMPLATE, "%s: its space derives %s = %lld, it must be %lld to %lld", variant, name, value,
                     least, most);
  *out = (int32_t)value;
  return SNAPMLA_OK;
}

snapmla_status smla_geometry_read(const smla_quantity *quantities, size_t count, const char *variant,
                                  smla_geometry *out) {
  snapmla_status status =
      smla_quantity_pick(quantities, count, variant, "threads", 32, MOST_THREADS, -1, &out->threads);
  if (!status && out->threads % 32)
    status = smla_fail(SNAPMLA_TEMPLATE, "%s: its space derives threads = %d, it must be a multiple of 32", variant,
                       out->threads);
  if (!status)
    status = smla_quantity_pick(quantities, count, variant, "smem_bytes", 0, MOST_SHARED_BYTES, -1, &out->smem_bytes);
  if (!status) status = smla_quantity_pick(quantities, count, variant, "cluster", 1, MOST_CLUSTER, 1, &out->cluster);
  if (!status) status = smla_quantity_pick(quantities, count, variant, "partial_bytes", 2, 4, 4, &out->partial_bytes);
  if (!status) status = smla_quantity_pick(quantities, count, variant, "rows", 0, MOST_ROWS, 0, &out->rows);
  if (!status)
    status = smla_quantity_pick(quantities, count, variant, "query_terms", 1, MOST_TERMS, 1, &out->query_terms);
  if (!status)
    status = smla_quantity_pick(quantities, count, variant, "most_pieces", 0, MOST_PIECES, 0, &out->most_pieces);
  if (!status) status = smla_quantity_pick(quantities, count, variant, "resident", 1, MOST_RESIDENT, 1, &out->resident);
  if (!status)
    status =
        smla_quantity_pick(quantities, count, variant, "block_elements", 0, MOST_ELEMENTS, 0, &out->block_elements);
  if (!status)
    status = smla_quantity_pick(quantities, count, variant, "least_piece", out->most_pieces > 0, MOST_PIECES, 0,
                                &out->least_piece);
  return status;
}
