/* The inside of smla_generator_enumerate, which generator.c runs in a sandbox. */
#ifndef SMLA_GENERATOR_ENUMERATE_RUN_H
#define SMLA_GENERATOR_ENUMERATE_RUN_H

#include <lua.h>

#include "buffer.h"
#include "enumerate.h"
#include "space.h"

typedef struct smla_enumeration {
  const char *family;
  const smla_setting *settings;
  size_t setting_count;
  const char *override_text;
  smla_variant_visit *visit;
  smla_variant_refuse *refuse;
  void *user;
  smla_buffer text; /* of the point being looked at */
  smla_quantity quantities[SMLA_SPACE_MAX_AXES + SMLA_SPACE_MAX_DERIVED];
} smla_enumeration;

/* The enumeration is the light userdata at index 1. */
int smla_enumeration_run(lua_State *L);

#endif
