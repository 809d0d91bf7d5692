/* Shared libraries opened at run time: one table of functions for each, filled or refused as a whole. */
#ifndef SMLA_LAUNCH_LIBRARY_H
#define SMLA_LAUNCH_LIBRARY_H

#include <stddef.h>

#include <snapmla/status.h>

#include "buffer.h"

/* A symbol and where its address goes. */
typedef struct smla_symbol {
  const char *name;
  void *slot; /* address of a function pointer */
} smla_symbol;

/* Fills every slot from `handle`. Error: NOT_FOUND, naming the first symbol that is missing; `what` names the
 * library. */
snapmla_status smla_library_bind(void *handle, const char *what, const smla_symbol *symbols, size_t count);

/* Appends the path of the library that holds `address`. Errors: NOT_FOUND, OUT_OF_MEMORY. */
snapmla_status smla_library_path(const void *address, smla_buffer *out);

/* Appends the ELF build-id (hex) of the loaded library that holds `address`; appends nothing where it has none. */
snapmla_status smla_library_build_id(const void *address, smla_buffer *out);

/* The same of a library that need not be loaded; appends nothing where the file cannot be read or is none. Error:
 * OUT_OF_MEMORY. */
snapmla_status smla_library_file_build_id(const char *path, smla_buffer *out);

#endif
