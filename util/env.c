#include "env.h"

#include <stdlib.h>

static const smla_env_entry table[SMLA_ENV_COUNT] = {
#define ENTRY(identifier, variable, fallback, meaning) {variable, fallback, meaning},
    SMLA_ENV_LIST(ENTRY)
#undef ENTRY
};

const char *smla_env(smla_env_name name) {
  const char *value = secure_getenv(table[name].variable);
  return value && *value ? value : NULL;
}

const smla_env_entry *smla_env_describe(smla_env_name name) { return &table[name]; }
