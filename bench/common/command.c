/* The command line of the programs of bench/: what each takes, and what all take. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const char common_help[] =
    "  --device NAME     cuda:N or emulator (cuda:0)\n"
    "  --small           tiny shapes, to try the program itself\n"
    "  --variant TEXT    override of variants, whole or in part, as in mla_decode:stages=3\n"
    "  --repeat N        runs per time, 1 to 1000 (21; 2 with --small)\n"
    "  --rest N          after each run the GPU is left alone for N times as long as run and flush took, 0 to 100\n"
    "                    (3; 0 with --small, and always on the emulator)\n"
    "  --csv FILE        the times as CSV\n"
    "  -h, --help        this text\n\n"
    "exit: 0 all ran, 1 a shape failed, 2 usage, 3 no such device\n";

int bench_usage(const bench_command *c, const char *problem, const char *what) {
  fprintf(stderr, "%s: %s%s; %s --help lists the options\n", c->program, problem, what, c->program);
  return BENCH_USAGE;
}

static const char **value_of(const bench_option *options, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(options[i].name, name)) return options[i].value;
  return NULL;
}

/* Of two lists of options; `more_help` is printed behind the program's own. */
static int read_options(bench_command *c, const bench_option *more, size_t more_count, const char *more_help, int argc,
                        char **argv) {
  const bench_option device = {"--device", &c->device};
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help"))
      return fputs(c->help, stdout) < 0 || fputs(more_help, stdout) < 0;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--small")) {
      c->small = 1;
      continue;
    }
    const char **value = value_of(&device, 1, argv[i]);
    if (!value) value = value_of(more, more_count, argv[i]);
    if (!value) value = value_of(c->options, c->option_count, argv[i]);
    if (!value) return bench_usage(c, "unknown option ", argv[i]);
    if (i + 1 == argc) return bench_usage(c, "an option without its value: ", argv[i]);
    *value = argv[++i];
  }
  return BENCH_GO_ON;
}

int bench_options_read(bench_command *c, int argc, char **argv) { return read_options(c, NULL, 0, "", argc, argv); }

double bench_number(const char *text) {
  char *end;
  const double number = strtod(text, &end);
  return *text && !*end ? number : NAN;
}

int bench_command_read(bench_command *c, int argc, char **argv) {
  const char *repeat = NULL, *rest = NULL;
  const bench_option timing[] = {
      {"--variant", &c->variant}, {"--repeat", &repeat}, {"--rest", &rest}, {"--csv", &c->csv}};
  int status = read_options(c, timing, sizeof timing / sizeof *timing, common_help, argc, argv);
  if (status != BENCH_GO_ON) return status;
  c->repeats = repeat ? atoi(repeat) : c->small ? 2 : 21;
  if (c->repeats < 1 || c->repeats > BENCH_SAMPLES) return bench_usage(c, "--repeat must be 1 to 1000, not ", repeat);
  c->rest = rest ? bench_number(rest) : c->small ? 0 : 3;
  if (!(c->rest >= 0 && c->rest <= 100)) return bench_usage(c, "--rest must be 0 to 100, not ", rest);
  return BENCH_GO_ON;
}

int bench_one_of(const char *text, const char *const *names) {
  for (; *names; names++)
    if (!strcmp(text, *names)) return 1;
  return 0;
}
