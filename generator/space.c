#include "space.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "status.h"

smla_axis *smla_space_axis(smla_space *space, const char *name, size_t length) {
  for (size_t i = 0; i < space->axis_count; ++i)
    if (strlen(space->axes[i].name) == length && !memcmp(space->axes[i].name, name, length)) return space->axes + i;
  return NULL;
}

long smla_axis_value(const smla_axis *axis, const char *text, size_t length) {
  for (size_t i = 0; i < axis->value_count; ++i)
    if (strlen(axis->values[i]) == length && !memcmp(axis->values[i], text, length)) return (long)i;
  return -1;
}

/* Pushes the value that Lua file `file` returns, run with the names of a space. */
static void run_file(lua_State *L, long file);

/* use(path): what another Lua file returns, for facts that several spaces share. */
static int use(lua_State *L) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  long file = strlen(path) == length && smla_path_is_plain(path) ? smla_store_find(sandbox->store, path) : -1;
  if (file < 0) return luaL_error(L, "use: there is no template file '%s'", path);
  smla_sandbox_check_reach(L, "use", path);
  for (int i = 0; i < sandbox->include_depth; ++i)
    if (sandbox->includes[i].file == file) return luaL_error(L, "use: '%s' uses itself", path);
  if (sandbox->include_depth == SMLA_SANDBOX_MAX_INCLUDES)
    return luaL_error(L, "use: more than %d files within each other", SMLA_SANDBOX_MAX_INCLUDES);
  lua_Debug caller;
  int line = 0;
  if (lua_getstack(L, 1, &caller) && lua_getinfo(L, "l", &caller)) line = caller.currentline;
  sandbox->includes[sandbox->include_depth++] = (smla_position){file, line};
  run_file(L, file);
  sandbox->include_depth--;
  return 1;
}

static void run_file(lua_State *L, long file) {
  if (!smla_sandbox_load_file(L, file)) smla_sandbox_stop_on_errors(L);
  lua_createtable(L, 0, 1); /* use(), and the library behind it */
  lua_pushcfunction(L, use);
  lua_setfield(L, -2, "use");
  lua_createtable(L, 0, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, "library");
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  smla_sandbox_seal(L, "name");
  lua_setupvalue(L, -2, 1);
  if (!smla_sandbox_call(L, 0, 1)) smla_sandbox_stop_on_errors(L);
}

smla_space *smla_space_load(lua_State *L, const char *family) {
  const smla_store *store = smla_sandbox_of(L)->store;
  char path[SMLA_NAME_MAX + 16];
  snprintf(path, sizeof path, "%s/space.lua", family);
  long file = smla_store_find(store, path);
  if (file < 0) smla_sandbox_raise(L, smla_fail(SNAPMLA_INTERNAL, "'%s' is not among the template files", path));

  smla_space *space = lua_newuserdatauv(L, sizeof *space, 0);
  memset(space, 0, sizeof *space);
  luaL_ref(L, LUA_REGISTRYINDEX);
  space->file = file;
  space->family = lua_pushstring(L, family);
  luaL_ref(L, LUA_REGISTRYINDEX);
  smla_sandbox_of(L)->family = space->family;

  run_file(L, file);
  smla_space_check(L, space);
  return space;
}

/* --- one variant ------------------------------------------------------------------------------------------------ */

static void push_values(lua_State *L, const smla_space *space, const smla_point *point) {
  lua_createtable(L, 0, (int)space->axis_count);
  for (size_t i = 0; i < space->axis_count; ++i) {
    const smla_axis *axis = space->axes + i;
    const char *text = axis->values[point->chosen[i]];
    if (!axis->is_integer || !lua_stringtonumber(L, text)) lua_pushstring(L, text);
    lua_setfield(L, -2, axis->name);
  }
}

/* Moves the function's value at `from` (the top) into the table `to` under `name`, if a quantity may be so. */
static void take_quantity(lua_State *L, smla_space *space, const char *name, int to) {
  lua_Integer integer;
  int is_integer = 0;
  if (!smla_name_is_plain(name) || smla_space_name_is_taken(name) || smla_space_axis(space, name, strlen(name))) {
    smla_sandbox_report_file(L, space->file,
                             "derived: '%s' cannot name a quantity: a-z 0-9 _ up to %d characters, no axis, "
                             "no word of Lua or of templates",
                             name, SMLA_NAME_MAX);
    return;
  }
  if (lua_type(L, -1) == LUA_TNUMBER) {
    integer = lua_tointegerx(L, -1, &is_integer);
    if (is_integer) lua_pushinteger(L, integer);
  } else if (lua_isboolean(L, -1) || lua_type(L, -1) == LUA_TSTRING) {
    lua_pushvalue(L, -1);
    is_integer = 1;
  }
  if (!is_integer) {
    smla_sandbox_report_file(L, space->file, "derived: '%s' must be an integer, a boolean or a text", name);
    return;
  }
  lua_setfield(L, to, name);
}

