/* snapmla build: compiles kernels to artifacts; needs no device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "kernels.h"
#include "library.h"
#include "list_sets.h"
#include "output_file.h"

static snapmla_status save_as(const char *directory, const char *variant, const char *suffix, const void *data,
                              size_t bytes) {
  snapmla_status status = SNAPMLA_OK;
  char *name = smla_kernel_file_name(variant, suffix);
  char *path = name ? smla_path_join(directory, name) : NULL;
  if (!path)
    status = SNAPMLA_OUT_OF_MEMORY;
  else
    status = smla_output_file_save(path, data, bytes);
  free(name);
  free(path);
  return status;
}

/* The image and the log. */
static snapmla_status save(const char *directory, const snapmla_artifact_report *report, snapmla_target target) {
  const char *log = report->log ? report->log : "";
  snapmla_status status = save_as(directory, report->variant,
                                  target == SNAPMLA_TARGET_EMULATOR ? ".so.log" : ".cubin.log", log, strlen(log));
  if (status) return status;
  return save_as(directory, report->variant, target == SNAPMLA_TARGET_EMULATOR ? ".so" : ".cubin", report->image,
                 report->image_bytes);
}

static void add_row(json_t *list, const char *variant, const char *users, const snapmla_artifact_report *report,
                    int compiled, const char *error) {
  json_t *row = json_object();
  smla_json_set(row, "variant", json_string(variant));
  smla_json_set(row, "for", users ? smla_json_text(users) : json_null());
  smla_json_set(row, "ok", json_boolean(!error));
  smla_json_set(row, "entry", report->entry ? json_string(report->entry) : json_null());
  smla_json_set(row, "registers", compiled ? json_integer(report->registers) : json_null());
  smla_json_set(row, "spill_bytes", compiled ? json_integer(report->spill_bytes) : json_null());
  smla_json_set(row, "smem_bytes", compiled ? json_integer(report->smem_bytes) : json_null());
  smla_json_set(row, "threads", compiled ? json_integer(report->threads) : json_null());
  smla_json_set(row, "seconds", smla_json_real(report->seconds));
  smla_json_set(row, "warnings", json_integer(report->warnings));
  smla_json_set(row, "serialized_wgmma", compiled ? json_boolean(report->serialized_wgmma) : json_null());
  smla_json_set(row, "image_bytes", compiled ? json_integer((json_int_t)report->image_bytes) : json_null());
  smla_json_set(row, "error", error ? smla_json_text(error) : json_null());
  json_array_append_new(list, row);
}

static void print_row(const char *variant, const snapmla_artifact_report *report, int compiled, const char *error) {
  if (compiled)
    printf("%9d %6d %8d %7d %8.2f %8d %8zu  %s%s%s\n", report->registers, report->spill_bytes, report->smem_bytes,
           report->threads, report->seconds, report->warnings, report->image_bytes, variant,
           report->serialized_wgmma ? "  (wgmma serialised)" : "", error ? "  (not written)" : "");
  else
    printf("%9s %6s %8s %7s %8.2f %8d %8s  %s  (failed)\n", "-", "-", "-", "-", report->seconds, report->warnings, "-",
           variant);
}

/* Compiles, keeps (in `directory`, unless it is NULL) and reports one kernel; its failure is told here and counted by the caller. */
static snapmla_status build_one(const smla_kernels *kernels, size_t i, const char *directory, json_t *list) {
  snapmla_artifact *artifact = NULL;
  snapmla_artifact_report report = {0};
  const char *variant = kernels->variants[i];
  smla_console_progress("compiling %s (%zu of %zu)", variant, i + 1, kernels->count);
  snapmla_status status = smla_library_status(snapmla_artifact_compile(&kernels->options, variant, &artifact));
  int compiled = !status;
  if (artifact) {
    snapmla_artifact_report_get(artifact, &report);
    if (compiled && directory) status = save(directory, &report, kernels->options.target);
  }
  smla_console_progress_end();
  if (status) {
    smla_console_error();
    if (!compiled && report.log && report.log[0]) fprintf(stderr, "%s\n", report.log);
  } else if (report.warnings) {
    smla_console_note("%s: %d warning%s:\n%s", variant, report.warnings, report.warnings == 1 ? "" : "s",
                      report.log ? report.log : "");
  }
  const char *error = status ? smla_console_reason() : NULL;
  if (list)
    add_row(list, variant, kernels->users[i], &report, compiled, error);
  else
    print_row(variant, &report, compiled, error);
  fflush(stdout); /* in order with what is told on stderr */
  snapmla_artifact_destroy(artifact);
  return status;
}

smla_exit smla_command_build(const smla_settings *settings) {
  if (settings->list_sets) return smla_list_sets(settings);
  const char *directory = settings->output; /* NULL: only the report is wanted */
  json_t *list = settings->json ? json_array() : NULL;
  smla_kernels kernels = {0};
  snapmla_status first = SNAPMLA_OK;
  snapmla_status status = smla_kernels_resolve(settings, &kernels);
  if (!status && directory) status = smla_path_make_directory(directory);
  if (status) {
    smla_console_error();
    goto out;
  }
  kernels.options.line_directives = 1; /* so that the compiler names the template's line */
  if (!list)
    printf("%9s %6s %8s %7s %8s %8s %8s  %s\n", "registers", "spill", "smem", "threads", "seconds", "warnings", "image",
           "variant");
  for (size_t i = 0; i < kernels.count; ++i) {
    snapmla_status one = build_one(&kernels, i, directory, list);
    if (one && !first) first = one;
    if (one == SNAPMLA_NO_COMPILER) break; /* nor will there be one for the next */
  }
  if (list) {
    status = smla_json_print(list);
    list = NULL;
    if (status) smla_console_error();
  }
out:
  json_decref(list);
  smla_kernels_free(&kernels);
  if (status) return smla_console_exit_code(status);
  return first == SNAPMLA_NO_COMPILER ? SMLA_EXIT_MISSING : first ? SMLA_EXIT_FAILED : SMLA_EXIT_OK;
}
