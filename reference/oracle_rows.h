/* Attention of a block of query rows that see the same tokens, tile after tile, in double precision.
 *
 * Exponentials are taken relative to 2^reference, an integer that follows the largest logit, so that a rescale is
 * exact and one pass over the tokens is as exact as two; and the rounding of P does not depend on it. */
#ifndef SMLA_REFERENCE_ORACLE_ROWS_H
#define SMLA_REFERENCE_ORACLE_ROWS_H

#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/reference.h>

#include "oracle_tile.h"

enum { SMLA_ORACLE_ROWS = 16 }; /* heads of one block */

typedef struct smla_oracle_rows {
  const smla_kv_facts *facts;            /* of the cache's format */
  int32_t latent_rank, channels;         /* channels = latent_rank + rope_dim */
  int32_t count;                         /* rows in use; the others are zero */
  double *query;                         /* [16][channels] */
  double *out;                           /* [16][latent_rank]: sum of weights and values, then the result */
  double *scores;                        /* [16][64]: logits, base 2, then weights of the values */
  double *memory;                        /* owns the three above */
  int round_p;                           /* scores of the tensor cores, P rounded as the content is */
  int16_t *query_exponents;              /* [16][channels], of smla_tensor_exponents; used to round P */
  int16_t *key_exponents;                /* [channels][64], alike; with the above in one allocation */
  int query_special[SMLA_ORACLE_ROWS];   /* a NaN or an infinity in the row; used to round P */
  double query_scale[SMLA_ORACLE_ROWS];  /* logit in base 2 = query_scale * token scale * (query·key) */
  double reference[SMLA_ORACLE_ROWS];    /* integers; -inf before the first token */
  double exponentials[SMLA_ORACLE_ROWS]; /* sum of 2^(logit - reference) */
  double weight_sum[SMLA_ORACLE_ROWS];   /* what `out` is divided by */
} smla_oracle_rows;

/* Error: OUT_OF_MEMORY. */
snapmla_status smla_oracle_rows_create(const snapmla_problem *problem, smla_oracle_rows *rows);
void smla_oracle_rows_destroy(smla_oracle_rows *rows);

/* Starts over with the rows of heads head .. head + count - 1 (count 1..16) of query token `token` of request `b`,
 * quantised to `query_terms` terms, or as given where that is 0; `round_p` rounds their P, as a kernel does that has the tensor
 * cores' scores, and wants one term. */
void smla_oracle_rows_begin(smla_oracle_rows *rows, const snapmla_decode_args *args, int32_t b, int32_t token,
                            int32_t head, int32_t count, int query_terms, int round_p);

/* Adds a tile. */
void smla_oracle_rows_add(smla_oracle_rows *rows, const smla_oracle_tile *tile);

/* The sums of another run over the same rows' tokens, begun alike and not finished, are added to those of `rows`; as exact as a rescale. */
void smla_oracle_rows_merge(smla_oracle_rows *rows, const smla_oracle_rows *other);

/* Turns `out` into the result and gives the natural log-sum-exp of row r in lse[r]. Rows that saw no tile: zeros and
 * -inf. `sinks` (of the rows' heads, or NULL) take their share of the weights; the lse is without them. */
void smla_oracle_rows_finish(smla_oracle_rows *rows, const float *sinks, double lse[SMLA_ORACLE_ROWS]);

#endif
