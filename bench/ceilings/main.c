/* snapmla-ceilings: what a GPU can do at best of what the decode kernels are made of. See bench/README.md. */
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "ceilings.h"
#include "status.h"

static const char *const help =
    "usage: snapmla-ceilings [OPTIONS]\n\n"
    "Measures what bounds the decode kernels on a Hopper GPU: memory, tensor cores, instruction rates, signals,\n"
    "launches. Each figure: the median of several runs after unseen ones, the output checked.\n\n"
    "  --device NAME     cuda:N or emulator (cuda:0)\n"
    "  --small           a few figures of tiny sizes, to try the program itself\n"
    "  --only GROUP      one group (repeatable)\n"
    "  --repeat N        runs per figure, 1 to 1000 (21; 1 with --small)\n"
    "  --csv FILE        the figures as CSV\n"
    "  --templates DIR   where the kernels are (bench/ceilings/templates)\n"
    "  --list            the variants, and no more\n"
    "  -h, --help        this text\n\n"
    "exit: 0 all right, 1 an output was wrong or a figure could not be taken, 2 usage, 3 no such device\n\ngroups:\n";

static const ceiling_group *const groups[] = {
    &ceiling_read_group,         &ceiling_read_l2_group, &ceiling_cold_group,
    &ceiling_cold_written_group, &ceiling_copy_group,    &ceiling_wgmma_group,
    &ceiling_rate_group,         &ceiling_cluster_group, &ceiling_launch_group};
enum { GROUPS = sizeof groups / sizeof *groups, USAGE = 2, NO_DEVICE = 3 };

typedef struct options {
  const char *device, *templates, *csv;
  int small, list, repeats;
  int chosen[GROUPS], any_chosen;
} options;

static int usage(const char *problem, const char *what) {
  fprintf(stderr, "snapmla-ceilings: %s%s; snapmla-ceilings --help lists the options\n", problem, what);
  return USAGE;
}

static void print_help(void) {
  fputs(help, stdout);
  for (int i = 0; i < GROUPS; i++) printf("  %-10s %s\n", groups[i]->name, groups[i]->about);
}

static int choose(options *o, const char *name) {
  for (int i = 0; i < GROUPS; i++)
    if (!strcmp(groups[i]->name, name)) return o->any_chosen = o->chosen[i] = 1;
  return 0;
}

/* 0, or an exit status. */
static int parse(options *o, int argc, char **argv) {
  const struct {
    const char *name;
    const char **value;
  } texts[] = {{"--device", &o->device}, {"--templates", &o->templates}, {"--csv", &o->csv}};
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
    int taken = 0;
    if (!strcmp(name, "--small") || !strcmp(name, "--list")) {
      *(name[2] == 's' ? &o->small : &o->list) = 1;
      continue;
    }
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
      if (!strcmp(name, texts[k].name)) *texts[k].value = value, taken = 1;
    if (!strcmp(name, "--only")) {
      taken = 1;
      if (value && !choose(o, value)) return usage("--only: no such group: ", value);
    }
    if (!strcmp(name, "--repeat")) {
      taken = 1;
      o->repeats = value ? atoi(value) : 0;
      if (value && (o->repeats < 1 || o->repeats > BENCH_SAMPLES))
        return usage("--repeat must be 1 to 1000, not ", value);
    }
    if (!taken) return usage("unknown option ", name);
    if (!value) return usage("an option without its value: ", name);
    i++;
  }
  return 0;
}

/* All kernels, side by side; they are found compiled when their turn comes. A failure shows there. */
static void compile_all(const bench *b, const variant_list *lists) {
  smla_build *builds = calloc((size_t)GROUPS * VARIANTS, sizeof *builds);
  size_t count = 0;
  if (!builds) return;
  for (int g = 0; g < GROUPS; g++)
    for (size_t i = 0; i < lists[g].count; i++)
      builds[count++] =
          (smla_build){.generator = b->generator, .target = b->device->target, .variant = lists[g].text[i]};
  (void)smla_build_all(builds, count, 0, NULL, NULL);
  for (size_t i = 0; i < count; i++) smla_build_clear(&builds[i]);
  free(builds);
}

static int run(const options *o, const variant_list *lists, int argc, char **argv) {
  bench b = {.small = o->small, .warmups = o->small ? 0 : 3, .repeats = o->repeats ? o->repeats : o->small ? 1 : 21};
  sheet s = {.b = &b};
  busy lead = {.b = NULL};
  int failed = 0;
  snapmla_status opened = bench_open(&b, o->device, o->templates);
  if (opened) {
    fprintf(stderr, "snapmla-ceilings: %s\n", snapmla_error_message());
    bench_close(&b);
    return opened == SNAPMLA_NO_DEVICE ? NO_DEVICE : USAGE;
  }
  if (o->csv && !(s.csv = fopen(o->csv, "w"))) {
    bench_close(&b);
    return usage("--csv: cannot be written: ", o->csv);
  }
  s.datasheet = bench_datasheet_of(b.info.product);
  compile_all(&b, lists);
  if (busy_open(&b, &lead)) {
    fprintf(stderr, "snapmla-ceilings: %s\n", snapmla_error_message());
    failed++;
  }
  sheet_begin(&s, argc, argv);
  for (int g = 0; g < GROUPS; g++)
    for (size_t i = 0; i < lists[g].count; i++)
      if (groups[g]->run(&s, lists[g].text[i])) {
        printf("%-8s %-62s failed: %s\n", groups[g]->name, lists[g].text[i], snapmla_error_message());
        failed++;
      }
  printf("\n%d figures, %d with a wrong output, %d variants failed; ceilings: %s\n", s.figures, s.wrong, failed,
         s.datasheet ? s.datasheet->product : "no datasheet known for this device");
  if (s.csv && fclose(s.csv)) failed++;
  busy_close(&lead);
  bench_close(&b);
  return failed || s.wrong || !s.figures;
}

int main(int argc, char **argv) {
  options o = {.device = "cuda:0", .templates = "bench/ceilings/templates"};
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return print_help(), 0;
  int status = parse(&o, argc, argv);
  if (status) return status;
  variant_list *lists = calloc(GROUPS, sizeof *lists);
  if (!lists) return 1;
  for (int g = 0; g < GROUPS; g++)
    if (!o.any_chosen || o.chosen[g]) groups[g]->variants(&lists[g], o.small);
  if (o.list) {
    for (int g = 0; g < GROUPS; g++)
      for (size_t i = 0; i < lists[g].count; i++) puts(lists[g].text[i]);
  } else {
    status = run(&o, lists, argc, argv);
  }
  free(lists);
  return status;
}
