/* Executing a layer plan. Kernels of a step are dependent launches in an order that the decode kernel counts on: what writes the cache
 * (append) is never directly before it, but before the kernel before it (absorb), as docs/dialect.md tells. */
#include <stdlib.h>
#include <string.h>

#include "common/records.h"
#include "common/sinks.h"
#include "common/tensor_map.h"
#include "decode_args.h"
#include "kv_append/params.h"
#include "kv_fetch/params.h"
#include "layer_args.h"
#include "layer_object.h"
#include "output_project/params.h"
#include "query_absorb/params.h"
#include "size.h"
#include "status.h"
#include "struct_size.h"
#include "value_project/params.h"

enum { WARP = 32, BLOCKS_PER_SM = 8 /* fill the GPU; more tokens are looped over */, BOX_BYTES = 128, BF16_BYTES = 2 };

static snapmla_status check_plan(const snapmla_layer_plan *plan, const void *args) {
  if (!plan || !args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan and args are needed, and one is NULL");
  return SNAPMLA_OK;
}

snapmla_status smla_layer_lay_out(snapmla_layer_plan *plan) {
  static const char what[] = "the layer's workspace";
  const snapmla_problem *p = &plan->problem.attention;
  size_t rows = (size_t)p->max_batch * (size_t)p->q_len * (size_t)p->heads, bytes;
  snapmla_status status =
      smla_size_align(what, snapmla_plan_workspace_bytes(plan->attention), SMLA_WORKSPACE_ALIGNMENT, &plan->attended);
  if (!status) status = smla_size_multiply(what, rows, (size_t)p->latent_rank * BF16_BYTES, &bytes);
  if (!status) status = smla_size_add(what, plan->attended, bytes, &bytes);
  if (!status) status = smla_size_align(what, bytes, SMLA_WORKSPACE_ALIGNMENT, &plan->workspace_bytes);
  if (status || !plan->problem.hidden_size) return status;
  plan->values = plan->workspace_bytes;
  status = smla_size_multiply(what, rows, (size_t)plan->problem.v_dim * BF16_BYTES, &bytes);
  if (!status) status = smla_size_add(what, plan->values, bytes, &bytes);
  if (!status && plan->product) {
    status = smla_size_align(what, bytes, SMLA_WORKSPACE_ALIGNMENT, &plan->product_workspace);
    if (!status)
      status = smla_size_add(what, plan->product_workspace, smla_plain_product_workspace(plan->product), &bytes);
  }
  return status ? status : smla_size_align(what, bytes, SMLA_WORKSPACE_ALIGNMENT, &plan->workspace_bytes);
}

static snapmla_status launch(const snapmla_layer_plan *plan, smla_layer_kernel kernel, uint32_t grid_x, uint32_t grid_y,
                             int dependent, smla_params params, void *stream, snapmla_plan_counters *counters) {
  return smla_plan_launch(plan->attention, smla_layer_families[kernel], &plan->kernels[kernel], grid_x, grid_y,
                          dependent, params, stream, counters);
}

/* A grid of a warp per token. */
static snapmla_status launch_tokens(const snapmla_layer_plan *plan, smla_layer_kernel kernel, int64_t tokens,
                                    int dependent, smla_params params, void *stream) {
  int64_t warps = plan->kernels[kernel].geometry.threads / WARP;
  int64_t blocks = (tokens - 1) / warps + 1, most = (int64_t)BLOCKS_PER_SM * plan->attention->multiprocessors;
  return launch(plan, kernel, (uint32_t)(blocks < most ? blocks : most), 1, dependent, params, stream, NULL);
}

static snapmla_status append(const snapmla_layer_plan *plan, const snapmla_append_args *args, const int32_t *positions,
                             const snapmla_layer_weights *weights, int dependent) {
  /* A variant that neither normalises nor turns takes the first member alone. */
  const struct {
    struct kv_append_params append;
    struct kv_append_layer_params layer;
  } params = {.append = {.latent = args->latent,
                         .latent_stride = args->latent_stride,
                         .rope = args->rope,
                         .rope_stride = args->rope_stride,
                         .slots = (const long long *)args->slot_mapping,
                         .kv = args->kv,
                         .page_stride = args->page_stride,
                         .num_pages = args->num_pages,
                         .tokens = args->tokens,
                         .kv_scale = args->kv_scale == 0.0f ? 1.0f : args->kv_scale,
                         .kv_scale_pointer = args->kv_scale_pointer},
              .layer = {.norm = weights->norm,
                        .norm_epsilon = plan->problem.norm_epsilon,
                        .positions = positions,
                        .rope_table = weights->rope_table,
                        .rope_positions = weights->rope_positions}};
  return launch_tokens(plan, SMLA_LAYER_APPEND, args->tokens, dependent, SMLA_PARAMS(params), args->stream);
}

snapmla_status snapmla_layer_append(const snapmla_layer_plan *plan, const snapmla_layer_append_args *args) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_layer_append_check(&plan->problem, args);
  if (status || args->append.tokens == 0) return status;
  return append(plan, &args->append, args->positions, args->weights, 0);
}

