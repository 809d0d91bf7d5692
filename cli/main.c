/* The program snapmla: finds the command, reads its options, runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "console.h"
#include "output_file.h"

static smla_exit unknown_command(const char *word) {
  const char *names[64] = {0};
  for (size_t i = 0; smla_commands[i].name && i + 1 < sizeof names / sizeof *names; ++i)
    names[i] = smla_commands[i].name;
  const char *nearest = smla_nearest_name(word, names);
  if (nearest)
    smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "there is no command '%.80s': the nearest is '%s'", word, nearest);
  else
    smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "there is no command '%.80s': 'snapmla help' lists them", word);
  smla_console_error();
  return SMLA_EXIT_USAGE;
}

static smla_exit run_command(const smla_command *command, int count, char **argv) {
  smla_settings settings;
  smla_exit code;
  smla_settings_init(&settings);
  if (command->bit == SMLA_FOR_HELP && count && argv[0][0] != '-') {
    const smla_command *about = smla_command_find(argv[0]);
    if (!about) return unknown_command(argv[0]);
    smla_help_command(stdout, about);
    return SMLA_EXIT_OK;
  }
  snapmla_status status = smla_options_parse(command, count, argv, &settings);
  if (status) {
    smla_console_error();
    code = smla_console_exit_code(status);
  } else if (settings.help) {
    smla_help_command(stdout, command);
    code = SMLA_EXIT_OK;
  } else {
    smla_console_progress_enable(settings.progress);
    code = command->run(&settings);
    smla_console_progress_end();
  }
  smla_settings_free(&settings);
  return code;
}

int main(int argc, char **argv) {
  smla_exit code;
  signal(SIGPIPE, SIG_IGN); /* a closed stdout is an error that we name */
  smla_output_file_remove_on_signal();
  const char *word = argc > 1 ? argv[1] : NULL;
  if (!word) {
    smla_help_program(stderr);
    code = SMLA_EXIT_USAGE;
  } else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
    smla_help_program(stdout);
    code = SMLA_EXIT_OK;
  } else if (!strcmp(word, "--version")) {
    code = smla_command_version(&(smla_settings){0});
  } else {
    const smla_command *command = smla_command_find(word);
    code = command ? run_command(command, argc - 2, argv + 2) : unknown_command(word);
  }
  if (fflush(stdout) || ferror(stdout)) {
    smla_console_fail(SNAPMLA_IO, "cannot write to stdout");
    smla_console_error();
    if (code == SMLA_EXIT_OK) code = SMLA_EXIT_FAILED;
  }
  return code;
}
