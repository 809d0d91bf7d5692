/* What sets the KV formats apart: one row of a table each. docs/format.md describes them; templates/formats/formats.lua has the
 * same facts for the kernels, and a test compares. */
#ifndef SMLA_REFERENCE_KV_FORMAT_H
#define SMLA_REFERENCE_KV_FORMAT_H

#include <stdint.h>

#include <snapmla/problem.h>

/* How a number is stored, or multiplied. */
typedef enum smla_number { SMLA_NUMBER_E4M3 = 1, SMLA_NUMBER_BF16 = 2 } smla_number; /* the value: its bytes */

/* What a stored number is multiplied by to be the token's. */
typedef enum smla_scaling {
  SMLA_SCALING_NONE,  /* 1 */
  SMLA_SCALING_TOKEN, /* an fp32 of the token's, for content and RoPE */
  SMLA_SCALING_GROUP, /* an fp32 for each 128 content channels of a token; RoPE is stored as it is */
  SMLA_SCALING_CALL   /* an fp32 for the whole cache, given with each call; for content and RoPE */
} smla_scaling;

typedef struct smla_kv_facts {
  const char *name;
  smla_number content, rope;
  smla_scaling scaling;
  int is_image;                   /* pages are swizzled images; otherwise rows of tokens, one after another */
  int32_t only_latent, only_rope; /* the one latent rank and RoPE width that there are; 0: any */
  int has_residual;               /* four more bits of each content channel (smla_token_quant_residual) */
} smla_kv_facts;

enum { SMLA_GROUP_CHANNELS = 128 /* content channels that share a scale of SMLA_SCALING_GROUP */ };

/* The row of a format; NULL for an unknown one. */
const smla_kv_facts *smla_kv_facts_of(snapmla_kv_format format);

/* How many scales a token has, one fp32 each. */
static inline int32_t smla_kv_scales(const smla_kv_facts *facts, int32_t latent_rank) {
  return facts->scaling == SMLA_SCALING_TOKEN   ? 1
         : facts->scaling == SMLA_SCALING_GROUP ? latent_rank / SMLA_GROUP_CHANNELS
                                                : 0;
}

/* Bytes of a token's residual: half a byte a channel. */
static inline int32_t smla_kv_residual_bytes(const smla_kv_facts *facts, int32_t latent_rank) {
  return facts->has_residual ? latent_rank / 2 : 0;
}

/* What a kernel multiplies P and values as: numbers of the content's type, or bf16 where scales differ from channel to channel, so
 * that they cannot be a factor of P. */
static inline smla_number smla_kv_values(const smla_kv_facts *facts) {
  return facts->scaling == SMLA_SCALING_GROUP ? SMLA_NUMBER_BF16 : facts->content;
}

#endif