/* The step's tokens as an append. */
static snapmla_append_args append_of(const snapmla_layer_plan *plan, const snapmla_layer_args *args) {
  return (snapmla_append_args){.size = sizeof(snapmla_append_args),
                               .tokens = (int64_t)args->decode.batch * plan->problem.attention.q_len,
                               .latent = args->latent,
                               .latent_stride = args->latent_stride,
                               .rope = args->rope,
                               .rope_stride = args->rope_stride,
                               .slot_mapping = args->slot_mapping,
                               .kv = (void *)(uintptr_t)args->decode.kv,
                               .page_stride = args->decode.page_stride,
                               .num_pages = args->decode.num_pages,
                               .stream = args->decode.stream,
                               .kv_scale = args->decode.kv_scale,
                               .kv_scale_pointer = args->decode.kv_scale_pointer};
}

/* The attention's call: the query is in the workspace already, where absorb put it, so any valid tensor stands for it. */
static snapmla_decode_args decode_of(const snapmla_layer_plan *plan, const snapmla_layer_args *args) {
  const snapmla_problem *p = &plan->problem.attention;
  snapmla_decode_args d = args->decode;
  d.out = (char *)d.workspace + plan->attended;
  d.out_stride_head = p->latent_rank;
  d.out_stride_token = d.out_stride_head * p->heads;
  d.out_stride_batch = d.out_stride_token * p->q_len;
  d.q_nope = d.q_rope = d.out;
  d.q_nope_stride_head = d.q_rope_stride_head = d.out_stride_head;
  d.q_nope_stride_token = d.q_rope_stride_token = d.out_stride_token;
  d.q_nope_stride_batch = d.q_rope_stride_batch = d.out_stride_batch;
  return d;
}

/* `planes` of rows, in boxes of 128 bytes of `box_rows` rows. */
static snapmla_status describe_planes(const snapmla_layer_plan *plan, const void *base, int64_t row_bytes, int64_t rows,
                                      int32_t planes, int64_t row_stride, int64_t plane_stride, int32_t box_rows,
                                      struct smla_tensor_map *out) {
  const smla_device_tensor tensor = {
      .base = base,
      .extents = {(uint64_t)row_bytes, (uint64_t)rows, (uint64_t)planes},
      .strides = {(uint64_t)row_stride, (uint64_t)plane_stride},
      .box = {BOX_BYTES, (uint32_t)box_rows},
      .swizzled = 1,
  };
  smla_device *device = plan->attention->context->device;
  return device->ops->tensor_map(device, &tensor, out);
}

