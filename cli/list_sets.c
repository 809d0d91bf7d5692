/* --list-sets: the sets of problems that the program carries. */
#include "list_sets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "json_output.h"
#include "kernels.h"
#include "problems_file.h"

/* One set: its problems, and the kernels that the command would make of them. */
static snapmla_status list_one(const smla_settings *settings, const smla_set *set, json_t *list) {
  char *name = strndup(set->path, strcspn(set->path, ".")), *about = NULL;
  smla_settings of_set = *settings; /* no list of it is owned here */
  smla_problems problems = {0};
  smla_kernels kernels = {0};
  of_set.set = name;
  snapmla_status status = name ? smla_set_about(set, &about)
                               : smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the name of a set");
  if (!status) status = smla_problems_read(&of_set, &problems);
  if (!status) status = smla_kernels_resolve(&of_set, &kernels);
  if (!status && list) {
    json_t *entry = json_object();
    smla_json_set(entry, "name", smla_json_text(name));
    smla_json_set(entry, "problems", json_integer((json_int_t)problems.count));
    smla_json_set(entry, "kernels", json_integer((json_int_t)kernels.count));
    smla_json_set(entry, "about", smla_json_text(about));
    json_array_append_new(list, entry);
  } else if (!status) {
    printf("%s: %zu problems, %zu kernels: %s\n", name, problems.count, kernels.count, about);
  }
  smla_kernels_free(&kernels);
  smla_problems_free(&problems);
  free(about);
  free(name);
  return status;
}

smla_exit smla_list_sets(const smla_settings *settings) {
  json_t *list = settings->json ? json_array() : NULL;
  snapmla_status status = SNAPMLA_OK;
  const char *other = settings->set                         ? "--set"
                      : settings->output                    ? "-o"
                      : settings->problems                  ? "--problems"
                      : settings->variants.count            ? "--variant"
                      : smla_problem_is_described(settings) ? "options that describe a problem"
                                                            : NULL;
  if (other)
    status =
        smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--list-sets tells of the program's own sets: leave %s out", other);
  for (const smla_set *set = smla_sets; !status && set->path; ++set) status = list_one(settings, set, list);
  if (!status && list) {
    status = smla_json_print(list);
    list = NULL;
  }
  if (status) smla_console_error();
  json_decref(list);
  return status ? smla_console_exit_code(status) : SMLA_EXIT_OK;
}
