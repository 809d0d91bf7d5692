/* Table functions with a settled order: sorted_pairs, and a sort that is stable and the same in every run (the standard
 * one may draw its pivots from the clock). */
#include <lauxlib.h>

#include "sandbox.h"

enum { MOVE_MAX = 1 << 20 };

/* Is list[right] before list[left]? Both at their stack indices. */
static int before(lua_State *L, int right, int left, int comparator) {
  if (!comparator) return lua_compare(L, right, left, LUA_OPLT);
  lua_pushvalue(L, comparator);
  lua_pushvalue(L, right < 0 ? right - 1 : right);
  lua_pushvalue(L, left < 0 ? left - 2 : left);
  lua_call(L, 2, 1);
  int result = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return result;
}

/* Merges from[low, middle) and from[middle, high) into `to`; both are stack indices of tables. */
static void merge(lua_State *L, int from, int to, lua_Integer low, lua_Integer middle, lua_Integer high,
                  int comparator) {
  lua_Integer left = low, right = middle;
  for (lua_Integer k = low; k < high; ++k) {
    int take_right = left >= middle;
    if (!take_right && right < high) {
      lua_rawgeti(L, from, left);
      lua_rawgeti(L, from, right);
      take_right = before(L, -1, -2, comparator);
      lua_pop(L, 2);
    }
    lua_rawgeti(L, from, take_right ? right++ : left++);
    lua_rawseti(L, to, k);
  }
}

/* Sorts list[1..count], the table at stack index `list`. */
static void sort(lua_State *L, int list, lua_Integer count, int comparator) {
  luaL_checkstack(L, 12, "sort");
  lua_newtable(L);
  int from = list, to = lua_gettop(L);
  for (lua_Integer width = 1; width < count; width *= 2) {
    for (lua_Integer low = 1; low <= count; low += 2 * width) {
      lua_Integer middle = low + width <= count ? low + width : count + 1;
      lua_Integer high = low + 2 * width <= count ? low + 2 * width : count + 1;
      merge(L, from, to, low, middle, high, comparator);
    }
    int swap = from;
    from = to;
    to = swap;
  }
  if (from != list)
    for (lua_Integer i = 1; i <= count; ++i) {
      lua_rawgeti(L, from, i);
      lua_rawseti(L, list, i);
    }
  lua_remove(L, from == list ? to : from);
}

static int table_sort(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int comparator = 0;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    comparator = 2;
  }
  lua_settop(L, 2);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  smla_sandbox_of(L)->steps += (uint64_t)count * 8;
  sort(L, 1, count, comparator);
  return 0;
}

/* Upvalues: the table, its keys in order, the position. */
static int next_sorted(lua_State *L) {
  lua_Integer position = lua_tointeger(L, lua_upvalueindex(3)) + 1;
  lua_pushinteger(L, position);
  lua_replace(L, lua_upvalueindex(3));
  if (lua_rawgeti(L, lua_upvalueindex(2), position) == LUA_TNIL) return 1;
  lua_pushvalue(L, -1);
  lua_rawget(L, lua_upvalueindex(1));
  return 2;
}

/* Numbers before texts. */
static int key_before(lua_State *L) {
  int left_is_text = lua_type(L, 1) == LUA_TSTRING, right_is_text = lua_type(L, 2) == LUA_TSTRING;
  lua_pushboolean(L, left_is_text != right_is_text ? right_is_text : lua_compare(L, 1, 2, LUA_OPLT));
  return 1;
}

int smla_library_sorted_pairs(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushcfunction(L, key_before);
  lua_newtable(L);
  lua_Integer count = 0;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    int type = lua_type(L, -2);
    if (type != LUA_TSTRING && type != LUA_TNUMBER)
      return luaL_error(L, "sorted_pairs: a %s as a key has no order", lua_typename(L, type));
    lua_pushvalue(L, -2);
    lua_rawseti(L, 3, ++count);
  }
  smla_sandbox_of(L)->steps += (uint64_t)count * 8;
  sort(L, 3, count, 2);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_sorted, 3);
  return 1;
}

static int bounded_move(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
  luaL_argcheck(L, last < first || (uint64_t)last - (uint64_t)first < MOVE_MAX, 3, "too many elements");
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void smla_library_tame_table(lua_State *L) {
  lua_pushcfunction(L, table_sort);
  lua_setfield(L, -2, "sort");
  lua_getfield(L, -1, "move");
  lua_pushcclosure(L, bounded_move, 1);
  lua_setfield(L, -2, "move");
}