/* Rows of one up-projection, head by head, or tokens' rows, head by head. */
static snapmla_status describe(const snapmla_layer_plan *plan, const void *base, int64_t row_bytes, int64_t rows,
                               int64_t row_stride, int64_t head_stride, int32_t box_rows, struct smla_tensor_map *out) {
  return describe_planes(plan, base, row_bytes, rows, plan->problem.attention.heads, row_stride, head_stride, box_rows,
                         out);
}

static int64_t weight_bytes(const snapmla_layer_plan *plan) {
  return plan->problem.weight_type == SNAPMLA_WEIGHT_FP8_BLOCK ? 1 : BF16_BYTES;
}

static int32_t head_rows(const snapmla_layer_plan *plan) { return plan->problem.nope_dim + plan->problem.v_dim; }

static snapmla_status describe_weights(const snapmla_layer_plan *plan, const snapmla_layer_weights *w,
                                       int32_t first_row, int32_t rows, int32_t box_rows, struct smla_tensor_map *out) {
  int64_t row = w->kv_b_stride * weight_bytes(plan);
  return describe(plan, (const char *)w->kv_b + first_row * row,
                  plan->problem.attention.latent_rank * weight_bytes(plan), rows, row, head_rows(plan) * row, box_rows,
                  out);
}

static uint32_t tiles_of(int64_t tokens, int32_t columns) { return (uint32_t)((tokens + columns - 1) / columns); }

static snapmla_status absorb(const snapmla_layer_plan *plan, const snapmla_layer_args *args, int64_t tokens,
                             snapmla_plan_counters *counters) {
  const snapmla_layer_problem *p = &plan->problem;
  const smla_workspace *w = &plan->attention->workspace;
  const snapmla_layer_weights *weights = args->weights;
  const smla_layer_kernel kernel = tokens > SMLA_LAYER_FEW_TOKENS ? SMLA_LAYER_ABSORB : SMLA_LAYER_ABSORB_FEW;
  const smla_layer_tile *tile = &plan->tiles[kernel];
  char *workspace = args->decode.workspace;
  struct query_absorb_params params = {
      .q_rope = (const unsigned short *)args->q + p->nope_dim,
      .q_stride_token = args->q_stride_token,
      .q_stride_head = args->q_stride_head,
      .positions = args->positions,
      .rope_table = weights->rope_table,
      .rope_positions = weights->rope_positions,
      .scales = weights->kv_b_scale,
      .scales_stride = weights->kv_b_scale_stride,
      .image = (unsigned char *)workspace + w->q_image,
      .scale = (float *)(workspace + w->q_scale),
      .heads = p->attention.heads,
      .q_len = p->attention.q_len / w->records,
      .groups = w->groups,
      .tokens = (int)tokens,
      .head_rows = head_rows(plan),
  };
  snapmla_status status = describe_weights(plan, weights, 0, p->nope_dim, tile->box_rows, &params.weights);
  if (!status)
    status = describe(plan, args->q, p->nope_dim * BF16_BYTES, tokens, args->q_stride_token * BF16_BYTES,
                      args->q_stride_head * BF16_BYTES, tile->columns, &params.queries);
  if (status) return status;
  return launch(plan, kernel, (uint32_t)p->attention.heads, tiles_of(tokens, tile->columns), 1, SMLA_PARAMS(params),
                args->decode.stream, counters);
}

static smla_layer_kernel project_kernel(int64_t tokens) {
  return tokens > SMLA_LAYER_FEW_TOKENS ? SMLA_LAYER_PROJECT : SMLA_LAYER_PROJECT_FEW;
}

