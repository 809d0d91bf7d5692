/* Arguments of a conformance kernel. */
#ifndef SMLA_TESTS_CONFORMANCE_PARAMS_H
#define SMLA_TESTS_CONFORMANCE_PARAMS_H

struct conformance_params {
  const unsigned char *input; /* [blocks, input_bytes] */
  unsigned char *output;      /* [blocks, output_bytes] */
};

#endif
