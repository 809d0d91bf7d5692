#include "json_output.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"

static int short_of_memory;

json_t *smla_json_real(double value) { return isfinite(value) ? json_real(value) : json_null(); }

json_t *smla_json_text(const char *text) {
  json_t *string = json_string(text);
  if (string) return string;
  char *copy = strdup(text);
  if (!copy) return NULL;
  for (char *c = copy; *c; ++c)
    if (*c & 0x80) *c = '?';
  string = json_string(copy);
  free(copy);
  return string;
}

void smla_json_set(json_t *object, const char *key, json_t *value) {
  if (json_object_set_new(object, key, value)) short_of_memory = 1;
}

snapmla_status smla_json_print(json_t *root) {
  snapmla_status status = SNAPMLA_OK;
  char *text =
      short_of_memory || !root ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
  smla_console_progress_end();
  if (!text)
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the JSON result");
  else if (puts(text) < 0)
    status = smla_console_fail(SNAPMLA_IO, "cannot write to stdout: %s", strerror(errno));
  free(text);
  json_decref(root);
  return status;
}

void smla_json_print_failure(snapmla_status status) {
  json_t *root = json_object();
  smla_json_set(root, "ok", json_false());
  smla_json_set(root, "status", json_string(snapmla_status_text(status)));
  smla_json_set(root, "error", smla_json_text(smla_console_reason()));
  smla_json_print(root);
}
