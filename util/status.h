/* The thread-local reason of the last failure. Thread-safe. */
#ifndef SMLA_UTIL_STATUS_H
#define SMLA_UTIL_STATUS_H

#include <stdarg.h>

#include <snapmla/status.h>

/* Sets this thread's reason and returns `status`, so that a failure reads `return smla_fail(SNAPMLA_IO, "…", …);`.
 * The text names the thing, the rule and the remedy, and may quote snapmla_error_message(). Long texts are cut. */
snapmla_status smla_fail(snapmla_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
