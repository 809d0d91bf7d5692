/* snapmla-bench-regret: what a choice without measuring costs against the best there is. See bench/README.md. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/tune.h>

#include "decode.h"
#include "statistics.h"
#include "status.h"

static const char *const help =
    "usage: snapmla-bench-regret [OPTIONS]\n\n"
    "Times the decode call of three plans of a problem, interleaved: what the model alone chooses (ESTIMATE), what "
    "the\n"
    "shipped wisdom says, and what a search finds; the first two as ratios to the last. The search is remembered in "
    "the\n"
    "store (SNAPMLA_CACHE_DIR), which should be empty: what is known already is not shipped wisdom's choice.\n\n"
    "  --device NAME     cuda:N or emulator (cuda:0)\n"
    "  --shape B,H,T     this one alone: largest batch, heads, largest context (nine of those that shipped wisdom was "
    "tuned\n"
    "                    for)\n"
    "  --format NAME     of the cache: fp8_token, bf16, fp8_tensor, fp8_tile or fp8_token_r4 (fp8_token; wisdom is "
    "shipped of\n"
    "                    no other)\n"
    "  --q-len N         query tokens of each request, 1 to 128 (1; wisdom is shipped of no other)\n"
    "  --effort NAME     of the search: measure, patient or exhaustive (exhaustive)\n"
    "  --deadline S      seconds that a search may take (none)\n"
    "  --rounds N        in which each plan is timed once, 3 to 1000 (31; 3 with --small)\n"
    "  --csv FILE        the figures as CSV\n"
    "  --templates DIR   where the flushing kernel is (bench/ceilings/templates)\n"
    "  --small           one tiny problem and effort measure, to try the program itself\n"
    "  -h, --help        this text\n\n"
    "exit: 0 all ran (whatever the regret), 1 a problem failed, 2 usage, 3 no such device\n";

enum { CHOICES = 3, BEST = 2, LEAST_ROUNDS = 3 };
static const double LEAST_BAND = 0.01;         /* as the search's own */
static const double MEDIAN_DEVIATION = 1.2533; /* of a median, by that of a mean: sqrt(pi / 2) */

/* The search comes last: its measurements would be known to the others. */
static const struct {
  const char *name;
  uint32_t flags;
} choices[CHOICES] = {{"estimate", SNAPMLA_PLAN_DETERMINISTIC},
                      {"shipped", SNAPMLA_PLAN_WISDOM_ONLY | SNAPMLA_PLAN_NO_WRITE},
                      {"search", 0}};

typedef struct options {
  bench_command command; /* whose csv is that of --csv here too */
  const char *shape, *format, *q_len, *effort, *deadline, *rounds, *templates;
} options;

/* Some of the problems of scripts/tune_shipped.sh: what wisdom says of these, it was measured on. */
static const shape shipped_shapes[] = {
    {.set = "shipped", .batch = 1, .heads = 16, .tokens = 131072, .q_len = 1},
    {.set = "shipped", .batch = 32, .heads = 16, .tokens = 16384, .q_len = 1},
    {.set = "shipped", .batch = 128, .heads = 16, .tokens = 8192, .q_len = 1},
    {.set = "shipped", .batch = 1, .heads = 64, .tokens = 131072, .q_len = 1},
    {.set = "shipped", .batch = 32, .heads = 64, .tokens = 16384, .q_len = 1},
    {.set = "shipped", .batch = 128, .heads = 64, .tokens = 8192, .q_len = 1},
    {.set = "shipped", .batch = 1, .heads = 128, .tokens = 131072, .q_len = 1},
    {.set = "shipped", .batch = 32, .heads = 128, .tokens = 16384, .q_len = 1},
    {.set = "shipped", .batch = 128, .heads = 128, .tokens = 8192, .q_len = 1},
};

typedef struct contender {
  subject subject;
  int there; /* 0: no wisdom */
  snapmla_plan_report report;
  double *times, *ratios; /* of each round */
} contender;

typedef struct regret {
  bench *b;
  cache cache;
  bench_memory flushed;
  size_t flush_bytes;
  bench_kernel flush;
  snapmla_effort effort;
  double deadline;
  size_t rounds;
  FILE *csv;
} regret;

/* 0 where there is no such effort that searches. */
static snapmla_effort effort_of(const char *name) {
  static const snapmla_effort efforts[] = {SNAPMLA_EFFORT_MEASURE, SNAPMLA_EFFORT_PATIENT, SNAPMLA_EFFORT_EXHAUSTIVE};
  for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++)
    if (!strcmp(name, snapmla_effort_name(efforts[i]))) return efforts[i];
  return SNAPMLA_EFFORT_ESTIMATE;
}

static snapmla_status replay(void *user) { return bench_graph_launch(((subject *)user)->graph); }

