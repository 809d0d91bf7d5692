/* snapmla doctor: what is found, what is missing, what to do. */
#include <stdio.h>

#include <snapmla/snapmla.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "library.h"

typedef struct collected {
  json_t *list; /* NULL: print */
  int missing;  /* required and not usable */
} collected;

static void print_finding(const snapmla_finding *finding) {
  const char *mark = finding->ok ? "ok" : finding->required ? "MISSING" : "absent";
  printf("%-8s %-16s %s\n", mark, finding->name, finding->found ? finding->found : "");
  if (!finding->ok && finding->remedy && finding->remedy[0]) printf("%-8s %-16s remedy: %s\n", "", "", finding->remedy);
}

static void on_finding(void *user, const snapmla_finding *finding) {
  collected *all = user;
  if (finding->required && !finding->ok) all->missing = 1;
  if (!all->list) {
    print_finding(finding);
    return;
  }
  json_t *entry = json_object();
  smla_json_set(entry, "name", smla_json_text(finding->name));
  smla_json_set(entry, "ok", json_boolean(finding->ok));
  smla_json_set(entry, "required", json_boolean(finding->required));
  smla_json_set(entry, "found", smla_json_text(finding->found ? finding->found : ""));
  smla_json_set(entry, "remedy", smla_json_text(finding->remedy ? finding->remedy : ""));
  json_array_append_new(all->list, entry);
}

smla_exit smla_command_doctor(const smla_settings *settings) {
  collected all = {.list = settings->json ? json_array() : NULL};
  snapmla_status status = smla_library_status(snapmla_doctor(on_finding, &all));
  if (settings->json) {
    json_t *root = json_object();
    smla_json_set(root, "ok", json_boolean(!status && !all.missing));
    smla_json_set(root, "version", json_string(snapmla_version()));
    smla_json_set(root, "findings", all.list);
    snapmla_status printed = smla_json_print(root);
    if (!status) status = printed;
  } else if (!status) {
    printf("\n%s\n", all.missing ? "something that snapmla cannot work without is missing: see the remedies above"
                                 : "snapmla can run here; what is absent makes less possible, not nothing");
  }
  if (status) {
    smla_console_error();
    return smla_console_exit_code(status);
  }
  return all.missing ? SMLA_EXIT_MISSING : SMLA_EXIT_OK;
}
