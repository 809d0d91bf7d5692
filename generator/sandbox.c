#include "sandbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "status.h"

smla_sandbox *smla_sandbox_of(lua_State *L) { return *(smla_sandbox **)lua_getextraspace(L); }

int smla_sandbox_raise(lua_State *L, snapmla_status status) {
  smla_sandbox_of(L)->status = status;
  lua_pushnil(L);
  return lua_error(L);
}

void smla_sandbox_check(lua_State *L, snapmla_status status) {
  if (status) smla_sandbox_raise(L, status);
}

void smla_sandbox_stop_on_errors(lua_State *L) {
  if (smla_sandbox_of(L)->error_count) smla_sandbox_raise(L, SNAPMLA_TEMPLATE);
}

/* --- collected errors ------------------------------------------------------------------------------------------- */

static void append(smla_sandbox *sandbox, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What does not fit is cut. */
static void append(smla_sandbox *sandbox, const char *format, ...) {
  size_t room = sizeof sandbox->errors - sandbox->errors_length;
  char *text = sandbox->errors + sandbox->errors_length;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, room, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  size_t written = (size_t)length < room ? (size_t)length : room - 1;
  for (size_t i = 0; i < written; ++i) /* one error is one line */
    if ((unsigned char)text[i] < 0x20 && text[i] != '\n') text[i] = ' ';
  sandbox->errors_length += written;
}

static const char *path_of(const smla_sandbox *sandbox, long file) {
  return file >= 0 ? sandbox->store->files[file].path : "template";
}

static void report(smla_sandbox *sandbox, smla_position position, const char *message) {
  char line[sizeof sandbox->message];
  snprintf(line, sizeof line, "%s", message);
  for (char *p = line; *p; ++p)
    if (*p == '\n') *p = ' ';
  append(sandbox, "%s%s:", sandbox->error_count ? "\n" : "", path_of(sandbox, position.file));
  if (position.line > 0) append(sandbox, "%d:", position.line);
  append(sandbox, " %s", line);
  for (int i = sandbox->include_depth - 1; i > 0; --i)
    append(sandbox, "%s%s:%d%s", i == sandbox->include_depth - 1 ? " (included from " : ", from ",
           path_of(sandbox, sandbox->includes[i - 1].file), sandbox->includes[i].line, i == 1 ? ")" : "");
  ++sandbox->error_count;
}

void smla_sandbox_report(lua_State *L, smla_position position, const char *message) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  report(sandbox, position, message);
  if (sandbox->error_count < SMLA_SANDBOX_MAX_ERRORS) return;
  append(sandbox, "\n%s: %d errors: the rest is not shown", path_of(sandbox, position.file), SMLA_SANDBOX_MAX_ERRORS);
  smla_sandbox_raise(L, SNAPMLA_TEMPLATE);
}

void smla_sandbox_report_file(lua_State *L, long file, const char *format, ...) {
  char message[sizeof((smla_sandbox *)0)->message];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  smla_sandbox_report(L, (smla_position){file, 0}, message);
}

/* --- running ---------------------------------------------------------------------------------------------------- */

/* After a failed protected call: the error as the handler left it, or the run's status. */
static void take_error(smla_sandbox *sandbox, int code) {
  if (sandbox->status) return;
  if (code == LUA_ERRMEM) {
    smla_sandbox_out_of_memory(sandbox);
    if (sandbox->status) return;
    report(sandbox, sandbox->failed, sandbox->message);
    sandbox->status = SNAPMLA_TEMPLATE;
    return;
  }
  if (code == LUA_ERRERR) {
    sandbox->failed = sandbox->position;
    snprintf(sandbox->message, sizeof sandbox->message,
             "an error within the handling of an error (recursion too deep?)");
  }
}

void smla_sandbox_memory_failed(lua_State *L) {
  take_error(smla_sandbox_of(L), LUA_ERRMEM);
  lua_error(L);
}

int smla_sandbox_call(lua_State *L, int arguments, int results) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  int handler = lua_gettop(L) - arguments;
  lua_pushcfunction(L, smla_sandbox_handler);
  lua_insert(L, handler);
  int code = lua_pcall(L, arguments, results, handler);
  if (code == LUA_OK) {
    lua_remove(L, handler);
    return 1;
  }
  take_error(sandbox, code);
  if (sandbox->status) lua_error(L);
  lua_settop(L, handler - 1);
  smla_sandbox_report(L, sandbox->failed, sandbox->message);
  return 0;
}

int smla_sandbox_load(lua_State *L, long file, const char *text, size_t length) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  char name[32];
  snprintf(name, sizeof name, "=t%ld", file);
  sandbox->position = (smla_position){file, 0};
  int code = luaL_loadbufferx(L, text, length, name, "t");
  if (code == LUA_OK) return 1;
  if (code == LUA_ERRMEM) smla_sandbox_memory_failed(L);
  lua_pushcfunction(L, smla_sandbox_handler);
  lua_insert(L, -2);
  lua_call(L, 1, 0);
  if (sandbox->failed.file < 0) sandbox->failed.file = file;
  smla_sandbox_report(L, sandbox->failed, sandbox->message);
  return 0;
}

