/* snapmla pack: verify, list, diff, keygen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"
#include "key_file.h"
#include "library.h"
#include "options.h"
#include "pack_show.h"
#include "plan_maker.h"

static snapmla_status verify(const smla_settings *settings, int *differ) {
  snapmla_pack *pack = NULL;
  snapmla_pack_info info = {.size = sizeof info};
  (void)differ;
  snapmla_status status = smla_pack_open(settings, settings->operands.items[1], &pack);
  if (!status) status = smla_library_status(snapmla_pack_verify(pack));
  if (!status) status = smla_library_status(snapmla_pack_info_get(pack, &info));
  if (!status) status = smla_pack_show_verdict(settings, &info);
  snapmla_pack_close(pack);
  return status;
}

static snapmla_status list(const smla_settings *settings, int *differ) {
  snapmla_pack *pack = NULL;
  (void)differ;
  snapmla_status status = smla_pack_open(settings, settings->operands.items[1], &pack);
  if (!status) status = smla_pack_show(settings, pack);
  snapmla_pack_close(pack);
  return status;
}

static snapmla_status diff(const smla_settings *settings, int *differ) {
  snapmla_pack *a = NULL, *b = NULL;
  snapmla_status status = smla_pack_open(settings, settings->operands.items[1], &a);
  if (!status) status = smla_pack_open(settings, settings->operands.items[2], &b);
  if (!status) status = smla_pack_show_difference(settings, a, b, differ);
  snapmla_pack_close(a);
  snapmla_pack_close(b);
  return status;
}

static snapmla_status keygen(const smla_settings *settings, int *differ) {
  unsigned char public_key[SNAPMLA_PACK_PUBLIC_KEY_BYTES], secret_key[SNAPMLA_PACK_SECRET_KEY_BYTES];
  char text[2 * sizeof public_key + 1];
  (void)differ;
  if (!settings->output)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "pack keygen: give -o NAME for NAME.key and NAME.pub");
  size_t room = strlen(settings->output) + sizeof ".key";
  char *secret_path = malloc(room), *public_path = malloc(room);
  snapmla_status status = SNAPMLA_OK;
  if (!secret_path || !public_path) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a file name");
  } else {
    snprintf(secret_path, room, "%s.key", settings->output);
    snprintf(public_path, room, "%s.pub", settings->output);
    status = smla_library_status(snapmla_pack_keys_make(public_key, secret_key));
    if (!status) status = smla_key_write(secret_path, 0600, secret_key, sizeof secret_key);
    if (!status) {
      status = smla_key_write(public_path, 0666, public_key, sizeof public_key);
      if (status) remove(secret_path); /* one without the other is of no use */
    }
    memset(secret_key, 0, sizeof secret_key);
  }
  if (!status) {
    smla_key_text(public_key, sizeof public_key, text);
    if (settings->json) {
      json_t *root = json_object();
      smla_json_set(root, "ok", json_true());
      smla_json_set(root, "secret", smla_json_text(secret_path));
      smla_json_set(root, "public", smla_json_text(public_path));
      smla_json_set(root, "key", json_string(text));
      status = smla_json_print(root);
    } else {
      printf("%s  secret: keep it\n%s  %s\n", secret_path, public_path, text);
    }
  }
  free(secret_path);
  free(public_path);
  return status;
}

static const struct action {
  const char *name;
  size_t files;
  snapmla_status (*run)(const smla_settings *settings, int *differ);
} actions[] = {{"verify", 1, verify}, {"list", 1, list}, {"diff", 2, diff}, {"keygen", 0, keygen}};
enum { ACTIONS = sizeof actions / sizeof *actions };

static snapmla_status find_action(const smla_text_list *words, const struct action **out) {
  const char *names[ACTIONS + 1] = {0};
  if (!words->count)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "pack: say what to do: verify, list, diff or keygen");
  for (size_t i = 0; i < ACTIONS; ++i) {
    names[i] = actions[i].name;
    if (strcmp(words->items[0], actions[i].name)) continue;
    *out = &actions[i];
    if (words->count == actions[i].files + 1) return SNAPMLA_OK;
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "pack %s: %zu file(s) are named, it takes %zu", actions[i].name,
                             words->count - 1, actions[i].files);
  }
  const char *nearest = smla_nearest_name(words->items[0], names);
  return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "there is no 'pack %.80s': %s%s", words->items[0],
                           nearest ? "the nearest is " : "give verify, list, diff or keygen", nearest ? nearest : "");
}

smla_exit smla_command_pack(const smla_settings *settings) {
  const struct action *action = NULL;
  int differ = 0;
  snapmla_status status = find_action(&settings->operands, &action);
  if (!status) status = action->run(settings, &differ);
  if (status) {
    smla_console_error();
    if (settings->json) smla_json_print_failure(status);
    return smla_console_exit_code(status);
  }
  return differ ? SMLA_EXIT_FAILED : SMLA_EXIT_OK;
}
