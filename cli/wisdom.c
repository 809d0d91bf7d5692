/* snapmla ls, gc, wisdom, import, merge, forget, quarantine: what the store holds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "library.h"
#include "output_file.h"

enum { FILE_LIMIT = 64 << 20 };

static smla_exit finish(snapmla_status status) {
  if (status) smla_console_error();
  return smla_console_exit_code(status);
}

static snapmla_status select_by(const smla_settings *settings, snapmla_wisdom_selector *out) {
  *out = (snapmla_wisdom_selector){sizeof *out, settings->device_class, settings->problem_key,
                                   settings->variants.count ? settings->variants.items[0] : NULL};
  if (settings->variants.count > 1)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--match is given %zu times: give it once",
                             settings->variants.count);
  return SNAPMLA_OK;
}

/* A whole file of at most FILE_LIMIT bytes; owned by the caller. */
static snapmla_status read_file(const char *path, char **text, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) return smla_console_fail(SNAPMLA_NOT_FOUND, "cannot open %.400s: %s", path, strerror(errno));
  char *data = malloc(FILE_LIMIT + 1);
  snapmla_status status = SNAPMLA_OK;
  *bytes = data ? fread(data, 1, FILE_LIMIT + 1, file) : 0;
  if (!data)
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for %.400s", path);
  else if (ferror(file))
    status = smla_console_fail(SNAPMLA_IO, "cannot read %.400s: %s", path, strerror(errno));
  else if (*bytes > FILE_LIMIT)
    status = smla_console_fail(SNAPMLA_BAD_FORMAT, "%.400s is longer than 64 MiB: it is no wisdom file", path);
  fclose(file);
  if (status)
    free(data);
  else
    *text = data;
  return status;
}

static snapmla_status write_text(const smla_settings *settings, const char *text, size_t bytes) {
  if (settings->output && strcmp(settings->output, "-")) return smla_output_file_save(settings->output, text, bytes);
  if (fwrite(text, 1, bytes, stdout) != bytes)
    return smla_console_fail(SNAPMLA_IO, "cannot write to stdout: %s", strerror(errno));
  return SNAPMLA_OK;
}

/* --- ls ----------------------------------------------------------------------------------------------------------- */

typedef struct listing {
  const smla_settings *settings;
  json_t *rows;
  size_t shown;
} listing;

static void on_entry(void *user, const snapmla_wisdom_entry *e) {
  listing *l = user;
  if (!e->won && !l->settings->all) return;
  l->shown++;
  if (!l->settings->json) {
    printf("%-44s %-52s %10.2f us %-8s %-10s %s%s\n", e->device_class, e->problem_key, e->microseconds,
           snapmla_time_kind_name(e->time_kind), snapmla_effort_name(e->effort), e->won ? "won" : "lost",
           e->shipped ? ", shipped" : "");
    printf("    %s\n", e->variant);
    return;
  }
  json_t *row = json_object();
  smla_json_set(row, "key", json_string(e->key));
  smla_json_set(row, "device_class", json_string(e->device_class));
  smla_json_set(row, "problem", json_string(e->problem_key));
  smla_json_set(row, "variant", json_string(e->variant));
  smla_json_set(row, "target", json_string(e->target));
  smla_json_set(row, "templates", json_string(e->templates));
  smla_json_set(row, "time_us", smla_json_real(e->microseconds));
  smla_json_set(row, "spread", smla_json_real(e->spread));
  smla_json_set(row, "time_kind", json_string(snapmla_time_kind_name(e->time_kind)));
  smla_json_set(row, "effort", json_string(snapmla_effort_name(e->effort)));
  smla_json_set(row, "samples", json_integer(e->samples));
  smla_json_set(row, "won", json_boolean(e->won));
  smla_json_set(row, "shipped", json_boolean(e->shipped));
  json_array_append_new(l->rows, row);
}

smla_exit smla_command_ls(const smla_settings *settings) {
  snapmla_wisdom_selector selector;
  listing l = {.settings = settings, .rows = json_array()};
  snapmla_status status = select_by(settings, &selector);
  if (!status) status = smla_library_status(snapmla_wisdom_list(&selector, on_entry, &l));
  if (!status && settings->json) status = smla_json_print(json_incref(l.rows));
  if (!status && !l.shown)
    smla_console_note("no measurement that %s is known: 'snapmla ls%s' shows what is, 'snapmla tune' makes some",
                      settings->all ? "matches" : "won and matches", settings->all ? "" : " --all");
  json_decref(l.rows);
  return finish(status);
}

/* --- gc ----------------------------------------------------------------------------------------------------------- */

