/* snapmla-bench-power: what the GPU draws under decode steps, and under what they are made of. See bench/README.md. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "plan_object.h"
#include "power.h"
#include "status.h"

static const char *const help =
    "usage: snapmla-bench-power [OPTIONS]\n\n"
    "Does one thing after another on a GPU for seconds, launches queued one behind another, and says what a launch "
    "takes and\n"
    "what the card draws: products as QK and as PV have them on all tensor cores, page images read, decode steps "
    "(decode and\n"
    "merge) of several shapes, nothing. Energy and clock are NVML's. L2 is not flushed.\n\n"
    "  --seconds N       for each, of which the second half counts, 1 to 60 (6)\n"
    "  --only LOAD       one alone: scores, values, read, decode or nothing (all)\n"
    "  --shape B,H,T     decode steps of this shape alone: batch, heads, tokens of each request\n"
    "  --format NAME     of the steps' caches (fp8_token)\n"
    "  --variant TEXT    override of the steps' variants, whole or in part, as in mla_decode:cluster=2\n"
    "  --templates DIR   where the kernels of the units are (bench/ceilings/templates)\n"
    "  --csv FILE        the figures as CSV\n"
    "  --device NAME     cuda:N or emulator (cuda:0)\n"
    "  --small           tiny sizes, to try the program itself\n"
    "  -h, --help        this text\n\n"
    "exit: 0 all ran, 1 one failed, 2 usage, 3 no such device\n";

static const char *const loads[] = {"scores", "values", "read", "decode", "nothing", NULL};
static const double small_seconds = 0.02;

/* One request and many, short runs and long, memory's and the tensor cores'. */
static const int32_t steps[][3] = {{128, 128, 8192}, {128, 128, 32768}, {32, 128, 131072},
                                   {64, 64, 32768},  {32, 64, 16384},   {128, 16, 8192}};

typedef struct options {
  bench_command command;
  const char *templates, *only, *shape, *format, *seconds, *csv;
} options;

typedef struct sheet {
  bench *b;
  double seconds;
  const char *only;   /* NULL: all loads */
  const char *format; /* of the steps' caches */
  FILE *csv;          /* or NULL */
  int failed;
} sheet;

static void print_number(FILE *file, double value, int digits) {
  if (isfinite(value)) fprintf(file, "%.*f", digits, value);
  fputc(',', file);
}

/* On the console: a dash for what is not known. */
static void print_figure(double value, int digits, const char *unit) {
  if (isfinite(value))
    printf(" %10.*f %s", digits, value, unit);
  else
    printf(" %10s %s", "-", unit);
}

/* A line; `of` NULL: no decode step. Nothing is printed of what failed but why. */
static void add(sheet *s, const char *name, const shape *of, const load *l, snapmla_status status) {
  drawn d = {0};
  char title[64];
  snprintf(title, sizeof title, of ? "%s %d,%d,%d" : "%s", name, of ? of->batch : 0, of ? of->heads : 0,
           of ? of->tokens : 0);
  if (!status) status = sustain(s->b, l, s->seconds, &d);
  if (status) {
    s->failed++;
    printf("%-24s failed: %s\n", title, snapmla_error_message());
    return;
  }
  printf("%-24s", title);
  print_figure(d.us, 1, "us");
  print_figure(d.watts, 0, "W");
  print_figure(d.mhz, 0, "MHz");
  print_figure(l->flop > 0 ? l->flop / d.us / 1e6 : (double)NAN, 0, "TFLOP/s");
  print_figure(l->bytes > 0 ? l->bytes / d.us / 1e3 : (double)NAN, 0, "GB/s");
  printf("\n");
  fflush(stdout);
  if (!s->csv) return;
  if (of)
    fprintf(s->csv, "%s,%d,%d,%d,", name, of->batch, of->heads, of->tokens);
  else
    fprintf(s->csv, "%s,,,,", name);
  print_number(s->csv, d.us, 3);
  print_number(s->csv, d.watts, 1);
  print_number(s->csv, d.mhz, 0);
  fprintf(s->csv, "%.0f,%.0f\n", l->flop, l->bytes);
  fflush(s->csv);
}

static int is_wanted(const sheet *s, const char *name) { return !s->only || !strcmp(s->only, name); }

static void run_products(sheet *s, int values) {
  tensor_load t;
  load l;
  const snapmla_status status = tensor_load_open(s->b, values, &t, &l);
  add(s, loads[values], NULL, &l, status);
  tensor_load_close(&t);
}

static void run_read(sheet *s) {
  read_load r;
  load l;
  const snapmla_status status = read_load_open(s->b, &r, &l);
  add(s, "read", NULL, &l, status);
  read_load_close(&r);
}

static snapmla_status replay(void *user) { return bench_graph_launch(((subject *)user)->graph); }

