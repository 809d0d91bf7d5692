#include "clock.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

double smla_clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int smla_clock_cores(void) {
  cpu_set_t allowed;
  int cores = 0;
  if (!sched_getaffinity(0, sizeof allowed, &allowed)) cores = CPU_COUNT(&allowed);
  /* The mask of a machine with more cores than cpu_set_t holds does not fit: ask for the plain number then. */
  if (cores < 1) cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
  return cores < 1 ? 1 : cores;
}