/* What the decode kernel leaves where no mla_combine follows it. */
static struct value_project_pieces pieces_of(const snapmla_layer_plan *plan, const snapmla_decode_args *decode) {
  const snapmla_problem *p = &plan->problem.attention;
  const smla_workspace *w = &plan->attention->workspace;
  const char *workspace = decode->workspace;
  return (struct value_project_pieces){
      .requests = (const struct smla_request *)(workspace + w->requests),
      .partial_out = workspace + w->partial_out,
      .partial_lse = (const float *)(workspace + w->partial_lse),
      .attended = (const unsigned short *)(workspace + plan->attended),
      .lse = decode->lse,
      .lse_stride_batch = decode->lse_stride_batch,
      .lse_stride_head = decode->lse_stride_head,
      .lse_stride_token = decode->lse_stride_token,
      .heads = p->heads,
      .q_len = p->q_len,
      .record_tokens = p->q_len / w->records,
      .groups = w->groups,
      .group_rows = w->group_rows,
  };
}

static snapmla_status project(const snapmla_layer_plan *plan, const snapmla_layer_args *args, int64_t tokens,
                              snapmla_plan_counters *counters) {
  const snapmla_layer_problem *p = &plan->problem;
  const snapmla_layer_weights *weights = args->weights;
  const smla_layer_kernel kernel = project_kernel(tokens);
  const smla_layer_tile *tile = &plan->tiles[kernel];
  int64_t row = (int64_t)p->attention.latent_rank * BF16_BYTES;
  const int ends = !p->hidden_size; /* the values are the step's result */
  /* A kernel takes the members that it knows: the first, with combine=fused the second, with sinks the third too. */
  struct {
    struct value_project_params project;
    struct value_project_pieces pieces;
    struct smla_sinks sinks;
  } params = {.project =
                  {
                      .scales = weights->kv_b_scale,
                      .scales_stride = weights->kv_b_scale_stride,
                      .out = ends ? args->out : (void *)((char *)args->decode.workspace + plan->values),
                      .out_stride_token = ends ? args->out_stride_token : (int64_t)p->attention.heads * p->v_dim,
                      .out_stride_head = ends ? args->out_stride_head : p->v_dim,
                      .tokens = (int)tokens,
                      .head_rows = head_rows(plan),
                      .first_row = p->nope_dim,
                  },
              .pieces = pieces_of(plan, &args->decode),
              .sinks = {args->decode.sinks}};
  snapmla_status status =
      describe_weights(plan, weights, p->nope_dim, p->v_dim, tile->box_rows, &params.project.weights);
  if (!status)
    status = describe(plan, (char *)args->decode.workspace + plan->attended, row, tokens, row * p->attention.heads, row,
                      tile->columns, &params.project.latents);
  if (status) return status;
  uint32_t blocks = (uint32_t)(p->attention.heads * (p->v_dim / tile->box_rows));
  return launch(plan, kernel, blocks, tiles_of(tokens, tile->columns), 1, SMLA_PARAMS(params), args->decode.stream,
                counters);
}

/* By the vendor's library. Error: UNSUPPORTED where it does not take the call. */
static snapmla_status output_by_library(const snapmla_layer_plan *plan, const snapmla_layer_args *args,
                                        int64_t tokens) {
  const snapmla_layer_problem *p = &plan->problem;
  char *workspace = args->decode.workspace;
  const smla_product_call call = {
      .w = args->weights->o,
      .w_stride = args->weights->o_stride,
      .x = workspace + plan->values,
      .x_stride = (int64_t)p->attention.heads * p->v_dim,
      .out = args->out,
      .out_stride = args->out_stride_token,
      .tokens = (int32_t)tokens,
      .workspace = workspace + plan->product_workspace,
      .stream = args->decode.stream,
  };
  smla_device *device = plan->attention->context->device;
  return device->ops->product_run(device, plan->product, &call);
}

