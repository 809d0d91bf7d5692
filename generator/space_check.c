/* Validation of the table that space.lua returns. Every fault is collected and names the file and the place in the table. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "space.h"

/* Names that an axis or a quantity cannot have: they mean something else where the value would be used. */
static const char *const taken[] = {
    "target", "variant", "family", "entry",  "include",  "ipairs", "select", "tostring", "tonumber",     "type",
    "assert", "error",   "string", "table",  "math",     "pad",    "and",    "break",    "do",           "else",
    "elseif", "end",     "false",  "for",    "function", "goto",   "if",     "in",       "local",        "nil",
    "not",    "or",      "repeat", "return", "then",     "true",   "until",  "while",    "sorted_pairs", "use"};

int smla_space_name_is_taken(const char *name) {
  for (size_t i = 0; i < sizeof taken / sizeof *taken; ++i)
    if (!strcmp(name, taken[i])) return 1;
  return 0;
}

/* The table under check is at `index`, `where` names it. */
typedef struct checked {
  lua_State *L;
  smla_space *space;
  int index;
  char where[96];
} checked;

/* Pushes field `name`; reports a missing or ill-typed one, then returns 0 with the field still pushed. */
static int field(const checked *c, const char *name, int type, const char *what) {
  lua_getfield(c->L, c->index, name);
  if (lua_type(c->L, -1) == type) return 1;
  smla_sandbox_report_file(c->L, c->space->file, "%s.%s must be %s, it is %s", c->where, name, what,
                           lua_isnil(c->L, -1) ? "missing" : luaL_typename(c->L, -1));
  return 0;
}

/* A one-line text, or "" with a report. The registry keeps it alive. */
static const char *text_field(const checked *c, const char *name) {
  const char *text = "";
  if (field(c, name, LUA_TSTRING, "a text")) {
    size_t length;
    text = lua_tolstring(c->L, -1, &length);
    for (size_t i = 0; i < length; ++i)
      if ((unsigned char)text[i] < 0x20) {
        smla_sandbox_report_file(c->L, c->space->file, "%s.%s must be one line of text", c->where, name);
        break;
      }
    lua_pushvalue(c->L, -1);
    luaL_ref(c->L, LUA_REGISTRYINDEX);
  }
  lua_pop(c->L, 1);
  return text;
}

/* Reports fields that are not among `known`: a misspelt one would otherwise be silently without effect. */
static void only_fields(const checked *c, const char *const *known) {
  for (lua_pushnil(c->L); lua_next(c->L, c->index); lua_pop(c->L, 1)) {
    const char *key = lua_type(c->L, -2) == LUA_TSTRING ? lua_tostring(c->L, -2) : NULL;
    size_t i = 0;
    while (key && known[i] && strcmp(known[i], key)) ++i;
    if (!key || !known[i])
      smla_sandbox_report_file(c->L, c->space->file, "%s has an unknown field '%s'", c->where,
                               key ? key : "(not a name)");
  }
}

static int value_text_is_plain(const char *text, size_t length) {
  if (!length || length > SMLA_SPACE_MAX_VALUE_TEXT) return 0;
  for (size_t i = 0; i < length; ++i)
    if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= 'A' && text[i] <= 'Z') &&
        !(text[i] >= '0' && text[i] <= '9') && text[i] != '_' && text[i] != '.' && text[i] != '-')
      return 0;
  return 1;
}

