/* Arguments of output_project. Grid (row tiles x split, column tiles). */
#ifndef SMLA_TEMPLATES_OUTPUT_PROJECT_PARAMS_H
#define SMLA_TEMPLATES_OUTPUT_PROJECT_PARAMS_H

struct output_project_params {
  struct smla_tensor_map weights; /* bytes of a row of W_O, rows, one plane; box [64 x groups rows][128 bytes] */
  struct smla_tensor_map values;  /* bytes of a token's values, tokens, one plane; box [columns tokens][128 bytes] */
  const float *scales;            /* weights=fp8: a factor for each block of 128 rows and columns */
  long long scales_stride;
  unsigned short *out; /* [tokens, hidden] bf16, stride in elements */
  long long out_stride;
  int tokens, hidden; /* hidden: W_O's rows, even */
  int chunks;         /* of the reduction, 128 bytes of a row of W_O each; at least `split` */
};

#endif
