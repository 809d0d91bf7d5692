/* What bounds a script: the allocator, the step hook, and the handler that finds where an error happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "status.h"

void *smla_sandbox_allocate(void *user, void *block, size_t old_size, size_t new_size) {
  smla_sandbox *sandbox = user;
  size_t held = block ? old_size : 0; /* for a new block Lua passes its type as old_size */
  if (!new_size) {
    free(block);
    sandbox->memory -= held;
    return NULL;
  }
  if (new_size > held && new_size - held > SMLA_SANDBOX_MEMORY - sandbox->memory) return NULL;
  void *result = realloc(block, new_size);
  if (!result) {
    sandbox->starved = 1;
    return new_size <= held ? block : NULL; /* Lua relies on shrinking to work */
  }
  sandbox->memory += new_size - held;
  sandbox->steps += new_size / 16;
  return result;
}

void smla_sandbox_out_of_memory(smla_sandbox *sandbox) {
  if (sandbox->status) return;
  if (sandbox->starved) {
    sandbox->status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory while running template scripts");
    return;
  }
  sandbox->failed = sandbox->position;
  snprintf(sandbox->message, sizeof sandbox->message, "the script holds more than %d MiB of memory",
           SMLA_SANDBOX_MEMORY >> 20);
}

/* The store's index of a chunk named "=t<index>", else -1. */
static long file_of_chunk(const smla_sandbox *sandbox, const char *name) {
  if (name[0] != '=' || name[1] != 't' || name[2] < '0' || name[2] > '9') return -1;
  char *end;
  long file = strtol(name + 2, &end, 10); /* not sscanf: each line of a script comes here */
  if (*end) return -1;
  return file >= 0 && (size_t)file < sandbox->store->count ? file : -1;
}

static void note_position(smla_sandbox *sandbox, lua_State *L, lua_Debug *activation) {
  lua_getinfo(L, "Sl", activation);
  long file = file_of_chunk(sandbox, activation->source);
  if (file >= 0) sandbox->position = (smla_position){file, activation->currentline};
}

/* Ends the run at the line that is running. Once is enough: what unwinds may run a little further script, to the same end. */
static void stop(lua_State *L, lua_Debug *activation, const char *format, int limit) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  if (!sandbox->status) {
    char text[128];
    note_position(sandbox, L, activation);
    snprintf(text, sizeof text, format, limit);
    sandbox->status = SNAPMLA_TEMPLATE;
    smla_sandbox_report(L, sandbox->position, text);
  }
  lua_pushnil(L);
  lua_error(L);
}

void smla_sandbox_hook(lua_State *L, lua_Debug *activation) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  if (activation->event == LUA_HOOKLINE) {
    note_position(sandbox, L, activation);
    return;
  }
  sandbox->steps += SMLA_SANDBOX_TICK;
  if (sandbox->steps > SMLA_SANDBOX_STEPS)
    stop(L, activation, "the script ran for more than %d steps: does a loop not end?", SMLA_SANDBOX_STEPS);
  lua_Debug deepest;
  if (++sandbox->ticks % 64 == 0 && lua_getstack(L, SMLA_SANDBOX_MAX_CALLS, &deepest))
    stop(L, activation, "calls are more than %d deep: does a recursion not end?", SMLA_SANDBOX_MAX_CALLS);
}

/* Skips the "t<index>:<line>: " that Lua puts before a message, and tells the position in it. */
static const char *strip_position(const smla_sandbox *sandbox, const char *message, smla_position *position) {
  long file;
  int line, end = 0;
  if (sscanf(message, "t%ld:%d: %n", &file, &line, &end) != 2 || !end) return message;
  if (file < 0 || (size_t)file >= sandbox->store->count) return message;
  *position = (smla_position){file, line};
  return message + end;
}

int smla_sandbox_handler(lua_State *L) {
  smla_sandbox *sandbox = smla_sandbox_of(L);
  if (sandbox->status) return 1;
  char number[64];
  const char *message;
  sandbox->failed = (smla_position){-1, 0};
  switch (lua_type(L, 1)) {
  case LUA_TSTRING: message = strip_position(sandbox, lua_tostring(L, 1), &sandbox->failed); break;
  case LUA_TNUMBER:
    snprintf(number, sizeof number, "error(%.17g)", (double)lua_tonumber(L, 1));
    message = number;
    break;
  default:
    snprintf(number, sizeof number, "error() was called with a %s instead of a text", lua_typename(L, lua_type(L, 1)));
    message = number;
  }
  snprintf(sandbox->message, sizeof sandbox->message, "%s", message);
  lua_Debug activation;
  for (int level = 0; sandbox->failed.file < 0 && lua_getstack(L, level, &activation); ++level) {
    lua_getinfo(L, "Sl", &activation);
    long file = activation.currentline > 0 ? file_of_chunk(sandbox, activation.source) : -1;
    if (file >= 0) sandbox->failed = (smla_position){file, activation.currentline};
  }
  return 1;
}
