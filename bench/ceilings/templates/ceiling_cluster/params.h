/* Arguments of the kernel that sends a signal to and fro. */
#ifndef SMLA_BENCH_CEILING_CLUSTER_PARAMS_H
#define SMLA_BENCH_CEILING_CLUSTER_PARAMS_H

struct ceiling_cluster_params {
  unsigned long long
      *clocks;      /* [clusters, 2]: cycles and nanoseconds of all round trips, by the thread that starts them */
  unsigned *output; /* [clusters]: signals that came back */
  unsigned rounds;
};

#endif
