/* Executing a plan: a call's arguments become the kernels' arguments and launches. Nothing is allocated, compiled or
 * waited for here. Each kernel waits itself for the one before it (grid_dependency_wait), so those of a decode call are
 * launched as dependents: the start of one overlaps the end of the last. */
#include <string.h>

#include "common/records.h"
#include "common/sinks.h"
#include "common/tensor_map.h"
#include "decode_args.h"
#include "kv_append/params.h"
#include "mla_combine/params.h"
#include "mla_decode/params.h"
#include "page_layout.h"
#include "plan_object.h"
#include "query_quant/params.h"
#include "schedule/params.h"
#include "status.h"

enum {
  WARP = 32,
  APPEND_BLOCKS_PER_SM = 8 /* enough to fill the GPU; more tokens are looped over */
};

static const double log2_of_e = 1.44269504088896340736;

static char *at(const snapmla_decode_args *args, size_t offset) { return (char *)args->workspace + offset; }

/* Requests of the schedule: those of the call, or their query tokens. */
static int32_t records_of(const snapmla_plan *plan, const snapmla_decode_args *args) {
  return args->batch * plan->workspace.records;
}

static snapmla_status check_plan(const snapmla_plan *plan, const void *args) {
  if (!plan || !args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan and args are needed, and one is NULL");
  return SNAPMLA_OK;
}

static snapmla_status check_workspace(const snapmla_plan *plan, const snapmla_decode_args *args) {
  if (args->workspace_bytes >= plan->workspace.bytes) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "decode: workspace_bytes is %zu, it must be at least %zu: allocate snapmla_plan_workspace_bytes()",
                   args->workspace_bytes, plan->workspace.bytes);
}

snapmla_status smla_plan_launch(const snapmla_plan *plan, const char *name, const smla_plan_kernel *kernel,
                                uint32_t grid_x, uint32_t grid_y, int dependent, smla_params params, void *stream,
                                snapmla_plan_counters *counters) {
  smla_device *device = plan->context->device;
  const smla_device_launch l = {
      .name = name,
      .kernel = kernel->kernel,
      .grid_x = grid_x,
      .grid_y = grid_y,
      .threads = (uint32_t)kernel->geometry.threads,
      .smem_bytes = (uint32_t)kernel->geometry.smem_bytes,
      .cluster = (uint32_t)kernel->geometry.cluster,
      .dependent = dependent,
      .params = params,
      .stream = stream,
  };
  return device->ops->launch(device, &l, counters);
}

static snapmla_status launch(const snapmla_plan *plan, smla_family family, uint32_t grid_x, uint32_t grid_y,
                             int dependent, smla_params params, void *stream, snapmla_plan_counters *counters) {
  return smla_plan_launch(plan, smla_family_names[family], &plan->kernels[family], grid_x, grid_y, dependent, params,
                          stream, counters);
}

snapmla_status snapmla_plan_schedule(const snapmla_plan *plan, const snapmla_decode_args *args) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_schedule_args_check(&plan->problem, args);
  if (!status) status = check_workspace(plan, args);
  if (status) return status;
  const smla_workspace *w = &plan->workspace;
  const int sparse = plan->problem.max_indices > 0;
  int64_t most = sparse ? plan->problem.max_indices : plan->problem.max_context, page = plan->problem.page_tokens;
  /* An empty batch has no table, and its stride may be anything. */
  if (!sparse && args->batch > 0 && args->block_table_stride <= (most - 1) / page)
    most = args->block_table_stride * page;
  const struct schedule_params params = {
      .seqlens = sparse ? args->index_counts : args->seqlens,
      .requests = (struct smla_request *)at(args, w->requests),
      .units = (struct smla_unit *)at(args, w->units),
      .merges = (struct smla_merge *)at(args, w->merges),
      .merge_shares = (struct smla_merge_share *)at(args, w->merge_shares),
      .status = (unsigned *)at(args, w->status),
      .batch = records_of(plan, args),
      .unit_count = w->unit_count,
      .merge_blocks = w->merge_blocks,
      .max_tokens = (int)most,
      .min_share = w->min_share,
      .merge_cost = w->merge_cost,
      .slack = w->slack,
      .elements = w->rows * plan->problem.latent_rank,
      .block_elements = plan->kernels[SMLA_MLA_COMBINE].geometry.block_elements,
  };
  return launch(plan, SMLA_SCHEDULE, 1, 1, 0, SMLA_PARAMS(params), args->stream, NULL);
}

