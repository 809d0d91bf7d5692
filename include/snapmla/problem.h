/* What a caller wants computed. */
#ifndef SNAPMLA_PROBLEM_H
#define SNAPMLA_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/export.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the KV cache is stored; docs/format.md specifies each byte by byte. */
typedef enum snapmla_kv_format {
  SNAPMLA_KV_FP8_TOKEN = 0, /* e4m3 latent, one fp32 scale per token, bf16 RoPE divided by the scale: page images */
  SNAPMLA_KV_BF16 = 1,      /* rows of bf16: latent, then RoPE, as engines hold them */
  SNAPMLA_KV_FP8_TENSOR =
      2, /* rows of e4m3: latent, then RoPE, in units of one scale of the whole cache (kv_scale of a call) */
  SNAPMLA_KV_FP8_TILE =
      3, /* rows of 656 bytes, as engines interchange them: 512 channels of e4m3, four fp32 scales of 128
                             channels each, 64 channels of bf16 RoPE as they are; latent_rank 512 alone */
  SNAPMLA_KV_FP8_TOKEN_R4 =
      4 /* fp8_token and four more bits of each content channel, what its e4m3 number leaves: the precision of bf16; page images */
} snapmla_kv_format;

/* How exact the arithmetic is; the limits are in docs/accuracy.md. */
typedef enum snapmla_accuracy {
  SNAPMLA_ACCURACY_FAST = 0,     /* one e4m3 P per tile with a power-of-two scale, promoted accumulators */
  SNAPMLA_ACCURACY_BALANCED = 1, /* P in two e4m3 terms; with fp8_tile and bf16 the same as FAST, in bf16 */
  SNAPMLA_ACCURACY_MAX =
      2 /* the query in two terms as well, its scale a power of two; scores promoted twice as often; with fp8_tile P in f16; not with
                                    the KV format bf16, whose P has 8 bits */
} snapmla_accuracy;

/* Bits of a problem's flags. */
enum {
  /* Scales that an append finds (fp8_token, fp8_tile, fp8_token_r4) are rounded up to a power of two: dividing by them is exact, and up to half of e4m3's range
   * is given up. Reading a cache does not depend on it. */
  SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES = 1u,
  /* Attention sinks: each head has a logit more in its softmax, of a token without a value, which every call gives (sinks). */
  SNAPMLA_PROBLEM_SINKS = 2u,
  /* Batch-invariant: under one plan a request has the same bits alone and in any batch, wherever it stands. It is cut by its
   * own length alone, whatever that leaves idle, and the workspace has room for max_batch requests in pieces: docs/kernel.md tells what
   * that costs. Not of a layer. */
  SNAPMLA_PROBLEM_BATCH_INVARIANT = 4u
};

/* A decode problem. Zero-initialise, set size = sizeof(snapmla_problem), fill the fields. */
typedef struct snapmla_problem {
  size_t size;         /* sizeof(snapmla_problem) */
  int32_t heads;       /* query heads on this device, 1..128 */
  int32_t q_len;       /* query tokens per request, 1..128, its last; causal among themselves */
  int32_t latent_rank; /* content channels of the latent KV cache: 128, 256, 384 or 512 */
  int32_t rope_dim;    /* RoPE channels per token: 0 (none), 32, 64 or 128; 64 alone with fp8_tile */
  int32_t page_tokens; /* tokens per page of the cache: 16, 32, 64 or 128 */
  snapmla_kv_format kv_format;
  snapmla_accuracy accuracy;
  int32_t max_batch;   /* the most requests of one call, 1..4096 */
  int32_t max_context; /* the most tokens of one request, new ones included, 1..1048576 */
  uint32_t flags;      /* SNAPMLA_PROBLEM_… */
  int32_t
      max_indices; /* 0: a query token sees the tokens of its request, causally. 1..1048576, sparse decoding: it sees
                          the tokens of an index list of its own, of at most so many entries; max_batch * q_len is then
                          at most 4096, and max_context is of no use */
} snapmla_problem;

/* Fills `problem` with DeepSeek-V3's shape: 128 heads, q_len 1, latent 512, RoPE 64, page 64, fp8_token, fast,
 * max_batch 128, max_context 131072, max_indices 0. */
SNAPMLA_API void snapmla_problem_init(snapmla_problem *problem);

/* Checks every field and every combination; the error message names the field, the rule and the remedy.
 * Errors: INVALID_ARGUMENT, UNSUPPORTED. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_problem_check(const snapmla_problem *problem);

/* Names as the program prints and reads them ("fp8_token", "fast"); NULL for an unknown value. */
SNAPMLA_API const char *snapmla_kv_format_name(snapmla_kv_format format);
SNAPMLA_API const char *snapmla_accuracy_name(snapmla_accuracy accuracy);
/* The inverse. Error: INVALID_ARGUMENT, with the list of names. */
SNAPMLA_API snapmla_status snapmla_kv_format_parse(const char *name, snapmla_kv_format *out);
SNAPMLA_API snapmla_status snapmla_accuracy_parse(const char *name, snapmla_accuracy *out);

#ifdef __cplusplus
}
#endif
#endif
