/* A Lua state that runs template scripts: bounded in steps and memory, without a way out.
 *
 * One per call and used by one thread. All work on the state is done inside smla_sandbox_run. A script cannot catch an
 * error; C code that must stop sets `status` (or calls smla_sandbox_raise) and throws. Script errors are collected, each
 * as one line "file:line: message". */
#ifndef SMLA_GENERATOR_SANDBOX_H
#define SMLA_GENERATOR_SANDBOX_H

#include <locale.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "buffer.h"
#include "store.h"

enum {
  SMLA_SANDBOX_MEMORY = 64 << 20, /* bytes a script may hold */
  SMLA_SANDBOX_STEPS = 10000000,  /* VM instructions; 16 allocated bytes count as one, so that huge texts end too */
  SMLA_SANDBOX_TICK = 100,        /* steps between two looks at the limits */
  SMLA_SANDBOX_MAX_CALLS = 10000, /* calls within each other: a runaway recursion is named before its memory is out */
  SMLA_SANDBOX_MAX_ERRORS = 20,
  SMLA_SANDBOX_MAX_INCLUDES = 32 /* files open within each other */
};

typedef struct smla_position {
  long file; /* index in the store, -1 for none */
  int line;  /* from 1; 0 for none */
} smla_position;

typedef struct smla_sandbox {
  const smla_store *store;
  const char *family; /* whose space was loaded; NULL before. Of the Lua state */
  lua_State *lua;
  locale_t caller_locale;
  size_t memory;          /* bytes held */
  uint64_t steps, ticks;  /* ticks: calls of the step hook */
  int starved;            /* the system refused memory at some time */
  snapmla_status status;  /* not OK: unwinding; every protected call passes it on */
  smla_position position; /* of the line being run, for errors that unwind before it can be asked for */
  smla_position failed;   /* of the error being reported, found by smla_sandbox_handler */
  char message[512];      /* of that error */
  char errors[3584];      /* the lines collected */
  size_t errors_length;
  int error_count;
  /* The files being expanded, outermost first; a frame's `line` is that of its include() in the frame before. */
  smla_position includes[SMLA_SANDBOX_MAX_INCLUDES];
  int include_depth;
} smla_sandbox;

/* Starts a state with the library of docs/templates.md in the registry field "library".
 * Must be closed even when it fails. Errors: OUT_OF_MEMORY. */
snapmla_status smla_sandbox_open(smla_sandbox *sandbox, const smla_store *store);
void smla_sandbox_close(smla_sandbox *sandbox);

/* Runs body(L) with `argument` as a light userdata at stack index 1.
 * Errors: what was raised; TEMPLATE with the collected lines; OUT_OF_MEMORY. */
snapmla_status smla_sandbox_run(smla_sandbox *sandbox, lua_CFunction body, void *argument);

smla_sandbox *smla_sandbox_of(lua_State *L);
/* Ends the run with `status`, whose reason smla_fail has set: return smla_sandbox_raise(L, smla_fail(...)). */
int smla_sandbox_raise(lua_State *L, snapmla_status status);
/* Passes on a failed call into util/; SNAPMLA_OK goes through. */
void smla_sandbox_check(lua_State *L, snapmla_status status);

/* Calls the function below `arguments` values on the stack, leaving `results`. A script error is collected, nothing is
 * left and 0 returned; what ends the whole run is thrown on. */
int smla_sandbox_call(lua_State *L, int arguments, int results);
/* Pushes the compiled chunk of store file `file`. On a syntax error: collects it, pushes nothing and returns 0. */
int smla_sandbox_load(lua_State *L, long file, const char *text, size_t length);

/* The same of the file's own text, which is compiled once for all states. */
int smla_sandbox_load_file(lua_State *L, long file);

/* Throws where the family at hand must not read the template file `path`; `call` is who asks: "include", "use". */
void smla_sandbox_check_reach(lua_State *L, const char *call, const char *path);

/* Adds "file:line: message (included from …)" to the collected lines; throws when there are too many. */
void smla_sandbox_report(lua_State *L, smla_position position, const char *message);
/* The same for a whole file. */
void smla_sandbox_report_file(lua_State *L, long file, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Ends the run if an error was collected. */
void smla_sandbox_stop_on_errors(lua_State *L);

/* Replaces the table on the top by a read-only view of it in which a missing name is an error:
 * "undefined <what> 'name'". */
void smla_sandbox_seal(lua_State *L, const char *what);

/* sandbox_limits.c: memory, steps and error positions. */
void *smla_sandbox_allocate(void *sandbox, void *block, size_t old_size, size_t new_size);
void smla_sandbox_hook(lua_State *L, lua_Debug *activation);
int smla_sandbox_handler(lua_State *L);
/* After LUA_ERRMEM from a call of the Lua API: ends the run. */
void smla_sandbox_memory_failed(lua_State *L);
/* Turns LUA_ERRMEM into the run's status. */
void smla_sandbox_out_of_memory(smla_sandbox *sandbox);

/* library.c: pushes a new table of the functions that scripts may use. */
void smla_library_push(lua_State *L);
/* library_string.c, library_table.c: change the standard table on the top. */
void smla_library_tame_string(lua_State *L);
void smla_library_tame_table(lua_State *L);
/* library_table.c */
int smla_library_sorted_pairs(lua_State *L);

/* value.c: appends the text of the value at `index` as ${} writes it; 0 and a message if it has none. */
int smla_value_text(lua_State *L, int index, char *text, size_t capacity, const char **out, size_t *length,
                    const char **problem);

#endif
