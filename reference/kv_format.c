#include "kv_format.h"

#include <stddef.h>

/* In the order of snapmla_kv_format. */
static const smla_kv_facts table[] = {
    {"fp8_token", SMLA_NUMBER_E4M3, SMLA_NUMBER_BF16, SMLA_SCALING_TOKEN, 1, 0, 0, 0},
    {"bf16", SMLA_NUMBER_BF16, SMLA_NUMBER_BF16, SMLA_SCALING_NONE, 0, 0, 0, 0},
    {"fp8_tensor", SMLA_NUMBER_E4M3, SMLA_NUMBER_E4M3, SMLA_SCALING_CALL, 0, 0, 0, 0},
    {"fp8_tile", SMLA_NUMBER_E4M3, SMLA_NUMBER_BF16, SMLA_SCALING_GROUP, 0, 512, 64, 0},
    {"fp8_token_r4", SMLA_NUMBER_E4M3, SMLA_NUMBER_BF16, SMLA_SCALING_TOKEN, 1, 0, 0, 1},
};

const smla_kv_facts *smla_kv_facts_of(snapmla_kv_format format) {
  return (size_t)format < sizeof table / sizeof *table ? &table[format] : NULL;
}