static int append_chunk(lua_State *L, const void *bytes, size_t length, void *chunk) {
  (void)L;
  return smla_buffer_append(chunk, bytes, length) != SNAPMLA_OK;
}

int smla_sandbox_load_file(lua_State *L, long file) {
  const smla_store *store = smla_sandbox_of(L)->store;
  char key[SMLA_HASH_HEX] = "", name[32];
  smla_buffer chunk = {0};
  snprintf(key, sizeof key, "%ld", file);
  snprintf(name, sizeof name, "=t%ld", file);
  smla_sandbox_of(L)->position = (smla_position){file, 0};
  if (store->chunks && smla_memo_get(store->chunks, key, &chunk)) {
    int code = luaL_loadbufferx(L, chunk.data, chunk.length, name, "b");
    smla_buffer_free(&chunk);
    if (code == LUA_OK) return 1;
    smla_sandbox_memory_failed(L); /* what was dumped here is well-formed: only memory can be short */
  }
  smla_buffer_free(&chunk);
  if (!smla_sandbox_load(L, file, store->files[file].text, store->files[file].length)) return 0;
  if (store->chunks && !lua_dump(L, append_chunk, &chunk, 0)) smla_memo_put(store->chunks, key, &chunk);
  smla_buffer_free(&chunk);
  return 1;
}

void smla_sandbox_check_reach(lua_State *L, const char *call, const char *path) {
  const smla_sandbox *sandbox = smla_sandbox_of(L);
  if (smla_store_may_read(sandbox->store, sandbox->family, path)) return;
  luaL_error(
      L,
      "%s: '%s' is in another family's folder, which that family alone reads: move what families share into one that "
      "is no family's, like common/",
      call, path);
}

snapmla_status smla_sandbox_run(smla_sandbox *sandbox, lua_CFunction body, void *argument) {
  lua_State *L = sandbox->lua;
  lua_settop(L, 0);
  lua_pushcfunction(L, smla_sandbox_handler);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, argument);
  int code = lua_pcall(L, 1, 0, 1);
  lua_settop(L, 0);
  if (code != LUA_OK) {
    take_error(sandbox, code);
    if (!sandbox->status) {
      report(sandbox, sandbox->failed, sandbox->message);
      sandbox->status = SNAPMLA_TEMPLATE;
    }
  }
  if (!sandbox->status && sandbox->error_count) sandbox->status = SNAPMLA_TEMPLATE;
  if (sandbox->status == SNAPMLA_TEMPLATE && sandbox->error_count) smla_fail(SNAPMLA_TEMPLATE, "%s", sandbox->errors);
  return sandbox->status;
}

static int push_library(lua_State *L) {
  smla_library_push(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "library");
  return 0;
}

snapmla_status smla_sandbox_open(smla_sandbox *sandbox, const smla_store *store) {
  *sandbox = (smla_sandbox){.store = store, .position = {-1, 0}, .failed = {-1, 0}};
  /* Numbers, the order of texts and character classes must not depend on the caller's locale. */
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (!plain) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the C locale");
  sandbox->caller_locale = uselocale(plain);
  sandbox->lua = lua_newstate(smla_sandbox_allocate, sandbox);
  if (!sandbox->lua) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a Lua state");
  *(smla_sandbox **)lua_getextraspace(sandbox->lua) = sandbox;
  snapmla_status status = smla_sandbox_run(sandbox, push_library, NULL);
  lua_sethook(sandbox->lua, smla_sandbox_hook, LUA_MASKCOUNT | LUA_MASKLINE, SMLA_SANDBOX_TICK);
  return status;
}

void smla_sandbox_close(smla_sandbox *sandbox) {
  if (sandbox->lua) lua_close(sandbox->lua);
  if (sandbox->caller_locale) {
    locale_t plain = uselocale(sandbox->caller_locale);
    freelocale(plain);
  }
  *sandbox = (smla_sandbox){0};
}

/* --- sealed tables ---------------------------------------------------------------------------------------------- */

static const char *name_of(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "?";
}

/* Upvalues: the table behind the view; what its names are. */
static int sealed_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_gettable(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  return luaL_error(L, "undefined %s '%s'", lua_tostring(L, lua_upvalueindex(2)), name_of(L, 2));
}

static int sealed_newindex(lua_State *L) {
  return luaL_error(L, "'%s' cannot be assigned: names are fixed, use local", name_of(L, 2));
}

void smla_sandbox_seal(lua_State *L, const char *what) {
  lua_newtable(L); /* view */
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, -3);
  lua_pushstring(L, what);
  lua_pushcclosure(L, sealed_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, sealed_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}
