#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

struct smla_parallel_items {
  _Atomic int64_t next;
  int64_t count;
};

int64_t smla_parallel_next(smla_parallel_items *items) {
  int64_t item = atomic_fetch_add_explicit(&items->next, 1, memory_order_relaxed);
  return item < items->count ? item : -1;
}

enum { MOST_HELPERS = 63 };

typedef struct crew {
  smla_parallel_items items;
  smla_parallel_worker worker;
  void *user;
} crew;

static void *help(void *argument) {
  crew *c = argument;
  c->worker(c->user, &c->items);
  return NULL;
}

static int64_t core_count(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* Starts up to `wanted` helpers, with signals blocked: handlers are the application's, on the application's threads. */
static int start_helpers(crew *c, int64_t wanted, pthread_t *helpers) {
  sigset_t all, before;
  sigfillset(&all);
  if (wanted <= 0 || pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return 0;
  int started = 0;
  while (started < wanted && started < MOST_HELPERS && pthread_create(&helpers[started], NULL, help, c) == 0) started++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

snapmla_status smla_parallel_run(int64_t count, smla_parallel_worker worker, void *user) {
  crew c = {.items = {.count = count}, .worker = worker, .user = user};
  pthread_t helpers[MOST_HELPERS];
  int64_t cores = core_count();
  int started = start_helpers(&c, (cores < count ? cores : count) - 1, helpers);
  snapmla_status status = worker(user, &c.items);
  for (int i = 0; i < started; i++) pthread_join(helpers[i], NULL);
  return status;
}
