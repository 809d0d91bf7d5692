/* Arguments of query_quant. One warp per row; grid (row groups x rows / warps per block, batch). */
#ifndef SMLA_TEMPLATES_QUERY_QUANT_PARAMS_H
#define SMLA_TEMPLATES_QUERY_QUANT_PARAMS_H

struct query_quant_params {
  const unsigned short *q_nope; /* [batch, q_len, heads, latent] bf16; strides in elements */
  const unsigned short *q_rope; /* [batch, q_len, heads, rope] bf16 */
  long long nope_stride_batch, nope_stride_token, nope_stride_head;
  long long rope_stride_batch, rope_stride_token, rope_stride_head;
  unsigned char *image; /* [batch, groups, image_bytes]: per group of rows content subtiles, one of RoPE
                           and, with two terms, the content's second; each row 128 bytes with the 128-byte swizzle */
  float *scale;         /* [batch, groups, rows] */
  int heads, q_len, groups;
  int lists; /* tokens=indexed: query tokens of a request, each a record and a "batch" of its own with q_len 1 */
};

#endif
