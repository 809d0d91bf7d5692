/* Arguments of the kernel that repeats one instruction. */
#ifndef SMLA_BENCH_CEILING_RATE_PARAMS_H
#define SMLA_BENCH_CEILING_RATE_PARAMS_H

struct ceiling_rate_params {
  const unsigned *seeds;      /* [8, threads] */
  unsigned *output;           /* [blocks, threads] */
  unsigned long long *clocks; /* [blocks, 2]: cycles and nanoseconds of the loop */
  unsigned iterations;        /* of 64 operations a thread */
};

#endif
