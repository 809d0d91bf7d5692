#include "decode_args.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "page_layout.h"
#include "status.h"
#include "struct_size.h"

enum {
  TENSOR_ALIGNMENT = 16,     /* bytes: kernels load and store 16 at a time */
  WORKSPACE_ALIGNMENT = 256, /* bytes */
  BF16_BYTES = 2,
  STRIDE_MULTIPLE = TENSOR_ALIGNMENT / BF16_BYTES /* elements */
};

static snapmla_status check_pointer(const char *call, const char *name, const void *pointer, size_t alignment) {
  if (!pointer)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: %s is NULL: set it to the tensor's address", call, name);
  if ((uintptr_t)pointer % alignment)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: %s is %p, it must be a multiple of %zu bytes: align the tensor",
                     call, name, pointer, alignment);
  return SNAPMLA_OK;
}

/* One dimension of a strided tensor. */
typedef struct dimension {
  const char *name; /* of the stride's field, without the tensor's */
  int64_t extent, stride;
} dimension;

/* A tensor of up to four strided dimensions of contiguous rows. Strides in elements. The stride of a dimension of
 * extent 1 is never used, so it may be anything. */
typedef struct strided {
  const char *call, *name;
  const dimension *dimensions;
  int count;
  int64_t row;      /* elements of one row */
  int64_t bytes;    /* of an element */
  int64_t multiple; /* every stride in use is one of it */
} strided;

static snapmla_status check_strides(const strided *tensor) {
  int64_t elements = tensor->row;
  for (int i = 0; i < tensor->count; i++) {
    const dimension *d = &tensor->dimensions[i];
    if (d->extent <= 1) continue;
    if (d->stride < tensor->row)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "%s: %s_%s is %lld elements, it must be at least the row's %lld: set it", tensor->call,
                       tensor->name, d->name, (long long)d->stride, (long long)tensor->row);
    if (d->stride % tensor->multiple)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "%s: %s_%s is %lld elements, it must be a multiple of %lld: pad the rows", tensor->call,
                       tensor->name, d->name, (long long)d->stride, (long long)tensor->multiple);
    int64_t reach;
    if (__builtin_mul_overflow(d->extent - 1, d->stride, &reach) ||
        __builtin_add_overflow(elements, reach, &elements) || elements > INT64_MAX / tensor->bytes)
      return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "%s: %s_%s is %lld elements, the tensor would exceed 2^63 bytes: mend it", tensor->call,
                       tensor->name, d->name, (long long)d->stride);
  }
  return SNAPMLA_OK;
}

static snapmla_status check_decode_struct(const snapmla_problem *problem, const snapmla_decode_args *args) {
  if (!args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "decode: args is NULL: pass a snapmla_decode_args");
  snapmla_status status = smla_struct_size_check("snapmla_decode_args", args, args->size, sizeof *args);
  if (status) return status;
  if (args->batch < 0 || args->batch > problem->max_batch)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "decode: batch is %d, it must be 0 to max_batch = %d: split the call, or plan for a larger batch",
                     args->batch, problem->max_batch);
  return SNAPMLA_OK;
}

static snapmla_status check_row_tensor(const snapmla_problem *problem, int32_t batch, const char *name,
                                       const void *pointer, int64_t row, const int64_t strides[3], int device) {
  const dimension dimensions[] = {{"stride_batch", batch, strides[0]},
                                  {"stride_token", problem->q_len, strides[1]},
                                  {"stride_head", problem->heads, strides[2]}};
  const strided tensor = {"decode", name, dimensions, 3, row, BF16_BYTES, device ? STRIDE_MULTIPLE : 1};
  snapmla_status status = check_pointer("decode", name, pointer, device ? TENSOR_ALIGNMENT : BF16_BYTES);
  return status ? status : check_strides(&tensor);
}

static snapmla_status check_lse(const snapmla_problem *problem, const snapmla_decode_args *args) {
  if (!args->lse) return SNAPMLA_OK;
  const dimension dimensions[] = {{"stride_batch", args->batch, args->lse_stride_batch},
                                  {"stride_head", problem->heads, args->lse_stride_head},
                                  {"stride_token", problem->q_len, args->lse_stride_token}};
  const strided tensor = {"decode", "lse", dimensions, 3, 1, sizeof(float), 1};
  snapmla_status status = check_pointer("decode", "lse", args->lse, TENSOR_ALIGNMENT);
  return status ? status : check_strides(&tensor);
}

