/* Arguments of the kernel that empties L2. */
#ifndef SMLA_BENCH_CEILING_FLUSH_PARAMS_H
#define SMLA_BENCH_CEILING_FLUSH_PARAMS_H

struct ceiling_flush_params {
  unsigned char *buffer;    /* larger than L2 */
  unsigned *output;         /* one word, never zero afterwards where the buffer was read */
  unsigned long long bytes; /* a multiple of 16 */
};

#endif
