/* The functions that scripts may use: nothing that reads the world, whose result may vary, or that catches errors. */
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "sandbox.h"

enum { PAD_MAX = 1024 };

static int safe_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  if (lua_isnil(L, 1)) {
    lua_pushliteral(L, "nil");
    return 1;
  }
  char text[64];
  const char *out, *problem;
  size_t length;
  if (!smla_value_text(L, 1, text, sizeof text, &out, &length, &problem)) return luaL_error(L, "tostring: %s", problem);
  lua_pushlstring(L, out, length);
  return 1;
}

/* pad(value, width): its text and spaces up to `width` characters; a negative width puts the spaces first. */
static int pad(lua_State *L) {
  char number[64];
  const char *text, *problem;
  size_t length;
  luaL_checkany(L, 1);
  lua_Integer signed_width = luaL_checkinteger(L, 2);
  luaL_argcheck(L, signed_width >= -PAD_MAX && signed_width <= PAD_MAX, 2, "a width is -1024..1024");
  if (!smla_value_text(L, 1, number, sizeof number, &text, &length, &problem)) return luaL_error(L, "pad: %s", problem);
  size_t width = (size_t)(signed_width < 0 ? -signed_width : signed_width);
  size_t spaces = width > length ? width - length : 0;
  char blank[PAD_MAX];
  memset(blank, ' ', spaces);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  if (signed_width < 0) luaL_addlstring(&out, blank, spaces);
  luaL_addlstring(&out, text, length);
  if (signed_width >= 0) luaL_addlstring(&out, blank, spaces);
  luaL_pushresult(&out);
  return 1;
}

static void drop(lua_State *L, const char *name) {
  lua_pushnil(L);
  lua_setfield(L, -2, name);
}

void smla_library_push(lua_State *L) {
  static const char *const kept[] = {"ipairs", "select", "tonumber", "type", "assert", "error"};
  lua_newtable(L);
  luaL_requiref(L, "_G", luaopen_base, 0);
  for (size_t i = 0; i < sizeof kept / sizeof *kept; ++i) {
    lua_getfield(L, -1, kept[i]);
    lua_setfield(L, -3, kept[i]);
  }
  lua_pop(L, 1);

  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
  drop(L, "dump");
  smla_library_tame_string(L);
  lua_setfield(L, -2, "string");

  luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
  smla_library_tame_table(L);
  lua_setfield(L, -2, "table");

  luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
  drop(L, "random");
  drop(L, "randomseed");
  lua_setfield(L, -2, "math");

  lua_pushcfunction(L, safe_tostring);
  lua_setfield(L, -2, "tostring");
  lua_pushcfunction(L, pad);
  lua_setfield(L, -2, "pad");
  lua_pushcfunction(L, smla_library_sorted_pairs);
  lua_setfield(L, -2, "sorted_pairs");
}
