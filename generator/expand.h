/* One expansion: templates in, text out. */
#ifndef SMLA_GENERATOR_EXPAND_H
#define SMLA_GENERATOR_EXPAND_H

#include "generator.h"
#include "sandbox.h"
#include "template.h"

enum { SMLA_EXPAND_MAX_OUTPUT = 32 << 20 }; /* bytes */

typedef struct smla_expansion {
  const char *variant;
  smla_expand_options options;
  smla_buffer text;
  smla_template *templates; /* by index in the store; parsed when first included */
  smla_position compiler;   /* what a compiler, heeding #line, takes the next line to be */
  int in_expression;        /* nonzero: within ${}, where nothing may be written */
} smla_expansion;

/* A body for smla_sandbox_run; its argument is an smla_expansion with `variant`, `options` and `templates` set. */
int smla_expansion_run(lua_State *L);

#endif
