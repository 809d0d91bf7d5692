#include "manifest.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "status.h"

enum { SCHEMA = 1 };

/* JSON holds UTF-8 alone, and a compiler may quote anything. */
static char *plain_text(const char *text) {
  char *copy = strdup(text);
  for (char *p = copy; p && *p; p++)
    if ((unsigned char)*p >= 0x80) *p = '?';
  return copy;
}

snapmla_status smla_manifest_write(const smla_image *image, smla_buffer *out) {
  char digest[SMLA_HASH_HEX];
  smla_hash_buffer(image->bytes, image->size, digest);
  char *log = plain_text(image->log);
  const smla_facts *facts = &image->facts;
  json_t *json =
      log ? json_pack("{s:i s:s s:s s:s s:s s:I s:i s:i s:i s:i s:i s:i s:f s:s}", "schema", SCHEMA, "key", image->key,
                      "target", smla_compiler_of(image->target)->name, "entry", image->entry, "sha256", digest, "bytes",
                      (json_int_t)image->size, "nvrtc_major", image->nvrtc_major, "registers", facts->registers,
                      "spill_bytes", facts->spill_bytes, "stack_bytes", facts->stack_bytes, "warnings", facts->warnings,
                      "serialized_wgmma", facts->serialized_wgmma, "seconds", image->seconds, "log", log)
          : NULL;
  char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
  snapmla_status status = text ? smla_buffer_append_text(out, text)
                               : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: the manifest of %s", image->key);
  free(text);
  json_decref(json);
  free(log);
  return status;
}

static snapmla_status malformed(const char *key, const char *what) {
  return smla_fail(SNAPMLA_BAD_FORMAT, "the stored kernel %s is malformed (%s); it is compiled again", key, what);
}

static snapmla_status make_image(const json_t *json, snapmla_target target, const char *key, smla_buffer *bytes,
                                 smla_image **out) {
  int schema, nvrtc_major;
  json_int_t length;
  double seconds;
  const char *stored_key, *stored_target, *entry, *stored_digest, *log;
  smla_facts facts;
  if (json_unpack((json_t *)json, "{s:i s:s s:s s:s s:s s:I s:i s:i s:i s:i s:i s:i s:F s:s}", "schema", &schema, "key",
                  &stored_key, "target", &stored_target, "entry", &entry, "sha256", &stored_digest, "bytes", &length,
                  "nvrtc_major", &nvrtc_major, "registers", &facts.registers, "spill_bytes", &facts.spill_bytes,
                  "stack_bytes", &facts.stack_bytes, "warnings", &facts.warnings, "serialized_wgmma",
                  &facts.serialized_wgmma, "seconds", &seconds, "log", &log))
    return malformed(key, "its manifest lacks a field");
  if (schema != SCHEMA || strcmp(stored_key, key) || strcmp(stored_target, smla_compiler_of(target)->name))
    return malformed(key, "its manifest is of another kernel");
  char digest[SMLA_HASH_HEX];
  smla_hash_buffer(bytes->data, bytes->length, digest);
  if (length < 0 || (size_t)length != bytes->length || strcmp(digest, stored_digest))
    return malformed(key, "its image is not the one that was stored");
  size_t size = bytes->length;
  snapmla_status status = smla_image_create(target, key, entry, log, smla_buffer_take(bytes), size, out);
  if (status) return status;
  (*out)->facts = facts;
  (*out)->nvrtc_major = nvrtc_major;
  (*out)->seconds = seconds;
  return SNAPMLA_OK;
}

snapmla_status smla_manifest_read(const char *text, size_t length, snapmla_target target, const char *key,
                                  smla_buffer *bytes, smla_image **out) {
  json_error_t error;
  json_t *json = json_loadb(text ? text : "", length, JSON_REJECT_DUPLICATES, &error);
  snapmla_status status = json ? make_image(json, target, key, bytes, out) : malformed(key, error.text);
  json_decref(json);
  return status;
}