smla_exit smla_command_gc(const smla_settings *settings) {
  snapmla_store_sweep_report r = {.size = sizeof r};
  snapmla_status status = smla_library_status(
      snapmla_store_sweep(settings->limit < 0 ? -1 : (int64_t)settings->limit << 20, settings->dry_run, &r));
  if (!status && settings->json) {
    json_t *root = json_object();
    smla_json_set(root, "root", smla_json_text(r.root));
    smla_json_set(root, "files", json_integer(r.files));
    smla_json_set(root, "bytes", json_integer(r.bytes));
    smla_json_set(root, "removed_files", json_integer(r.removed_files));
    smla_json_set(root, "removed_bytes", json_integer(r.removed_bytes));
    smla_json_set(root, "abandoned", json_integer(r.abandoned));
    status = smla_json_print(root);
  } else if (!status) {
    printf("%s: %lld files, %.1f MB; %s %lld files, %.1f MB, of which %lld were abandoned\n", r.root,
           (long long)r.files, (double)r.bytes * 1e-6, settings->dry_run ? "would remove" : "removed",
           (long long)r.removed_files, (double)r.removed_bytes * 1e-6, (long long)r.abandoned);
  }
  return finish(status);
}

/* --- wisdom files ------------------------------------------------------------------------------------------------- */

smla_exit smla_command_wisdom(const smla_settings *settings) {
  snapmla_wisdom_selector selector;
  char *text = NULL;
  size_t bytes;
  snapmla_status status = select_by(settings, &selector);
  if (!status) status = smla_library_status(snapmla_wisdom_export(&selector, &text, &bytes));
  if (!status) status = write_text(settings, text, bytes);
  snapmla_text_free(text);
  return finish(status);
}

smla_exit smla_command_import(const smla_settings *settings) {
  char *text = NULL;
  size_t bytes;
  int64_t added = 0;
  snapmla_status status = SNAPMLA_OK;
  if (settings->files.count != 1)
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "import takes one --file: give it, or merge several into one first");
  if (!status) status = read_file(settings->files.items[0], &text, &bytes);
  if (!status) status = smla_library_status(snapmla_wisdom_import(settings->files.items[0], text, bytes, &added));
  if (!status && settings->json) {
    json_t *root = json_object();
    smla_json_set(root, "added", json_integer(added));
    status = smla_json_print(root);
  } else if (!status) {
    printf("%lld measurements were new or better\n", (long long)added);
  }
  free(text);
  return finish(status);
}

smla_exit smla_command_merge(const smla_settings *settings) {
  size_t count = settings->files.count;
  char **texts = calloc(count + 1, sizeof *texts), *merged = NULL;
  size_t *sizes = calloc(count + 1, sizeof *sizes), bytes;
  snapmla_status status = SNAPMLA_OK;
  if (!texts || !sizes) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for wisdom files");
  if (!status && !count)
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "merge needs files: give --file FILE, once for each");
  for (size_t i = 0; i < count && !status; ++i) status = read_file(settings->files.items[i], &texts[i], &sizes[i]);
  if (!status)
    status = smla_library_status(
        snapmla_wisdom_merge(settings->files.items, (const char *const *)texts, sizes, count, &merged, &bytes));
  if (!status) status = write_text(settings, merged, bytes);
  for (size_t i = 0; texts && i < count; ++i) free(texts[i]);
  free(texts);
  free(sizes);
  snapmla_text_free(merged);
  return finish(status);
}

smla_exit smla_command_forget(const smla_settings *settings) {
  snapmla_wisdom_selector selector;
  int64_t removed = 0;
  snapmla_status status = select_by(settings, &selector);
  int selects = selector.device_class || selector.problem_key || selector.variant;
  if (!status && selects == !!settings->all)
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                               "forget needs --device-class, --problem or --match, or --all without them");
  if (!status) status = smla_library_status(snapmla_wisdom_forget(&selector, &removed));
  if (!status) printf("%lld measurements removed\n", (long long)removed);
  return finish(status);
}

/* --- quarantine --------------------------------------------------------------------------------------------------- */

static void on_quarantined(void *user, const snapmla_quarantine_entry *e) {
  const listing *l = user;
  if (!l->settings->json) {
    printf("%s  %s%s%s\n    %s\n    %.*s\n", e->key, e->fate, *e->device_class ? " on " : "", e->device_class,
           e->variant, (int)strcspn(e->reason, "\n"), e->reason);
    return;
  }
  json_t *row = json_object();
  smla_json_set(row, "key", json_string(e->key));
  smla_json_set(row, "variant", smla_json_text(e->variant));
  smla_json_set(row, "device_class", smla_json_text(e->device_class));
  smla_json_set(row, "fate", smla_json_text(e->fate));
  smla_json_set(row, "reason", smla_json_text(e->reason));
  json_array_append_new(l->rows, row);
}

smla_exit smla_command_quarantine(const smla_settings *settings) {
  if (settings->release || settings->all) {
    int64_t released = 0;
    snapmla_status status = SNAPMLA_OK;
    if (settings->release && settings->all)
      status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--release and --all are given: give one of them");
    if (!status) status = smla_library_status(snapmla_quarantine_release(settings->release, &released));
    if (!status) printf("%lld entries released\n", (long long)released);
    return finish(status);
  }
  listing l = {.settings = settings, .rows = json_array()};
  snapmla_status status = smla_library_status(snapmla_quarantine_list(on_quarantined, &l));
  if (!status && settings->json) status = smla_json_print(json_incref(l.rows));
  json_decref(l.rows);
  return finish(status);
}
