/* The program snapmla: finds the command, reads its options, runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "commands.h"
#include "console.h"
#include "json_output.h"

static smla_exit print_version(const smla_settings *settings) {
  if (!settings->json) {
    printf("snapmla %s\n", snapmla_version());
    return SMLA_EXIT_OK;
  }
  json_t *root = json_object();
  smla_json_set(root, "name", json_string("snapmla"));
  smla_json_set(root, "version", json_string(snapmla_version()));
  return smla_console_exit_code(smla_json_print(root));
}

static smla_exit print_help(const smla_settings *settings) {
  (void)settings;
  smla_help_program(stdout);
  return SMLA_EXIT_OK;
}

const smla_command smla_commands[] = {
    {"gen", "expand kernels to source files",
     "Expands the kernels of a problem to CUDA C++ source, one self-contained file each, and prints their names. With one\n"
     "kernel -o may name the file. A file appears whole or not at all; an error in one kernel leaves no file of another.",
     SMLA_FOR_GEN, smla_command_gen},
    {"build", "compile kernels to artifacts; needs no GPU",
     "Compiles the kernels of a problem (sm90a: NVRTC to a cubin; emulator: the host's C++ compiler to a shared object) into a\n"
     "directory, each with the compiler's log beside it, and reports registers per thread, spilled bytes, shared memory,\n"
     "seconds and warnings. Fails if one kernel does.",
     SMLA_FOR_BUILD, smla_command_build},
    {"run", "make or read a problem, append, decode, check, print",
     "Appends tokens to a paged cache, decodes, compares with the double-precision oracle and prints variant, device, error,\n"
     "bytes and time. The data are synthetic (--data, --seed) or tensors from files; unused cache and block-table entries\n"
     "past a length hold garbage on purpose. -o takes the result away.",
     SMLA_FOR_RUN, smla_command_run},
    {"verify", "compare the kernels with the oracle over kinds of data and lengths",
     "Decodes batches of lengths (0,1,63,64,65,700,4096) for every kind of data and compares each request with the oracle of the\n"
     "same quantised query and cache, with the one that rounds P as the kernel does, and with the unquantised one.",
     SMLA_FOR_VERIFY, smla_command_verify},
    {"doctor", "what is found, what is missing, what to do",
     "Looks for everything that snapmla uses. Exit code 3 if something that nothing works without is missing.",
     SMLA_FOR_DOCTOR, smla_command_doctor},
    {"help", "this text, or 'help COMMAND' for a command", "Prints the commands; 'snapmla help COMMAND' prints one's options.",
     SMLA_FOR_HELP, print_help},
    {"version", "the version", "Prints the version.", SMLA_FOR_VERSION, print_version},
    {0},
};

static smla_exit unknown_command(const char *word) {
  const char *names[16] = {0};
  for (size_t i = 0; smla_commands[i].name && i + 1 < sizeof names / sizeof *names; ++i) names[i] = smla_commands[i].name;
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
  const char *word = argc > 1 ? argv[1] : NULL;
  if (!word) {
    smla_help_program(stderr);
    code = SMLA_EXIT_USAGE;
  } else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
    smla_help_program(stdout);
    code = SMLA_EXIT_OK;
  } else if (!strcmp(word, "--version")) {
    code = print_version(&(smla_settings){0});
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
