/* Arguments of value_project. Grid (heads x v / rows of a block, column tiles). */
#ifndef SMLA_TEMPLATES_VALUE_PROJECT_PARAMS_H
#define SMLA_TEMPLATES_VALUE_PROJECT_PARAMS_H

struct value_project_params {
  struct smla_tensor_map weights; /* bytes of a row of W_UV, rows, heads; box [64 x groups rows][128 bytes] */
  struct smla_tensor_map latents; /* bytes of an attended latent, tokens, heads; box [columns tokens][128 bytes] */
  const float *scales;            /* weights=fp8: a factor for each block of 128 rows and columns of the whole matrix */
  long long scales_stride;
  unsigned short *out; /* [tokens, heads, v] bf16, strides in elements */
  long long out_stride_token, out_stride_head;
  int tokens;
  int head_rows, first_row; /* rows of the whole matrix from head to head, and of W_UV's first in a head's */
};

#endif
