/* The turns of a visit. */
#include "turns.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "console.h"
#include "data.h"

enum {
  INSTANCES = 24, /* batches of lengths per problem */
  ROUNDS = 3,     /* replayed, then eager, per turn */
  BURST = 4,      /* calls one behind the other before each that is read */
  SPREAD = 8      /* lengths around a page's or tile's edge */
};
static const double ORACLE_EFFORT = 4e8; /* multiply-adds of a request that is compared with the oracle */
static const double TOGETHER = 1;        /* seconds: see ending_catch */
/* Streams of random numbers (smla_data_bits) of our own. */
static const uint64_t LENGTHS = 0x736f616b, TURNS = 0x7475726e;

typedef struct worker {
  soak *s;
  int index;
  pthread_t thread;
} worker;

/* Calls whose last is read. */
typedef struct burst {
  uint64_t instance;
  int64_t calls, replays, tokens; /* tokens: of all calls */
  const char *way;                /* what to complain of where bits differ */
} burst;

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
static snapmla_status judge(soak *s, lane *l, json_t *digests, const burst *of, int fresh) {
  lane_result r;
  char name[24];
  snapmla_status status = lane_read(l, &r);
  snprintf(name, sizeof name, "%" PRIu64, of->instance);
  int checked = 0, right = 1;
  if (!status) {
    pthread_mutex_lock(&s->lock);
    int same = state_compare(digests, name, r.digest);
    s->sums.calls += of->calls;
    s->sums.replays += of->replays;
    s->sums.tokens += of->tokens;
    s->sums.compared++;
    s->sums.drifts += !same;
    s->sums.guards_broken += r.guards_broken;
    s->sums.status_words += r.status_word != 0;
    pthread_mutex_unlock(&s->lock);
    if (!same) complain(l, of->instance, of->way);
    if (r.guards_broken) complain(l, of->instance, "bytes beside a result or the workspace were overwritten");
    if (r.status_word) complain(l, of->instance, "the status word tells of a bad page, length or index");
    if (fresh)
      status = lane_check(l, &r, (int32_t)(of->instance % (uint64_t)l->of->batch), ORACLE_EFFORT, &checked, &right);
    pthread_mutex_lock(&s->lock);
    s->sums.checked += checked;
    s->sums.unlike += !right;
    pthread_mutex_unlock(&s->lock);
    if (!right) complain(l, of->instance, "a request is further from the oracle than its level allows");
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
  const burst first = {instance, 1, 0, tokens, "an eager step gave other bits than the first"};
  if (!status) status = judge(s, l, digests, &first, fresh);
  for (int round = 0; round < 2 * ROUNDS && !status; round++) {
    const int captured = round % 2 == 0;
    const burst of = {instance, BURST, captured ? BURST : 0, BURST * tokens,
                      captured ? "a replay gave other bits than the first" : "a call gave other bits than the first"};
    status = lane_clear(l, 0);
    for (int i = 0; i < BURST && !status; i++) status = lane_launch(l, captured);
    if (!status) status = judge(s, l, digests, &of, 0);
  }
  return status;
}

/* What is known of a lane's problem. Its kernels may have changed since another visit: what that knew is then of no use. Under the lock. */
static snapmla_status known_of(soak *s, const lane *l, json_t **digests) {
  int renewed = 0;
  snapmla_status status = state_problem(s->state, l, digests, &renewed);
  s->sums.renewed += renewed;
  if (renewed)
    fprintf(stderr, "snapmla-soak: %s: the state is of other kernels, and its digests begin anew\n", l->of->name);
  return status;
}

/* Whether a worker takes its turn n: always the very first; those that visit each of its `own` lanes once unless a signal asked for
 * the end; then until the time is over. */
static int goes_on(soak *s, uint64_t n, uint64_t own) {
  if (n == 0) return own > 0;
  pthread_mutex_lock(&s->lock);
  const int over = n >= own && ending_near(&s->end, s->longest), asked = ending_asked();
  if (asked && !over) s->interrupted = 1;
  pthread_mutex_unlock(&s->lock);
  return !over && !asked;
}

/* A worker's lanes are every threads-th. */
static snapmla_status take_turns(const worker *w) {
  soak *s = w->s;
  uint64_t own = (s->lane_count - (size_t)w->index + (size_t)s->threads - 1) / (size_t)s->threads;
  snapmla_status status = SNAPMLA_OK;
  for (uint64_t n = 0; !status && goes_on(s, n, own); n++) {
    double begun = smla_clock_seconds();
    uint64_t bits = smla_data_bits((uint64_t)(begun * 1e9), TURNS + (uint64_t)w->index, n);
    lane *l = &s->lanes[(size_t)w->index + (size_t)s->threads * (size_t)(n < own ? n : bits % own)];
    json_t *digests = NULL;
    pthread_mutex_lock(&s->lock);
    status = known_of(s, l, &digests);
    pthread_mutex_unlock(&s->lock);
    if (!status) status = turn(s, l, digests, (bits >> 20) % INSTANCES, n < own || bits >> 60 == 0);
    if (status) complain(l, 0, smla_console_reason());
    pthread_mutex_lock(&s->lock);
    s->longest = fmax(s->longest, smla_clock_seconds() - begun);
    pthread_mutex_unlock(&s->lock);
  }
  return status;
}

static void *work(void *user) {
  const worker *w = user;
  soak *s = w->s;
  int current = !s->lanes[0].b.device->is_emulator;
  snapmla_status status = current ? soak_status(bench_enter(&s->lanes[0].b)) : SNAPMLA_OK;
  if (!status) status = take_turns(w);
  if (current) bench_leave(&s->lanes[0].b);
  pthread_mutex_lock(&s->lock);
  s->sums.failed += status != SNAPMLA_OK;
  s->working--;
  pthread_cond_signal(&s->left);
  pthread_mutex_unlock(&s->lock);
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
    s->sums.drifts += !same;
    if (!same) complain(&s->lanes[i], 0, "the cache has other bytes than it was filled with");
  }
  return status;
}

