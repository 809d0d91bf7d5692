/* Arguments of shard_merge. Any number of blocks. */
#ifndef SMLA_TEMPLATES_SHARD_MERGE_PARAMS_H
#define SMLA_TEMPLATES_SHARD_MERGE_PARAMS_H

/* Strides in elements. */
struct shard_merge_params {
  const void *outs; /* [shards, batch, q_len, heads, latent] bf16, or f32 where `wide` */
  long long outs_stride_shard, outs_stride_batch, outs_stride_token, outs_stride_head;
  const float *lses; /* [shards, batch, heads, q_len] natural logarithms */
  long long lses_stride_shard, lses_stride_batch, lses_stride_head, lses_stride_token;
  void *out; /* [batch, q_len, heads, latent], of the type of `outs` */
  long long out_stride_batch, out_stride_token, out_stride_head;
  float *lse; /* [batch, heads, q_len], or NULL */
  long long lse_stride_batch, lse_stride_head, lse_stride_token;
  const float *sinks; /* [heads], or NULL: none */
  int shards, batch, q_len, heads;
  int wide; /* nonzero: results are f32 */
};

#endif
