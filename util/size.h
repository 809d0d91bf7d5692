/* Size arithmetic that cannot wrap. Pure, thread-safe. */
#ifndef SMLA_UTIL_SIZE_H
#define SMLA_UTIL_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

/* *out = a + b or a * b. `what` names the thing whose size it is, for the message. `out` is untouched on failure.
 * Error: INVALID_ARGUMENT (the result does not fit). */
snapmla_status smla_size_add(const char *what, size_t a, size_t b, size_t *out);
snapmla_status smla_size_multiply(const char *what, size_t a, size_t b, size_t *out);

/* The same for counts and strides, which are signed; a negative operand is an error too. */
snapmla_status smla_count_add(const char *what, int64_t a, int64_t b, int64_t *out);
snapmla_status smla_count_multiply(const char *what, int64_t a, int64_t b, int64_t *out);

/* *out = the smallest multiple of `alignment` (a power of two) not below `size`. */
snapmla_status smla_size_align(const char *what, size_t size, size_t alignment, size_t *out);

#endif
