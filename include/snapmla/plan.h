/* Plans: a problem bound to its variants, compiled and loaded on a device. Immutable; may execute concurrently on
 * several streams, each with a workspace of its own.
 *
 * A decode step:   snapmla_plan_append (new tokens into the cache)
 *                  snapmla_plan_schedule (once per step: splits from the lengths, on the device)
 *                  snapmla_plan_decode (per layer)
 * Execution is asynchronous on the caller's stream and current CUDA context; it allocates, compiles and synchronises
 * nothing, and may be captured into a CUDA graph. */
#ifndef SNAPMLA_PLAN_H
#define SNAPMLA_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/export.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snapmla_plan snapmla_plan;

/* How much is done to find the fastest variants where wisdom does not tell. A greater effort than a measurement was made
 * with measures again; a lesser one takes it as it is. */
typedef enum snapmla_effort {
  SNAPMLA_EFFORT_ESTIMATE = 0,  /* the cost model alone: instant */
  SNAPMLA_EFFORT_MEASURE = 1,   /* times the handful that the model likes best */
  SNAPMLA_EFFORT_PATIENT = 2,   /* more of them, more often, and the merge and the query's kernel too */
  SNAPMLA_EFFORT_EXHAUSTIVE = 3 /* every legal variant of the decode kernel */
} snapmla_effort;

/* snapmla_plan_options.flags */
enum {
  SNAPMLA_PLAN_WISDOM_ONLY = 1u,   /* a problem without wisdom is an error (NOT_FOUND), not an estimate */
  SNAPMLA_PLAN_NO_JIT = 2u,        /* nothing is compiled: kernels come from the store, or NOT_FOUND */
  SNAPMLA_PLAN_NO_WRITE = 4u,      /* the store is not written to */
  SNAPMLA_PLAN_ALLOW_NEAREST = 8u, /* wisdom of the nearest shape bucket or device class will do */
  SNAPMLA_PLAN_DETERMINISTIC =
      16u, /* the variants follow from problem, device class and templates alone: no measurement
                                       is made or looked at, so that all ranks choose alike */
  SNAPMLA_PLAN_ISOLATED =
      32u, /* candidates are compiled and tried in a process of their own, which may crash or hang */
  SNAPMLA_PLAN_AGAIN =
      64u /* tuning searches though wisdom of that effort is known, and the plan has what it found. Not with
                                  ESTIMATE, an override, WISDOM_ONLY, NO_JIT or DETERMINISTIC, which search nothing */
};

/* Where tuning stands. */
typedef struct snapmla_tune_progress {
  size_t size;
  const char *phase; /* "compiling", "checking", "timing", "comparing finalists" */
  int64_t done, total;
  const char *candidate; /* the variant in hand, or "" */
  double best_us;        /* of the fastest so far; 0: none yet */
} snapmla_tune_progress;

/* Zero-initialise and set size. */
typedef struct snapmla_plan_options {
  size_t size; /* sizeof(snapmla_plan_options) */
  const char *
      variant; /* override of variants, whole or in part ("mla_decode:stages=3"; several separated by ';'), or NULL: with
                          it nothing is searched */
  snapmla_effort effort;
  uint32_t flags;          /* SNAPMLA_PLAN_… */
  double deadline_seconds; /* tuning ends by then with the best plan so far; 0: none */
  size_t
      memory_limit_bytes;   /* that tuning may take of the device's memory; 0: half of what is free (emulator: 1 GiB) */
  int32_t workers;          /* compilations side by side; 0: one per core */
  double candidate_seconds; /* ISOLATED: a candidate that takes longer to check or time is killed; 0: 60 */
  /* Called while tuning, from the calling thread; nonzero cancels, and the best plan so far comes back. May be NULL. */
  int (*progress)(void *user, const snapmla_tune_progress *progress);
  void *progress_user;
} snapmla_plan_options;

