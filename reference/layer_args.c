#include "layer_args.h"

#include <stdint.h>

#include "decode_args.h"
#include "status.h"
#include "struct_size.h"

enum { ALIGNMENT = 16 /* bytes */, BLOCK = 128 /* rows and columns of a weight's factor */ };

static snapmla_status check_pointer(const char *name, const void *pointer, size_t alignment) {
  if (!pointer) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: %s is NULL: set it to the tensor's address", name);
  if ((uintptr_t)pointer % alignment)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: %s is %p, it must be a multiple of %zu bytes: align the tensor",
                     name, pointer, alignment);
  return SNAPMLA_OK;
}

/* `bytes` of an element; strides are what a tensor copy can step by. */
static snapmla_status check_stride(const char *name, int64_t stride, int64_t row, int64_t bytes, int device) {
  int64_t multiple = device ? ALIGNMENT / bytes : 1;
  if (stride >= row && stride % multiple == 0 && stride < (INT64_C(1) << 40) / bytes) return SNAPMLA_OK;
  return smla_fail(
      SNAPMLA_INVALID_ARGUMENT,
      "layer: %s is %lld elements, it must be at least %lld, a multiple of %lld and below 2^40 bytes: set it", name,
      (long long)stride, (long long)row, (long long)multiple);
}

static snapmla_status check_angles(const snapmla_layer_problem *problem, const snapmla_layer_weights *weights,
                                   const int32_t *positions) {
  if (problem->flags & SNAPMLA_LAYER_ROTATED) return SNAPMLA_OK;
  snapmla_status status = check_pointer("weights.rope_table", weights->rope_table, ALIGNMENT);
  if (!status) status = check_pointer("positions", positions, sizeof *positions);
  if (!status && weights->rope_positions < 1)
    status = smla_fail(SNAPMLA_INVALID_ARGUMENT,
                       "layer: weights.rope_positions is %d, it must be 1 or more: set it to the table's rows",
                       weights->rope_positions);
  return status;
}

static snapmla_status check_norm(const snapmla_layer_problem *problem, const snapmla_layer_weights *weights) {
  return problem->flags & SNAPMLA_LAYER_NORMED ? SNAPMLA_OK : check_pointer("weights.norm", weights->norm, ALIGNMENT);
}

static snapmla_status check_weights(const snapmla_layer_problem *problem, const snapmla_layer_weights *weights,
                                    int device) {
  int is_fp8 = problem->weight_type == SNAPMLA_WEIGHT_FP8_BLOCK;
  int64_t rank = problem->attention.latent_rank;
  snapmla_status status = check_pointer("weights.kv_b", weights->kv_b, device ? ALIGNMENT : 1);
  if (!status) status = check_stride("weights.kv_b_stride", weights->kv_b_stride, rank, is_fp8 ? 1 : 2, device);
  if (status || !is_fp8) return status;
  status = check_pointer("weights.kv_b_scale", weights->kv_b_scale, sizeof(float));
  return status ? status : check_stride("weights.kv_b_scale_stride", weights->kv_b_scale_stride, rank / BLOCK, 4, 0);
}

/* W_O, where there is one. */
static snapmla_status check_output_weights(const snapmla_layer_problem *problem, const snapmla_layer_weights *weights,
                                           int device) {
  int is_fp8 = problem->weight_type == SNAPMLA_WEIGHT_FP8_BLOCK;
  int64_t values = (int64_t)problem->attention.heads * problem->v_dim;
  if (!problem->hidden_size) return SNAPMLA_OK;
  snapmla_status status = check_pointer("weights.o", weights->o, device ? ALIGNMENT : 1);
  if (!status) status = check_stride("weights.o_stride", weights->o_stride, values, is_fp8 ? 1 : 2, device);
  if (status || !is_fp8) return status;
  status = check_pointer("weights.o_scale", weights->o_scale, sizeof(float));
  return status ? status
                : check_stride("weights.o_scale_stride", weights->o_scale_stride, (values + BLOCK - 1) / BLOCK, 4, 0);
}

