#include "tune_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "status.h"
#include "store_folder.h"

enum { FILE_LIMIT = 1 << 20, SUB_MAX = SMLA_DEVICE_CLASS_MAX + SMLA_PROBLEM_KEY_MAX + 8, NAME_MAX_BYTES = 80 };

static void place_of(const smla_measurement *m, char sub[SUB_MAX], char name[NAME_MAX_BYTES]) {
  snprintf(sub, SUB_MAX, "tune/%s/%s", m->device, m->problem);
  snprintf(name, NAME_MAX_BYTES, "%s.json", m->key);
}

/* A file says itself where it belongs: one that lies elsewhere was put there by nobody of ours. */
static snapmla_status read_one(const char *sub, const char *name, smla_measurement *out) {
  smla_buffer text = {0};
  char should_sub[SUB_MAX], should_name[NAME_MAX_BYTES];
  snapmla_status status = smla_store_read_file(sub, name, 0, FILE_LIMIT, &text);
  if (!status) status = smla_measurement_read(name, text.data, text.length, out);
  smla_buffer_free(&text);
  if (status) return status;
  place_of(out, should_sub, should_name);
  if (strcmp(sub, should_sub) || strcmp(name, should_name)) {
    smla_measurement_clear(out);
    return smla_fail(SNAPMLA_BAD_FORMAT, "%s/%s is of %s; it is not used", sub, name, should_sub);
  }
  return SNAPMLA_OK;
}

static snapmla_status read_problem(const char *sub, const smla_wisdom_selector *selector, smla_measurements *out) {
  smla_store_names names = {0};
  snapmla_status status = smla_store_list(sub, ".json", &names);
  for (size_t i = 0; i < names.count && !status; i++) {
    smla_measurement m;
    status = read_one(sub, names.items[i], &m);
    if (status && status != SNAPMLA_OUT_OF_MEMORY) {
      if (status != SNAPMLA_NOT_FOUND) smla_log(SMLA_LOG_WARNING, "measurement not used: %s", snapmla_error_message());
      status = SNAPMLA_OK;
      continue;
    }
    if (!status && (!selector || smla_wisdom_matches(selector, &m))) status = smla_measurements_add(out, &m);
    smla_measurement_clear(&m);
  }
  smla_store_names_free(&names);
  return status;
}

/* The folders in `sub`, or the one that is asked for. */
static snapmla_status folders_of(const char *sub, const char *only, smla_store_names *out) {
  snapmla_status status = smla_store_list(sub, "/", out);
  for (size_t i = 0; only && *only && i < out->count; i++)
    if (strcmp(out->items[i], only)) out->items[i][0] = 0; /* skipped */
  return status;
}

snapmla_status smla_tune_store_read(const smla_wisdom_selector *selector, smla_measurements *out) {
  smla_store_names devices = {0};
  snapmla_status status = folders_of("tune", selector ? selector->device : NULL, &devices);
  for (size_t d = 0; d < devices.count && !status; d++) {
    if (!smla_device_class_is(devices.items[d])) continue;
    smla_store_names problems = {0};
    char sub[SUB_MAX];
    snprintf(sub, sizeof sub, "tune/%s", devices.items[d]);
    status = folders_of(sub, selector ? selector->problem : NULL, &problems);
    for (size_t p = 0; p < problems.count && !status; p++) {
      if (!problems.items[p][0] || strlen(problems.items[p]) >= SMLA_PROBLEM_KEY_MAX) continue;
      snprintf(sub, sizeof sub, "tune/%.95s/%.127s", devices.items[d], problems.items[p]);
      status = read_problem(sub, selector, out);
    }
    smla_store_names_free(&problems);
  }
  smla_store_names_free(&devices);
  return status;
}

snapmla_status smla_tune_store_write(const smla_measurement *measurement) {
  char sub[SUB_MAX], name[NAME_MAX_BYTES];
  smla_measurement stored;
  smla_buffer text = {0};
  place_of(measurement, sub, name);
  const int known = !read_one(sub, name, &stored);
  if (known && !smla_measurement_renew(&stored, measurement)) {
    smla_measurement_clear(&stored);
    return SNAPMLA_OK;
  }
  snapmla_status status = smla_measurement_print(known ? &stored : measurement, &text);
  if (!status) status = smla_store_publish(sub, name, 0, text.data, text.length);
  if (known) smla_measurement_clear(&stored);
  smla_buffer_free(&text);
  return status;
}

/* What a place held before an import; NULL text: nothing. */
typedef struct before {
  char sub[SUB_MAX], name[NAME_MAX_BYTES];
  smla_buffer text;
} before;

static void undo(before *done, size_t count) {
  for (size_t i = count; i-- > 0;) {
    snapmla_status status =
        done[i].text.data ? smla_store_publish(done[i].sub, done[i].name, 0, done[i].text.data, done[i].text.length)
                          : smla_store_remove(done[i].sub, done[i].name);
    if (status)
      smla_log(
          SMLA_LOG_ERROR,
          "a measurement of an import that failed is still there (%s/%s: %s); it is whole, and of use: import the file "
          "again once the store can be written, or remove it with 'snapmla forget --problem'",
          done[i].sub, done[i].name, snapmla_error_message());
  }
}

snapmla_status smla_tune_store_import(const smla_measurements *list, size_t *written) {
  before *done = calloc(list->count + 1, sizeof *done);
  if (!done) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an import");
  snapmla_status status = SNAPMLA_OK;
  size_t count = 0;
  for (size_t i = 0; i < list->count && !status; i++) {
    const smla_measurement *m = &list->items[i];
    before *b = &done[count];
    smla_measurement stored;
    place_of(m, b->sub, b->name);
    if (!read_one(b->sub, b->name, &stored)) {
      int keep = !smla_measurement_outranks(m, &stored);
      status = smla_measurement_print(&stored, &b->text);
      smla_measurement_clear(&stored);
      if (keep || status) {
        smla_buffer_free(&b->text);
        continue;
      }
    }
    smla_buffer text = {0};
    if (!status) status = smla_measurement_print(m, &text);
    if (!status) status = smla_store_publish(b->sub, b->name, 0, text.data, text.length);
    smla_buffer_free(&text);
    if (!status)
      count++;
    else
      smla_buffer_free(&b->text);
  }
  if (status) {
    char reason[1024];
    snprintf(reason, sizeof reason, "%s", snapmla_error_message());
    undo(done, count);
    status = smla_fail(status, "%s; nothing was imported", reason);
  }
  for (size_t i = 0; i < count; i++) smla_buffer_free(&done[i].text);
  free(done);
  if (!status && written) *written = count;
  return status;
}

snapmla_status smla_tune_store_forget(const smla_wisdom_selector *selector, size_t *removed) {
  smla_measurements list = {0};
  size_t count = 0;
  snapmla_status status = smla_tune_store_read(selector, &list);
  for (size_t i = 0; i < list.count && !status; i++) {
    char sub[SUB_MAX], name[NAME_MAX_BYTES];
    place_of(&list.items[i], sub, name);
    status = smla_store_remove(sub, name);
    count += !status;
  }
  smla_measurements_free(&list);
  if (removed) *removed = count;
  return status;
}
