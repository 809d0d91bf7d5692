/* Arguments of mla_decode. Grid: groups x units blocks, block = unit * groups + group. */
#ifndef SMLA_TEMPLATES_MLA_DECODE_PARAMS_H
#define SMLA_TEMPLATES_MLA_DECODE_PARAMS_H

struct mla_decode_params {
  const unsigned char *kv; /* [num_pages] pages */
  long long page_stride;   /* bytes */
  long long num_pages;
  const int *block_table; /* [batch, block_table_stride] */
  long long block_table_stride;
  const int
      *indices; /* tokens=indexed, in place of the table: [batch, lists, entries] slots, -1: none; fewer than 2^31 */
  int indices_stride_batch, indices_stride_token;
  const struct smla_request *requests;
  const struct smla_unit *units;
  const unsigned char *q_image; /* as query_quant writes it */
  const float *q_scale;
  unsigned short *out; /* [batch, q_len, heads, latent] bf16 */
  long long out_stride_batch, out_stride_token, out_stride_head;
  float *lse; /* [batch, heads, q_len], or NULL */
  long long lse_stride_batch, lse_stride_head, lse_stride_token;
  void *partial_out;  /* [slots, groups, rows, latent], f32 or bf16 as the variant says */
  float *partial_lse; /* [slots, groups, rows], base 2 */
  unsigned *status;
  float scale_log2e; /* softmax_scale * log2(e) */
  int heads, q_len, groups;
  int lists; /* tokens=indexed: query tokens of a request, each a record and a "batch" of its own with q_len 1 */
  int batch; /* of the block table and of the requests' records */
};

/* What kernels of formats whose pages are rows of tokens take besides, behind it. */
struct mla_decode_rows_params {
  float kv_scale; /* of the whole cache, in formats that have one; a pointer wins */
  const float *kv_scale_pointer;
  struct smla_tensor_map kv_map;    /* boxes of 128 bytes of a page image's tokens, swizzled */
  struct smla_tensor_map scale_map; /* boxes of the scales of so many tokens, where rows have scales */
};

#endif
