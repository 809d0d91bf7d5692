#include "wisdom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measurement_json.h"
#include "status.h"

enum { SCHEMA = 1 };
static const char kind[] = "snapmla wisdom";

static int compare(const void *a, const void *b) {
  const smla_measurement *x = *(const smla_measurement *const *)a, *y = *(const smla_measurement *const *)b;
  int order = strcmp(x->device, y->device);
  if (!order) order = strcmp(x->problem, y->problem);
  if (!order) order = strcmp(x->variant, y->variant);
  return order ? order : strcmp(x->key, y->key);
}

snapmla_status smla_wisdom_print(const smla_measurements *list, smla_buffer *out) {
  const smla_measurement **sorted = calloc(list->count + 1, sizeof *sorted);
  json_t *array = json_array(), *root = json_object();
  int failed = !sorted || !array || !root;
  for (size_t i = 0; !failed && i < list->count; i++) sorted[i] = &list->items[i];
  if (!failed && list->count) qsort(sorted, list->count, sizeof *sorted, compare);
  for (size_t i = 0; !failed && i < list->count; i++)
    failed = json_array_append_new(array, smla_measurement_to_json(sorted[i])) != 0;
  if (!failed)
    failed = json_object_set_new(root, "kind", json_string(kind)) ||
             json_object_set_new(root, "schema", json_integer(SCHEMA)) || json_object_set(root, "measurements", array);
  char *text = failed ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
  snapmla_status status =
      text ? smla_buffer_printf(out, "%s\n", text) : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: wisdom");
  free(text);
  json_decref(array);
  json_decref(root);
  free(sorted);
  return status;
}

static snapmla_status read_all(const char *name, const json_t *root, smla_measurements *list) {
  const char *read_kind;
  int schema;
  json_t *array;
  json_error_t error;
  if (json_unpack_ex((json_t *)root, &error, JSON_STRICT, "{s:s s:i s:o}", "kind", &read_kind, "schema", &schema,
                     "measurements", &array))
    return smla_fail(SNAPMLA_BAD_FORMAT, "%s: %s; it is not a wisdom file", name, error.text);
  if (strcmp(read_kind, kind) || schema != SCHEMA || !json_is_array(array))
    return smla_fail(SNAPMLA_BAD_FORMAT, "%s is no wisdom file of version %d; make one with 'snapmla wisdom'", name,
                     (int)SCHEMA);
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < json_array_size(array) && !status; i++) {
    char which[300];
    smla_measurement m;
    snprintf(which, sizeof which, "%.200s, measurement %zu", name, i + 1);
    status = smla_measurement_from_json(which, json_array_get(array, i), &m);
    if (status) break;
    status = smla_measurements_add(list, &m);
    smla_measurement_clear(&m);
  }
  return status;
}

snapmla_status smla_wisdom_read(const char *name, const char *text, size_t length, smla_measurements *out) {
  smla_measurements list = {0};
  json_error_t error;
  json_t *root = json_loadb(text ? text : "", length, JSON_REJECT_DUPLICATES, &error);
  snapmla_status status =
      root ? read_all(name, root, &list)
           : smla_fail(SNAPMLA_BAD_FORMAT, "%s, line %d: %s; it is not a wisdom file", name, error.line, error.text);
  json_decref(root);
  for (size_t i = 0; i < list.count && !status; i++) status = smla_measurements_add(out, &list.items[i]);
  smla_measurements_free(&list);
  return status;
}

static smla_measurement *same_in(smla_measurements *list, const smla_measurement *m) {
  for (size_t i = 0; i < list->count; i++)
    if (smla_measurement_same(&list->items[i], m)) return &list->items[i];
  return NULL;
}

snapmla_status smla_wisdom_merge(smla_measurements *into, const smla_measurements *from) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < from->count && !status; i++) {
    const smla_measurement *m = &from->items[i];
    smla_measurement *known = same_in(into, m);
    if (!known) {
      status = smla_measurements_add(into, m);
    } else if (smla_measurement_outranks(m, known)) {
      char *variant = known->variant; /* of equal text, since the keys are */
      *known = *m;
      known->variant = variant;
    }
  }
  return status;
}

