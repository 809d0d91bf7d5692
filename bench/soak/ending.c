/* When a run ends. */
#include "ending.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "clock.h"

static const double RESERVE = 2; /* seconds for what is not measured: a save, the report, giving the device back */

ending ending_after(double seconds) { return (ending){.at = smla_clock_seconds() + seconds}; }

ending ending_within(double begun, double seconds, double closing) {
  return (ending){.at = begun + seconds - 2 * closing - RESERVE, .turns_too = 1};
}

int ending_near(const ending *e, double turn) { return smla_clock_seconds() + (e->turns_too ? turn : 0) >= e->at; }

/* --- signals: the handler reads and writes these alone */

#if ATOMIC_LLONG_LOCK_FREE != 2
#error "a signal handler needs atomic numbers without locks"
#endif
static atomic_llong first; /* when the first signal came, in nanoseconds; 0: none did */
static long long apart;    /* nanoseconds from which on another is a second one */

static long long nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void on_signal(int number) {
  long long now = nanoseconds(), none = 0;
  if (atomic_compare_exchange_strong(&first, &none, now) || now - none < apart) return;
  signal(number, SIG_DFL);
  raise(number); /* comes when the handler returns */
}

void ending_catch(double together) {
  static const int signals[] = {SIGINT, SIGTERM};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  apart = (long long)(together * 1e9);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction before;
    if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
  }
}

int ending_asked(void) { return atomic_load(&first) != 0; }
