#include "status.h"

#include <stdio.h>

static _Thread_local char reason[4096];

snapmla_status smla_fail(snapmla_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
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
