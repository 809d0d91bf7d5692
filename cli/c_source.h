/* A pack as C source: arrays, and a table that names them. */
#ifndef SMLA_CLI_C_SOURCE_H
#define SMLA_CLI_C_SOURCE_H

#include <stddef.h>

#include <snapmla/pack.h>
#include <snapmla/status.h>

/* Writes `path`, which defines `const snapmla_pack_source NAME`: header and index are one part, each kernel another,
 * with its variant above it. `name` NULL: made of the file's. The same bytes for the same pack and name. Errors:
 * INVALID_ARGUMENT (no name of C), IO, OUT_OF_MEMORY. */
snapmla_status smla_c_source_write(const char *path, const char *name, const unsigned char *data, size_t bytes);

#endif
