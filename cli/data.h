/* Synthetic queries and tokens: each number is a function of seed, place and kind alone, the same bits on every
 * machine. */
#ifndef SMLA_CLI_DATA_H
#define SMLA_CLI_DATA_H

#include <stdint.h>

#include "settings.h"

typedef struct smla_data {
  smla_data_kind kind;
  uint64_t seed;
  int32_t heads, q_len, latent_rank, rope_dim;
  double sigma;        /* standard deviation of a row's logits, softmax_scale applied */
  double value_offset; /* mean of the latent, which is the values too; their deviation is 1 */
  double softmax_scale;
} smla_data;

/* The query of a request at a decode step: nope [q_len, heads, latent_rank], rope [q_len, heads, rope_dim], bf16. */
void smla_data_query(const smla_data *data, int32_t step, int32_t request, uint16_t *nope, uint16_t *rope);
/* One token of a request: latent [latent_rank], rope [rope_dim], bf16. */
void smla_data_token(const smla_data *data, int32_t request, int32_t token, uint16_t *latent, uint16_t *rope);
/* 64 random bits for `index` of a stream of its own (the page table's shuffle, garbage). */
uint64_t smla_data_bits(uint64_t seed, uint64_t stream, uint64_t index);

#endif
