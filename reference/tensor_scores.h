/* The scores of a query row and a tile of 64 tokens as a kernel's tensor cores give them: the chain of smla_dot_e4m3 and
 * smla_dot_bf16 (tensor_dot.h) in the order of mla_decode's operands.inc: part by part, each from zero, a half or a quarter of the
 * latent in steps of 32 channels, behind the first RoPE in steps of 16; their sum in fp32. Bit for bit those chains, but for
 * all tokens at once. Pure, thread-safe. */
#ifndef SMLA_REFERENCE_TENSOR_SCORES_H
#define SMLA_REFERENCE_TENSOR_SCORES_H

#include <stdint.h>

enum { SMLA_SCORE_TOKENS = 64 };

/* What a product of the tensor cores needs of its operands: the query, [channels], or the keys, [channels][64]. The
 * first channels are e4m3 numbers, the others bf16. Owns nothing. */
typedef struct smla_tensor_operand {
  const double *values;
  const int16_t *exponents; /* of smla_tensor_exponents */
  int special;              /* not every value is finite */
} smla_tensor_operand;

/* The exponents of the channels, `width` values each, of which the first `e4m3_channels` are e4m3. Returns whether some are not finite. */
int smla_tensor_exponents(int32_t e4m3_channels, int32_t channels, int32_t width, const double *values,
                          int16_t *exponents);

/* What is summed, and how. */
typedef struct smla_score_form {
  int32_t e4m3_channels;         /* 0, latent_rank or latent_rank + rope_dim */
  int32_t latent_rank, rope_dim; /* multiples of 128 and of 32 */
  int32_t parts;                 /* 2 or 4; not looked at with groups. RoPE of e4m3 is spread over them */
} smla_score_form;

/* Some 1 KiB of stack. Every score is a float.
 *
 * `groups`, where it is not NULL, are scales of the keys' content, [latent_rank / 128][64], at most 512 channels: RoPE is summed first
 * then, and after it, each from zero, the groups' 128 channels; sum by sum score = fma(sum, scale, score) in fp32. */
void smla_tensor_scores(const smla_score_form *form, const smla_tensor_operand *query, const smla_tensor_operand *keys,
                        const double *groups, double scores[SMLA_SCORE_TOKENS]);

#endif
