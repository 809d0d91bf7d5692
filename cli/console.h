/* What the program says: results on stdout, everything else on stderr; the reason of a failure; exit codes. */
#ifndef SMLA_CLI_CONSOLE_H
#define SMLA_CLI_CONSOLE_H

#include <snapmla/status.h>

typedef enum smla_exit {
  SMLA_EXIT_OK = 0,
  SMLA_EXIT_FAILED = 1,  /* a check or a run failed */
  SMLA_EXIT_USAGE = 2,   /* the command line, or a file that it names, is wrong */
  SMLA_EXIT_MISSING = 3, /* no device, no compiler */
} smla_exit;

/* Sets the program's one-line reason and returns `status`. The library keeps a reason of its own: see
 * smla_library_failed. */
snapmla_status smla_console_fail(snapmla_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The last reason; the caller must not keep the pointer. */
const char *smla_console_reason(void);
/* The exit code that a status means. */
smla_exit smla_console_exit_code(snapmla_status status);

/* Who speaks; "snapmla" unless set. `name` must live as long as the program. */
void smla_console_name(const char *name);
/* Prints "snapmla: error: <reason>" to stderr. */
void smla_console_error(void);
/* One line "snapmla: note: …" to stderr. */
void smla_console_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Progress of long work: shown when stderr is a terminal (one line that overwrites itself) or on request (whole
 * lines). */
void smla_console_progress_enable(int always);
void smla_console_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Removes the line; before results are printed. */
void smla_console_progress_end(void);

#endif
