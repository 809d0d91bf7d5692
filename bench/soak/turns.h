/* The turns of a visit: threads that decode random batches and judge their results. */
#ifndef SMLA_BENCH_SOAK_TURNS_H
#define SMLA_BENCH_SOAK_TURNS_H

#include <pthread.h>

#include "ending.h"
#include "soak.h"
#include "sums.h"

enum { MOST_STREAMS = 16 };

typedef struct soak {
  const soak_problem *problems; /* the list; a problem's place in it is the same whichever are decoded */
  lane *lanes;
  size_t lane_count;
  uint64_t seed;
  int threads;
  const char *path;            /* of the state's file, or NULL */
  double opened, save_seconds; /* when all lanes were open; from one save to the next */
  ending end;
  /* under `lock` while there are threads */
  pthread_mutex_t lock;
  pthread_cond_t left; /* a thread did */
  int working;         /* threads that did not */
  json_t *state;       /* its digests are known so far, its sums of earlier visits alone */
  soak_sums sums;
  double longest;  /* turn, seconds */
  int interrupted; /* a signal left turns out */
} soak;

/* Decodes until the end of the run, saves the state now and then, and compares the caches. A save that fails is told, and the run goes
 * on. */
snapmla_status turns_run(soak *s);
/* The state with what this visit did in its `seconds` so far. Under the lock. Error: OUT_OF_MEMORY. */
snapmla_status turns_state(const soak *s, double seconds, json_t **out);

#endif
