/* Arguments of the kernel that does next to nothing. */
#ifndef SMLA_BENCH_CEILING_IDLE_PARAMS_H
#define SMLA_BENCH_CEILING_IDLE_PARAMS_H

struct ceiling_idle_params {
  unsigned *count; /* one word: launches that ran */
};

#endif
