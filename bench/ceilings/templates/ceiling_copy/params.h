/* Arguments of the copying kernel. */
#ifndef SMLA_BENCH_CEILING_COPY_PARAMS_H
#define SMLA_BENCH_CEILING_COPY_PARAMS_H

struct ceiling_copy_params {
  const unsigned char *source; /* [pieces, chunk] */
  unsigned char *target;       /* the same */
  unsigned pieces;
};

#endif