/* Chooses variants, expands, compiles and loads the kernels of `problem`. `options` may be NULL. The choice: the override; else
 * wisdom of this problem's bucket on this device class (docs/tuning.md); else, above ESTIMATE, tuning, which is remembered;
 * else the nearest wisdom where allowed; else the cost model. snapmla_plan_report_get tells which it was. Not in
 * snapmla-deploy, whose plans come from packs: see pack.h.
 * Errors: INVALID_ARGUMENT, UNSUPPORTED, ILLEGAL_VARIANT (with the rule's reason), TEMPLATE, COMPILE, NO_COMPILER,
 * DEVICE, NOT_FOUND (WISDOM_ONLY, NO_JIT). */
SNAPMLA_API snapmla_status snapmla_plan_create(snapmla_context *context, const snapmla_problem *problem,
                                               const snapmla_plan_options *options, snapmla_plan **out);
SNAPMLA_API void snapmla_plan_destroy(snapmla_plan *plan);

/* The canonical text of the variant of `family` ("mla_decode", "query_quant", …), NULL if the plan has none. */
SNAPMLA_API const char *snapmla_plan_variant(const snapmla_plan *plan, const char *family);

/* Bytes of workspace that any call of this plan needs, for its largest batch and context. */
SNAPMLA_API size_t snapmla_plan_workspace_bytes(const snapmla_plan *plan);

/* Bits of the status word, the first 4 bytes of the workspace (uint32, written by the device, sticky until
 * snapmla_plan_schedule clears it). */
enum {
  SNAPMLA_STATUS_BAD_PAGE = 1u,   /* a block-table entry within a length was outside the cache: that request is NaN */
  SNAPMLA_STATUS_BAD_LENGTH = 2u, /* a length was negative or longer than the table or the plan: that request is NaN; a
                                     list's count negative or over max_indices: that query token is NaN */
  SNAPMLA_STATUS_BAD_INDEX = 4u   /* a list had an entry that is neither -1 nor a slot of the cache: that query token is
                                     NaN */
};

/* One decode call. Shapes in brackets, outermost first; strides in elements unless they say bytes. Zero-initialise and
 * set size. Pointers are device pointers: q, out and lse 16-byte aligned, kv 128-byte, workspace 256-byte.
 * A sequence of length 0 yields zeros and an lse of -inf. */
typedef struct snapmla_decode_args {
  size_t size;   /* sizeof(snapmla_decode_args) */
  int32_t batch; /* requests of this call, 0..max_batch */

  const void *q_nope; /* [batch, q_len, heads, latent_rank] bf16: the absorbed content query */
  int64_t q_nope_stride_batch, q_nope_stride_token, q_nope_stride_head;
  const void
      *q_rope; /* [batch, q_len, heads, rope_dim] bf16; with rope_dim 0 neither this nor its strides are looked at */
  int64_t q_rope_stride_batch, q_rope_stride_token, q_rope_stride_head;

  const void *kv;      /* [num_pages] pages, as docs/format.md lays them out */
  int64_t page_stride; /* bytes from one page to the next: a multiple of 128, at least the page's bytes */
  int64_t num_pages;
  const int32_t *block_table; /* [batch, block_table_stride] page numbers */
  int64_t block_table_stride; /* entries per request */
  const int32_t *seqlens;     /* [batch] tokens of each request, new ones included; query i of q_len sees the first
                                 seqlen - q_len + i + 1. Of a cache in shards what this one holds: see shards.h */

  void *out; /* [batch, q_len, heads, latent_rank] bf16 */
  int64_t out_stride_batch, out_stride_token, out_stride_head;
  float *lse; /* [batch, heads, q_len] natural-log sum of exponentials; may be NULL */
  int64_t lse_stride_batch, lse_stride_head, lse_stride_token;

  float softmax_scale;

  void *workspace;
  size_t workspace_bytes;
  void *stream; /* CUstream; NULL: the default stream */

  /* Sparse decoding, where the problem has max_indices; else NULL. They take the place of block_table and seqlens, which
   * are not looked at: what a query token may see is what its list names, in any order, a token as often as it is named.
   * A list that names none yields zeros and an lse of -inf. */
  const int32_t *indices; /* [batch, q_len, entries] slots of the cache, page * page_tokens + offset; -1: no token */
  int64_t indices_stride_batch, indices_stride_token; /* entries; the whole tensor spans fewer than 2^31 */
  const int32_t *index_counts; /* [batch, q_len] dense: how many entries of the list count, 0..max_indices; the rest of
                                  it may hold anything */

  /* Of formats with one scale for the whole cache (fp8_tensor): what its numbers are multiplied by, finite and at least 2^-126; 0 stands for 1.
   * A device pointer to one fp32 wins over the number. Formats without it pass both over. */
  float kv_scale;
  const float *kv_scale_pointer;

  /* [heads] fp32, where the problem has SNAPMLA_PROBLEM_SINKS; else NULL. A head's denominator is sum exp(logit) + exp(sink), the
   * logits being softmax_scale * q.k and the sink as given: out is what it would be without one, times
   * exp(lse) / (exp(lse) + exp(sink)). The lse remains that of the tokens alone. -inf: the head has none; +inf: zeros. */
  const float *sinks;
} snapmla_decode_args;

