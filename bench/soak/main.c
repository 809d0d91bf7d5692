/* snapmla-soak: random calls on concurrent streams for as long as one likes, whose bits must not change. See
 * bench/README.md. */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "console.h"
#include "data.h"
#include "json_output.h"
#include "soak.h"

static const char *const help =
    "usage: snapmla-soak [OPTIONS]\n\n"
    "Decodes random batches of many problems on concurrent streams, eagerly and by replaying what was captured once, "
    "and\n"
    "compares the bits of each result with the first of the same inputs, some with the oracle; bands around results "
    "and\n"
    "workspace must stay as they are. Prints one JSON object.\n\n"
    "  --device NAME    cuda:N or emulator (cuda:0)\n"
    "  --seconds S      how long, once all problems are open (30; 2 with --small)\n"
    "  --seed N         of data and lengths (1)\n"
    "  --problems N     the first N of the list (all)\n"
    "  --problem NAME   this one of the list alone\n"
    "  --streams N      threads, each with streams of its own, 1 to 16 (4)\n"
    "  --state FILE     digests and sums of earlier visits, compared and added to; made where it is not there\n"
    "  --small          tiny problems, to try the program itself\n"
    "  -h, --help       this text\n\n"
    "exit: 0 no bit changed, 1 one did or a call failed, 2 usage, 3 no such device\n";

enum {
  MOST_STREAMS = 16,
  INSTANCES = 24, /* batches of lengths per problem */
  ROUNDS = 3,     /* replayed, then eager, per turn */
  BURST = 4,      /* calls one behind the other before each that is read */
  SPREAD = 8      /* lengths around a page's or tile's edge */
};
static const double ORACLE_EFFORT = 4e8; /* multiply-adds of a request that is compared with the oracle */
/* Streams of random numbers (smla_data_bits) of our own. */
static const uint64_t LENGTHS = 0x736f616b, TURNS = 0x7475726e;

typedef struct options {
  bench_command command;
  const char *state, *seconds, *seed, *problems, *problem, *streams;
} options;

/* Sums over all threads, under `lock`, as is the state. */
typedef struct soak {
  pthread_mutex_t lock;
  json_t *state;
  const soak_problem *problems; /* the list; a problem's place in it is the same whichever are decoded */
  lane *lanes;
  size_t lane_count;
  uint64_t seed;
  double until; /* of smla_clock_seconds */
  int threads;
  int64_t calls, replays, compared, tokens, drifts, guards_broken, status_words, checked, unlike, failed, renewed;
} soak;

typedef struct worker {
  soak *s;
  int index;
  pthread_t thread;
  snapmla_status status;
} worker;

/* Zero, around an edge, or anything; a function of seed, problem, instance and request alone. */
static int32_t length_of(const soak *s, const lane *l, uint64_t instance, int32_t request) {
  size_t problem = (size_t)(l->of - s->problems);
  uint64_t bits = smla_data_bits(s->seed, LENGTHS + problem, instance << 16 | (uint64_t)request);
  int64_t context = l->of->context, edges = context / 64, length;
  if (bits % 8 == 0) return 0;
  if (bits % 8 < 4)
    length = (int64_t)((bits >> 8) % (uint64_t)(edges + 1)) * 64 + (int64_t)((bits >> 40) % SPREAD) - SPREAD / 2;
  else
    length = (int64_t)((bits >> 8) % (uint64_t)(context + 1)) >> ((bits >> 40) % 6);
  return (int32_t)(length < 0 ? 0 : length > context ? context : length);
}

static void complain(const lane *l, uint64_t instance, const char *what) {
  fprintf(stderr, "snapmla-soak: %s, lengths %" PRIu64 ": %s\n", l->of->name, instance, what);
}

/* One result, against what is known of these inputs. */
static snapmla_status judge(soak *s, lane *l, json_t *digests, uint64_t instance, const char *way, int fresh) {
  lane_result r;
  char name[24];
  snapmla_status status = lane_read(l, &r);
  snprintf(name, sizeof name, "%" PRIu64, instance);
  int checked = 0, right = 1;
  if (!status) {
    pthread_mutex_lock(&s->lock);
    int same = state_compare(digests, name, r.digest);
    s->compared++;
    s->drifts += !same;
    s->guards_broken += r.guards_broken;
    s->status_words += r.status_word != 0;
    pthread_mutex_unlock(&s->lock);
    if (!same) complain(l, instance, way);
    if (r.guards_broken) complain(l, instance, "bytes beside a result or the workspace were overwritten");
    if (r.status_word) complain(l, instance, "the status word tells of a bad page, length or index");
    if (fresh)
      status = lane_check(l, &r, (int32_t)(instance % (uint64_t)l->of->batch), ORACLE_EFFORT, &checked, &right);
    pthread_mutex_lock(&s->lock);
    s->checked += checked;
    s->unlike += !right;
    pthread_mutex_unlock(&s->lock);
    if (!right) complain(l, instance, "a request is further from the oracle than its level allows");
  }
  lane_result_free(&r);
  return status;
}