/* The canonical text of the value on the top, which is popped; NULL with a report if it cannot be one. */
static const char *axis_value(const checked *c, smla_axis *axis, size_t position) {
  lua_State *L = c->L;
  const char *text = NULL;
  size_t length = 0;
  int is_integer = lua_isinteger(L, -1);
  if (is_integer || lua_type(L, -1) == LUA_TSTRING) text = lua_tolstring(L, -1, &length);
  if (!text || !value_text_is_plain(text, length)) {
    smla_sandbox_report_file(L, c->space->file,
                             "%s: values[%zu] must be an integer or a text of 1..%d characters out of "
                             "A-Z a-z 0-9 _ . -",
                             c->where, position, SMLA_SPACE_MAX_VALUE_TEXT);
    text = NULL;
  } else if (axis->value_count && is_integer != axis->is_integer) {
    smla_sandbox_report_file(L, c->space->file, "%s: values are all integers or all texts, not both", c->where);
    text = NULL;
  } else if (smla_axis_value(axis, text, length) >= 0) {
    smla_sandbox_report_file(L, c->space->file, "%s: the value '%s' stands twice", c->where, text);
    text = NULL;
  } else {
    axis->is_integer = is_integer;
    lua_pushvalue(L, -1);
    luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_pop(L, 1);
  return text;
}

/* A boolean that may be missing; `fallback` then. */
static int flag_field(const checked *c, const char *name, int fallback) {
  lua_getfield(c->L, c->index, name);
  if (!lua_isnil(c->L, -1) && !lua_isboolean(c->L, -1))
    smla_sandbox_report_file(c->L, c->space->file, "%s.%s must be true or false, it is %s", c->where, name,
                             luaL_typename(c->L, -1));
  int value = lua_isboolean(c->L, -1) ? lua_toboolean(c->L, -1) : fallback;
  lua_pop(c->L, 1);
  return value;
}

/* Checks one axis, the table on the top. */
static void check_axis(lua_State *L, smla_space *space, size_t number) {
  static const char *const known[] = {"name", "values", "default", "about", "searched", "quiet", NULL};
  smla_axis *axis = space->axes + space->axis_count;
  checked c = {.L = L, .space = space, .index = lua_gettop(L)};
  snprintf(c.where, sizeof c.where, "axes[%zu]", number);
  axis->name = text_field(&c, "name");
  if (*axis->name) {
    if (!smla_name_is_plain(axis->name) || smla_space_name_is_taken(axis->name))
      smla_sandbox_report_file(L, space->file,
                               "%s: '%s' cannot be an axis name: a-z 0-9 _ up to %d characters, no word of "
                               "Lua or of templates",
                               c.where, axis->name, SMLA_NAME_MAX);
    if (smla_space_axis(space, axis->name, strlen(axis->name)))
      smla_sandbox_report_file(L, space->file, "%s: a second axis '%s'", c.where, axis->name);
    snprintf(c.where, sizeof c.where, "axis '%.50s'", axis->name);
  }
  only_fields(&c, known);
  axis->about = text_field(&c, "about");
  axis->is_unsearched = !flag_field(&c, "searched", 1);
  axis->is_quiet = flag_field(&c, "quiet", 0);
  if (field(&c, "values", LUA_TTABLE, "a list")) {
    size_t count = lua_rawlen(L, -1);
    if (!count || count > SMLA_SPACE_MAX_VALUES)
      smla_sandbox_report_file(L, space->file, "%s: 1..%d values, not %zu", c.where, SMLA_SPACE_MAX_VALUES, count);
    for (size_t i = 1; i <= count && axis->value_count < SMLA_SPACE_MAX_VALUES; ++i) {
      lua_rawgeti(L, -1, (lua_Integer)i);
      const char *text = axis_value(&c, axis, i);
      if (text) axis->values[axis->value_count++] = text;
    }
  }
  lua_pop(L, 1);
  axis->default_rule = LUA_NOREF;
  if (lua_getfield(L, c.index, "default") == LUA_TFUNCTION) {
    if (axis->is_quiet)
      smla_sandbox_report_file(L, space->file, "%s: a quiet axis has a plain default: what a text without it means",
                               c.where);
    axis->default_rule = luaL_ref(L, LUA_REGISTRYINDEX);
    if (axis->value_count) axis->default_index = smla_axis_rule_default(L, space, axis, NULL, 0);
    ++space->axis_count;
    return;
  }
  size_t length = 0;
  int same_type = axis->is_integer ? lua_isinteger(L, -1) : lua_type(L, -1) == LUA_TSTRING;
  const char *text = same_type ? lua_tolstring(L, -1, &length) : NULL;
  long chosen = text ? smla_axis_value(axis, text, length) : -1;
  if (chosen < 0) smla_sandbox_report_file(L, space->file, "%s: default must be one of its values", c.where);
  axis->default_index = chosen < 0 ? 0 : (size_t)chosen;
  lua_pop(L, 1);
  ++space->axis_count;
}

static void check_rule(lua_State *L, smla_space *space, size_t number) {
  static const char *const known[] = {"name", "reason", "legal", NULL};
  checked c = {.L = L, .space = space, .index = lua_gettop(L)};
  snprintf(c.where, sizeof c.where, "rules[%zu]", number);
  const char *name = text_field(&c, "name");
  if (*name) {
    if (!smla_name_is_plain(name))
      smla_sandbox_report_file(L, space->file, "%s: '%s' is no name: a-z 0-9 _ up to %d characters", c.where, name,
                               SMLA_NAME_MAX);
    snprintf(c.where, sizeof c.where, "rule '%.50s'", name);
  }
  only_fields(&c, known);
  lua_getfield(L, c.index, "reason");
  if (lua_type(L, -1) != LUA_TSTRING && !lua_isfunction(L, -1))
    smla_sandbox_report_file(L, space->file, "%s: reason must be a text or a function(v, d) that returns one", c.where);
  lua_pop(L, 1);
  field(&c, "legal", LUA_TFUNCTION, "a function(v, d)");
  lua_pop(L, 1);
}

/* The list `name` of the space: calls `check` with each element on the top; the list is left on the stack. */
static size_t check_list(const checked *c, const char *name, size_t most,
                         void (*check)(lua_State *, smla_space *, size_t)) {
  size_t count = field(c, name, LUA_TTABLE, "a list") ? lua_rawlen(c->L, -1) : 0;
  if (count > most) smla_sandbox_report_file(c->L, c->space->file, "at most %zu %s, not %zu", most, name, count);
  for (size_t i = 1; i <= count && i <= most; ++i) {
    lua_rawgeti(c->L, -1, (lua_Integer)i);
    if (lua_istable(c->L, -1))
      check(c->L, c->space, i);
    else
      smla_sandbox_report_file(c->L, c->space->file, "%s[%zu] must be a table", name, i);
    lua_pop(c->L, 1);
  }
  return count;
}

static int is_symbol(const char *name) {
  size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  return length && !name[length] && length <= 127 && !(name[0] >= '0' && name[0] <= '9');
}

void smla_space_check(lua_State *L, smla_space *space) {
  static const char *const known[] = {"family", "entry", "about", "axes", "rules", "derived", NULL};
  if (!lua_istable(L, -1)) {
    smla_sandbox_report_file(L, space->file, "the file must return a table that describes the space");
    smla_sandbox_stop_on_errors(L);
  }
  checked c = {.L = L, .space = space, .index = lua_gettop(L), .where = "space"};
  only_fields(&c, known);
  const char *family = text_field(&c, "family");
  if (*family && strcmp(family, space->family))
    smla_sandbox_report_file(L, space->file, "space.family is '%s', its folder is '%s': they must be the same", family,
                             space->family);
  space->entry = text_field(&c, "entry");
  if (*space->entry && !is_symbol(space->entry))
    smla_sandbox_report_file(L, space->file, "space.entry '%s' must be a C identifier", space->entry);
  space->about = text_field(&c, "about");
  check_list(&c, "axes", SMLA_SPACE_MAX_AXES, check_axis);
  lua_pop(L, 1);
  space->rule_count = check_list(&c, "rules", SMLA_SPACE_MAX_RULES, check_rule);
  lua_setfield(L, LUA_REGISTRYINDEX, "rules");
  field(&c, "derived", LUA_TFUNCTION, "a function(v)");
  lua_setfield(L, LUA_REGISTRYINDEX, "derived");
  smla_sandbox_stop_on_errors(L);
  lua_remove(L, c.index);
}
