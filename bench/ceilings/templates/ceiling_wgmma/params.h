/* Arguments of the tensor-core kernel. */
#ifndef SMLA_BENCH_CEILING_WGMMA_PARAMS_H
#define SMLA_BENCH_CEILING_WGMMA_PARAMS_H

struct ceiling_wgmma_params {
  const unsigned char *operands; /* A [64][128 bytes], then B [4][n][128 bytes]: tiles swizzled as wgmma reads them */
  float *output;                 /* [blocks, groups, 64, n] */
  unsigned long long *clocks;    /* [blocks, 3]: cycles and nanoseconds of the loop, ldmatrix.x4 per warp meanwhile */
  unsigned iterations;           /* of 16 wgmma */
};

#endif