/* New lengths; an eager step, then replays and eager calls. */
static snapmla_status turn(soak *s, lane *l, json_t *digests, uint64_t instance, int fresh) {
  int32_t *lengths = malloc((size_t)l->of->batch * sizeof *lengths);
  int64_t tokens = 0;
  if (!lengths) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: lengths");
  for (int32_t i = 0; i < l->of->batch; i++) tokens += lengths[i] = length_of(s, l, instance, i);
  snapmla_status status = lane_begin(l, lengths);
  free(lengths);
  if (!status) status = judge(s, l, digests, instance, "an eager step gave other bits than the first", fresh);
  int64_t calls = !status;
  for (int round = 0; round < 2 * ROUNDS && !status; round++) {
    const int captured = round % 2 == 0;
    status = lane_clear(l, 0);
    for (int i = 0; i < BURST && !status; i++) status = lane_launch(l, captured), calls += !status;
    if (!status)
      status = judge(s, l, digests, instance,
                     captured ? "a replay gave other bits than the first" : "a call gave other bits than the first", 0);
  }
  pthread_mutex_lock(&s->lock);
  s->calls += calls;
  s->replays += status ? 0 : ROUNDS * BURST;
  s->tokens += calls * tokens;
  pthread_mutex_unlock(&s->lock);
  return status;
}

/* What is known of a lane's problem. Its kernels may have changed since another visit: what that knew is then of no use. Under the lock. */
static snapmla_status known_of(soak *s, const lane *l, json_t **digests) {
  int renewed = 0;
  snapmla_status status = state_problem(s->state, l, digests, &renewed);
  s->renewed += renewed;
  if (renewed)
    fprintf(stderr, "snapmla-soak: %s: the state is of other kernels, and its digests begin anew\n", l->of->name);
  return status;
}

/* A worker's lanes are every threads-th; the first turns visit each once. */
static void *work(void *user) {
  worker *w = user;
  soak *s = w->s;
  size_t own = (s->lane_count - (size_t)w->index + (size_t)s->threads - 1) / (size_t)s->threads;
  int current = own && !s->lanes[0].b.device->is_emulator;
  w->status = current ? soak_status(bench_enter(&s->lanes[0].b)) : SNAPMLA_OK;
  for (uint64_t n = 0; own && !w->status && (n < own || smla_clock_seconds() < s->until); n++) {
    uint64_t bits = smla_data_bits((uint64_t)(smla_clock_seconds() * 1e9), TURNS + (uint64_t)w->index, n);
    size_t index = (size_t)w->index + (size_t)s->threads * (size_t)(n < own ? n : bits % own);
    lane *l = &s->lanes[index];
    json_t *digests = NULL;
    pthread_mutex_lock(&s->lock);
    w->status = known_of(s, l, &digests);
    pthread_mutex_unlock(&s->lock);
    if (!w->status) w->status = turn(s, l, digests, (bits >> 20) % INSTANCES, n < own || bits >> 60 == 0);
    if (w->status) complain(l, 0, smla_console_reason());
  }
  if (current) bench_leave(&s->lanes[0].b);
  return NULL;
}

/* All caches must be as they were filled, and as an earlier visit filled them. */
static snapmla_status compare_caches(soak *s) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < s->lane_count && !status; i++) {
    json_t *digests = NULL;
    uint64_t now = 0;
    status = known_of(s, &s->lanes[i], &digests);
    if (!status) status = lane_cache(&s->lanes[i], &now);
    int same = status ? 1 : now == s->lanes[i].cache && state_compare(digests, "cache", now);
    s->drifts += !same;
    if (!same) complain(&s->lanes[i], 0, "the cache has other bytes than it was filled with");
  }
  return status;
}

static snapmla_status run(soak *s, double seconds) {
  worker workers[MOST_STREAMS] = {0};
  int started = 0;
  s->until = smla_clock_seconds() + seconds;
  snapmla_status status = SNAPMLA_OK;
  for (; started < s->threads && !status; started++) {
    workers[started] = (worker){.s = s, .index = started};
    if (pthread_create(&workers[started].thread, NULL, work, &workers[started])) {
      status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "cannot start thread %d of %d", started + 1, s->threads);
      break;
    }
  }
  for (int i = 0; i < started; i++) pthread_join(workers[i].thread, NULL);
  for (int i = 0; i < started; i++) s->failed += workers[i].status != SNAPMLA_OK;
  if (!status && !s->failed) status = compare_caches(s);
  return status;
}

static int soak_ok(const soak *s) {
  return !s->drifts && !s->guards_broken && !s->status_words && !s->unlike && !s->failed;
}

