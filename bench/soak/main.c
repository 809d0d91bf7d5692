/* snapmla-soak: random calls on concurrent streams for as long as one likes, whose bits must not change. See
 * bench/README.md. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "console.h"
#include "json_output.h"
#include "turns.h"

static const char *const help =
    "usage: snapmla-soak [OPTIONS]\n\n"
    "Decodes random batches of many problems on concurrent streams, eagerly and by replaying what was captured once, "
    "and\n"
    "compares the bits of each result with the first of the same inputs, some with the oracle; bands around results "
    "and\n"
    "workspace must stay as they are. Prints one JSON object.\n\n"
    "  --device NAME    cuda:N or emulator (cuda:0)\n"
    "  --seconds S      how long, once all problems are open (30; 2 with --small)\n"
    "  --within S       instead: how long from start to exit, opening included; each problem has one turn even so\n"
    "  --seed N         of data and lengths (1)\n"
    "  --problems N     the first N of the list (all)\n"
    "  --problem NAME   this one of the list alone\n"
    "  --streams N      threads, each with streams of its own, 1 to 16 (4)\n"
    "  --state FILE     digests and sums of earlier visits, compared and added to; made where it is not there\n"
    "  --save-every S   seconds from one save of the state to the next while it runs (20)\n"
    "  --small          tiny problems, to try the program itself\n"
    "  -h, --help       this text\n\n"
    "SIGINT and SIGTERM end the run as its time does: turns end, caches are compared, state and report are written.\n"
    "A second one, more than a second later, ends the program at once, as does any before all problems are open.\n\n"
    "exit: 0 no bit changed, 1 one did or a call failed, 2 usage, 3 no such device\n";

/* Bounds of options, and defaults. */
static const double MOST_SECONDS = 1e5, SECONDS = 30, SMALL_SECONDS = 2, LEAST_WITHIN = 1, LEAST_SAVE_SECONDS = 0.1,
                    SAVE_SECONDS = 20;

typedef struct options {
  bench_command command;
  const char *state, *seconds_text, *within_text, *save_text, *seed, *problems, *problem, *streams;
  double seconds, within, save_seconds; /* within: 0 where not given */
  double begun;                         /* when the program was, of smla_clock_seconds */
} options;

/* Sums of this visit, and of all that the state knows. */
static snapmla_status report(const soak *s, const bench *b, double opening) {
  const double seconds = smla_clock_seconds() - s->opened;
  json_t *root = json_object(), *state;
  snapmla_status status = turns_state(s, seconds, &state);
  smla_json_set(root, "ok", json_boolean(sums_ok(&s->sums)));
  smla_json_set(root, "interrupted", json_boolean(s->interrupted));
  smla_json_set(root, "device", json_string(b->info.name));
  smla_json_set(root, "product", smla_json_text(b->info.product));
  smla_json_set(root, "capture", json_string(replay_is_graph(s->lanes[0].captured) ? "graph" : "recorded launches"));
  smla_json_set(root, "seconds", smla_json_real(seconds));
  smla_json_set(root, "opening_seconds", smla_json_real(opening));
  sums_put(&s->sums, root);
  smla_json_set(root, "problems", json_integer((json_int_t)s->lane_count));
  smla_json_set(root, "streams", json_integer(s->threads));
  smla_json_set(root, "total", sums_total(state));
  if (!status && s->path) status = state_save(state, s->path);
  json_decref(state);
  snapmla_status printed = smla_json_print(root);
  return status ? status : printed;
}

/* An option's seconds, or those it has where it is not given; -1: not a number from `least` on, which is told. */
static double seconds_of(const bench_command *c, const char *name, const char *text, double least, double otherwise) {
  char problem[96], *end;
  if (!text) return otherwise;
  double seconds = strtod(text, &end);
  if (end != text && !*end && seconds >= least && seconds <= MOST_SECONDS) return seconds;
  snprintf(problem, sizeof problem, "%s must be %g to %g seconds, not ", name, least, MOST_SECONDS);
  bench_usage(c, problem, text);
  return -1;
}

