#include "enumerate_run.h"

#include <string.h>

#include <lauxlib.h>

#include "space.h"
#include "status.h"

/* Nonzero where the pairs of "family:axis=value,…" name `axis`. */
static int text_names(const char *text, const char *axis) {
  size_t length = strlen(axis);
  for (const char *pair = text ? strchr(text, ':') : NULL; pair && *pair; pair += strcspn(pair, ",")) {
    pair++;
    if (!strncmp(pair, axis, length) && pair[length] == '=') return 1;
  }
  return 0;
}

static int is_fixed(const smla_enumeration *e, const char *axis) {
  for (size_t i = 0; i < e->setting_count; i++)
    if (!strcmp(e->settings[i].name, axis)) return 1;
  return text_names(e->override_text, axis);
}

typedef struct evaluation {
  smla_enumeration *enumeration;
  smla_space *space;
  smla_point point;
  size_t count; /* of quantities */
} evaluation;

static void add_integers(lua_State *L, int index, evaluation *e) {
  index = lua_absindex(L, index);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (!lua_isinteger(L, -1)) continue;
    smla_quantity *quantity = e->enumeration->quantities + e->count++;
    const char *name = lua_tostring(L, -2);
    memcpy(quantity->name, name, strlen(name) + 1);
    quantity->value = lua_tointeger(L, -1);
  }
}

static int evaluate(lua_State *L) {
  evaluation *e = lua_touserdata(L, 1);
  smla_space_evaluate(L, e->space, &e->point);
  e->count = 0;
  add_integers(L, -1, e);
  add_integers(L, -2, e);
  return 0;
}

/* One point: visited, or refused, or the end of all. */
static void look_at(lua_State *L, evaluation *e) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  smla_enumeration *all = e->enumeration;
  int top = lua_gettop(L);
  sandbox->steps = 0; /* the limit is one variant's */
  lua_pushcfunction(L, evaluate);
  lua_pushlightuserdata(L, e);
  int code = lua_pcall(L, 1, 0, 0);
  lua_settop(L, top);
  if (code != LUA_OK && sandbox->status != SNAPMLA_ILLEGAL_VARIANT)
    smla_sandbox_raise(L, sandbox->status ? sandbox->status : SNAPMLA_TEMPLATE);
  sandbox->status = SNAPMLA_OK;
  all->text.length = 0;
  smla_sandbox_check(L, smla_variant_text(e->space, &e->point, &all->text));
  if (code == LUA_OK)
    smla_sandbox_check(L, all->visit(all->user, all->text.data, all->quantities, e->count));
  else if (all->refuse)
    smla_sandbox_check(L, all->refuse(all->user, all->text.data, snapmla_error_message()));
}

int smla_enumeration_run(lua_State *L) {
  smla_enumeration *all = lua_touserdata(L, 1);
  evaluation e = {.enumeration = all};
  e.space = smla_space_load(L, all->family);
  smla_variant_choose(L, e.space, all->settings, all->setting_count, all->override_text, &e.point);
  size_t free_axes[SMLA_SPACE_MAX_AXES], count = 0, points = 1;
  for (size_t i = 0; i < e.space->axis_count; i++) {
    if (e.space->axes[i].is_unsearched || is_fixed(all, e.space->axes[i].name)) continue;
    free_axes[count++] = i;
    e.point.chosen[i] = 0;
    points *= e.space->axes[i].value_count;
    if (points > SMLA_ENUMERATE_LIMIT)
      smla_sandbox_raise(L, smla_fail(SNAPMLA_TEMPLATE, "%s: its space has more than %d points; fix an axis",
                                      all->family, (int)SMLA_ENUMERATE_LIMIT));
  }
  for (size_t n = 0; n < points; n++) {
    size_t rest = n;
    for (size_t i = count; i-- > 0;) {
      size_t values = e.space->axes[free_axes[i]].value_count;
      e.point.chosen[free_axes[i]] = rest % values;
      rest /= values;
    }
    look_at(L, &e);
  }
  return 0;
}
