#include "expand.h"

#include <string.h>

#include <lauxlib.h>

#include "space.h"
#include "status.h"

static smla_expansion *expansion_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "expansion");
  smla_expansion *expansion = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return expansion;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void write_bytes(lua_State *L, smla_expansion *e, const char *text, size_t length) {
  if (length > SMLA_EXPAND_MAX_OUTPUT - e->text.length)
    luaL_error(L, "the expansion exceeds %d MiB", SMLA_EXPAND_MAX_OUTPUT >> 20);
  smla_sandbox_check(L, smla_buffer_append(&e->text, text, length));
  for (const char *p = text; (p = memchr(p, '\n', length - (size_t)(p - text))) != NULL; ++p) ++e->compiler.line;
}

/* A directive where the compiler's idea of the position is wrong. Within a continued line it would be no directive. */
static void synchronise(lua_State *L, smla_expansion *e, smla_position position) {
  size_t length = e->text.length;
  int continued = length >= 2 && e->text.data[length - 2] == '\\';
  if (!e->options.line_directives || continued) return;
  if (e->compiler.file == position.file && e->compiler.line == position.line) return;
  smla_sandbox_check(L, smla_buffer_printf(&e->text, "#line %d \"templates/%s\"\n", position.line,
                                           smla_sandbox_of(L)->store->files[position.file].path));
  e->compiler = position;
}

/* The expression whose function is on the top, which is popped. */
static void write_expression(lua_State *L, smla_expansion *e, smla_position position) {
  ++e->in_expression;
  int fine = smla_sandbox_call(L, 0, 1);
  --e->in_expression;
  if (!fine) return;
  char number[64];
  const char *text, *problem;
  size_t length;
  if (smla_value_text(L, -1, number, sizeof number, &text, &length, &problem))
    write_bytes(L, e, text, length);
  else
    smla_sandbox_report(L, position, lua_pushfstring(L, "${}: %s", problem));
}

/* __smla_line(line, function...): upvalue 1 is the store's index of the file. */
static int write_line(lua_State *L) {
  smla_expansion *e = expansion_of(L);
  smla_position position = {(long)lua_tointeger(L, lua_upvalueindex(1)), (int)luaL_checkinteger(L, 1)};
  const smla_template *t = e->templates + position.file;
  luaL_argcheck(L, position.line >= 1 && (size_t)position.line <= t->line_count, 1, "no such line");
  if (e->in_expression) return luaL_error(L, "a text line cannot be written from within ${}: call from a control line");
  smla_sandbox_of(L)->position = position;
  luaL_checkstack(L, 8, "text line");
  synchronise(L, e, position);
  smla_line line = t->lines[position.line - 1];
  int top = lua_gettop(L), argument = 2;
  for (size_t i = 0; i < line.piece_count; ++i) {
    smla_piece piece = t->pieces[line.first_piece + i];
    if (piece.is_expression) {
      luaL_checktype(L, argument, LUA_TFUNCTION);
      lua_pushvalue(L, argument++);
      write_expression(L, e, position);
      lua_settop(L, top);
    } else {
      write_bytes(L, e, smla_sandbox_of(L)->store->files[position.file].text + piece.offset, piece.length);
    }
  }
  write_bytes(L, e, "\n", 1);
  return 0;
}

/* --- including -------------------------------------------------------------------------------------------------- */

/* Runs file `file` with the names of the table on the top, which is popped. Errors in it are reported. */
static void run_file(lua_State *L, smla_expansion *e, long file) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  smla_template *t = e->templates + file;
  if (!t->parsed) smla_template_parse(L, file, t);
  int names = lua_gettop(L);
  if (!smla_sandbox_load(L, file, t->chunk.data ? t->chunk.data : "", t->chunk.length)) t->broken = 1;
  if (!t->broken) {
    lua_pushvalue(L, names);
    smla_sandbox_seal(L, "name");
    lua_pushliteral(L, SMLA_LINE_FUNCTION);
    lua_pushinteger(L, file);
    lua_pushcclosure(L, write_line, 1);
    lua_rawset(L, -3);
    lua_setupvalue(L, -2, 1);
    int depth = sandbox->include_depth;
    smla_sandbox_call(L, 0, 0);
    sandbox->include_depth = depth;
  }
  lua_settop(L, names - 1);
}

static void check_path(lua_State *L, const smla_sandbox *sandbox, const char *path, size_t length) {
  if (strlen(path) != length || !smla_path_is_plain(path))
    luaL_error(L,
               "include: '%s' must be a path below the templates folder: names of letters, digits and '._-' between "
               "single slashes, none beginning with a dot",
               path);
  long file = smla_store_find(sandbox->store, path);
  if (file < 0) luaL_error(L, "include: there is no template file '%s'", path);
  smla_sandbox_check_reach(L, "include", path);
  for (int i = 0; i < sandbox->include_depth; ++i)
    if (sandbox->includes[i].file == file) luaL_error(L, "include: '%s' includes itself", path);
  if (sandbox->include_depth == SMLA_SANDBOX_MAX_INCLUDES)
    luaL_error(L, "include: more than %d files within each other", SMLA_SANDBOX_MAX_INCLUDES);
}