static snapmla_status output_by_kernel(const snapmla_layer_plan *plan, const snapmla_layer_args *args, int64_t tokens,
                                       snapmla_plan_counters *counters) {
  const snapmla_layer_problem *p = &plan->problem;
  const snapmla_layer_weights *weights = args->weights;
  const smla_layer_kernel kernel = tokens > SMLA_LAYER_FEW_TOKENS ? SMLA_LAYER_OUTPUT : SMLA_LAYER_OUTPUT_FEW;
  const smla_layer_tile *tile = &plan->tiles[kernel];
  int64_t values = (int64_t)p->attention.heads * p->v_dim, row = values * weight_bytes(plan);
  int64_t stride = weights->o_stride * weight_bytes(plan), token = values * BF16_BYTES;
  struct output_project_params params = {
      .scales = weights->o_scale,
      .scales_stride = weights->o_scale_stride,
      .out = args->out,
      .out_stride = args->out_stride_token,
      .tokens = (int)tokens,
      .hidden = p->hidden_size,
      .chunks = (int)((row + BOX_BYTES - 1) / BOX_BYTES),
  };
  snapmla_status status =
      describe_planes(plan, weights->o, row, p->hidden_size, 1, stride, stride, tile->box_rows, &params.weights);
  if (!status)
    status = describe_planes(plan, (char *)args->decode.workspace + plan->values, token, tokens, 1, token, token,
                             tile->columns, &params.values);
  if (status) return status;
  uint32_t blocks = tiles_of(p->hidden_size, tile->box_rows) * (uint32_t)plan->kernels[kernel].geometry.cluster;
  return launch(plan, kernel, blocks, tiles_of(tokens, tile->columns), 1, SMLA_PARAMS(params), args->decode.stream,
                counters);
}

static snapmla_status output(const snapmla_layer_plan *plan, const snapmla_layer_args *args, int64_t tokens,
                             snapmla_plan_counters *counters) {
  snapmla_status status = plan->product ? output_by_library(plan, args, tokens) : SNAPMLA_UNSUPPORTED;
  return status == SNAPMLA_UNSUPPORTED ? output_by_kernel(plan, args, tokens, counters) : status;
}

static snapmla_status check_workspace(const snapmla_layer_plan *plan, const snapmla_decode_args *args) {
  if (args->workspace_bytes >= plan->workspace_bytes) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "layer: decode.workspace_bytes is %zu, it must be at least %zu: allocate "
                   "snapmla_layer_plan_workspace_bytes()",
                   args->workspace_bytes, plan->workspace_bytes);
}

snapmla_status snapmla_layer_schedule(const snapmla_layer_plan *plan, const snapmla_layer_args *args) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_struct_size_check("snapmla_layer_args", args, args->size, sizeof *args);
  return status ? status : snapmla_plan_schedule(plan->attention, &args->decode);
}

/* All that can be refused is before the first launch. */
static snapmla_status check_step(const snapmla_layer_plan *plan, const snapmla_layer_args *args,
                                 const snapmla_append_args *appended, const snapmla_decode_args *decode) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_layer_args_check(&plan->problem, args, 1);
  if (status || args->decode.batch == 0) return status;
  status = check_workspace(plan, &args->decode);
  if (!status) status = smla_decode_args_check(&plan->problem.attention, decode, 1);
  if (!status && args->slot_mapping) status = smla_append_args_check(&plan->problem.attention, appended, 1);
  return status;
}

