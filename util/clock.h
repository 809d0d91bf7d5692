/* Elapsed time and the number of cores this process may use. Thread-safe. */
#ifndef SMLA_UTIL_CLOCK_H
#define SMLA_UTIL_CLOCK_H

/* Seconds of a clock that never goes back; only differences mean something. */
double smla_clock_seconds(void);

/* Cores this process may run on (its affinity mask), at least 1. */
int smla_clock_cores(void);

#endif