/* Bytes: what a tensor copy can step over. */
#define MOST_PAGE_STRIDE (INT64_C(1) << 40)

static snapmla_status check_cache(const snapmla_problem *problem, const char *call, const void *kv, int64_t page_stride,
                                  int64_t num_pages, int device) {
  int64_t page_bytes = smla_page_geometry_of(problem).page_bytes;
  snapmla_status status = check_pointer(call, "kv", kv, device ? SMLA_PAGE_ALIGNMENT : 1);
  if (status) return status;
  if (page_stride < page_bytes || page_stride % SMLA_PAGE_ALIGNMENT)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "%s: page_stride is %lld bytes, it must be a multiple of %d and at least the page's %lld: set it",
                     call, (long long)page_stride, (int)SMLA_PAGE_ALIGNMENT, (long long)page_bytes);
  if (page_stride >= MOST_PAGE_STRIDE)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: page_stride is %lld bytes, it must be below 2^40: set it", call,
                     (long long)page_stride);
  if (num_pages < 1 || num_pages > INT64_MAX / page_stride || num_pages > INT32_MAX)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT, "%s: num_pages is %lld, it must be 1 to %lld at this page_stride: set it", call,
        (long long)num_pages, (long long)(INT64_MAX / page_stride < INT32_MAX ? INT64_MAX / page_stride : INT32_MAX));
  return SNAPMLA_OK;
}

/* What the host can see of the cache's scale. */
static snapmla_status check_kv_scale(const snapmla_problem *problem, const char *call, float kv_scale,
                                     const float *pointer) {
  if (smla_kv_facts_of(problem->kv_format)->scaling != SMLA_SCALING_CALL) return SNAPMLA_OK;
  if (pointer) return check_pointer(call, "kv_scale_pointer", pointer, sizeof *pointer);
  if (kv_scale == 0.0f || (kv_scale >= FLT_MIN && isfinite(kv_scale))) return SNAPMLA_OK;
  return smla_fail(
      SNAPMLA_INVALID_ARGUMENT,
      "%s: kv_scale is %g, it must be finite and at least 2^-126: set what the cache's numbers are multiplied by", call,
      (double)kv_scale);
}

/* How many tokens there are to see: of each request, or in each list. */
static snapmla_status check_lengths(const snapmla_problem *problem, const snapmla_decode_args *args) {
  return problem->max_indices ? check_pointer("decode", "index_counts", args->index_counts, sizeof(int32_t))
                              : check_pointer("decode", "seqlens", args->seqlens, sizeof(int32_t));
}

static snapmla_status check_lists(const snapmla_problem *problem, const snapmla_decode_args *args) {
  const dimension dimensions[] = {{"stride_batch", args->batch, args->indices_stride_batch},
                                  {"stride_token", problem->q_len, args->indices_stride_token}};
  const strided tensor = {"decode", "indices", dimensions, 2, 1, sizeof(int32_t), 1};
  snapmla_status status = check_pointer("decode", "indices", args->indices, sizeof(int32_t));
  if (!status) status = check_strides(&tensor);
  if (status) return status;
  /* check_strides has seen to it that this does not overflow. */
  int64_t last = (args->batch > 1 ? (args->batch - 1) * args->indices_stride_batch : 0) +
                 (problem->q_len > 1 ? (problem->q_len - 1) * args->indices_stride_token : 0);
  if (last > INT32_MAX - problem->max_indices)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "decode: the last list of indices begins at entry %lld, with max_indices = %d it must begin before "
        "entry 2^31 - max_indices: set smaller strides",
        (long long)last, problem->max_indices);
  return SNAPMLA_OK;
}

static snapmla_status check_block_table_stride(const snapmla_decode_args *args) {
  int64_t most = INT64_MAX / (int64_t)sizeof(int32_t) / (args->batch > 0 ? args->batch : 1);
  if (args->block_table_stride >= 1 && args->block_table_stride <= most) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "decode: block_table_stride is %lld entries, it must be 1 to %lld: set it to the table's width",
                   (long long)args->block_table_stride, (long long)most);
}

/* Where the tokens of each request are. */
static snapmla_status check_places(const snapmla_problem *problem, const snapmla_decode_args *args) {
  if (problem->max_indices) return check_lists(problem, args);
  if (args->indices || args->index_counts)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "decode: indices or index_counts is set and the problem's max_indices is 0: plan with max_indices, or "
        "set them to NULL");
  snapmla_status status = check_pointer("decode", "block_table", args->block_table, sizeof(int32_t));
  return status ? status : check_block_table_stride(args);
}

