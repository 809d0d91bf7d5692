#include <snapmla/source.h>

#include <stddef.h>

#include "plan_object.h"

const char *const smla_family_names[SMLA_FAMILY_COUNT] = {
    [SMLA_QUERY_QUANT] = "query_quant", [SMLA_MLA_DECODE] = "mla_decode", [SMLA_MLA_COMBINE] = "mla_combine",
    [SMLA_KV_APPEND] = "kv_append",     [SMLA_SCHEDULE] = "schedule",     [SMLA_SHARD_MERGE] = "shard_merge",
};

const char *const *snapmla_family_names(void) {
  static const char *const names[] = {"kv_append", "mla_combine", "mla_decode", "query_quant",
                                      "schedule",  "shard_merge", NULL};
  return names;
}