static snapmla_status open_contender(regret *r, const shape *of, size_t which, contender *c) {
  const int search = which == BEST;
  const snapmla_plan_options how = {.size = sizeof how,
                                    .flags = choices[which].flags,
                                    .effort = search ? r->effort : SNAPMLA_EFFORT_ESTIMATE,
                                    .deadline_seconds = search ? r->deadline : 0};
  c->times = malloc(r->rounds * sizeof *c->times);
  c->ratios = malloc(r->rounds * sizeof *c->ratios);
  if (!c->times || !c->ratios) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: times");
  snapmla_status status = subject_open(r->b, &r->cache, of, &how, &c->subject);
  if (status == SNAPMLA_NOT_FOUND && !search) return SNAPMLA_OK;
  c->there = !status;
  c->report.size = sizeof c->report;
  if (!status) status = snapmla_plan_report_get(c->subject.plan, &c->report);
  c->subject.flush = &r->flush;
  c->subject.flushed = &r->flushed;
  c->subject.flush_bytes = r->flush_bytes;
  if (!status) status = bench_graph_open(r->b, subject_launch, &c->subject, &c->subject.graph);
  return status == SNAPMLA_UNSUPPORTED ? SNAPMLA_OK : status;
}

static void close_contender(contender *c) {
  if (c->subject.b) {
    bench_graph_close(c->subject.graph);
    subject_close(&c->subject);
  }
  free(c->times), free(c->ratios);
}

/* Forwards and backwards in turn, so that a drift of the clocks does not favour anyone. */
static snapmla_status time_rounds(regret *r, contender *all) {
  bench once = *r->b;
  once.warmups = 0;
  once.repeats = 1;
  snapmla_status status = SNAPMLA_OK;
  for (size_t round = 0; round < r->rounds; round++) {
    for (size_t i = 0; i < CHOICES && !status; i++) {
      contender *c = &all[round % 2 ? CHOICES - 1 - i : i];
      bench_times times = {0};
      if (!c->there) continue;
      status = bench_time(&once, subject_flush, c->subject.graph ? replay : subject_launch, &c->subject, &times);
      c->times[round] = times.median;
    }
    if (status) return status;
    for (size_t i = 0; i < CHOICES; i++)
      if (all[i].there) all[i].ratios[round] = all[i].times[round] / all[BEST].times[round];
  }
  return SNAPMLA_OK;
}

static void tell(const regret *r, const shape *of, contender *all) {
  const char *best = snapmla_plan_variant(all[BEST].subject.plan, "mla_decode");
  for (size_t i = 0; i < CHOICES; i++) {
    contender *c = &all[i];
    if (!c->there) {
      printf("%5d %5d %7d  %-9s no wisdom of this problem on this device class\n", of->batch, of->heads, of->tokens,
             choices[i].name);
      continue;
    }
    const char *variant = snapmla_plan_variant(c->subject.plan, "mla_decode");
    double time = smla_median(c->times, r->rounds), ratio = smla_median(c->ratios, r->rounds);
    double band = 2 * MEDIAN_DEVIATION * smla_spread(c->ratios, r->rounds) / sqrt((double)r->rounds);
    if (band < LEAST_BAND) band = LEAST_BAND;
    const char *verdict = i == BEST                 ? "searched"
                          : !strcmp(variant, best)  ? "the same variant"
                          : fabs(ratio - 1) <= band ? "a tie"
                          : ratio > 1               ? "slower"
                                                    : "faster";
    printf("%5d %5d %7d  %-9s %9.2f us  %6.3f +- %.3f  %-16s %s\n", of->batch, of->heads, of->tokens, choices[i].name,
           time, ratio, band, verdict, variant);
    if (r->csv)
      fprintf(r->csv, "%d,%d,%d,%d,%s,%s,%s,%s,%.3f,%.5f,%.5f,%s,%d,%d,%.3f,\"%s\"\n", of->batch, of->heads, of->tokens,
              of->q_len, snapmla_kv_format_name(of->format), choices[i].name,
              snapmla_provenance_name(c->report.provenance), r->b->device->is_emulator ? "modelled" : "measured", time,
              ratio, band, verdict, c->report.tried, c->report.tied, c->report.seconds, variant);
  }
  fflush(stdout);
}

static snapmla_status run_shape(regret *r, const shape *of) {
  contender all[CHOICES] = {{.there = 0}};
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < CHOICES && !status; i++) status = open_contender(r, of, i, &all[i]);
  if (!status) status = time_rounds(r, all);
  if (!status) tell(r, of, all);
  if (status)
    fprintf(stderr, "snapmla-bench-regret: %d,%d,%d: %s\n", of->batch, of->heads, of->tokens, snapmla_error_message());
  for (size_t i = 0; i < CHOICES; i++) close_contender(&all[i]);
  return status;
}

static snapmla_status open_all(regret *r, const options *o, const shape *shapes, size_t count) {
  snapmla_status status = bench_open(r->b, o->command.device, o->templates);
  if (status) return status;
  r->flush_bytes = r->b->small ? 4096 : 4 * (size_t)r->b->info.l2_bytes / 1024 * 1024;
  status = cache_open(r->b, shapes[0].format, shapes_most_pages(shapes, count), &r->cache);
  if (!status) status = bench_memory_open(r->b, r->flush_bytes + 16, &r->flushed);
  if (!status) status = bench_kernel_open(r->b, "ceiling_flush:by=reading", &r->flush);
  if (!status && o->command.csv && !(r->csv = fopen(o->command.csv, "w")))
    status = smla_fail(SNAPMLA_IO, "cannot write %s: name a file in a folder that is there", o->command.csv);
  return status;
}

