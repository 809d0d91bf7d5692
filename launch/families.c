#include <snapmla/source.h>

#include <stddef.h>

const char *const *snapmla_family_names(void) {
  static const char *const names[] = {"kv_append", "mla_combine", "mla_decode", "query_quant", "schedule", NULL};
  return names;
}
