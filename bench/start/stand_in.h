/* A device in place of a driver: an H100 by what it says of itself, which takes kernels for one and loads and launches nothing.
 * What is timed on it is the library's own, with neither GPU nor emulator. */
#ifndef SMLA_BENCH_STAND_IN_H
#define SMLA_BENCH_STAND_IN_H

#include <snapmla/snapmla.h>

#define STAND_IN "stand-in"

/* Opens a context on it; memory is the emulator's. One at a time. Errors: as snapmla_context_create. */
snapmla_status stand_in_open(snapmla_context **out);
/* Ends a context, also one of another device. NULL is allowed. */
void stand_in_close(snapmla_context *context);

#endif