static snapmla_status quantize_query(const snapmla_plan *plan, const snapmla_decode_args *args,
                                     snapmla_plan_counters *counters) {
  const smla_workspace *w = &plan->workspace;
  const struct query_quant_params params = {
      .q_nope = args->q_nope,
      .q_rope = args->q_rope,
      .nope_stride_batch = args->q_nope_stride_batch,
      .nope_stride_token = args->q_nope_stride_token,
      .nope_stride_head = args->q_nope_stride_head,
      .rope_stride_batch = args->q_rope_stride_batch,
      .rope_stride_token = args->q_rope_stride_token,
      .rope_stride_head = args->q_rope_stride_head,
      .image = (unsigned char *)at(args, w->q_image),
      .scale = (float *)at(args, w->q_scale),
      .heads = plan->problem.heads,
      .q_len = plan->problem.q_len / w->records,
      .groups = w->groups,
      .lists = w->records,
  };
  uint32_t warps = (uint32_t)plan->kernels[SMLA_QUERY_QUANT].geometry.threads / WARP;
  uint32_t rows = (uint32_t)(w->groups * w->group_rows);
  return launch(plan, SMLA_QUERY_QUANT, (rows + warps - 1) / warps, (uint32_t)records_of(plan, args), 1,
                SMLA_PARAMS(params), args->stream, counters);
}

/* Pages of rows are fetched by tensor copies: boxes of 128 bytes of up to 64 tokens, and of their scales where rows have some. What an
 * index list names is not. */
static snapmla_status describe_cache(const snapmla_plan *plan, const snapmla_decode_args *args,
                                     struct mla_decode_rows_params *out) {
  smla_page_geometry geometry = smla_page_geometry_of(&plan->problem);
  if (!geometry.row_bytes || plan->problem.max_indices) return SNAPMLA_OK;
  smla_device_tensor tensor = {
      .base = args->kv,
      .extents = {(uint64_t)geometry.row_bytes, (uint64_t)geometry.page_tokens, (uint64_t)args->num_pages},
      .strides = {(uint64_t)geometry.row_bytes, (uint64_t)args->page_stride},
      .box = {SMLA_SUBTILE_ROW, (uint32_t)geometry.image_tokens},
      .swizzled = 1,
  };
  smla_device *device = plan->context->device;
  snapmla_status status = device->ops->tensor_map(device, &tensor, &out->kv_map);
  tensor.box[0] = (uint32_t)smla_kv_scales(geometry.facts, geometry.latent_rank) * (uint32_t)sizeof(float);
  tensor.swizzled = 0;
  if (status || !tensor.box[0]) return status;
  return device->ops->tensor_map(device, &tensor, &out->scale_map);
}

static snapmla_status attend(const snapmla_plan *plan, const snapmla_decode_args *args,
                             snapmla_plan_counters *counters) {
  const smla_workspace *w = &plan->workspace;
  /* Kernels of page images take no rows; those without sinks have the others where they stand. */
  struct {
    struct mla_decode_params decode;
    struct mla_decode_rows_params rows;
  } params = {
      .decode =
          {
              .kv = args->kv,
              .page_stride = args->page_stride,
              .num_pages = args->num_pages,
              .block_table = args->block_table,
              .block_table_stride = args->block_table_stride,
              .indices = args->indices,
              .indices_stride_batch = (int)args->indices_stride_batch,
              .indices_stride_token = (int)args->indices_stride_token,
              .requests = (struct smla_request *)at(args, w->requests),
              .units = (struct smla_unit *)at(args, w->units),
              .q_image = (unsigned char *)at(args, w->q_image),
              .q_scale = (float *)at(args, w->q_scale),
              .out = args->out,
              .out_stride_batch = args->out_stride_batch,
              .out_stride_token = args->out_stride_token,
              .out_stride_head = args->out_stride_head,
              .lse = args->lse,
              .lse_stride_batch = args->lse_stride_batch,
              .lse_stride_head = args->lse_stride_head,
              .lse_stride_token = args->lse_stride_token,
              .partial_out = (float *)at(args, w->partial_out),
              .partial_lse = (float *)at(args, w->partial_lse),
              .status = (unsigned *)at(args, w->status),
              .scale_log2e = (float)((double)args->softmax_scale * log2_of_e),
              .heads = plan->problem.heads,
              .q_len = plan->problem.q_len / w->records,
              .groups = w->groups,
              .lists = w->records,
              .batch = args->batch,
          },
      .rows = {.kv_scale = args->kv_scale == 0.0f ? 1.0f : args->kv_scale, .kv_scale_pointer = args->kv_scale_pointer}};
  snapmla_status status = describe_cache(plan, args, &params.rows);
  if (status) return status;
  const struct {
    struct mla_decode_params decode;
    struct smla_sinks sinks;
    struct mla_decode_rows_params rows;
  } with_sinks = {.decode = params.decode, .sinks = {args->sinks}, .rows = params.rows};
  return launch(plan, SMLA_MLA_DECODE, (uint32_t)(w->unit_count * w->groups), 1, 1,
                args->sinks ? SMLA_PARAMS(with_sinks) : SMLA_PARAMS(params), args->stream, counters);
}

