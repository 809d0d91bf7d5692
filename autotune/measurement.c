#include "measurement.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "measurement_json.h"
#include "status.h"

enum { SCHEMA = 1, MOST_SAMPLES = 1 << 24, MOST_TOKENS = 0x7fffffff };

void smla_measurement_key(const char *variant, const char *target, const char *templates, char key[SMLA_HASH_HEX]) {
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_number(&hash, SCHEMA);
  smla_hash_field_text(&hash, variant);
  smla_hash_field_text(&hash, target);
  smla_hash_field_text(&hash, templates);
  smla_hash_finish(&hash, key);
}

json_t *smla_measurement_to_json(const smla_measurement *m) {
  return json_pack("{s:i s:s s:s s:s s:s s:s s:s s:s s:s s:s s:f s:f s:i s:i s:b s:b s:i s:i}", "schema", SCHEMA, "key",
                   m->key, "device", m->device, "problem", m->problem, "variant", m->variant, "target", m->target,
                   "templates", m->templates, "artifact", m->artifact, "soft_facts", m->soft_facts, "time",
                   m->modelled ? "modelled" : "measured", "microseconds", m->us, "spread", m->spread, "samples",
                   m->samples, "effort", m->effort, "final", m->final, "won", m->won, "timed_batch", m->timed_batch,
                   "timed_tokens", m->timed_context);
}

snapmla_status smla_measurement_print(const smla_measurement *measurement, smla_buffer *out) {
  json_t *json = smla_measurement_to_json(measurement);
  char *text = json ? json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(9)) : NULL;
  snapmla_status status =
      text ? smla_buffer_printf(out, "%s\n", text) : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a measurement");
  free(text);
  json_decref(json);
  return status;
}

static snapmla_status malformed(const char *name, const char *what) {
  return smla_fail(SNAPMLA_BAD_FORMAT, "%s: %s; it is not used", name, what);
}

static int copy_text(char *out, size_t room, const char *text) {
  size_t length = strlen(text);
  if (length >= room) return 0;
  memcpy(out, text, length + 1);
  return 1;
}

static int is_hash(const char *text) { return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64; }

/* Variants go into plans and messages: printable, no blanks. */
static int is_variant(const char *text) {
  if (!*text || strlen(text) > SMLA_VARIANT_MAX) return 0;
  for (; *text; text++)
    if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 127) return 0;
  return 1;
}

static const char *what_is_wrong(const smla_measurement *m, const char *variant) {
  smla_problem_key problem;
  char key[SMLA_HASH_HEX];
  if (!smla_device_class_is(m->device)) return "its device is no device class";
  if (!smla_problem_key_read(m->problem, &problem)) return "its problem is none";
  if (!is_variant(variant)) return "its variant is no variant text";
  if (!is_hash(m->templates)) return "its templates are no digest";
  if (*m->artifact && !is_hash(m->artifact)) return "its artifact is no key";
  if (!isfinite(m->us) || m->us <= 0 || m->us > 1e12) return "its time is no time";
  if (!isfinite(m->spread) || m->spread < 0) return "its spread is none";
  if (m->samples < 1 || m->samples > MOST_SAMPLES) return "its samples are no count";
  if (m->effort < 1 || m->effort > 3) return "its effort is 1 to 3";
  if (m->timed_batch < 0 || m->timed_context < 0) return "what was timed is no count";
  if (m->modelled != !strncmp(m->device, "emulator-", 9)) return "only the emulator's times are modelled";
  smla_measurement_key(variant, m->target, m->templates, key);
  if (strcmp(key, m->key)) return "its key is not its content's";
  return NULL;
}

snapmla_status smla_measurement_from_json(const char *name, const json_t *json, smla_measurement *out) {
  smla_measurement m = {0};
  int schema;
  const char *key, *device, *problem, *variant, *target, *templates, *artifact, *soft, *time;
  json_error_t error;
  if (json_unpack_ex((json_t *)json, &error, JSON_STRICT,
                     "{s:i s:s s:s s:s s:s s:s s:s s:s s:s s:s s:F s:F s:i s:i s:b s:b s:i s:i}", "schema", &schema,
                     "key", &key, "device", &device, "problem", &problem, "variant", &variant, "target", &target,
                     "templates", &templates, "artifact", &artifact, "soft_facts", &soft, "time", &time, "microseconds",
                     &m.us, "spread", &m.spread, "samples", &m.samples, "effort", &m.effort, "final", &m.final, "won",
                     &m.won, "timed_batch", &m.timed_batch, "timed_tokens", &m.timed_context))
    return malformed(name, error.text);
  if (schema != SCHEMA) return malformed(name, "it is of another version");
  if (!copy_text(m.key, sizeof m.key, key) || !copy_text(m.device, sizeof m.device, device) ||
      !copy_text(m.problem, sizeof m.problem, problem) || !copy_text(m.target, sizeof m.target, target) ||
      !copy_text(m.templates, sizeof m.templates, templates) || !copy_text(m.artifact, sizeof m.artifact, artifact) ||
      !copy_text(m.soft_facts, sizeof m.soft_facts, soft))
    return malformed(name, "a text is too long");
  m.modelled = !strcmp(time, "modelled");
  if (!m.modelled && strcmp(time, "measured")) return malformed(name, "its time is neither measured nor modelled");
  const char *wrong = what_is_wrong(&m, variant);
  if (wrong) return malformed(name, wrong);
  if (!(m.variant = strdup(variant))) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a measurement");
  *out = m;
  return SNAPMLA_OK;
}

snapmla_status smla_measurement_read(const char *name, const char *text, size_t length, smla_measurement *out) {
  json_error_t error;
  json_t *json = json_loadb(text ? text : "", length, JSON_REJECT_DUPLICATES, &error);
  snapmla_status status = json ? smla_measurement_from_json(name, json, out) : malformed(name, error.text);
  json_decref(json);
  return status;
}

void smla_measurement_clear(smla_measurement *measurement) {
  free(measurement->variant);
  measurement->variant = NULL;
}

snapmla_status smla_measurements_add(smla_measurements *list, const smla_measurement *measurement) {
  if (!(list->count & (list->count - 1))) { /* room doubles at powers of two */
    smla_measurement *grown = realloc(list->items, (list->count ? list->count * 2 : 1) * sizeof *grown);
    if (!grown) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: measurements");
    list->items = grown;
  }
  smla_measurement copy = *measurement;
  copy.variant = strdup(measurement->variant);
  if (!copy.variant) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: measurements");
  list->items[list->count++] = copy;
  return SNAPMLA_OK;
}

void smla_measurements_free(smla_measurements *list) {
  for (size_t i = 0; i < list->count; i++) smla_measurement_clear(&list->items[i]);
  free(list->items);
  *list = (smla_measurements){0};
}

int smla_measurement_same(const smla_measurement *a, const smla_measurement *b) {
  return !strcmp(a->key, b->key) && !strcmp(a->device, b->device) && !strcmp(a->problem, b->problem);
}

int smla_measurement_outranks(const smla_measurement *a, const smla_measurement *b) {
  if (a->effort != b->effort) return a->effort > b->effort;
  return a->samples > b->samples;
}

int smla_measurement_renew(smla_measurement *known, const smla_measurement *now) {
  if (known->effort > now->effort) return 0;
  char *variant = known->variant; /* of equal text, since the keys are */
  const smla_measurement before = *known;
  if (!smla_measurement_outranks(known, now)) *known = *now;
  known->variant = variant;
  known->won = now->won;
  known->final = now->final;
  memcpy(known->artifact, now->artifact, sizeof known->artifact);
  return memcmp(&before, known, sizeof before) != 0;
}
