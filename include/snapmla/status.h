/* Status codes and the reason for the last failure.
 *
 * Every fallible call returns a snapmla_status. When it is not SNAPMLA_OK, snapmla_error_message() gives one line
 * that names the thing, the rule it breaks and the remedy. The line belongs to the calling thread and is valid until
 * that thread's next failing call. */
#ifndef SNAPMLA_STATUS_H
#define SNAPMLA_STATUS_H

#include <snapmla/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(identifier, value, text): the one list of codes and texts. */
#define SNAPMLA_STATUS_LIST(X)                                    \
  X(OK, 0, "ok")                                                  \
  X(INVALID_ARGUMENT, 1, "invalid argument")                      \
  X(ILLEGAL_VARIANT, 2, "illegal variant")                        \
  X(UNSUPPORTED, 3, "unsupported")                                \
  X(NOT_FOUND, 4, "not found")                                    \
  X(OUT_OF_MEMORY, 5, "out of memory")                            \
  X(IO, 6, "input or output failed")                              \
  X(BAD_FORMAT, 7, "malformed data")                              \
  X(TEMPLATE, 8, "template error")                                \
  X(COMPILE, 9, "compilation failed")                             \
  X(NO_DEVICE, 10, "device not available")                        \
  X(NO_COMPILER, 11, "compiler not available")                    \
  X(DEVICE, 12, "device error")                                   \
  X(EMULATOR_FAULT, 13, "the emulator found a fault in a kernel") \
  X(CANCELLED, 14, "cancelled")                                   \
  X(INTERNAL, 15, "internal error")

typedef enum snapmla_status {
#define SNAPMLA_STATUS_ENUM(name, value, text) SNAPMLA_##name = value,
  SNAPMLA_STATUS_LIST(SNAPMLA_STATUS_ENUM)
#undef SNAPMLA_STATUS_ENUM
} snapmla_status;

/* The short text of a code, never NULL. Thread-safe. */
SNAPMLA_API const char *snapmla_status_text(snapmla_status status);

/* The reason for this thread's last failure, "" if there was none. Thread-safe; owned by the library. */
SNAPMLA_API const char *snapmla_error_message(void);

#ifdef __cplusplus
}
#endif
#endif
