#include "tune_mark.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "log.h"
#include "status.h"
#include "store_folder.h"

enum { SCHEMA = 1, FILE_LIMIT = 1 << 20, REASON_MAX = 16 << 10, NAME_MAX_BYTES = 80 };

static const char *const folders[] = {[SMLA_MARK_NEG] = "neg", [SMLA_MARK_QUARANTINE] = "quarantine"};

void smla_mark_key(const char *variant, const char *target, const char *templates, const char *device,
                   char key[SMLA_HASH_HEX]) {
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_number(&hash, SCHEMA);
  smla_hash_field_text(&hash, variant);
  smla_hash_field_text(&hash, target);
  smla_hash_field_text(&hash, templates);
  smla_hash_field_text(&hash, device);
  smla_hash_finish(&hash, key);
}

static snapmla_status malformed(const char *key, const char *what) {
  return smla_fail(SNAPMLA_BAD_FORMAT, "the mark %s is malformed (%s); it is not used", key, what);
}

static snapmla_status unpack(const char *key, const json_t *json, smla_mark *out) {
  int schema;
  const char *read_key, *variant, *device, *fate, *reason;
  if (json_unpack((json_t *)json, "{s:i s:s s:s s:s s:s s:s}", "schema", &schema, "key", &read_key, "variant", &variant,
                  "device", &device, "fate", &fate, "reason", &reason))
    return malformed(key, "it lacks a field");
  if (schema != SCHEMA || strcmp(read_key, key)) return malformed(key, "it is of another key or version");
  smla_mark mark = {
      .variant = strdup(variant), .fate = strdup(fate), .reason = strdup(reason), .device = strdup(device)};
  snprintf(mark.key, sizeof mark.key, "%s", key);
  if (!mark.variant || !mark.fate || !mark.reason || !mark.device) {
    smla_mark_clear(&mark);
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a mark");
  }
  *out = mark;
  return SNAPMLA_OK;
}

snapmla_status smla_mark_read(smla_mark_kind kind, const char *key, smla_mark *out) {
  smla_buffer text = {0};
  char name[NAME_MAX_BYTES];
  snprintf(name, sizeof name, "%s.json", key);
  snapmla_status status = smla_store_read_file(folders[kind], name, 0, FILE_LIMIT, &text);
  if (!status) {
    json_error_t error;
    json_t *json = json_loadb(text.data ? text.data : "", text.length, JSON_REJECT_DUPLICATES, &error);
    status = json ? unpack(key, json, out) : malformed(key, error.text);
    json_decref(json);
  }
  smla_buffer_free(&text);
  return status;
}

void smla_mark_clear(smla_mark *mark) {
  free(mark->variant);
  free(mark->fate);
  free(mark->reason);
  free(mark->device);
  *mark = (smla_mark){0};
}

/* JSON holds UTF-8 alone, and a compiler may quote anything. */
static char *plain_text(const char *text) {
  char *copy = strndup(text, REASON_MAX);
  for (char *p = copy; p && *p; p++)
    if ((unsigned char)*p >= 0x80) *p = '?';
  return copy;
}

snapmla_status smla_mark_write(smla_mark_kind kind, const char *key, const char *variant, const char *device,
                               const char *fate, const char *reason) {
  char name[NAME_MAX_BYTES];
  char *plain = plain_text(reason);
  json_t *json = plain ? json_pack("{s:i s:s s:s s:s s:s s:s}", "schema", SCHEMA, "key", key, "variant", variant,
                                   "device", device, "fate", fate, "reason", plain)
                       : NULL;
  char *text = json ? json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
  snprintf(name, sizeof name, "%s.json", key);
  snapmla_status status = text ? smla_store_publish(folders[kind], name, 0, text, strlen(text))
                               : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a mark");
  free(text);
  json_decref(json);
  free(plain);
  return status;
}

/* The key in a file's name, NULL where it is none. */
static int key_of(const char *name, char key[SMLA_HASH_HEX]) {
  if (strlen(name) != 64 + 5 || strspn(name, "0123456789abcdef") != 64) return 0;
  memcpy(key, name, 64);
  key[64] = 0;
  return 1;
}

snapmla_status smla_mark_list(smla_mark_kind kind, smla_marks *out) {
  smla_store_names names = {0};
  smla_marks marks = {0};
  snapmla_status status = smla_store_list(folders[kind], ".json", &names);
  if (!status && names.count && !(marks.items = calloc(names.count, sizeof *marks.items)))
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the marks");
  for (size_t i = 0; i < names.count && !status; i++) {
    char key[SMLA_HASH_HEX];
    if (!key_of(names.items[i], key)) continue;
    if (smla_mark_read(kind, key, &marks.items[marks.count]))
      smla_log(SMLA_LOG_WARNING, "%s", snapmla_error_message());
    else
      marks.count++;
  }
  smla_store_names_free(&names);
  if (status)
    smla_marks_free(&marks);
  else
    *out = marks;
  return status;
}

void smla_marks_free(smla_marks *marks) {
  for (size_t i = 0; i < marks->count; i++) smla_mark_clear(&marks->items[i]);
  free(marks->items);
  *marks = (smla_marks){0};
}

snapmla_status smla_mark_release(smla_mark_kind kind, const char *key, size_t *released) {
  smla_store_names names = {0};
  size_t count = 0;
  snapmla_status status = smla_store_list(folders[kind], ".json", &names);
  for (size_t i = 0; i < names.count && !status; i++) {
    char own[SMLA_HASH_HEX];
    if (key && (!key_of(names.items[i], own) || strcmp(own, key))) continue;
    status = smla_store_remove(folders[kind], names.items[i]);
    count += !status;
  }
  smla_store_names_free(&names);
  if (released) *released = count;
  return status;
}