/* Replayed graphs, or launches where there are none. */
static void run_step(sheet *s, const cache *c, const shape *of, const char *variant) {
  const snapmla_plan_options how = {.size = sizeof how, .variant = variant};
  subject step;
  snapmla_status status = subject_open(s->b, c, of, &how, &step);
  load l = {replay, &step, shape_fp8_flop(of) + shape_bf16_flop(of), shape_bytes(of)};
  step.parts = SMLA_PART_ATTEND | SMLA_PART_COMBINE;
  if (!status) {
    status = bench_graph_open(s->b, subject_launch, &step, &step.graph);
    if (status == SNAPMLA_UNSUPPORTED) l.launch = subject_launch, status = SNAPMLA_OK;
  }
  add(s, "decode", of, &l, status);
  bench_graph_close(step.graph);
  step.graph = NULL;
  subject_close(&step);
}

/* BENCH_GO_ON, or BENCH_USAGE where the shape is none. */
static int choose_steps(const options *o, shape_list *list) {
  snapmla_problem problem;
  snapmla_kv_format format;
  if (snapmla_kv_format_parse(o->format, &format))
    return bench_usage(&o->command, "--format: ", snapmla_error_message());
  if (o->shape) {
    if (shape_read(o->shape, 0, &list->at[list->count++])) return bench_usage(&o->command, "", snapmla_error_message());
  } else if (o->command.small) {
    list->at[list->count++] = (shape){.set = "small", .batch = 2, .heads = 16, .tokens = 130};
  } else {
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
      list->at[list->count++] =
          (shape){.set = "one", .batch = steps[i][0], .heads = steps[i][1], .tokens = steps[i][2]};
  }
  shapes_choose(list, format, SNAPMLA_ACCURACY_FAST, 1);
  for (size_t i = 0; i < list->count; i++)
    if (shape_problem(&list->at[i], &problem)) return bench_usage(&o->command, "", snapmla_error_message());
  return BENCH_GO_ON;
}

static void print_head(const sheet *s, FILE *file, int argc, char **argv) {
  bench_print_header(file, s->b, argc, argv);
  fprintf(file, "# each: %g s, of which the second half counts\n# format: %s\n", s->seconds, s->format);
}

static int run(const options *o, const shape_list *list, sheet *s, int argc, char **argv) {
  bench b = {.small = o->command.small}; /* nothing is repeated: it lasts */
  cache c = {0};
  const load nothing = {0};
  snapmla_status status = bench_open(&b, o->command.device, o->templates);
  int result = status == SNAPMLA_NO_DEVICE ? BENCH_NO_DEVICE : status ? BENCH_USAGE : 1;
  s->b = &b;
  if (status || cache_open(&b, list->at[0].format, shapes_most_pages(list->at, list->count), &c)) {
    fprintf(stderr, "snapmla-bench-power: %s\n", snapmla_error_message());
    goto out;
  }
  print_head(s, stdout, argc, argv);
  if (s->csv) {
    print_head(s, s->csv, argc, argv);
    fprintf(s->csv, "load,batch,heads,tokens,us,watts,sm_mhz,flop,bytes\n");
  }
  if (!b.device->is_emulator && !isfinite(energy_joules(&b)))
    fputs(
        "snapmla-bench-power: no watts: NVML does not tell the energy of this GPU; install the driver's libnvidia-ml, "
        "or name it in SNAPMLA_NVML\n",
        stderr);
  for (int values = 0; values < 2; values++)
    if (is_wanted(s, loads[values])) run_products(s, values);
  if (is_wanted(s, "read")) run_read(s);
  for (size_t i = 0; i < list->count && is_wanted(s, "decode"); i++) run_step(s, &c, &list->at[i], o->command.variant);
  if (is_wanted(s, "nothing")) add(s, "nothing", NULL, &nothing, SNAPMLA_OK); /* last: as warm as the others */
  result = s->failed != 0;
out:
  if (b.device) cache_close(&b, &c);
  bench_close(&b);
  return result;
}

int main(int argc, char **argv) {
  options o = {.command = {.program = "snapmla-bench-power", .help = help, .device = "cuda:0"},
               .templates = "bench/ceilings/templates",
               .format = "fp8_token"};
  const bench_option own[] = {{"--templates", &o.templates},
                              {"--only", &o.only},
                              {"--variant", &o.command.variant},
                              {"--shape", &o.shape},
                              {"--format", &o.format},
                              {"--seconds", &o.seconds},
                              {"--csv", &o.csv}};
  shape_list list = {.count = 0};
  sheet s = {.seconds = 6};
  o.command.options = own;
  o.command.option_count = sizeof own / sizeof *own;
  int status = bench_options_read(&o.command, argc, argv);
  if (status != BENCH_GO_ON || (status = choose_steps(&o, &list)) != BENCH_GO_ON) return status;
  if (o.only && !bench_one_of(o.only, loads))
    return bench_usage(&o.command, "--only must be scores, values, read, decode or nothing, not ", o.only);
  s.only = o.only;
  s.format = o.format;
  if (o.command.small) s.seconds = small_seconds;
  if (o.seconds) s.seconds = bench_number(o.seconds);
  if (o.seconds && !(s.seconds >= 1 && s.seconds <= 60))
    return bench_usage(&o.command, "--seconds must be 1 to 60, not ", o.seconds);
  if (o.csv && !(s.csv = fopen(o.csv, "w"))) return bench_usage(&o.command, "--csv: cannot be written: ", o.csv);
  status = run(&o, &list, &s, argc, argv);
  if (s.csv && fclose(s.csv)) status = 1;
  return status;
}
