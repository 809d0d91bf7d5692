/* Runs a program and collects what it says; no shell. */
#ifndef SMLA_RUNTIME_PROCESS_H
#define SMLA_RUNTIME_PROCESS_H

#include <snapmla/status.h>

#include "buffer.h"

/* Runs argv[0] (a path) with LC_ALL=C and standard input empty, appends its standard output and error to `output`, and
 * waits. *exit_code: as a shell has it, 128 + n for signal n, or -1 where the host program takes its children's exit
 * codes away. It may take `seconds`, and
 * is then killed with its group. Errors: IO (it cannot be started), COMPILE (it took too long), OUT_OF_MEMORY. Thread-safe. */
snapmla_status smla_process_run(const char *const argv[], double seconds, smla_buffer *output, int *exit_code);

#endif