snapmla_status smla_layer_args_check(const snapmla_layer_problem *problem, const snapmla_layer_args *args, int device) {
  if (!args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: args is NULL: pass a snapmla_layer_args");
  snapmla_status status = smla_struct_size_check("snapmla_layer_args", args, args->size, sizeof *args);
  if (status) return status;
  const snapmla_problem *p = &problem->attention;
  if (args->decode.batch < 0 || args->decode.batch > p->max_batch)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "layer: decode.batch is %d, it must be 0 to max_batch = %d: split the call, or plan for a larger batch",
        args->decode.batch, p->max_batch);
  if (args->decode.batch == 0) return SNAPMLA_OK;
  if (!args->weights)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: weights is NULL: pass the layer's snapmla_layer_weights");
  int64_t head = problem->nope_dim + p->rope_dim;
  status = smla_sinks_check(p, &args->decode);
  if (!status) status = check_weights(problem, args->weights, device);
  if (!status) status = check_output_weights(problem, args->weights, device);
  if (!status) status = check_angles(problem, args->weights, args->positions);
  if (!status) status = check_pointer("q", args->q, device ? ALIGNMENT : 2);
  if (!status) status = check_stride("q_stride_head", args->q_stride_head, head, 2, device);
  if (!status) status = check_stride("q_stride_token", args->q_stride_token, head, 2, device);
  if (status || !device) return status;
  status = check_pointer("out", args->out, ALIGNMENT);
  if (!status && !problem->hidden_size)
    status = check_stride("out_stride_head", args->out_stride_head, problem->v_dim, 2, 1);
  int64_t row = problem->hidden_size ? problem->hidden_size : problem->v_dim;
  if (!status) status = check_stride("out_stride_token", args->out_stride_token, row, 2, 1);
  return status || !args->slot_mapping ? status : check_norm(problem, args->weights);
}

snapmla_status smla_layer_append_check(const snapmla_layer_problem *problem, const snapmla_layer_append_args *args) {
  if (!args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: args is NULL: pass a snapmla_layer_append_args");
  snapmla_status status = smla_struct_size_check("snapmla_layer_append_args", args, args->size, sizeof *args);
  if (!status) status = smla_append_args_check(&problem->attention, &args->append, 1);
  if (status || args->append.tokens == 0) return status;
  if (!args->weights)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: weights is NULL: pass the layer's snapmla_layer_weights");
  status = check_norm(problem, args->weights);
  return status ? status : check_angles(problem, args->weights, args->positions);
}

/* A fetch or a move is an append's cache and slots: what is said of them is said by its checks, in its name. */
snapmla_status smla_fetch_args_check(const snapmla_problem *problem, const snapmla_fetch_args *args) {
  if (!args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "fetch: args is NULL: pass a snapmla_fetch_args");
  snapmla_status status = smla_struct_size_check("snapmla_fetch_args", args, args->size, sizeof *args);
  const snapmla_append_args alike = {.size = sizeof alike,
                                     .tokens = args->tokens,
                                     .latent = args->latent,
                                     .latent_stride = args->latent_stride,
                                     .rope = args->rope,
                                     .rope_stride = args->rope_stride,
                                     .slot_mapping = args->slots,
                                     .kv = (void *)(uintptr_t)args->kv,
                                     .page_stride = args->page_stride,
                                     .num_pages = args->num_pages,
                                     .kv_scale = args->kv_scale,
                                     .kv_scale_pointer = args->kv_scale_pointer};
  return status ? status : smla_append_args_check(problem, &alike, 1);
}

snapmla_status smla_move_args_check(const snapmla_problem *problem, const snapmla_move_args *args) {
  if (!args) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "move: args is NULL: pass a snapmla_move_args");
  snapmla_status status = smla_struct_size_check("snapmla_move_args", args, args->size, sizeof *args);
  if (!status && args->tokens > 0 && (!args->from || !args->to))
    status =
        smla_fail(SNAPMLA_INVALID_ARGUMENT, "move: %s is NULL: pass a slot for each token", args->from ? "to" : "from");
  /* A move has no rows: any aligned address stands for them. */
  const snapmla_append_args alike = {.size = sizeof alike,
                                     .tokens = args->tokens,
                                     .latent = args->kv,
                                     .latent_stride = problem->latent_rank,
                                     .rope = args->kv,
                                     .rope_stride = problem->rope_dim,
                                     .slot_mapping = args->to,
                                     .kv = args->kv,
                                     .page_stride = args->page_stride,
                                     .num_pages = args->num_pages};
  return status ? status : smla_append_args_check(problem, &alike, 1);
}
