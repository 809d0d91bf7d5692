/* The program snapmla-run: the command run on a pack's kernels alone. It stands on snapmla-deploy, which has neither
 * Lua nor a compiler, and it writes no file. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "console.h"
#include "options.h"
#include "run.h"

static smla_exit run_pack(const smla_settings *settings) { return smla_run(settings, smla_plan_from_pack); }

const smla_command smla_commands[] = {
    {"snapmla-run", "decode with the kernels of a pack",
     "Appends tokens to a paged cache, decodes with kernels of a pack, compares with the double-precision oracle\n"
     "and prints variant, device, error, bytes and time. Nothing is expanded or compiled and no file is written: a\n"
     "problem that the pack lacks is an error.",
     SMLA_FOR_PACK_RUN, .run = run_pack, .invoked = "snapmla-run"},
    {0},
};

static smla_exit run(int count, char **argv) {
  smla_settings settings;
  smla_exit code;
  smla_settings_init(&settings);
  snapmla_status status = smla_options_parse(smla_commands, count, argv, &settings);
  if (status) {
    smla_console_error();
    code = smla_console_exit_code(status);
  } else if (settings.help) {
    smla_help_command(stdout, smla_commands);
    code = SMLA_EXIT_OK;
  } else {
    smla_console_progress_enable(settings.progress);
    code = smla_commands->run(&settings);
    smla_console_progress_end();
  }
  smla_settings_free(&settings);
  return code;
}

int main(int argc, char **argv) {
  smla_exit code = SMLA_EXIT_OK;
  signal(SIGPIPE, SIG_IGN); /* a closed stdout is an error that we name */
  smla_console_name("snapmla-run");
  if (argc == 2 && !strcmp(argv[1], "--version")) {
    printf("snapmla-run %s\n", snapmla_version());
  } else if (argc < 2) {
    smla_help_command(stderr, smla_commands);
    code = SMLA_EXIT_USAGE;
  } else {
    code = run(argc - 1, argv + 1);
  }
  if (fflush(stdout) || ferror(stdout)) {
    smla_console_fail(SNAPMLA_IO, "cannot write to stdout");
    smla_console_error();
    if (code == SMLA_EXIT_OK) code = SMLA_EXIT_FAILED;
  }
  return code;
}
