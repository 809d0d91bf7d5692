/* The query as the kernels see it: quantised as a cache row is, or, at level max, in two terms. The family query_quant gives
 * the same bits. */
#ifndef SMLA_REFERENCE_QUERY_QUANT_H
#define SMLA_REFERENCE_QUERY_QUANT_H

#include <stdint.h>

#include <snapmla/problem.h>

#include "narrow_float.h"
#include "token_quant.h"

/* How many e4m3 numbers stand for a channel of the query's content. */
static inline int smla_query_quant_terms(snapmla_accuracy accuracy) { return accuracy == SNAPMLA_ACCURACY_MAX ? 2 : 1; }

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

/* The same in two terms, content + low. Sigma is rounded up to a power of two, which makes the divisions exact: RoPE
 * loses nothing, and as bf16 has 8 significant bits and each term takes 4, neither does content from sigma / 4 on; below,
 * at most 2^-10 sigma, and the row's largest is above 224 sigma. */
static inline float smla_query_quant_two_terms(const uint16_t *q_nope, int32_t latent_rank, const uint16_t *q_rope,
                                               int32_t rope_dim, uint8_t *content, uint8_t *low, uint16_t *rope) {
  float sigma = smla_token_quant_whole_scale(smla_token_quant_scale(q_nope, latent_rank));
  for (int32_t c = 0; c < latent_rank; c++) {
    content[c] = smla_token_quant_content(q_nope[c], sigma);
    low[c] = smla_e4m3_from_float(smla_bf16_to_float(q_nope[c]) / sigma - smla_e4m3_to_float(content[c]));
  }
  for (int32_t c = 0; c < rope_dim; c++) rope[c] = smla_token_quant_rope(q_rope[c], sigma);
  return sigma;
}

#endif