snapmla_status smla_layer_step_parts(const snapmla_layer_plan *plan, const snapmla_layer_args *args, unsigned parts) {
  snapmla_status status = check_plan(plan, args);
  if (status) return status;
  if (!args->decode.workspace && args->decode.batch > 0)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "layer: decode.workspace is NULL: allocate "
                     "snapmla_layer_plan_workspace_bytes()");
  const snapmla_append_args appended = append_of(plan, args);
  const snapmla_decode_args decode = decode_of(plan, args);
  status = check_step(plan, args, &appended, &decode);
  if (status || args->decode.batch == 0) return status;
  int64_t tokens = appended.tokens;
  snapmla_plan_counters counters = {0}, attended = {.size = sizeof attended};
  if (args->slot_mapping && parts & SMLA_LAYER_PART_APPEND)
    status = append(plan, &appended, args->positions, args->weights, 1);
  if (!status && parts & SMLA_LAYER_PART_ABSORB) status = absorb(plan, args, tokens, &counters);
  if (!status && parts & SMLA_LAYER_PART_ATTEND)
    status = smla_plan_decode_parts(
        plan->attention, &decode,
        plan->tiles[project_kernel(tokens)].merges ? SMLA_PART_ATTEND : SMLA_PART_ATTEND | SMLA_PART_COMBINE);
  if (!status && parts & SMLA_LAYER_PART_PROJECT) status = project(plan, args, tokens, &counters);
  if (!status && plan->problem.hidden_size && parts & SMLA_LAYER_PART_OUTPUT)
    status = output(plan, args, tokens, &counters);
  if (status || !plan->attention->context->device->is_emulator) return status;
  if (parts & SMLA_LAYER_PART_ATTEND) status = snapmla_plan_last_counters(plan->attention, &attended);
  counters.modelled_us += attended.modelled_us;
  counters.global_bytes_read += attended.global_bytes_read;
  counters.global_bytes_written += attended.global_bytes_written;
  counters.tensor_flops += attended.tensor_flops;
  counters.shared_bytes += attended.shared_bytes;
  counters.exponentials += attended.exponentials;
  pthread_mutex_lock(&plan->tally->lock);
  plan->tally->counters = counters;
  pthread_mutex_unlock(&plan->tally->lock);
  return status;
}

snapmla_status snapmla_layer_step(const snapmla_layer_plan *plan, const snapmla_layer_args *args) {
  return smla_layer_step_parts(plan, args, SMLA_LAYER_PART_ALL);
}

snapmla_status snapmla_layer_fetch(const snapmla_layer_plan *plan, const snapmla_fetch_args *args) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_fetch_args_check(&plan->problem.attention, args);
  if (status || args->tokens == 0) return status;
  const struct kv_fetch_params params = {
      .kv = args->kv,
      .page_stride = args->page_stride,
      .num_pages = args->num_pages,
      .slots = (const long long *)args->slots,
      .tokens = args->tokens,
      .latent = args->latent,
      .latent_stride = args->latent_stride,
      .rope = args->rope,
      .rope_stride = args->rope_stride,
      .kv_scale = args->kv_scale == 0.0f ? 1.0f : args->kv_scale,
      .kv_scale_pointer = args->kv_scale_pointer,
  };
  return launch_tokens(plan, SMLA_LAYER_FETCH, args->tokens, 0, SMLA_PARAMS(params), args->stream);
}

snapmla_status snapmla_layer_move(const snapmla_layer_plan *plan, const snapmla_move_args *args) {
  snapmla_status status = check_plan(plan, args);
  if (!status) status = smla_move_args_check(&plan->problem.attention, args);
  if (status || args->tokens == 0) return status;
  const struct kv_fetch_params params = {
      .kv = args->kv,
      .page_stride = args->page_stride,
      .num_pages = args->num_pages,
      .slots = (const long long *)args->from,
      .tokens = args->tokens,
      .kv_scale = 1.0f,
      .target = args->kv,
      .to_slots = (const long long *)args->to,
  };
  return launch_tokens(plan, SMLA_LAYER_MOVE, args->tokens, 0, SMLA_PARAMS(params), args->stream);
}

snapmla_status snapmla_layer_last_counters(const snapmla_layer_plan *plan, snapmla_plan_counters *out) {
  if (!plan || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan and out are needed, and one is NULL");
  snapmla_status status = snapmla_plan_last_counters(plan->attention, out); /* and its errors */
  if (status) return status;
  size_t size = out->size;
  pthread_mutex_lock(&plan->tally->lock);
  *out = plan->tally->counters;
  pthread_mutex_unlock(&plan->tally->lock);
  out->size = size;
  return SNAPMLA_OK;
}