/* Replaces what derived() returned, on the top, by a checked copy. `values` is the table of the axes' values. */
static void check_derived(lua_State *L, smla_space *space, int values) {
  static const char *const required[] = {"threads", "smem_bytes"}; /* what a launch needs */
  if (!lua_istable(L, -1)) {
    smla_sandbox_report_file(L, space->file, "derived must return a table of quantities by name");
    smla_sandbox_stop_on_errors(L);
  }
  int from = lua_gettop(L), to = from + 1;
  size_t count = 0;
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, from); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      smla_sandbox_report_file(L, space->file, "derived: every quantity has a name");
    else if (++count > SMLA_SPACE_MAX_DERIVED)
      smla_sandbox_report_file(L, space->file, "derived: more than %d quantities", SMLA_SPACE_MAX_DERIVED);
    else
      take_quantity(L, space, lua_tostring(L, -2), to);
  }
  for (size_t i = 0; i < sizeof required / sizeof *required; ++i) {
    if (lua_getfield(L, to, required[i]) == LUA_TNIL) lua_getfield(L, values, required[i]);
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0)
      smla_sandbox_report_file(L, space->file, "derived: '%s' must be there (or be an axis), an integer of at least 0",
                               required[i]);
    lua_settop(L, to);
  }
  smla_sandbox_stop_on_errors(L);
  lua_remove(L, from);
}

/* Asks the rule on the top; v and d are the sealed tables' stack indices. */
static void ask_rule(lua_State *L, const smla_space *space, const smla_point *point, int v, int d) {
  int rule = lua_gettop(L);
  lua_getfield(L, rule, "name");
  const char *name = lua_tostring(L, -1);
  lua_getfield(L, rule, "legal");
  lua_pushvalue(L, v);
  lua_pushvalue(L, d);
  if (!smla_sandbox_call(L, 2, 1)) smla_sandbox_stop_on_errors(L);
  if (!lua_isboolean(L, -1)) {
    smla_sandbox_report_file(L, space->file, "rule '%s': legal must return true or false, not %s", name,
                             luaL_typename(L, -1));
    smla_sandbox_stop_on_errors(L);
  }
  if (lua_toboolean(L, -1)) return;

  lua_getfield(L, rule, "reason");
  if (lua_isfunction(L, -1)) {
    lua_pushvalue(L, v);
    lua_pushvalue(L, d);
    if (!smla_sandbox_call(L, 2, 1)) smla_sandbox_stop_on_errors(L);
    if (lua_type(L, -1) != LUA_TSTRING) {
      smla_sandbox_report_file(L, space->file, "rule '%s': reason must return a text, not %s", name,
                               luaL_typename(L, -1));
      smla_sandbox_stop_on_errors(L);
    }
  }
  smla_buffer text = {0};
  snapmla_status status = smla_variant_text(space, point, &text);
  if (!status)
    status = smla_fail(SNAPMLA_ILLEGAL_VARIANT, "variant '%s' is refused by the rule '%s': %s", text.data, name,
                       lua_tostring(L, -1));
  smla_buffer_free(&text);
  smla_sandbox_raise(L, status);
}

void smla_space_evaluate(lua_State *L, smla_space *space, const smla_point *point) {
  luaL_checkstack(L, 20, "space");
  push_values(L, space, point);
  int values = lua_gettop(L), derived = values + 1, v = values + 2, d = values + 3;
  lua_pushnil(L); /* keeps the place of derived */
  lua_pushvalue(L, values);
  smla_sandbox_seal(L, "axis");

  lua_getfield(L, LUA_REGISTRYINDEX, "derived");
  lua_pushvalue(L, v);
  if (!smla_sandbox_call(L, 1, 1)) smla_sandbox_stop_on_errors(L);
  check_derived(L, space, values);
  lua_pushvalue(L, -1);
  lua_replace(L, derived);
  smla_sandbox_seal(L, "quantity");

  lua_getfield(L, LUA_REGISTRYINDEX, "rules");
  for (size_t i = 1; i <= space->rule_count; ++i) {
    lua_rawgeti(L, -1, (lua_Integer)i);
    ask_rule(L, space, point, v, d);
    lua_settop(L, d + 1);
  }
  lua_settop(L, derived);
}
