/* Arguments of mla_combine. Grid: as many blocks as the schedule shared the items among. */
#ifndef SMLA_TEMPLATES_MLA_COMBINE_PARAMS_H
#define SMLA_TEMPLATES_MLA_COMBINE_PARAMS_H

struct mla_combine_params {
  const struct smla_merge *merges;       /* as the schedule writes them */
  const struct smla_merge_share *shares; /* [blocks] */
  const void *partial_out;               /* [slots, groups, rows, latent], f32 or bf16 as the variant says */
  const float *partial_lse;              /* [slots, groups, rows], base 2 */
  unsigned short *out;                   /* [batch, q_len, heads, latent] bf16 */
  long long out_stride_batch, out_stride_token, out_stride_head;
  float *lse; /* [batch, heads, q_len], or NULL */
  long long lse_stride_batch, lse_stride_head, lse_stride_token;
  int heads, q_len, groups;
  int lists; /* tokens=indexed: query tokens of a request, each a record and a "batch" of its own with q_len 1 */
};

#endif