static snapmla_status combine(const snapmla_plan *plan, const snapmla_decode_args *args,
                              snapmla_plan_counters *counters) {
  const smla_workspace *w = &plan->workspace;
  /* A kernel without sinks takes the first member alone. */
  const struct {
    struct mla_combine_params combine;
    struct smla_sinks sinks;
  } params = {.combine =
                  {
                      .merges = (struct smla_merge *)at(args, w->merges),
                      .shares = (struct smla_merge_share *)at(args, w->merge_shares),
                      .partial_out = (float *)at(args, w->partial_out),
                      .partial_lse = (float *)at(args, w->partial_lse),
                      .out = args->out,
                      .out_stride_batch = args->out_stride_batch,
                      .out_stride_token = args->out_stride_token,
                      .out_stride_head = args->out_stride_head,
                      .lse = args->lse,
                      .lse_stride_batch = args->lse_stride_batch,
                      .lse_stride_head = args->lse_stride_head,
                      .lse_stride_token = args->lse_stride_token,
                      .heads = plan->problem.heads,
                      .q_len = plan->problem.q_len / w->records,
                      .groups = w->groups,
                      .lists = w->records,
                  },
              .sinks = {args->sinks}};
  return launch(plan, SMLA_MLA_COMBINE, (uint32_t)w->merge_blocks, 1, 1, SMLA_PARAMS(params), args->stream, counters);
}

snapmla_status smla_plan_decode_parts(const snapmla_plan *plan, const snapmla_decode_args *args, unsigned parts) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_decode_args_check(&plan->problem, args, 1);
  if (!status) status = check_workspace(plan, args);
  if (status) return status;
  snapmla_plan_counters counters = {0};
  if (args->batch > 0) {
    if (parts & SMLA_PART_QUERY) status = quantize_query(plan, args, &counters);
    if (!status && parts & SMLA_PART_ATTEND) status = attend(plan, args, &counters);
    if (!status && parts & SMLA_PART_COMBINE) status = combine(plan, args, &counters);
  }
  if (plan->context->device->is_emulator) {
    pthread_mutex_lock(&plan->tally->lock);
    plan->tally->counters = counters;
    pthread_mutex_unlock(&plan->tally->lock);
  }
  return status;
}

snapmla_status snapmla_plan_decode(const snapmla_plan *plan, const snapmla_decode_args *args) {
  return smla_plan_decode_parts(plan, args, SMLA_PART_QUERY | SMLA_PART_ATTEND | SMLA_PART_COMBINE);
}

snapmla_status snapmla_plan_append(const snapmla_plan *plan, const snapmla_append_args *args) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_append_args_check(&plan->problem, args, 1);
  if (status || args->tokens == 0) return status;
  const struct kv_append_params params = {
      .latent = args->latent,
      .latent_stride = args->latent_stride,
      .rope = args->rope,
      .rope_stride = args->rope_stride,
      .slots = (const long long *)args->slot_mapping,
      .kv = args->kv,
      .page_stride = args->page_stride,
      .num_pages = args->num_pages,
      .tokens = args->tokens,
      .kv_scale = args->kv_scale == 0.0f ? 1.0f : args->kv_scale,
      .kv_scale_pointer = args->kv_scale_pointer,
  };
  int64_t warps = plan->kernels[SMLA_KV_APPEND].geometry.threads / WARP;
  int64_t blocks = (args->tokens - 1) / warps + 1, most = (int64_t)APPEND_BLOCKS_PER_SM * plan->multiprocessors;
  return launch(plan, SMLA_KV_APPEND, (uint32_t)(blocks < most ? blocks : most), 1, 0, SMLA_PARAMS(params),
                args->stream, NULL);
}
