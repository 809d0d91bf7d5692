/* Arguments of the kernel that counts cycles. */
#ifndef SMLA_BENCH_CEILING_CLOCK_PARAMS_H
#define SMLA_BENCH_CEILING_CLOCK_PARAMS_H

struct ceiling_clock_params {
  unsigned long long *clocks;  /* [blocks, 2]: cycles and nanoseconds between two ticks of the timer */
  unsigned long long least_ns; /* that lie between them */
};

#endif