static snapmla_status check_workspace(const snapmla_decode_args *args) {
  return check_pointer("decode", "workspace", args->workspace, WORKSPACE_ALIGNMENT);
}

snapmla_status smla_sinks_check(const snapmla_problem *problem, const snapmla_decode_args *args) {
  if (problem->flags & SNAPMLA_PROBLEM_SINKS) return check_pointer("decode", "sinks", args->sinks, sizeof(float));
  if (!args->sinks) return SNAPMLA_OK;
  return smla_fail(
      SNAPMLA_INVALID_ARGUMENT,
      "decode: sinks is set and the problem has no SNAPMLA_PROBLEM_SINKS: plan with that flag, or set it to NULL");
}

snapmla_status smla_decode_args_check_query(const snapmla_problem *problem, const snapmla_decode_args *args,
                                            int device) {
  snapmla_status status = check_decode_struct(problem, args);
  if (status) return status;
  if (!isfinite(args->softmax_scale))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "decode: softmax_scale is %g, it must be finite: set it, as 1/sqrt(192)",
                     (double)args->softmax_scale);
  if (args->batch == 0) return SNAPMLA_OK;

  const int64_t nope_strides[] = {args->q_nope_stride_batch, args->q_nope_stride_token, args->q_nope_stride_head};
  const int64_t rope_strides[] = {args->q_rope_stride_batch, args->q_rope_stride_token, args->q_rope_stride_head};
  status = check_row_tensor(problem, args->batch, "q_nope", args->q_nope, problem->latent_rank, nope_strides, device);
  if (!status && problem->rope_dim)
    status = check_row_tensor(problem, args->batch, "q_rope", args->q_rope, problem->rope_dim, rope_strides, device);
  if (!status && problem->max_indices) status = check_lists(problem, args);
  if (!status) status = smla_sinks_check(problem, args);
  return status ? status : check_lengths(problem, args);
}

snapmla_status smla_decode_args_check(const snapmla_problem *problem, const snapmla_decode_args *args, int device) {
  snapmla_status status = smla_decode_args_check_query(problem, args, device);
  if (!status && device) status = check_workspace(args);
  if (status || args->batch == 0) return status;

  status = check_cache(problem, "decode", args->kv, args->page_stride, args->num_pages, device);
  if (!status) status = check_kv_scale(problem, "decode", args->kv_scale, args->kv_scale_pointer);
  if (!status) status = check_places(problem, args);
  if (status || !device) return status;

  const int64_t out_strides[] = {args->out_stride_batch, args->out_stride_token, args->out_stride_head};
  status = check_row_tensor(problem, args->batch, "out", args->out, problem->latent_rank, out_strides, device);
  return status ? status : check_lse(problem, args);
}

snapmla_status smla_schedule_args_check(const snapmla_problem *problem, const snapmla_decode_args *args) {
  snapmla_status status = check_decode_struct(problem, args);
  if (!status) status = check_workspace(args);
  if (status || args->batch == 0) return status;
  status = check_lengths(problem, args);
  return status || problem->max_indices ? status : check_block_table_stride(args);
}

static snapmla_status check_rows(const snapmla_append_args *args, const char *name, const void *pointer, int64_t stride,
                                 int64_t row, int device) {
  const dimension rows = {"stride", args->tokens, stride};
  const strided tensor = {"append", name, &rows, 1, row, BF16_BYTES, device ? STRIDE_MULTIPLE : 1};
  snapmla_status status = check_pointer("append", name, pointer, device ? TENSOR_ALIGNMENT : BF16_BYTES);
  return status ? status : check_strides(&tensor);
}

snapmla_status smla_append_args_check(const snapmla_problem *problem, const snapmla_append_args *args, int device) {
  if (!args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "append: args is NULL: pass a snapmla_append_args");
  snapmla_status status = smla_struct_size_check("snapmla_append_args", args, args->size, sizeof *args);
  if (status) return status;
  if (args->tokens < 0 || args->tokens > INT64_MAX / (int64_t)sizeof(int64_t))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "append: tokens is %lld, it must be 0 to 2^60 - 1: set it to the rows to append",
                     (long long)args->tokens);
  if (args->tokens == 0) return SNAPMLA_OK;
  status = check_rows(args, "latent", args->latent, args->latent_stride, problem->latent_rank, device);
  if (!status && problem->rope_dim)
    status = check_rows(args, "rope", args->rope, args->rope_stride, problem->rope_dim, device);
  if (!status) status = check_pointer("append", "slot_mapping", args->slot_mapping, sizeof(int64_t));
  if (!status) status = check_kv_scale(problem, "append", args->kv_scale, args->kv_scale_pointer);
  return status ? status : check_cache(problem, "append", args->kv, args->page_stride, args->num_pages, device);
}

