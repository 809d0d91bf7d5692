#include "console.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static _Thread_local char reason[4096];
static enum { QUIET, OVERWRITE, LINES } progress_mode;
static int progress_shown;
static const char *program = "snapmla";

void smla_console_name(const char *name) { program = name; }

snapmla_status smla_console_fail(snapmla_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  return status;
}

const char *smla_console_reason(void) { return reason; }

smla_exit smla_console_exit_code(snapmla_status status) {
  switch (status) {
  case SNAPMLA_OK: return SMLA_EXIT_OK;
  case SNAPMLA_INVALID_ARGUMENT:
  case SNAPMLA_ILLEGAL_VARIANT:
  case SNAPMLA_UNSUPPORTED:
  case SNAPMLA_NOT_FOUND:
  case SNAPMLA_BAD_FORMAT: return SMLA_EXIT_USAGE;
  case SNAPMLA_NO_DEVICE:
  case SNAPMLA_NO_COMPILER: return SMLA_EXIT_MISSING;
  default: return SMLA_EXIT_FAILED;
  }
}

void smla_console_error(void) {
  smla_console_progress_end();
  fprintf(stderr, "%s: error: %s\n", program, reason[0] ? reason : "unknown");
}

void smla_console_note(const char *format, ...) {
  va_list arguments;
  smla_console_progress_end();
  fprintf(stderr, "%s: note: ", program);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

void smla_console_progress_enable(int always) {
  progress_mode = isatty(STDERR_FILENO) ? OVERWRITE : always ? LINES : QUIET;
}

void smla_console_progress(const char *format, ...) {
  if (progress_mode == QUIET) return;
  va_list arguments;
  va_start(arguments, format);
  if (progress_mode == OVERWRITE) fputs("\r\033[K", stderr);
  vfprintf(stderr, format, arguments);
  if (progress_mode == LINES) fputc('\n', stderr);
  va_end(arguments);
  fflush(stderr);
  progress_shown = 1;
}

void smla_console_progress_end(void) {
  if (progress_mode == OVERWRITE && progress_shown) fputs("\r\033[K", stderr);
  progress_shown = 0;
}
