/* Arguments of a conformance kernel. */
#ifndef SMLA_TESTS_CONFORMANCE_PARAMS_H
#define SMLA_TESTS_CONFORMANCE_PARAMS_H

struct conformance_params {
  struct smla_tensor_map
      map; /* tensor copies': rows of the input, a block's a plane (space.lua); of the others zeros */
  const unsigned char *input; /* [blocks, input_bytes] */
  unsigned char *output;      /* [blocks, output_bytes] */
};

#endif