static int run(regret *r, const options *o, const shape *shapes, size_t count, int argc, char **argv) {
  snapmla_status status = open_all(r, o, shapes, count);
  int failed = 0;
  if (status) {
    fprintf(stderr, "snapmla-bench-regret: %s\n", snapmla_error_message());
  } else {
    bench_print_header(stdout, r->b, argc, argv);
    if (r->csv) {
      bench_print_header(r->csv, r->b, argc, argv);
      fputs(
          "batch,heads,tokens,q_len,format,choice,provenance,time_kind,us,ratio,band,verdict,tried,tied,seconds,"
          "variant\n",
          r->csv);
    }
    for (size_t i = 0; i < count; i++) failed |= run_shape(r, &shapes[i]) != SNAPMLA_OK;
  }
  if (r->csv && fclose(r->csv)) failed = 1;
  if (r->b->device) {
    if (r->flush.kernel) bench_kernel_close(r->b, &r->flush);
    bench_memory_close(r->b, &r->flushed);
    cache_close(r->b, &r->cache);
  }
  bench_close(r->b);
  return status == SNAPMLA_NO_DEVICE ? BENCH_NO_DEVICE : status || failed;
}

static int parse(options *o, int argc, char **argv) {
  bench_command *c = &o->command;
  const bench_option own[] = {{"--shape", &o->shape},   {"--format", &o->format},      {"--q-len", &o->q_len},
                              {"--effort", &o->effort}, {"--deadline", &o->deadline},  {"--rounds", &o->rounds},
                              {"--csv", &c->csv},       {"--templates", &o->templates}};
  c->options = own;
  c->option_count = sizeof own / sizeof *own;
  int status = bench_options_read(c, argc, argv);
  c->options = NULL;
  if (status != BENCH_GO_ON) return status;
  if (o->rounds && (atoi(o->rounds) < LEAST_ROUNDS || atoi(o->rounds) > BENCH_SAMPLES))
    return bench_usage(c, "--rounds must be 3 to 1000, not ", o->rounds);
  if (o->deadline && !(atof(o->deadline) > 0))
    return bench_usage(c, "--deadline must be more than 0, not ", o->deadline);
  return BENCH_GO_ON;
}

/* `one` where a shape is asked for, else those that wisdom is shipped for; BENCH_GO_ON, or BENCH_USAGE where one can be no problem. */
static int choose_shapes(const options *o, const shape *one, shape_list *list) {
  const bench_command *c = &o->command;
  const int alone = o->shape || c->small;
  snapmla_kv_format format;
  snapmla_problem problem;
  int32_t q_len = 0;
  if (snapmla_kv_format_parse(o->format, &format)) return bench_usage(c, "--format: ", snapmla_error_message());
  if (o->q_len && !(q_len = shape_q_len_read(o->q_len)))
    return bench_usage(c, "--q-len must be 1 to 128, not ", o->q_len);
  list->count = alone ? 1 : sizeof shipped_shapes / sizeof *shipped_shapes;
  for (size_t i = 0; i < list->count; i++) list->at[i] = alone ? *one : shipped_shapes[i];
  shapes_choose(list, format, SNAPMLA_ACCURACY_FAST, q_len);
  for (size_t i = 0; i < list->count; i++)
    if (shape_problem(&list->at[i], &problem)) return bench_usage(c, "", snapmla_error_message());
  return BENCH_GO_ON;
}

int main(int argc, char **argv) {
  options o = {.command = {.program = "snapmla-bench-regret", .help = help, .device = "cuda:0"},
               .format = "fp8_token",
               .templates = "bench/ceilings/templates"};
  const bench_command *c = &o.command;
  shape one = {.set = "one", .batch = 2, .heads = 4, .tokens = 300, .q_len = 1};
  int exit_code = parse(&o, argc, argv);
  if (exit_code != BENCH_GO_ON) return exit_code;
  if (o.shape && shape_read(o.shape, 0, &one)) return bench_usage(c, "", snapmla_error_message());
  bench b = {.small = c->small, .repeats = 1};
  regret r = {.b = &b,
              .effort = c->small ? SNAPMLA_EFFORT_MEASURE : SNAPMLA_EFFORT_EXHAUSTIVE,
              .deadline = o.deadline ? atof(o.deadline) : 0,
              .rounds = o.rounds   ? (size_t)atoi(o.rounds)
                        : c->small ? LEAST_ROUNDS
                                   : 31};
  if (o.effort && !(r.effort = effort_of(o.effort)))
    return bench_usage(c, "--effort must be measure, patient or exhaustive, not ", o.effort);
  shape_list list = {.count = 0};
  if ((exit_code = choose_shapes(&o, &one, &list)) != BENCH_GO_ON) return exit_code;
  b.repeats = (int)r.rounds;
  return run(&r, &o, list.at, list.count, argc, argv);
}
