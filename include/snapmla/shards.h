/* One request's cache in several shards, each on a device of its own: every shard decodes the tokens that it holds, and the results
 * are merged by their lse. Attention over all tokens is the average of the shards' results under the weights exp(lse), as the parts of
 * a sum of exponentials are: nothing is approximated, whoever holds which token (docs/shards.md).
 *
 *   every rank:  snapmla_plan_fingerprint, all-gather, snapmla_fingerprints_agree           once
 *                snapmla_plan_schedule, snapmla_plan_decode with the length that it holds   each layer
 *                ncclAllGather of out and of lse
 *                snapmla_plan_merge: on every rank the same bits */
#ifndef SNAPMLA_SHARDS_H
#define SNAPMLA_SHARDS_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/export.h>
#include <snapmla/plan.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SNAPMLA_MOST_SHARDS = 1024 };

/* One merge. Shapes in brackets, outermost first; strides in elements. Zero-initialise and set size. Pointers are device
 * pointers: outs and out 16-byte aligned, their strides multiples of 8; the others as fp32 is. */
typedef struct snapmla_merge_args {
  size_t size;    /* sizeof(snapmla_merge_args) */
  int32_t shards; /* 1..SNAPMLA_MOST_SHARDS */
  int32_t batch;  /* requests of this call, 0..max_batch of the plan's problem */

  /* What the shards' decode calls wrote, all in the memory of the plan's device. An all-gather leaves the shards one after another:
   * outs_stride_shard = batch * q_len * heads * latent_rank; if each rank sends out and lse as one block, the strides are the
   * block's size, in elements of either. */
  const void *outs; /* [shards, batch, q_len, heads, latent_rank] bf16, or fp32: see is_fp32 */
  int64_t outs_stride_shard, outs_stride_batch, outs_stride_token, outs_stride_head;
  const float
      *lses; /* [shards, batch, heads, q_len] natural logarithms; of a shard that holds no token of a request -inf, and
                        what it has in outs is not looked at */
  int64_t lses_stride_shard, lses_stride_batch, lses_stride_head, lses_stride_token;

  /* Must not overlap outs and lses. */
  void *
      out; /* [batch, q_len, heads, latent_rank], of the type of outs; zeros where no shard holds a token, NaN where an lse is NaN */
  int64_t out_stride_batch, out_stride_token, out_stride_head;
  float *lse; /* [batch, heads, q_len], of all tokens; -inf where there is none; may be NULL */
  int64_t lse_stride_batch, lse_stride_head, lse_stride_token;

  /* [heads] fp32, or NULL: attention sinks, as in snapmla_decode_args. They are taken in here, once; the shards decode without. */
  const float *sinks;
  int32_t is_fp32; /* nonzero: outs and out are fp32 */
  void *stream;    /* CUstream; NULL: the default stream */
} snapmla_merge_args;

/* Merges what `shards` decode calls gave for the same queries: out = sum_i w_i outs_i / sum_i w_i with w_i = exp(lses_i),
 * lse = ln sum_i w_i; with sinks out times exp(lse) / (exp(lse) + exp(sink)), lse being that of the tokens alone. Sums in fp32, in the
 * order of the shards: the same inputs give the same bits on every rank. One shard's result alone passes unchanged, bit for bit.
 * Asynchronous on the stream and in its CUDA context; it allocates, compiles and synchronises nothing, needs no workspace, and may be
 * captured into a CUDA graph. Works with plans of packs as with others.
 * Errors: INVALID_ARGUMENT (names the field, the rule and the remedy; nothing is launched); UNSUPPORTED (the plan's problem has
 * SNAPMLA_PROBLEM_SINKS: its decode calls take the sinks into every shard; decode and merge by a plan of the problem without the flag,
 * and give the sinks here); DEVICE. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_plan_merge(const snapmla_plan *plan, const snapmla_merge_args *args);

/* Tells whether all ranks compute alike, by what each of them has sent to all: [ranks] texts of 65 characters, in the order of the ranks, as
 * snapmla_plan_fingerprint writes them (tune.h), or the digests of their packs (pack.h). On an NCCL communicator: copy the text to the
 * device, ncclAllGather 65 of ncclUint8, copy them back. Every rank gets the same answer, so none waits for one that has given up.
 * Errors: INVALID_ARGUMENT (no text, or none of 64 hexadecimal digits), UNSUPPORTED (two ranks differ: names the first that differs from
 * rank 0, and the remedy). Pure, thread-safe. */
SNAPMLA_API snapmla_status snapmla_fingerprints_agree(const char (*fingerprints)[65], int32_t ranks);

#ifdef __cplusplus
}
#endif
#endif
