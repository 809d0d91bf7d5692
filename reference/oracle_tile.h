/* Tiles of 64 tokens of one request, or 64 entries of one query token's index list, as the oracle computes with them, from a paged cache or from dense rows. */
#ifndef SMLA_REFERENCE_ORACLE_TILE_H
#define SMLA_REFERENCE_ORACLE_TILE_H

#include <snapmla/plan.h>
#include <snapmla/problem.h>

#include "page_layout.h"

enum { SMLA_TILE_TOKENS = 64, SMLA_TILE_GROUPS = 4 };

/* A token's key is scale * keys[.][t], its value scale * values[t][.]: both in the units of the format. */
typedef struct smla_oracle_tile {
  double *keys;   /* [latent_rank + rope_dim][64] */
  double *values; /* [64][latent_rank] */
  /* [latent_rank][64], or NULL. Where the source is as a kernel has it and the format has residuals: sixteen times the residual's part
   * of the keys' content, which `keys` is without then. */
  double *residual;
  double scale[SMLA_TILE_TOKENS];
  /* [group of 128 channels][64], of formats whose scales are those: what else the keys' content is multiplied by, where the source is
   * as a kernel has it. */
  double group_scale[SMLA_TILE_GROUPS][SMLA_TILE_TOKENS];
  double common_scale; /* of the whole cache, a factor of every scale: kernels apply it after P is rounded; else 1 */
  int32_t count;       /* tokens present; the columns, rows and scales of the others are zero */
  unsigned char unseen[SMLA_TILE_TOKENS]; /* nonzero: an index of -1 among them, zeros with a scale of 1 */
} smla_oracle_tile;

/* Where keys and values come from. Owns nothing. */
typedef struct smla_oracle_source {
  const snapmla_problem *problem;
  const snapmla_decode_args *args;
  smla_page_geometry geometry;
  const float *latent, *rope; /* dense rows [row][latent_rank], [row][rope_dim]; NULL: the paged cache of args */
  const int64_t *row_of;      /* [batch]: the row of a request's first token */
  float kv_scale;             /* of the whole cache, where the format has one */
  int as_kernel; /* scales of groups of channels stay apart from the keys, and values are rounded with theirs to bf16 */
} smla_oracle_source;

/* `latent`, `rope` and `row_of` are NULL for the paged cache. */
smla_oracle_source smla_oracle_source_of(const snapmla_problem *problem, const snapmla_decode_args *args,
                                         const float *latent, const float *rope, const int64_t *row_of);

/* Nonzero when query token `token` of request `b` has a legal length or count and, within it, legal pages or indices. */
int smla_oracle_query_is_good(const smla_oracle_source *source, int32_t b, int32_t token);

/* How many tokens a good query token sees, or how many entries its list has; 0 or less: none. */
int32_t smla_oracle_query_tokens(const smla_oracle_source *source, int32_t b, int32_t token);

/* Loads tokens or entries first .. first + count - 1 (count 1..64) for query token `token` of request `b`, which is good. `first`
 * is a multiple of 64. */
void smla_oracle_tile_load(const smla_oracle_source *source, int32_t b, int32_t token, int32_t first, int32_t count,
                           smla_oracle_tile *tile);

#endif
