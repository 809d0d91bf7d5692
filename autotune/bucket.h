/* Shape buckets: problems whose largest batch and context round up to the same powers of two share measurements. Pure. */
#ifndef SMLA_AUTOTUNE_BUCKET_H
#define SMLA_AUTOTUNE_BUCKET_H

#include <stdint.h>

enum { SMLA_PROBLEM_KEY_MAX = 128 /* bytes, the NUL included */, SMLA_BUCKET_LEAST_CONTEXT = 64 };

/* The smallest power of two not below `count`, which is 1 to 2^30. */
int32_t smla_bucket_up(int32_t count);

/* What of a problem names its measurements. Texts are lower-case words. */
typedef struct smla_problem_key {
  int32_t heads, q_len, latent_rank, rope_dim, page_tokens;
  char format[32], accuracy[32];
  int32_t batch, context; /* buckets */
  int32_t indices;        /* bucket of the longest index list of sparse decoding; 0: there is none */
  uint32_t flags;         /* of the problem */
} smla_problem_key;

/* Rounds batch and context up: to powers of two, and the context to at least one tile of 64 tokens. */
void smla_problem_key_bucket(smla_problem_key *key);

/* "h128-q1-l512-r64-p64-fp8_token-fast-b128-c131072", "-s2048" for index lists,
 * and "-f1" for flags: also the folder's name in the store. */
void smla_problem_key_text(const smla_problem_key *key, char text[SMLA_PROBLEM_KEY_MAX]);
/* The inverse; nonzero where `text` is exactly what smla_problem_key_text writes. */
int smla_problem_key_read(const char *text, smla_problem_key *key);

/* Octaves between the buckets of two problems that are alike in all else; negative where they are not alike. */
double smla_problem_key_distance(const smla_problem_key *a, const smla_problem_key *b);

#endif