snapmla_status turns_state(const soak *s, double seconds, json_t **out) {
  return sums_added(&s->sums, seconds, s->state, out);
}

/* Saves what there is; under the lock, which it gives back while it writes. */
static snapmla_status save(soak *s) {
  json_t *state;
  snapmla_status status = turns_state(s, smla_clock_seconds() - s->opened, &state);
  pthread_mutex_unlock(&s->lock);
  if (!status) status = state_save(state, s->path);
  json_decref(state);
  pthread_mutex_lock(&s->lock);
  return status;
}

/* A moment of the condition's clock. */
static struct timespec moment(double seconds) {
  return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
}

/* Until all threads have left. */
static void watch(soak *s) {
  int told = 0;
  pthread_mutex_lock(&s->lock);
  while (s->working && !s->path) pthread_cond_wait(&s->left, &s->lock);
  while (s->working) {
    const struct timespec next = moment(smla_clock_seconds() + s->save_seconds);
    int late = 0;
    while (s->working && !late) late = pthread_cond_timedwait(&s->left, &s->lock, &next);
    if (!s->working) break;
    snapmla_status status = save(s);
    if (status && !told)
      smla_console_note("the state is not saved: %s; the run goes on, and tries again every %g s",
                        smla_console_reason(), s->save_seconds);
    told = status != SNAPMLA_OK;
  }
  pthread_mutex_unlock(&s->lock);
}

/* Starts the threads, with signals blocked: they come to the one that waits for the others. */
static snapmla_status start(soak *s, worker *workers, int *started) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_mutex_lock(&s->lock);
  for (*started = 0; *started < s->threads; ++*started) {
    workers[*started] = (worker){.s = s, .index = *started};
    if (pthread_create(&workers[*started].thread, NULL, work, &workers[*started])) break;
    s->working++;
  }
  pthread_mutex_unlock(&s->lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (*started == s->threads) return SNAPMLA_OK;
  return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "cannot start thread %d of %d", *started + 1, s->threads);
}

snapmla_status turns_run(soak *s) {
  worker workers[MOST_STREAMS] = {0};
  int started;
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->left, &monotonic);
  ending_catch(TOGETHER);
  snapmla_status status = start(s, workers, &started);
  watch(s);
  for (int i = 0; i < started; i++) pthread_join(workers[i].thread, NULL);
  if (!status && !s->sums.failed) status = compare_caches(s);
  pthread_cond_destroy(&s->left);
  pthread_mutex_destroy(&s->lock);
  pthread_condattr_destroy(&monotonic);
  return status;
}
