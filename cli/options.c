#include "options.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 40 };

/* Edits (insert, delete, replace) that turn a into b; both at most MAX_NAME long. */
static int distance(const char *a, const char *b) {
  int previous[MAX_NAME + 1], current[MAX_NAME + 1];
  int length = (int)strlen(b);
  for (int j = 0; j <= length; ++j) previous[j] = j;
  for (int i = 1; a[i - 1]; ++i) {
    current[0] = i;
    for (int j = 1; j <= length; ++j) {
      int best = previous[j - 1] + (a[i - 1] != b[j - 1]);
      if (previous[j] + 1 < best) best = previous[j] + 1;
      if (current[j - 1] + 1 < best) best = current[j - 1] + 1;
      current[j] = best;
    }
    memcpy(previous, current, sizeof previous);
  }
  return previous[length];
}

const char *smla_nearest_name(const char *text, const char *const *names) {
  const char *nearest = NULL;
  size_t length = strlen(text);
  int best = length < 4 ? 2 : length < 8 ? 3 : 4; /* farther is no likely slip */
  if (length > MAX_NAME) return NULL;
  for (int i = 0; names[i]; ++i) {
    int d = strlen(names[i]) > MAX_NAME ? best : distance(text, names[i]);
    if (length >= 3 && !strncmp(names[i], text, length)) d = 0; /* the start of a name is near it */
    if (d < best) {
      best = d;
      nearest = names[i];
    }
  }
  return nearest;
}

const smla_command *smla_command_find(const char *name) {
  for (const smla_command *command = smla_commands; command->name; ++command)
    if (!strcmp(command->name, name)) return command;
  return NULL;
}

const char *smla_command_invoked(const smla_command *command) {
  static char name[MAX_NAME + 16];
  snprintf(name, sizeof name, "%s%s", command->invoked ? "" : "snapmla ",
           command->invoked ? command->invoked : command->name);
  return name;
}

static const smla_option *find_long(const smla_command *command, const char *name, size_t length) {
  for (const smla_option *option = smla_options; option->name; ++option)
    if ((option->commands & command->bit) && strlen(option->name) == length && !memcmp(option->name, name, length))
      return option;
  return NULL;
}

static const smla_option *find_letter(const smla_command *command, char letter) {
  for (const smla_option *option = smla_options; option->name; ++option)
    if ((option->commands & command->bit) && option->letter && option->letter == letter) return option;
  return NULL;
}

static snapmla_status unknown(const smla_command *command, const char *word, size_t length) {
  const char *names[128] = {0};
  char name[MAX_NAME + 1] = "";
  size_t count = 0;
  for (const smla_option *option = smla_options; option->name && count + 1 < sizeof names / sizeof *names; ++option)
    if (option->commands & command->bit) names[count++] = option->name;
  const char *nearest = NULL;
  if (length > 2 && length - 2 <= MAX_NAME && word[1] == '-') {
    memcpy(name, word + 2, length - 2);
    nearest = smla_nearest_name(name, names);
  }
  if (nearest)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s has no option %.*s: the nearest is --%s", command->name,
                             (int)(length > 80 ? 80 : length), word, nearest);
  return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s has no option %.*s: '%s --help' lists them", command->name,
                           (int)(length > 80 ? 80 : length), word, smla_command_invoked(command));
}

snapmla_status smla_options_parse(const smla_command *command, int count, char **argv, smla_settings *settings) {
  for (int i = 0; i < count; ++i) {
    const char *word = argv[i], *value = NULL;
    const smla_option *option = NULL;
    size_t length = strlen(word);
    if (command->operands && word[0] != '-') {
      snapmla_status status = smla_list_add(&settings->operands, word);
      if (status) return status;
      continue;
    }
    if (word[0] != '-' || !word[1])
      return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "%s: unexpected argument '%.80s': options begin with --",
                               command->name, word);
    if (word[1] == '-') {
      const char *equals = strchr(word, '=');
      if (equals) {
        length = (size_t)(equals - word);
        value = equals + 1;
      }
      option = find_long(command, word + 2, length - 2);
    } else if (length == 2) {
      option = find_letter(command, word[1]);
    }
    if (!option) return unknown(command, word, length);
    if (!option->argument && value)
      return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s takes no argument", option->name);
    if (option->argument && !value) {
      if (i + 1 == count)
        return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s: its argument %s is missing", option->name,
                                 option->argument);
      value = argv[++i];
    }
    snapmla_status status = option->parse(option, value, (char *)settings + option->field);
    if (status) return status;
  }
  return SNAPMLA_OK;
}
