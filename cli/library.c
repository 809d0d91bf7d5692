#include "library.h"

#include "console.h"

snapmla_status smla_library_status(snapmla_status status) {
  if (!status) return status;
  const char *message = snapmla_error_message();
  return smla_console_fail(status, "%s", message[0] ? message : snapmla_status_text(status));
}