snapmla_status smla_wisdom_renew(smla_measurements *into, const smla_measurement *now) {
  smla_measurement *known = same_in(into, now);
  if (!known) return smla_measurements_add(into, now);
  smla_measurement_renew(known, now);
  return SNAPMLA_OK;
}

int smla_wisdom_matches(const smla_wisdom_selector *selector, const smla_measurement *m) {
  return (!selector->device || !*selector->device || !strcmp(selector->device, m->device)) &&
         (!selector->problem || !*selector->problem || !strcmp(selector->problem, m->problem)) &&
         (!selector->variant || !*selector->variant || strstr(m->variant, selector->variant));
}

/* How far a measurement is from what is asked; negative: of no use. */
static double distance_of(const smla_measurement *m, const smla_wisdom_query *query, smla_wisdom_reach reach,
                          smla_wisdom_reach *kind_of) {
  smla_problem_key problem;
  double device = smla_device_class_distance(m->device, query->device);
  if (strcmp(m->target, query->target) || device < 0 || !smla_problem_key_read(m->problem, &problem)) return -1;
  double octaves = smla_problem_key_distance(&problem, &query->problem);
  int templates = strcmp(m->templates, query->templates) != 0;
  if (octaves < 0) return -1;
  *kind_of = octaves > 0 || device > 0 ? SMLA_WISDOM_NEAREST : templates ? SMLA_WISDOM_TEMPLATES : SMLA_WISDOM_EXACT;
  if (*kind_of > reach) return -1;
  return (templates ? 0.5 : 0) + octaves + (device > 0 ? 100 + device : 0);
}

/* Nonzero where `a` wins against `b`, both equally near. */
static int better(const smla_measurement *a, const smla_measurement *b) {
  if (a->effort != b->effort) return a->effort > b->effort;
  if (a->won != b->won) return a->won;
  if (a->final != b->final) return a->final;
  if (a->us != b->us) return a->us < b->us;
  return strcmp(a->variant, b->variant) < 0;
}

const smla_measurement *smla_wisdom_best(const smla_measurements *list, const smla_wisdom_query *query,
                                         smla_wisdom_reach reach,
                                         int (*usable)(void *user, const smla_measurement *measurement), void *user,
                                         smla_wisdom_reach *reached) {
  const smla_measurement *best = NULL;
  double nearest = 0;
  for (size_t i = 0; i < list->count; i++) {
    const smla_measurement *m = &list->items[i];
    smla_wisdom_reach kind_of = SMLA_WISDOM_EXACT;
    double distance = distance_of(m, query, reach, &kind_of);
    if (distance < 0 || (best && distance > nearest)) continue;
    if (best && distance == nearest && !better(m, best)) continue;
    if (usable && !usable(user, m)) continue;
    best = m;
    nearest = distance;
    if (reached) *reached = kind_of;
  }
  return best;
}

void smla_wisdom_difference(const smla_measurement *m, const smla_wisdom_query *query, char *out, size_t room) {
  char here[SMLA_PROBLEM_KEY_MAX];
  smla_problem_key_text(&query->problem, here);
  size_t used = 0;
  out[0] = 0;
  const struct {
    const char *name, *there, *here;
  } fields[] = {{"device", m->device, query->device},
                {"problem", m->problem, here},
                {"target", m->target, query->target},
                {"templates", m->templates, query->templates}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields && used < room; i++) {
    if (!strcmp(fields[i].there, fields[i].here)) continue;
    int cut = !strcmp(fields[i].name, "templates") ? 12 : SMLA_PROBLEM_KEY_MAX;
    used += (size_t)snprintf(out + used, room - used, "%s%s %.*s (here %.*s)", used ? ", " : "", fields[i].name, cut,
                             fields[i].there, cut, fields[i].here);
  }
}
