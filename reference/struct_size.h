/* The size field that opens every public struct: how a caller built against another version is recognised. */
#ifndef SMLA_REFERENCE_STRUCT_SIZE_H
#define SMLA_REFERENCE_STRUCT_SIZE_H

#include <stddef.h>

#include <snapmla/status.h>

/* Checks the struct at `object`, which says it has `given` bytes, against the `known` bytes of this version. A longer
 * struct is taken as long as what this version does not know is zero. `name` is the type, for the message.
 * Errors: INVALID_ARGUMENT (too small, absurd), UNSUPPORTED (nonzero fields beyond the known). Thread-safe. */
snapmla_status smla_struct_size_check(const char *name, const void *object, size_t given, size_t known);

#endif
