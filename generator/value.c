/* How a Lua value is written into generated text. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "sandbox.h"

/* The shortest text that reads back as the same double. */
static size_t number_text(double value, char *text, size_t capacity) {
  int length = 0;
  for (int digits = 15; digits <= 17; ++digits) {
    length = snprintf(text, capacity, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  return (size_t)length;
}

int smla_value_text(lua_State *L, int index, char *text, size_t capacity, const char **out, size_t *length,
                    const char **problem) {
  int is_integer;
  lua_Integer integer;
  *out = text;
  switch (lua_type(L, index)) {
  case LUA_TSTRING: *out = lua_tolstring(L, index, length); return 1;
  case LUA_TBOOLEAN:
    *length = (size_t)snprintf(text, capacity, "%s", lua_toboolean(L, index) ? "true" : "false");
    return 1;
  case LUA_TNUMBER:
    integer = lua_tointegerx(L, index, &is_integer);
    if (is_integer) {
      *length = (size_t)snprintf(text, capacity, "%" PRId64, (int64_t)integer);
    } else if (!isfinite(lua_tonumber(L, index))) {
      *problem = "the number is not finite";
      return 0;
    } else {
      *length = number_text(lua_tonumber(L, index), text, capacity);
    }
    return 1;
  case LUA_TNIL: *problem = "the value is nil"; return 0;
  default: *problem = lua_pushfstring(L, "a %s has no text", luaL_typename(L, index)); return 0;
  }
}
