/* Arguments of query_absorb. Grid (heads, column tiles). */
#ifndef SMLA_TEMPLATES_QUERY_ABSORB_PARAMS_H
#define SMLA_TEMPLATES_QUERY_ABSORB_PARAMS_H

struct query_absorb_params {
  struct smla_tensor_map weights; /* bytes of a row of W_UK, rows, heads; box [64 rows][128 bytes] */
  struct smla_tensor_map queries; /* bytes of q_nope, tokens, heads; box [columns tokens][128 bytes] */
  const unsigned short *q_rope;   /* [tokens, heads, rope] bf16, strides in elements */
  long long q_stride_token, q_stride_head;
  const int *positions;    /* [tokens] */
  const float *rope_table; /* [rope_positions, rope] */
  int rope_positions;
  const float *scales; /* weights=fp8: a factor for each block of 128 rows and columns of the whole matrix */
  long long scales_stride;
  unsigned char *image; /* as query_quant's */
  float *scale;
  int heads, q_len, groups; /* q_len: query tokens of a record */
  int tokens;
  int head_rows; /* rows of the whole matrix from head to head */
};

#endif
