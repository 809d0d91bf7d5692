/* snapmla export: kernels and the problems they serve, as a pack or as C source. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "c_source.h"
#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "key_file.h"
#include "library.h"
#include "options.h"
#include "output_file.h"
#include "problems_file.h"

enum { MOST_TARGETS = 2 };

static void on_progress(void *user, const char *what) {
  (void)user;
  smla_console_progress("%s", what);
}

/* Each --target once, in the order of the enumeration. */
static snapmla_status read_targets(const smla_text_list *texts, snapmla_target *targets, size_t *count) {
  int wanted[MOST_TARGETS] = {!texts->count};
  for (size_t i = 0; i < texts->count; ++i) {
    int target = 0;
    while (smla_target_names[target] && strcmp(smla_target_names[target], texts->items[i])) ++target;
    if (!smla_target_names[target] || target >= MOST_TARGETS)
      return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--target %.80s: unknown: give one of sm90a, emulator",
                               texts->items[i]);
    wanted[target] = 1;
  }
  *count = 0;
  for (int target = 0; target < MOST_TARGETS; ++target)
    if (wanted[target]) targets[(*count)++] = (snapmla_target)target;
  return SNAPMLA_OK;
}

static snapmla_status check_settings(const smla_settings *settings) {
  if (!settings->output && !settings->c_source)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "nothing is to be written: give -o FILE or --c-source FILE");
  if (settings->c_name && !settings->c_source)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--c-name is the name in --c-source FILE: give that too");
  if ((settings->problems || settings->set) && settings->variants.count)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "--variant is of one problem: with --problems give each its own, as \"variant\"");
  if (!settings->device_classes.count && (settings->wisdom_only || settings->allow_nearest || settings->deterministic))
    return smla_console_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "--wisdom-only, --allow-nearest and --deterministic say how variants are chosen for a device "
        "class: give --device-class too");
  return SNAPMLA_OK;
}

static void add_text(json_t *object, const char *key, const char *text) {
  smla_json_set(object, key, text ? smla_json_text(text) : json_null());
}

/* How many plans there are of each provenance. */
static json_t *count_provenances(const snapmla_pack *pack, int32_t plans) {
  json_t *counts = json_object();
  for (int32_t i = 0; i < plans; ++i) {
    snapmla_pack_plan plan = {.size = sizeof plan};
    if (snapmla_pack_plan_get(pack, i, &plan)) continue;
    smla_json_set(counts, plan.provenance,
                  json_integer(json_integer_value(json_object_get(counts, plan.provenance)) + 1));
  }
  return counts;
}

static void print_provenances(json_t *counts) {
  static const char *const names[] = {"exact", "near", "estimated", "given", "default"};
  const char *separator = "variants    ";
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    if (!json_object_get(counts, names[i])) continue;
    printf("%s%lld %s", separator, (long long)json_integer_value(json_object_get(counts, names[i])), names[i]);
    separator = ", ";
  }
  putchar('\n');
}

static snapmla_status print(const smla_settings *settings, const unsigned char *data, size_t bytes) {
  snapmla_pack *pack = NULL;
  snapmla_pack_info info = {.size = sizeof info};
  char signer[2 * SNAPMLA_PACK_PUBLIC_KEY_BYTES + 1];
  snapmla_status status = smla_library_status(snapmla_pack_open_memory(data, bytes, NULL, &pack));
  if (!status) status = smla_library_status(snapmla_pack_info_get(pack, &info));
  json_t *provenances = status ? NULL : count_provenances(pack, info.plan_count);
  snapmla_pack_close(pack);
  if (status) return status;
  smla_key_text(info.signer, sizeof info.signer, signer);
  if (settings->json) {
    json_t *root = json_object();
    smla_json_set(root, "ok", json_true());
    add_text(root, "path", settings->output);
    add_text(root, "c_source", settings->c_source);
    smla_json_set(root, "bytes", json_integer(info.bytes));
    smla_json_set(root, "kernels", json_integer(info.artifact_count));
    smla_json_set(root, "plans", json_integer(info.plan_count));
    add_text(root, "digest", info.digest);
    add_text(root, "signer", info.is_signed ? signer : NULL);
    smla_json_set(root, "provenances", provenances);
    return smla_json_print(root);
  }
  smla_console_progress_end();
  if (settings->output) printf("%s\n", settings->output);
  if (settings->c_source) printf("%s\n", settings->c_source);
  printf("%d kernels, %d plans, %lld bytes, digest %.16s%s%.16s\n", info.artifact_count, info.plan_count,
         (long long)info.bytes, info.digest, info.is_signed ? ", signed by " : ", unsigned",
         info.is_signed ? signer : "");
  print_provenances(provenances);
  json_decref(provenances);
  return SNAPMLA_OK;
}

smla_exit smla_command_export(const smla_settings *settings) {
  snapmla_target targets[MOST_TARGETS];
  unsigned char secret_key[SNAPMLA_PACK_SECRET_KEY_BYTES];
  smla_problems problems = {0};
  void *data = NULL;
  size_t bytes = 0;
  snapmla_pack_make_options options = {.size = sizeof options,
                                       .targets = targets,
                                       .templates = settings->templates,
                                       .compression = settings->compression,
                                       .device_classes = settings->device_classes.items,
                                       .device_class_count = settings->device_classes.count,
                                       .flags = (settings->wisdom_only ? SNAPMLA_PLAN_WISDOM_ONLY : 0) |
                                                (settings->allow_nearest ? SNAPMLA_PLAN_ALLOW_NEAREST : 0) |
                                                (settings->deterministic ? SNAPMLA_PLAN_DETERMINISTIC : 0),
                                       .secret_key = settings->sign ? secret_key : NULL,
                                       .progress = on_progress};
  snapmla_status status = check_settings(settings);
  if (!status) status = read_targets(&settings->targets, targets, &options.target_count);
  if (!status && settings->sign) status = smla_secret_key_read(settings->sign, secret_key);
  if (!status)
    status = settings->problems || settings->set ? smla_problems_read(settings, &problems)
                                                 : smla_problems_of_options(settings, &problems);
  if (!status)
    status = smla_library_status(snapmla_pack_make(&options, problems.requests, problems.count, &data, &bytes));
  if (!status && settings->output) status = smla_output_file_save(settings->output, data, bytes);
  if (!status && settings->c_source) status = smla_c_source_write(settings->c_source, settings->c_name, data, bytes);
  if (!status) status = print(settings, data, bytes);
  if (status) {
    smla_console_error();
    if (settings->json) smla_json_print_failure(status);
  }
  memset(secret_key, 0, sizeof secret_key);
  snapmla_pack_data_free(data);
  smla_problems_free(&problems);
  return smla_console_exit_code(status);
}
