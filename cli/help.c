#include <stdio.h>
#include <string.h>

#include "options.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 100 };

/* Prints `text` from HELP_COLUMN on, broken at spaces; the line already holds `used` characters. */
static void print_wrapped(FILE *out, const char *text, int used) {
  int column = used;
  if (column >= HELP_COLUMN) {
    fputc('\n', out);
    column = 0;
  }
  fprintf(out, "%*s", HELP_COLUMN - column, "");
  column = HELP_COLUMN;
  while (*text) {
    int word = (int)strcspn(text, " ");
    if (column > HELP_COLUMN && column + 1 + word > HELP_WIDTH) {
      fprintf(out, "\n%*s", HELP_COLUMN, "");
      column = HELP_COLUMN;
    }
    column += fprintf(out, "%s%.*s", column > HELP_COLUMN ? " " : "", word, text);
    text += word;
    text += strspn(text, " ");
  }
  fputc('\n', out);
}

void smla_help_program(FILE *out) {
  fputs(
      "snapmla: FP8 decode attention for Multi-head Latent Attention on NVIDIA Hopper, with or without a GPU.\n\n"
      "usage: snapmla COMMAND [OPTIONS]\n\n",
      out);
  for (const smla_command *command = smla_commands; command->name; ++command)
    print_wrapped(out, command->summary, fprintf(out, "  %s", command->name));
  fputs(
      "\n'snapmla COMMAND --help' explains a command.\n\n"
      "exit codes: 0 ok; 1 a check or a run failed; 2 wrong usage or a bad input file; 3 no device or no compiler\n",
      out);
}

/* "how the cache is stored:" to "how the cache is stored: a, b or c (a)". */
static void add_names(const smla_option *option, char *text, size_t bytes) {
  size_t used = (size_t)snprintf(text, bytes, "%s", option->help);
  for (int i = 0; option->name_of(i) && used < bytes; ++i) {
    const char *before = !i ? " " : option->name_of(i + 1) ? ", " : " or ";
    used += (size_t)snprintf(text + used, bytes - used, "%s%s", before, option->name_of(i));
  }
  if (used < bytes) snprintf(text + used, bytes - used, " (%s)", option->name_of(0));
}

void smla_help_command(FILE *out, const smla_command *command) {
  fprintf(out, "usage: %s%s%s [OPTIONS]\n\n%s\n\noptions (defaults in parentheses):\n", smla_command_invoked(command),
          command->operands ? " " : "", command->operands ? command->operands : "", command->detail);
  for (const smla_option *option = smla_options; option->name; ++option) {
    char left[80], named[400];
    if (!(option->commands & command->bit)) continue;
    int used = option->letter ? snprintf(left, sizeof left, "  -%c, --%s", option->letter, option->name)
                              : snprintf(left, sizeof left, "  --%s", option->name);
    if (option->argument) used += snprintf(left + used, sizeof left - (size_t)used, " %s", option->argument);
    fputs(left, out);
    if (option->name_of) add_names(option, named, sizeof named);
    print_wrapped(out, option->name_of ? named : option->help, used);
  }
}
