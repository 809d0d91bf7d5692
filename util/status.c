#include "status.h"

#include <stdio.h>
#include <string.h>

static _Thread_local char reason[4096];

snapmla_status smla_fail(snapmla_status status, const char *format, ...) {
  char text[sizeof reason]; /* the arguments may quote the reason before */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  memcpy(reason, text, strlen(text) + 1);
  return status;
}

const char *snapmla_error_message(void) { return reason; }

const char *snapmla_status_text(snapmla_status status) {
  switch (status) {
#define TEXT(name, value, text) \
  case SNAPMLA_##name: return text;
    SNAPMLA_STATUS_LIST(TEXT)
#undef TEXT
  }
  return "unknown status";
}
