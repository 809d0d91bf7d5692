/* What a soak remembers from visit to visit: JSON, written whole or not at all. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "file.h"
#include "json_output.h"
#include "soak.h"

enum { MOST_BYTES = 16 << 20, SCHEMA = 1 };

static const char kind[] = "snapmla soak";

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static snapmla_status begin(const char *seed, const snapmla_device_info *info, json_t **out) {
  json_t *state = json_object();
  smla_json_set(state, "kind", json_string(kind));
  smla_json_set(state, "schema", json_integer(SCHEMA));
  smla_json_set(state, "seed", json_string(seed));
  smla_json_set(state, "device", smla_json_text(info->product));
  smla_json_set(state, "device_class", json_string(info->device_class));
  smla_json_set(state, "problems", json_object());
  *out = state;
  return state ? SNAPMLA_OK : smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a state");
}

/* A card of the same class does the same arithmetic: visits may be to several. */
static snapmla_status judge(const json_t *state, const char *path, const char *seed, const snapmla_device_info *info) {
  if (strcmp(text_of(state, "kind"), kind) || json_integer_value(json_object_get(state, "schema")) != SCHEMA ||
      !json_is_object(json_object_get(state, "problems")))
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s is no soak's state: name another file, or remove it", path);
  if (strcmp(text_of(state, "seed"), seed))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s is of seed %s: give that one, or another file", path,
                             text_of(state, "seed"));
  if (strcmp(text_of(state, "device_class"), info->device_class))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s is of the device class %s, this is %s: name another file",
                             path, text_of(state, "device_class"), info->device_class);
  return SNAPMLA_OK;
}

snapmla_status state_open(const char *path, uint64_t seed, const snapmla_device_info *info, json_t **out) {
  smla_buffer text = {0};
  char seed_text[32];
  snprintf(seed_text, sizeof seed_text, "%" PRIu64, seed);
  *out = NULL;
  if (!path || !smla_file_exists(path)) return begin(seed_text, info, out);
  snapmla_status status = soak_status(smla_file_read(path, MOST_BYTES, &text));
  if (status) return status;
  json_t *state = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
  smla_buffer_free(&text);
  status = judge(state, path, seed_text, info);
  if (status)
    json_decref(state);
  else
    *out = state;
  return status;
}

snapmla_status state_save(json_t *state, const char *path) {
  char *text = json_dumps(state, JSON_INDENT(1) | JSON_SORT_KEYS);
  if (!text) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a state");
  snapmla_status status = soak_status(smla_file_write(path, text, strlen(text), 0600));
  free(text);
  return status;
}

snapmla_status state_problem(json_t *state, const lane *l, json_t **out, int *renewed) {
  json_t *problems = json_object_get(state, "problems"), *record = json_object_get(problems, l->of->name);
  *renewed = record && strcmp(text_of(record, "fingerprint"), l->fingerprint) != 0;
  if (!record || *renewed) {
    record = json_object();
    smla_json_set(record, "fingerprint", json_string(l->fingerprint));
    smla_json_set(record, "digests", json_object());
    smla_json_set(problems, l->of->name, record);
    record = json_object_get(problems, l->of->name);
  }
  *out = json_object_get(record, "digests");
  return *out ? SNAPMLA_OK : smla_console_fail(SNAPMLA_BAD_FORMAT, "the state's %s has no digests", l->of->name);
}

int state_compare(json_t *record, const char *name, uint64_t digest) {
  char text[17];
  snprintf(text, sizeof text, "%016" PRIx64, digest);
  if (json_object_get(record, name)) return !strcmp(text_of(record, name), text);
  smla_json_set(record, name, json_string(text));
  return -1;
}

void state_add(json_t *state, const char *name, double amount) {
  smla_json_set(state, name, smla_json_real(json_number_value(json_object_get(state, name)) + amount));
}
