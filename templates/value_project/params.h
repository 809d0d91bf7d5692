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

/* What combine=fused takes besides, behind it: what the decode kernel was told of its results. */
struct value_project_pieces {
  const struct smla_request *requests; /* [tokens / record_tokens] */
  const void *partial_out;             /* [slots, groups, group_rows, latent], f32 or bf16 as the variant says */
  const float *partial_lse;            /* [slots, groups, group_rows], base 2 */
  const unsigned short *attended;      /* [tokens, heads, latent] bf16: rows of the requests that were not cut */
  float *lse;                          /* [batch, heads, q_len], or NULL: written here of the others */
  long long lse_stride_batch, lse_stride_head, lse_stride_token;
  int heads, q_len;
  int record_tokens; /* q_len, or 1 with index lists */
  int groups, group_rows;
};

#endif
