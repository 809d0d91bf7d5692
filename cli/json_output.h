/* JSON on stdout. */
#ifndef SMLA_CLI_JSON_OUTPUT_H
#define SMLA_CLI_JSON_OUTPUT_H

#include <jansson.h>

#include <snapmla/status.h>

/* A number, or null where it is not finite: JSON has no NaN. */
json_t *smla_json_real(double value);
/* Text that may not be UTF-8, as a file name: other bytes become '?'. */
json_t *smla_json_text(const char *text);
/* Sets a member; a failure (memory) shows when the whole is printed. Takes over `value`. */
void smla_json_set(json_t *object, const char *key, json_t *value);
/* Prints and releases `root`. Errors: OUT_OF_MEMORY, IO. */
snapmla_status smla_json_print(json_t *root);
/* {"ok": false, "status": …, "error": …} from the program's reason, for a command whose result is an object. */
void smla_json_print_failure(snapmla_status status);

#endif
