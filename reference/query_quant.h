/* The query as the kernels see it: quantised as a cache row is, at level max in two terms. The family query_quant gives the same bits. */
#ifndef SMLA_REFERENCE_QUERY_QUANT_H
#define SMLA_REFERENCE_QUERY_QUANT_H

#include <math.h>
#include <stdint.h>

#include <snapmla/problem.h>

#include "kv_format.h"
#include "narrow_float.h"
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

/* How many e4m3 numbers stand for a channel of the query where the cache's are e4m3. */
static inline int smla_query_terms(snapmla_accuracy accuracy) { return accuracy == SNAPMLA_ACCURACY_MAX ? 2 : 1; }

/* A channel as the e4m3 numbers that stand for it, of which the second is what the first leaves. */
static inline double smla_query_channel(uint16_t value, float sigma, int terms) {
  float high = smla_e4m3_to_float(smla_token_quant_content(value, sigma));
  return terms == 1 ? high : high + smla_e4m3_to_float(smla_e4m3_from_float(smla_bf16_to_float(value) / sigma - high));
}

/* What the query is in each format, as doubles: latent_rank + rope_dim of them. Returns the row's scale. Content and RoPE are stored
 * as the cache's are, so that each pair multiplies: both e4m3 under one scale over all channels; e4m3 and bf16 under that of the
 * content; both bf16 as they are, scale 1.
 *
 * With two `terms` sigma is rounded up to a power of two, which makes the divisions exact: bf16 RoPE loses nothing, and as bf16 has 8
 * significant bits and each term takes 4, neither do e4m3 channels of sigma / 4 or more, where the row's largest is above 224
 * sigma; smaller ones lose at most 2^-10 sigma. */
static inline double smla_query_row(const smla_kv_facts *facts, int terms, const uint16_t *q_nope, int32_t latent_rank,
                                    const uint16_t *q_rope, int32_t rope_dim, double *query) {
  if (facts->content == SMLA_NUMBER_BF16) {
    for (int32_t c = 0; c < latent_rank; c++) query[c] = smla_bf16_to_float(q_nope[c]);
    for (int32_t c = 0; c < rope_dim; c++) query[latent_rank + c] = smla_bf16_to_float(q_rope[c]);
    return 1.0;
  }
  float sigma = smla_token_quant_scale(q_nope, latent_rank);
  if (facts->rope == SMLA_NUMBER_E4M3) sigma = fmaxf(sigma, smla_token_quant_scale(q_rope, rope_dim));
  if (terms == 2) sigma = smla_token_quant_power_of_two(sigma);
  for (int32_t c = 0; c < latent_rank; c++) query[c] = smla_query_channel(q_nope[c], sigma, terms);
  for (int32_t c = 0; c < rope_dim; c++)
    query[latent_rank + c] = facts->rope == SMLA_NUMBER_E4M3
                                 ? smla_query_channel(q_rope[c], sigma, terms)
                                 : smla_bf16_to_float(smla_token_quant_rope(q_rope[c], sigma));
  return sigma;
}

#endif
