/* The query as the kernels see it: quantised as a cache row is. The family query_quant gives the same bits. */
#ifndef SMLA_REFERENCE_QUERY_QUANT_H
#define SMLA_REFERENCE_QUERY_QUANT_H

#include <stdint.h>

#include "token_quant.h"

/* One row (token, head): q_nope [latent_rank] and q_rope [rope_dim] bf16 in, content e4m3 and rope bf16 out. Returns
 * the row's scale sigma: a logit is softmax_scale * sigma * s_token * (content·k8 + rope·k_rope'). Pure,
 * thread-safe. */
static inline float smla_query_quant_row(const uint16_t *q_nope, int32_t latent_rank, const uint16_t *q_rope,
                                         int32_t rope_dim, uint8_t *content, uint16_t *rope) {
  float sigma = smla_token_quant_scale(q_nope, latent_rank);
  for (int32_t c = 0; c < latent_rank; c++) content[c] = smla_token_quant_content(q_nope[c], sigma);
  for (int32_t c = 0; c < rope_dim; c++) rope[c] = smla_token_quant_rope(q_rope[c], sigma);
  return sigma;
}

#endif
