/* snapmla gen: expands kernels to files. */
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

static int is_file_target(const char *output, size_t kernels) {
  size_t length = strlen(output);
  return kernels == 1 && output[length - 1] != '/' && !smla_path_is_directory(output);
}

/* Where the source of a variant goes; owned by the caller. */
static char *path_of(const char *output, size_t kernels, const char *variant, snapmla_target target) {
  char suffix[32];
  if (is_file_target(output, kernels)) return strdup(output);
  snprintf(suffix, sizeof suffix, ".%s.cu", smla_target_names[target]);
  char *name = smla_kernel_file_name(variant, suffix);
  char *path = name ? smla_path_join(output, name) : NULL;
  free(name);
  return path;
}

static snapmla_status write_source(const char *output, const smla_kernels *kernels, size_t i, const char *source,
                                   json_t *list) {
  char *path = path_of(output, kernels->count, kernels->variants[i], kernels->options.target);
  if (!path) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a file name");
  snapmla_status status = smla_output_file_save(path, source, strlen(source));
  if (!status && list) {
    json_t *entry = json_object();
    smla_json_set(entry, "variant", json_string(kernels->variants[i]));
    smla_json_set(entry, "for", kernels->users[i] ? smla_json_text(kernels->users[i]) : json_null());
    smla_json_set(entry, "target", json_string(smla_target_names[kernels->options.target]));
    smla_json_set(entry, "path", smla_json_text(path));
    smla_json_set(entry, "bytes", json_integer((json_int_t)strlen(source)));
    json_array_append_new(list, entry);
  } else if (!status) {
    printf("%s\n", path);
  }
  free(path);
  return status;
}

smla_exit smla_command_gen(const smla_settings *settings) {
  if (settings->list_sets) return smla_list_sets(settings);
  const char *output = settings->output ? settings->output : ".";
  int to_stdout = !strcmp(output, "-");
  char **sources = NULL;
  json_t *list = settings->json ? json_array() : NULL;
  smla_kernels kernels = {0};
  snapmla_status status = SNAPMLA_OK;
  if (to_stdout && settings->json) {
    status = smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "-o - and --json both mean stdout: give one of them");
    goto out;
  }
  status = smla_kernels_resolve(settings, &kernels);
  if (status) goto out;
  kernels.options.line_directives = settings->lines;
  sources = calloc(kernels.count, sizeof *sources);
  if (!sources) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the list of sources");
    goto out;
  }
  /* All are expanded before the first is written: an error in one leaves no file of another. */
  for (size_t i = 0; i < kernels.count; ++i) {
    smla_console_progress("expanding %s (%zu of %zu)", kernels.variants[i], i + 1, kernels.count);
    status = smla_library_status(snapmla_source_expand(&kernels.options, kernels.variants[i], &sources[i]));
    if (status) goto out;
  }
  smla_console_progress_end();
  if (!to_stdout && !is_file_target(output, kernels.count)) status = smla_path_make_directory(output);
  for (size_t i = 0; i < kernels.count && !status; ++i) {
    if (!to_stdout)
      status = write_source(output, &kernels, i, sources[i], list);
    else if (fputs(sources[i], stdout) < 0)
      status = smla_console_fail(SNAPMLA_IO, "cannot write to stdout");
  }
  if (!status && list) {
    status = smla_json_print(list);
    list = NULL;
  }
out:
  if (status) smla_console_error();
  for (size_t i = 0; sources && i < kernels.count; ++i) snapmla_text_free(sources[i]);
  free(sources);
  json_decref(list);
  smla_kernels_free(&kernels);
  return smla_console_exit_code(status);
}
