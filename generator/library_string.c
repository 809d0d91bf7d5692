/* The string functions whose cost or result the standard ones leave open: a pattern that backtracks for ever, an endless
 * rep of nothing, an address printed by format. The step hook cannot interrupt C code, so the bounds stand before it. */
#include <string.h>

#include <lauxlib.h>

#include "sandbox.h"

/* The work a pattern may be estimated to do, and how much of it counts as one step: estimates are far above the truth. */
enum { MATCH_WORK_MAX = 4000000, MATCH_WORK_PER_STEP = 64 };

/* The standard function stands in upvalue 1 and runs in this one's frame, so that errors name it. */
static int forward(lua_State *L) { return lua_tocfunction(L, lua_upvalueindex(1))(L); }

/* Each unbounded repetition may try every length, at every start. */
static double match_work(size_t subject, const char *pattern, size_t pattern_length) {
  double work = (double)subject + 1;
  for (size_t i = 0; i < pattern_length && work <= MATCH_WORK_MAX; ++i) {
    if (pattern[i] == '%') {
      ++i; /* what follows stands for itself or for a class; %bxy looks ahead once per start */
      if (i < pattern_length && pattern[i] == 'b') work *= (double)subject + 1;
    } else if (pattern[i] && strchr("*+-", pattern[i])) {
      work *= (double)subject + 1;
    } else if (pattern[i] == '?') {
      work *= 2;
    }
  }
  return work;
}

static int bounded_match(lua_State *L) {
  size_t subject, pattern_length;
  luaL_checklstring(L, 1, &subject);
  const char *pattern = luaL_checklstring(L, 2, &pattern_length);
  double work = match_work(subject, pattern, pattern_length);
  if (work > MATCH_WORK_MAX)
    return luaL_error(L,
                      "a pattern with so many repetitions is too slow on a text of %d characters: match less at a time",
                      (int)subject);
  smla_sandbox_of(L)->steps += (uint64_t)work / MATCH_WORK_PER_STEP;
  return forward(L);
}

static int bounded_rep(lua_State *L) {
  size_t length, separator = 0;
  luaL_checklstring(L, 1, &length);
  luaL_checkinteger(L, 2);
  luaL_optlstring(L, 3, "", &separator);
  if (length + separator == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  return forward(L);
}

static int plain_format(lua_State *L) {
  size_t length;
  const char *format = luaL_checklstring(L, 1, &length);
  for (size_t i = 0; i + 1 < length; ++i) {
    if (format[i] != '%') continue;
    ++i;
    while (i < length && strchr("-+ #0123456789.", format[i]) && format[i]) ++i;
    if (i < length && format[i] == 'p') return luaL_error(L, "string.format: %%p is not available");
  }
  for (int i = 2; i <= lua_gettop(L); ++i)
    if (lua_istable(L, i) || lua_isfunction(L, i)) return luaL_argerror(L, i, "tables and functions have no text");
  return forward(L);
}

static void wrap(lua_State *L, const char *name, lua_CFunction wrapper) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, wrapper, 1);
  lua_setfield(L, -2, name);
}

void smla_library_tame_string(lua_State *L) {
  static const char *const matching[] = {"find", "match", "gmatch", "gsub"};
  for (size_t i = 0; i < sizeof matching / sizeof *matching; ++i) wrap(L, matching[i], bounded_match);
  wrap(L, "rep", bounded_rep);
  wrap(L, "format", plain_format);
}
