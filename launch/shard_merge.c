/* Merging the results of shards of a cache. Nothing is allocated, compiled or waited for here. */
#include "shard_merge/params.h"

#include <snapmla/shards.h>

#include "decode_args.h"
#include "plan_object.h"
#include "status.h"

enum {
  WARP = 32,
  ITEM_CHANNELS = 128,  /* that a warp merges together */
  THREADS_PER_SM = 2048 /* that fill the GPU; more items are looped over */
};

snapmla_status snapmla_plan_merge(const snapmla_plan *plan, const snapmla_merge_args *args) {
  if (!plan || !args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan and args are needed, and one is NULL");
  snapmla_status status = smla_merge_args_check(&plan->problem, args);
  if (status || args->batch == 0) return status;
  const struct shard_merge_params params = {
      .outs = args->outs,
      .outs_stride_shard = args->outs_stride_shard,
      .outs_stride_batch = args->outs_stride_batch,
      .outs_stride_token = args->outs_stride_token,
      .outs_stride_head = args->outs_stride_head,
      .lses = args->lses,
      .lses_stride_shard = args->lses_stride_shard,
      .lses_stride_batch = args->lses_stride_batch,
      .lses_stride_head = args->lses_stride_head,
      .lses_stride_token = args->lses_stride_token,
      .out = args->out,
      .out_stride_batch = args->out_stride_batch,
      .out_stride_token = args->out_stride_token,
      .out_stride_head = args->out_stride_head,
      .lse = args->lse,
      .lse_stride_batch = args->lse_stride_batch,
      .lse_stride_head = args->lse_stride_head,
      .lse_stride_token = args->lse_stride_token,
      .sinks = args->sinks,
      .shards = args->shards,
      .batch = args->batch,
      .q_len = plan->problem.q_len,
      .heads = plan->problem.heads,
      .wide = args->is_fp32 != 0,
  };
  const smla_plan_kernel *kernel = &plan->kernels[SMLA_SHARD_MERGE];
  int64_t warps = kernel->geometry.threads / WARP;
  int64_t items =
      (int64_t)args->batch * plan->problem.q_len * plan->problem.heads * plan->problem.latent_rank / ITEM_CHANNELS;
  int64_t blocks = (items - 1) / warps + 1;
  int64_t most = (int64_t)THREADS_PER_SM / kernel->geometry.threads * plan->multiprocessors;
  return smla_plan_launch(plan, smla_family_names[SMLA_SHARD_MERGE], kernel, (uint32_t)(blocks < most ? blocks : most),
                          1, 1, SMLA_PARAMS(params), args->stream, NULL);
}