/* Sums of this visit, and of all that the state knows. */
static snapmla_status report(soak *s, const bench *b, const options *o, double seconds, double opening) {
  const struct {
    const char *name;
    int64_t value;
    int summed;
  } numbers[] = {{"calls", s->calls, 1},
                 {"replays", s->replays, 1},
                 {"compared", s->compared, 1},
                 {"tokens", s->tokens, 1},
                 {"drifts", s->drifts, 1},
                 {"guards_broken", s->guards_broken, 1},
                 {"status_words", s->status_words, 1},
                 {"oracle_compared", s->checked, 1},
                 {"oracle_unlike", s->unlike, 1},
                 {"failed", s->failed, 1},
                 {"renewed", s->renewed, 1},
                 {"problems", (int64_t)s->lane_count, 0},
                 {"streams", s->threads, 0}};
  json_t *root = json_object(), *total = json_object();
  smla_json_set(root, "ok", json_boolean(soak_ok(s)));
  smla_json_set(root, "device", json_string(b->info.name));
  smla_json_set(root, "product", smla_json_text(b->info.product));
  smla_json_set(root, "capture", json_string(replay_is_graph(s->lanes[0].captured) ? "graph" : "recorded launches"));
  smla_json_set(root, "seconds", smla_json_real(seconds));
  smla_json_set(root, "opening_seconds", smla_json_real(opening));
  smla_json_set(total, "seconds", smla_json_real(state_add(s->state, "seconds", seconds)));
  smla_json_set(total, "visits", smla_json_real(state_add(s->state, "visits", 1)));
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    smla_json_set(root, numbers[i].name, json_integer(numbers[i].value));
    if (numbers[i].summed)
      smla_json_set(total, numbers[i].name,
                    json_integer((json_int_t)state_add(s->state, numbers[i].name, (double)numbers[i].value)));
  }
  smla_json_set(root, "total", total);
  snapmla_status status = o->state ? state_save(s->state, o->state) : SNAPMLA_OK;
  snapmla_status printed = smla_json_print(root);
  return status ? status : printed;
}

static int parse(options *o, int argc, char **argv) {
  bench_command *c = &o->command;
  const bench_option own[] = {{"--seconds", &o->seconds},   {"--seed", &o->seed},       {"--state", &o->state},
                              {"--problems", &o->problems}, {"--problem", &o->problem}, {"--streams", &o->streams}};
  c->options = own;
  c->option_count = sizeof own / sizeof *own;
  int status = bench_options_read(c, argc, argv);
  c->options = NULL;
  if (status != BENCH_GO_ON) return status;
  if (o->seconds && !(atof(o->seconds) >= 0 && atof(o->seconds) <= 1e5))
    return bench_usage(c, "--seconds must be 0 to 100000, not ", o->seconds);
  if (o->streams && (atoi(o->streams) < 1 || atoi(o->streams) > MOST_STREAMS))
    return bench_usage(c, "--streams must be 1 to 16, not ", o->streams);
  if (o->problems && atoi(o->problems) < 1) return bench_usage(c, "--problems must be at least 1, not ", o->problems);
  return BENCH_GO_ON;
}

static int soak_all(const options *o) {
  bench b = {.small = o->command.small};
  soak s = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .seed = o->seed ? strtoull(o->seed, NULL, 10) : 1,
            .threads = o->streams ? atoi(o->streams) : 4};
  size_t count, first = 0;
  s.problems = soak_problems(o->command.small, &count);
  if (o->problems && (size_t)atoi(o->problems) < count) count = (size_t)atoi(o->problems);
  if (o->problem) {
    while (first < count && strcmp(s.problems[first].name, o->problem) != 0) first++;
    if (first == count) return bench_usage(&o->command, "--problem must be one of the list's names, not ", o->problem);
    count = first + 1;
  }
  double seconds = o->seconds ? atof(o->seconds) : o->command.small ? 2 : 30;
  double start = smla_clock_seconds(), opened = start;
  snapmla_status status = soak_status(bench_open(&b, o->command.device, NULL));
  if (!status) status = state_open(o->state, s.seed, &b.info, &s.state);
  if (!status && !(s.lanes = calloc(count - first, sizeof *s.lanes)))
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: lanes");
  for (size_t i = first; i < count && !status; i++)
    status = lane_open(&b, &s.problems[i], s.seed, &s.lanes[s.lane_count++]);
  if (!status) {
    opened = smla_clock_seconds();
    status = run(&s, seconds);
  }
  if (!status) status = report(&s, &b, o, smla_clock_seconds() - opened, opened - start);
  if (status) smla_console_error();
  for (size_t i = 0; i < s.lane_count; i++) lane_close(&s.lanes[i]);
  free(s.lanes);
  json_decref(s.state);
  bench_close(&b);
  return status ? (int)smla_console_exit_code(status) : !soak_ok(&s);
}

int main(int argc, char **argv) {
  options o = {.command = {.program = "snapmla-soak", .help = help, .device = "cuda:0"}};
  smla_console_name("snapmla-soak");
  int exit_code = parse(&o, argc, argv);
  return exit_code == BENCH_GO_ON ? soak_all(&o) : exit_code;
}
