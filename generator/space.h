/* A family's space, read from <family>/space.lua and held to its rules.
 *
 * The structs and their texts live in the Lua state: valid until the sandbox is closed. All functions run inside
 * smla_sandbox_run and throw what they find wrong: TEMPLATE for a fault of the space, INVALID_ARGUMENT or ILLEGAL_VARIANT
 * for one of the variant. */
#ifndef SMLA_GENERATOR_SPACE_H
#define SMLA_GENERATOR_SPACE_H

#include "generator.h"
#include "sandbox.h"

enum {
  SMLA_SPACE_MAX_AXES = 64,
  SMLA_SPACE_MAX_VALUES = 256,
  SMLA_SPACE_MAX_RULES = 256,
  SMLA_SPACE_MAX_DERIVED = 256,
  SMLA_SPACE_MAX_VALUE_TEXT = 47,
  SMLA_VARIANT_MAX_TEXT = 4096
};

typedef struct smla_axis {
  const char *name, *about;
  int is_integer;
  int is_unsearched;                         /* enumerations leave it at its default */
  int is_quiet;                              /* canonical texts leave it out at its default */
  int default_rule;                          /* registry reference of default(settings), or LUA_NOREF */
  size_t value_count, default_index;         /* the default where there are no settings */
  const char *values[SMLA_SPACE_MAX_VALUES]; /* canonical texts, in the order of listing */
} smla_axis;

typedef struct smla_space {
  const char *family, *entry, *about;
  long file; /* of space.lua, in the store */
  size_t axis_count, rule_count;
  smla_axis axes[SMLA_SPACE_MAX_AXES];
} smla_space;

/* A point: the index of each axis's value. */
typedef struct smla_point {
  size_t chosen[SMLA_SPACE_MAX_AXES];
} smla_point;

smla_space *smla_space_load(lua_State *L, const char *family);
/* space_check.c: validates the table on the top, removes it and fills `space`; its functions are kept in the
 * registry (fields "rules" and "derived"). Throws when anything is wrong, with every fault found. */
void smla_space_check(lua_State *L, smla_space *space);

/* Nonzero: a word of Lua or a name that templates have anyway, which an axis or a quantity cannot be called. */
int smla_space_name_is_taken(const char *name);

/* The axis of that name (`length` bytes), or NULL. */
smla_axis *smla_space_axis(smla_space *space, const char *name, size_t length);
/* The index of a value's canonical text, or -1. */
long smla_axis_value(const smla_axis *axis, const char *text, size_t length);

/* Pushes the values by name and the derived quantities by name, both plain tables, after every rule has agreed. */
void smla_space_evaluate(lua_State *L, smla_space *space, const smla_point *point);

/* variant.c: the default of an axis that has a rule for it, as a value's index. Throws TEMPLATE where the rule fails or returns
 * what is none of the axis's values. */
size_t smla_axis_rule_default(lua_State *L, const smla_space *space, const smla_axis *axis,
                              const smla_setting *settings, size_t setting_count);
/* variant.c: the defaults, then the settings, then the text. Throws INVALID_ARGUMENT. */
void smla_variant_choose(lua_State *L, smla_space *space, const smla_setting *settings, size_t setting_count,
                         const char *text, smla_point *point);
/* The canonical text. */
snapmla_status smla_variant_text(const smla_space *space, const smla_point *point, smla_buffer *out);
/* The family that a variant text begins with. Errors: INVALID_ARGUMENT, naming the families there are. */
snapmla_status smla_variant_family(const char *text, char family[SMLA_NAME_MAX + 1]);
/* Fails unless `text` is a printable text within the limit. */
snapmla_status smla_variant_check_text(const char *text);

#endif