/* Writes the split metadata for `batch`, `seqlens` and `block_table_stride`, in sparse decoding for `batch` and
 * `index_counts`, into the workspace and clears the status word. Once per step; the decode calls of every layer with the same workspace reuse it.
 * Errors: INVALID_ARGUMENT, DEVICE. Thread-safe for distinct workspaces. */
SNAPMLA_API snapmla_status snapmla_plan_schedule(const snapmla_plan *plan, const snapmla_decode_args *args);

/* Quantises the query, decodes, merges the splits. The workspace must hold the schedule of the same lengths or counts.
 * Errors: INVALID_ARGUMENT (names the field, the rule and the remedy; nothing is launched), DEVICE. */
SNAPMLA_API snapmla_status snapmla_plan_decode(const snapmla_plan *plan, const snapmla_decode_args *args);

/* Appends rows to the cache: quantises and writes them at their slots. Zero-initialise and set size. */
typedef struct snapmla_append_args {
  size_t size;           /* sizeof(snapmla_append_args) */
  int64_t tokens;        /* rows of this call, 0.. */
  const void *latent;    /* [tokens, latent_rank] bf16 */
  int64_t latent_stride; /* elements between rows, a multiple of 8 */
  const void *rope;      /* [tokens, rope_dim] bf16; with rope_dim 0 not looked at */
  int64_t rope_stride;
  const int64_t *slot_mapping; /* [tokens]: page * page_tokens + offset; negative: skip the row */
  void *kv;
  int64_t page_stride; /* bytes */
  int64_t num_pages;   /* a slot outside the cache is skipped */
  void *stream;
  float kv_scale; /* as in snapmla_decode_args */
  const float *kv_scale_pointer;
} snapmla_append_args;

SNAPMLA_API snapmla_status snapmla_plan_append(const snapmla_plan *plan, const snapmla_append_args *args);

/* What the emulator counted since the plan's last decode call began (its schedule excluded). */
typedef struct snapmla_plan_counters {
  size_t size;
  double modelled_us;        /* 0 on a GPU */
  int64_t global_bytes_read; /* bulk copies and loads */
  int64_t global_bytes_written;
  int64_t tensor_flops;
  int64_t shared_bytes;
  int64_t exponentials;
} snapmla_plan_counters;
/* Error: UNSUPPORTED on a GPU. */
SNAPMLA_API snapmla_status snapmla_plan_last_counters(const snapmla_plan *plan, snapmla_plan_counters *out);

#ifdef __cplusplus
}
#endif
#endif