static int parse_times(options *o) {
  const bench_command *c = &o->command;
  if (o->within_text && o->seconds_text)
    return bench_usage(
        c, "--seconds is the run's time and --within that of the whole, which leaves the run's: give one", "");
  if (o->save_text && !o->state)
    return bench_usage(c, "--save-every is of the state, and no file is named for that: give --state FILE too", "");
  o->seconds = seconds_of(c, "--seconds", o->seconds_text, 0, c->small ? SMALL_SECONDS : SECONDS);
  o->within = seconds_of(c, "--within", o->within_text, LEAST_WITHIN, 0);
  o->save_seconds = seconds_of(c, "--save-every", o->save_text, LEAST_SAVE_SECONDS, SAVE_SECONDS);
  return o->seconds < 0 || o->within < 0 || o->save_seconds < 0 ? BENCH_USAGE : BENCH_GO_ON;
}

static int parse(options *o, int argc, char **argv) {
  bench_command *c = &o->command;
  const bench_option own[] = {{"--seconds", &o->seconds_text}, {"--within", &o->within_text},
                              {"--save-every", &o->save_text}, {"--seed", &o->seed},
                              {"--state", &o->state},          {"--problems", &o->problems},
                              {"--problem", &o->problem},      {"--streams", &o->streams}};
  c->options = own;
  c->option_count = sizeof own / sizeof *own;
  int status = bench_options_read(c, argc, argv);
  c->options = NULL;
  if (status != BENCH_GO_ON) return status;
  if (o->streams && (atoi(o->streams) < 1 || atoi(o->streams) > MOST_STREAMS))
    return bench_usage(c, "--streams must be 1 to 16, not ", o->streams);
  if (o->problems && atoi(o->problems) < 1) return bench_usage(c, "--problems must be at least 1, not ", o->problems);
  return parse_times(o);
}

/* Until when turns are taken, all problems being open. */
static ending end_of(const options *o, const soak *s) {
  double caches = 0;
  for (size_t i = 0; i < s->lane_count; i++) caches += s->lanes[i].cache_seconds;
  const ending end = o->within > 0 ? ending_within(o->begun, o->within, caches) : ending_after(o->seconds);
  if (o->within > 0 && ending_near(&end, 0))
    smla_console_note("opening took %.1f s, and of the %g s of --within too little is left: each problem has one turn",
                      s->opened - o->begun, o->within);
  return end;
}

static int soak_all(const options *o) {
  bench b = {.small = o->command.small};
  soak s = {.seed = o->seed ? strtoull(o->seed, NULL, 10) : 1,
            .threads = o->streams ? atoi(o->streams) : 4,
            .path = o->state,
            .save_seconds = o->save_seconds};
  size_t count, first = 0;
  s.problems = soak_problems(o->command.small, &count);
  if (o->problems && (size_t)atoi(o->problems) < count) count = (size_t)atoi(o->problems);
  if (o->problem) {
    while (first < count && strcmp(s.problems[first].name, o->problem) != 0) first++;
    if (first == count) return bench_usage(&o->command, "--problem must be one of the list's names, not ", o->problem);
    count = first + 1;
  }
  snapmla_status status = soak_status(bench_open(&b, o->command.device, NULL));
  if (!status) status = state_open(s.path, s.seed, &b.info, &s.state);
  if (!status && !(s.lanes = calloc(count - first, sizeof *s.lanes)))
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: lanes");
  for (size_t i = first; i < count && !status; i++)
    status = lane_open(&b, &s.problems[i], s.seed, &s.lanes[s.lane_count++]);
  if (!status) {
    s.opened = smla_clock_seconds();
    s.end = end_of(o, &s);
    status = turns_run(&s);
  }
  if (!status) status = report(&s, &b, s.opened - o->begun);
  if (status) smla_console_error();
  for (size_t i = 0; i < s.lane_count; i++) lane_close(&s.lanes[i]);
  free(s.lanes);
  json_decref(s.state);
  bench_close(&b);
  return status ? (int)smla_console_exit_code(status) : !sums_ok(&s.sums);
}

int main(int argc, char **argv) {
  options o = {.command = {.program = "snapmla-soak", .help = help, .device = "cuda:0"}, .begun = smla_clock_seconds()};
  smla_console_name("snapmla-soak");
  int exit_code = parse(&o, argc, argv);
  return exit_code == BENCH_GO_ON ? soak_all(&o) : exit_code;
}
