/* Wisdom, quarantine and store by the public API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/tune.h>

#include "status.h"
#include "store_folder.h"
#include "store_sweep.h"
#include "struct_size.h"
#include "tune_mark.h"
#include "tune_store.h"

static snapmla_status read_selector(const snapmla_wisdom_selector *selector, smla_wisdom_selector *out) {
  *out = (smla_wisdom_selector){0};
  if (!selector) return SNAPMLA_OK;
  snapmla_status status = smla_struct_size_check("snapmla_wisdom_selector", selector, selector->size, sizeof *selector);
  if (!status) *out = (smla_wisdom_selector){selector->device_class, selector->problem_key, selector->variant};
  return status;
}

static void hand_out(const smla_measurement *m, int shipped,
                     void (*each)(void *user, const snapmla_wisdom_entry *entry), void *user) {
  const snapmla_wisdom_entry entry = {.key = m->key,
                                      .device_class = m->device,
                                      .problem_key = m->problem,
                                      .variant = m->variant,
                                      .target = m->target,
                                      .templates = m->templates,
                                      .microseconds = m->us,
                                      .spread = m->spread,
                                      .time_kind = m->modelled ? SNAPMLA_TIME_MODELLED : SNAPMLA_TIME_MEASURED,
                                      .effort = (snapmla_effort)m->effort,
                                      .samples = m->samples,
                                      .won = m->won,
                                      .shipped = shipped};
  each(user, &entry);
}

snapmla_status snapmla_wisdom_list(const snapmla_wisdom_selector *selector,
                                   void (*each)(void *user, const snapmla_wisdom_entry *entry), void *user) {
  smla_wisdom_selector wanted;
  smla_measurements stored = {0}, shipped = {0};
  if (!each) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "each is NULL; pass the function that gets the entries");
  snapmla_status status = read_selector(selector, &wanted);
  if (!status) status = smla_tune_store_read(&wanted, &stored);
  if (!status) status = smla_wisdom_shipped(&shipped);
  for (size_t i = 0; i < stored.count && !status; i++) hand_out(&stored.items[i], 0, each, user);
  for (size_t i = 0; i < shipped.count && !status; i++)
    if (smla_wisdom_matches(&wanted, &shipped.items[i])) hand_out(&shipped.items[i], 1, each, user);
  smla_measurements_free(&stored);
  smla_measurements_free(&shipped);
  return status;
}

static snapmla_status give_text(smla_buffer *buffer, char **text, size_t *bytes) {
  *bytes = buffer->length;
  *text = smla_buffer_take(buffer);
  return *text ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: wisdom");
}

snapmla_status snapmla_wisdom_export(const snapmla_wisdom_selector *selector, char **text, size_t *bytes) {
  if (!text || !bytes) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "text and bytes are needed, and one is NULL");
  smla_wisdom_selector wanted;
  smla_measurements list = {0};
  smla_buffer out = {0};
  snapmla_status status = read_selector(selector, &wanted);
  if (!status) status = smla_tune_store_read(&wanted, &list);
  if (!status) status = smla_wisdom_print(&list, &out);
  if (!status) status = give_text(&out, text, bytes);
  smla_measurements_free(&list);
  smla_buffer_free(&out);
  return status;
}

snapmla_status snapmla_wisdom_import(const char *name, const char *text, size_t bytes, int64_t *added) {
  if (!text) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "text is NULL; pass the wisdom");
  smla_measurements list = {0}, once = {0};
  size_t written = 0;
  snapmla_status status = smla_wisdom_read(name ? name : "wisdom", text, bytes, &list);
  if (!status) status = smla_wisdom_merge(&once, &list);
  if (!status) status = smla_tune_store_import(&once, &written);
  smla_measurements_free(&list);
  smla_measurements_free(&once);
  if (!status && added) *added = (int64_t)written;
  return status;
}

snapmla_status snapmla_wisdom_merge(const char *const *names, const char *const *texts, const size_t *bytes,
                                    size_t count, char **text, size_t *merged_bytes) {
  if (!texts || !bytes || !text || !merged_bytes)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "texts, bytes, text and merged_bytes are needed, and one is NULL");
  smla_measurements merged = {0};
  smla_buffer out = {0};
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < count && !status; i++) {
    smla_measurements one = {0};
    status = smla_wisdom_read(names && names[i] ? names[i] : "wisdom", texts[i], bytes[i], &one);
    if (!status) status = smla_wisdom_merge(&merged, &one);
    smla_measurements_free(&one);
  }
  if (!status) status = smla_wisdom_print(&merged, &out);
  if (!status) status = give_text(&out, text, merged_bytes);
  smla_measurements_free(&merged);
  smla_buffer_free(&out);
  return status;
}

snapmla_status snapmla_wisdom_forget(const snapmla_wisdom_selector *selector, int64_t *removed) {
  smla_wisdom_selector wanted;
  size_t count = 0;
  snapmla_status status = read_selector(selector, &wanted);
  if (!status) status = smla_tune_store_forget(&wanted, &count);
  if (!status && removed) *removed = (int64_t)count;
  return status;
}

snapmla_status snapmla_quarantine_list(void (*each)(void *user, const snapmla_quarantine_entry *entry), void *user) {
  static const smla_mark_kind kinds[] = {SMLA_MARK_QUARANTINE, SMLA_MARK_NEG};
  if (!each) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "each is NULL; pass the function that gets the entries");
  snapmla_status status = SNAPMLA_OK;
  for (size_t k = 0; k < 2 && !status; k++) {
    smla_marks marks = {0};
    status = smla_mark_list(kinds[k], &marks);
    for (size_t i = 0; i < marks.count && !status; i++) {
      const smla_mark *m = &marks.items[i];
      const snapmla_quarantine_entry entry = {m->key, m->variant, m->device, m->fate, m->reason};
      each(user, &entry);
    }
    smla_marks_free(&marks);
  }
  return status;
}

snapmla_status snapmla_quarantine_release(const char *key, int64_t *released) {
  size_t variants = 0, kernels = 0;
  snapmla_status status = smla_mark_release(SMLA_MARK_QUARANTINE, key, &variants);
  if (!status) status = smla_mark_release(SMLA_MARK_NEG, key, &kernels);
  if (!status && key && !(variants + kernels))
    status = smla_fail(SNAPMLA_NOT_FOUND, "nothing is quarantined under the key %.80s; 'snapmla quarantine' lists them",
                       key);
  if (!status && released) *released = (int64_t)(variants + kernels);
  return status;
}

snapmla_status snapmla_store_sweep(int64_t limit_bytes, int dry, snapmla_store_sweep_report *out) {
  if (!out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "out is NULL; pass where the report goes");
  smla_sweep sweep;
  smla_buffer root = {0};
  snapmla_status status = smla_struct_size_check("snapmla_store_sweep_report", out, out->size, sizeof *out);
  if (!status) status = smla_store_root(&root);
  if (!status) status = smla_store_sweep(limit_bytes < 0 ? smla_store_limit() : limit_bytes, dry, &sweep);
  if (!status) {
    *out = (snapmla_store_sweep_report){.size = out->size,
                                        .files = sweep.files,
                                        .bytes = sweep.bytes,
                                        .removed_files = sweep.removed_files,
                                        .removed_bytes = sweep.removed_bytes,
                                        .abandoned = sweep.abandoned};
    snprintf(out->root, sizeof out->root, "%s", root.data);
  }
  smla_buffer_free(&root);
  return status;
}
