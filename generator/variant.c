/* The grammar of variant texts: family:axis=value,axis=value. No blanks; any order of axes, each at most once. */
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "space.h"
#include "status.h"

enum { SHOWN = 64 }; /* characters of a wrong text that a message quotes */

snapmla_status smla_variant_check_text(const char *text) {
  for (size_t i = 0; text[i]; ++i) {
    if (i >= SMLA_VARIANT_MAX_TEXT)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT, "a variant text has at most %d characters; this one begins '%.*s'",
                       SMLA_VARIANT_MAX_TEXT, SHOWN, text);
    unsigned char c = (unsigned char)text[i];
    if (c <= ' ' || c >= 127)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "variant text: character %zu is %s: write family:axis=value,axis=value without blanks", i + 1,
                       c == ' ' ? "a blank" : "not printable ASCII");
  }
  return SNAPMLA_OK;
}

snapmla_status smla_variant_family(const char *text, char family[SMLA_NAME_MAX + 1]) {
  snapmla_status status = smla_variant_check_text(text);
  if (status) return status;
  size_t length = strcspn(text, ":");
  char name[SMLA_NAME_MAX + 2];
  snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name), text);
  if (!smla_name_is_plain(name))
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "variant text '%.*s': it must begin with a family's name and a colon: family:axis=value,axis=value", SHOWN,
        text);
  memcpy(family, name, length + 1);
  return SNAPMLA_OK;
}

snapmla_status smla_variant_text(const smla_space *space, const smla_point *point, smla_buffer *out) {
  snapmla_status status = smla_buffer_append_text(out, space->family);
  char before = ':';
  for (size_t i = 0; i < space->axis_count && !status; ++i) {
    const smla_axis *axis = space->axes + i;
    if (axis->is_quiet && point->chosen[i] == axis->default_index) continue;
    status = smla_buffer_printf(out, "%c%s=%s", before, axis->name, axis->values[point->chosen[i]]);
    before = ',';
  }
  return status;
}

/* Appends the name of each axis, or each value of an axis, to a message. */
static void list_text(char *out, size_t capacity, const smla_space *space, const smla_axis *axis) {
  size_t count = axis ? axis->value_count : space->axis_count, used = 0;
  out[0] = 0;
  for (size_t i = 0; i < count && used < capacity; ++i)
    used += (size_t)snprintf(out + used, capacity - used, "%s%s", i ? ", " : "",
                             axis ? axis->values[i] : space->axes[i].name);
}

static void choose(lua_State *L, smla_space *space, smla_axis *axis, const char *value, size_t length,
                   smla_point *point) {
  long index = smla_axis_value(axis, value, length);
  if (index < 0) {
    char legal[2048];
    list_text(legal, sizeof legal, space, axis);
    smla_sandbox_raise(L, smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: '%.*s' is not a value of axis '%s'; legal: %s",
                                    space->family, (int)(length < SHOWN ? length : SHOWN), value, axis->name, legal));
  }
  point->chosen[axis - space->axes] = (size_t)index;
}

/* Pushes the settings by name: integers where they read as such, texts otherwise. */
static void push_settings(lua_State *L, const smla_setting *settings, size_t count) {
  lua_createtable(L, 0, (int)count);
  for (size_t i = 0; i < count; ++i) {
    if (!lua_stringtonumber(L, settings[i].value)) lua_pushstring(L, settings[i].value);
    lua_setfield(L, -2, settings[i].name);
  }
}

size_t smla_axis_rule_default(lua_State *L, const smla_space *space, const smla_axis *axis,
                              const smla_setting *settings, size_t setting_count) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, axis->default_rule);
  push_settings(L, settings, setting_count);
  if (!smla_sandbox_call(L, 1, 1)) smla_sandbox_stop_on_errors(L);
  int same_type = axis->is_integer ? lua_isinteger(L, -1) : lua_type(L, -1) == LUA_TSTRING;
  size_t length = 0;
  const char *text = same_type ? lua_tolstring(L, -1, &length) : NULL;
  long chosen = text ? smla_axis_value(axis, text, length) : -1;
  if (chosen < 0) {
    smla_sandbox_report_file(L, space->file, "axis '%s': default(settings) must return one of its values", axis->name);
    smla_sandbox_stop_on_errors(L);
  }
  lua_pop(L, 1);
  return (size_t)chosen;
}

static void check_settings(lua_State *L, const smla_space *space, const smla_setting *settings, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (!settings[i].name || !settings[i].value)
      smla_sandbox_raise(
          L, smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: setting %zu lacks its name or its value", space->family, i));
}

static void apply_settings(lua_State *L, smla_space *space, const smla_setting *settings, size_t count,
                           smla_point *point) {
  for (size_t i = 0; i < count; ++i) {
    smla_axis *axis = smla_space_axis(space, settings[i].name, strlen(settings[i].name));
    if (axis) choose(L, space, axis, settings[i].value, strlen(settings[i].value), point);
  }
}

/* One "axis=value" of `length` bytes. */
static void apply_pair(lua_State *L, smla_space *space, const char *pair, size_t length, unsigned char *seen,
                       smla_point *point) {
  int shown = (int)(length < SHOWN ? length : SHOWN);
  const char *equals = memchr(pair, '=', length);
  if (!equals || equals == pair || equals + 1 == pair + length)
    smla_sandbox_raise(L, smla_fail(SNAPMLA_INVALID_ARGUMENT, "variant of '%s': '%.*s' should read axis=value",
                                    space->family, shown, pair));
  size_t name_length = (size_t)(equals - pair);
  smla_axis *axis = smla_space_axis(space, pair, name_length);
  if (!axis) {
    char known[2048];
    list_text(known, sizeof known, space, NULL);
    smla_sandbox_raise(L, smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s has no axis '%.*s'; its axes: %s", space->family,
                                    (int)(name_length < SHOWN ? name_length : SHOWN), pair, *known ? known : "none"));
  }
  if (seen[axis - space->axes]++)
    smla_sandbox_raise(
        L, smla_fail(SNAPMLA_INVALID_ARGUMENT, "variant of '%s': axis '%s' stands twice", space->family, axis->name));
  choose(L, space, axis, equals + 1, length - name_length - 1, point);
}

void smla_variant_choose(lua_State *L, smla_space *space, const smla_setting *settings, size_t setting_count,
                         const char *text, smla_point *point) {
  check_settings(L, space, settings, setting_count);
  for (size_t i = 0; i < space->axis_count; ++i) {
    const smla_axis *axis = space->axes + i;
    point->chosen[i] = setting_count && axis->default_rule != LUA_NOREF
                           ? smla_axis_rule_default(L, space, axis, settings, setting_count)
                           : axis->default_index;
  }
  apply_settings(L, space, settings, setting_count, point);
  if (!text || !*text) return;

  char family[SMLA_NAME_MAX + 1];
  smla_sandbox_check(L, smla_variant_family(text, family));
  if (strcmp(family, space->family))
    smla_sandbox_raise(
        L, smla_fail(SNAPMLA_INVALID_ARGUMENT, "variant text '%.*s' is of the family '%s', wanted is one of '%s'",
                     SHOWN, text, family, space->family));
  text += strlen(family);
  if (!*text) return; /* the family alone: its defaults */
  unsigned char seen[SMLA_SPACE_MAX_AXES] = {0};
  do {
    ++text;
    size_t length = strcspn(text, ",");
    apply_pair(L, space, text, length, seen, point);
    text += length;
  } while (*text);
}