/* The names of the file that calls, and those of table 2 in front of them. */
static void push_names(lua_State *L) {
  lua_newtable(L);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING || !smla_name_is_plain(lua_tostring(L, -2)))
        luaL_error(L, "include: the names given to a file are texts of a-z 0-9 _");
      if (smla_space_name_is_taken(lua_tostring(L, -2)))
        luaL_error(L, "include: '%s' means something else already", lua_tostring(L, -2));
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, 3);
    }
  }
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

static int include(lua_State *L);

/* Gives the names on the top an include() of their own, so that what is given to a file reaches what it includes. */
static void set_include(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, include, 1);
  lua_setfield(L, -2, "include");
}

/* include(path, names): upvalue 1 is the calling file's names. */
static int include(lua_State *L) {
  smla_expansion *e = expansion_of(L);
  smla_sandbox *sandbox = smla_sandbox_of(L);
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  lua_settop(L, 2);
  if (e->in_expression) return luaL_error(L, "include() belongs on a control line, not in ${}");
  check_path(L, sandbox, path, length);
  lua_Debug caller;
  int line = 0;
  if (lua_getstack(L, 1, &caller) && lua_getinfo(L, "l", &caller)) line = caller.currentline;
  push_names(L);
  set_include(L);
  long file = smla_store_find(sandbox->store, path);
  sandbox->includes[sandbox->include_depth++] = (smla_position){file, line};
  run_file(L, e, file);
  --sandbox->include_depth;
  return 0;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static void write_head(lua_State *L, smla_expansion *e, const char *variant, const char *root) {
  const char *target = e->options.emulator ? "emulator" : "sm90a";
  smla_sandbox_check(L, smla_buffer_printf(&e->text,
                                           "// Generated from templates/%s: do not edit.\n"
                                           "//   variant: %s\n"
                                           "//   command: snapmla gen --variant '%s' --target %s\n",
                                           root, variant, variant, target));
}

/* Pushes the names that every file of the expansion sees: the values and quantities on the top two places, which are
 * popped, the library, and the expansion's own. */
static void push_globals(lua_State *L, const smla_expansion *e, const smla_space *space, const char *variant) {
  int derived = lua_gettop(L), values = derived - 1;
  lua_getfield(L, LUA_REGISTRYINDEX, "library");
  for (int source = values; source <= derived; ++source)
    for (lua_pushnil(L); lua_next(L, source); lua_pop(L, 1)) {
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, derived + 1);
    }
  lua_pushstring(L, e->options.emulator ? "emulator" : "sm90a");
  lua_setfield(L, -2, "target");
  lua_pushstring(L, variant);
  lua_setfield(L, -2, "variant");
  lua_pushstring(L, space->family);
  lua_setfield(L, -2, "family");
  lua_pushstring(L, space->entry);
  lua_setfield(L, -2, "entry");
  set_include(L);
  lua_replace(L, values);
  lua_settop(L, values);
}

int smla_expansion_run(lua_State *L) {
  smla_expansion *e = lua_touserdata(L, 1);
  smla_sandbox *sandbox = smla_sandbox_of(L);
  lua_pushlightuserdata(L, e);
  lua_setfield(L, LUA_REGISTRYINDEX, "expansion");
  char family[SMLA_NAME_MAX + 1];
  smla_sandbox_check(L, smla_variant_family(e->variant, family));
  smla_space *space = smla_space_load(L, family);
  smla_point point;
  smla_variant_choose(L, space, NULL, 0, e->variant, &point);
  smla_space_evaluate(L, space, &point);

  /* The canonical text is made in the output, and cut from it: a buffer of its own would leak when an error is thrown. */
  smla_sandbox_check(L, smla_variant_text(space, &point, &e->text));
  const char *variant = lua_pushlstring(L, e->text.data, e->text.length);
  e->text.length = 0;
  luaL_ref(L, LUA_REGISTRYINDEX);
  const char *root = lua_pushfstring(L, "%s/%s.cu.tmpl", family, family);
  luaL_ref(L, LUA_REGISTRYINDEX);
  long file = smla_store_find(sandbox->store, root);
  if (file < 0)
    return smla_sandbox_raise(
        L, smla_fail(SNAPMLA_TEMPLATE, "%s: there is no such template file, which the family needs", root));
  write_head(L, e, variant, root);
  e->compiler = (smla_position){-1, 0};
  push_globals(L, e, space, variant);
  sandbox->includes[sandbox->include_depth++] = (smla_position){file, 0};
  run_file(L, e, file);
  return 0;
}
