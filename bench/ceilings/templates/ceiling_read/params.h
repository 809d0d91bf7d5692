/* Arguments of the reading kernel. */
#ifndef SMLA_BENCH_CEILING_READ_PARAMS_H
#define SMLA_BENCH_CEILING_READ_PARAMS_H

struct ceiling_read_params {
  const unsigned char *source; /* [pieces, chunk] */
  const unsigned *order;       /* [pieces]: which piece is the i-th to be read */
  unsigned *output;            /* one word: the sum of 32 words of every piece a cluster's block received is added */
  unsigned pieces;
};

#endif
