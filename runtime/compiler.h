/* Compilers: source text in, a loadable image and the full log out. One per target. */
#ifndef SMLA_RUNTIME_COMPILER_H
#define SMLA_RUNTIME_COMPILER_H

#include <stddef.h>

#include <snapmla/source.h>
#include <snapmla/status.h>

#include "buffer.h"

/* What a compilation gives. The log is filled on failure too; both are freed by the caller. */
typedef struct smla_compiled {
  smla_buffer image; /* a cubin, or a shared object */
  smla_buffer log;
} smla_compiled;

typedef struct smla_compiler {
  snapmla_target target;
  const char *name;             /* "sm_90a", "emulator" */
  const char *extension;        /* of the image in the store: "cubin", "so" */
  int line_directives_in_image; /* nonzero: #line directives change the image's bytes */
  const char *const *options;   /* ordered, free of paths; NULL-terminated */

  /* Appends what names the compiler itself, for keys: version and build, never a path. Error: NO_COMPILER. */
  snapmla_status (*identity)(smla_buffer *out);

  /* Appends what tells this compiler from any other, as far as that is known without loading it; once it is loaded, or where
   * files do not tell, as exact as identity. For recipes (recipe.h), never for keys. Error: NO_COMPILER. */
  snapmla_status (*fingerprint)(smla_buffer *out);

  /* `name` names the source in messages. Errors: NO_COMPILER, COMPILE (with the first line of the log that tells why),
   * IO, OUT_OF_MEMORY. Thread-safe. */
  snapmla_status (*compile)(const char *source, const char *name, smla_compiled *out);
} smla_compiler;

/* Static. NULL for an unknown target. */
const smla_compiler *smla_compiler_of(snapmla_target target);

extern const smla_compiler smla_compiler_sm90a;
extern const smla_compiler smla_compiler_host;

/* COMPILE with the log's first line that looks like an error, or a plain statement where none does. */
snapmla_status smla_compiler_failed(const char *compiler, const char *name, const char *log);

/* The host's C++ compiler: SNAPMLA_CXX, else the first of c++, g++ and clang++ in PATH; its path is appended.
 * Error: NO_COMPILER, with the remedy. Thread-safe. */
snapmla_status smla_compiler_find_host(smla_buffer *path);

#endif
