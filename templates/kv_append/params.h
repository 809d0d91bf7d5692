/* Arguments of kv_append. One warp per token; any number of blocks. */
#ifndef SMLA_TEMPLATES_KV_APPEND_PARAMS_H
#define SMLA_TEMPLATES_KV_APPEND_PARAMS_H

struct kv_append_params {
  const unsigned short *latent; /* [tokens, latent] bf16 */
  long long latent_stride;      /* elements */
  const unsigned short *rope;   /* [tokens, rope] bf16 */
  long long rope_stride;
  const long long *slots; /* [tokens]; negative or outside the cache: skipped */
  unsigned char *kv;
  long long page_stride; /* bytes */
  long long num_pages;
  long long tokens;
  float kv_scale; /* as in mla_decode */
  const float *kv_scale_pointer;
};

/* What variants with norm or rotate take besides, behind it. */
struct kv_append_layer_params {
  const unsigned short *norm; /* [latent] bf16 */
  float norm_epsilon;
  const int *positions;    /* [tokens] */
  const float *rope_table; /* [rope_positions, rope]: cosines, then sines */
  int rope_positions;
};

#endif
