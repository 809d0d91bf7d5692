/* Arguments of kv_fetch. One warp per token; any number of blocks. */
#ifndef SMLA_TEMPLATES_KV_FETCH_PARAMS_H
#define SMLA_TEMPLATES_KV_FETCH_PARAMS_H

struct kv_fetch_params {
  const unsigned char *kv;
  long long page_stride; /* bytes */
  long long num_pages;
  const long long *slots; /* [tokens]; one outside the cache: the token is skipped */
  long long tokens;
  unsigned short *latent;  /* to=rows: [tokens, latent] bf16 */
  long long latent_stride; /* elements */
  unsigned short *rope;    /* [tokens, rope] bf16 */
  long long rope_stride;
  float kv_scale; /* as in mla_decode */
  const float *kv_scale_pointer;
  unsigned char *target;     /* to=cache: the cache again, to write */
  const long long *to_slots; /* [tokens] */
};

#endif