/* Rows of the shards (`shards` of them) or of the merged result (1). */
static snapmla_status check_results(const snapmla_problem *problem, const snapmla_merge_args *args, const char *name,
                                    const void *pointer, int32_t shards, const int64_t strides[4]) {
  const dimension dimensions[] = {{"stride_shard", shards, strides[0]},
                                  {"stride_batch", args->batch, strides[1]},
                                  {"stride_token", problem->q_len, strides[2]},
                                  {"stride_head", problem->heads, strides[3]}};
  const strided tensor = {"merge", name, dimensions, 4, problem->latent_rank, sizeof(float), STRIDE_MULTIPLE};
  snapmla_status status = check_pointer("merge", name, pointer, TENSOR_ALIGNMENT);
  return status ? status : check_strides(&tensor);
}

static snapmla_status check_result_lse(const snapmla_problem *problem, const snapmla_merge_args *args, const char *name,
                                       const void *pointer, int32_t shards, const int64_t strides[4]) {
  const dimension dimensions[] = {{"stride_shard", shards, strides[0]},
                                  {"stride_batch", args->batch, strides[1]},
                                  {"stride_head", problem->heads, strides[2]},
                                  {"stride_token", problem->q_len, strides[3]}};
  const strided tensor = {"merge", name, dimensions, 4, 1, sizeof(float), 1};
  snapmla_status status = check_pointer("merge", name, pointer, sizeof(float));
  return status ? status : check_strides(&tensor);
}

static snapmla_status check_merge_struct(const snapmla_problem *problem, const snapmla_merge_args *args) {
  if (!args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "merge: args is NULL: pass a snapmla_merge_args");
  snapmla_status status = smla_struct_size_check("snapmla_merge_args", args, args->size, sizeof *args);
  if (status) return status;
  if (problem->flags & SNAPMLA_PROBLEM_SINKS)
    return smla_fail(
        SNAPMLA_UNSUPPORTED,
        "merge: the plan's problem has SNAPMLA_PROBLEM_SINKS, so that each shard would take the sinks into "
        "its part: decode the shards and merge by a plan without that flag, and give the sinks to the merge");
  if (args->shards < 1 || args->shards > SNAPMLA_MOST_SHARDS)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "merge: shards is %d, it must be 1 to %d: set it to how many results there are; merge more in two "
                     "steps",
                     args->shards, (int)SNAPMLA_MOST_SHARDS);
  if (args->batch < 0 || args->batch > problem->max_batch)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "merge: batch is %d, it must be 0 to max_batch = %d: split the call, or plan for a larger batch",
                     args->batch, problem->max_batch);
  return SNAPMLA_OK;
}

snapmla_status smla_merge_args_check(const snapmla_problem *problem, const snapmla_merge_args *args) {
  snapmla_status status = check_merge_struct(problem, args);
  if (status || args->batch == 0) return status;
  const int64_t outs[] = {args->outs_stride_shard, args->outs_stride_batch, args->outs_stride_token,
                          args->outs_stride_head};
  const int64_t lses[] = {args->lses_stride_shard, args->lses_stride_batch, args->lses_stride_head,
                          args->lses_stride_token};
  const int64_t out[] = {0, args->out_stride_batch, args->out_stride_token, args->out_stride_head};
  const int64_t lse[] = {0, args->lse_stride_batch, args->lse_stride_head, args->lse_stride_token};
  status = check_results(problem, args, "outs", args->outs, args->shards, outs);
  if (!status) status = check_result_lse(problem, args, "lses", args->lses, args->shards, lses);
  if (!status) status = check_results(problem, args, "out", args->out, 1, out);
  if (!status && args->lse) status = check_result_lse(problem, args, "lse", args->lse, 1, lse);
  return !status && args->sinks ? check_pointer("merge", "sinks", args->sinks, sizeof(float)) : status;
}
