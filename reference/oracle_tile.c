#include "oracle_tile.h"

#include <string.h>

#include "decode_args.h"
#include "narrow_float.h"
#include "token_store.h"

enum { MOST_ROPE = 128, MOST_LATENT = 512 };

smla_oracle_source smla_oracle_source_of(const snapmla_problem *problem, const snapmla_decode_args *args,
                                         const float *latent, const float *rope, const int64_t *row_of) {
  const smla_kv_facts *facts = smla_kv_facts_of(problem->kv_format);
  smla_oracle_source source = {.problem = problem,
                               .args = args,
                               .geometry = smla_page_geometry_of(problem),
                               .latent = latent,
                               .rope = rope,
                               .row_of = row_of};
  if (facts->scaling == SMLA_SCALING_CALL) source.kv_scale = smla_decode_kv_scale(args);
  return source;
}

static int32_t page_number(const smla_oracle_source *source, int32_t b, int32_t token) {
  return source->args->block_table[b * source->args->block_table_stride + token / source->problem->page_tokens];
}

static int request_is_good(const smla_oracle_source *source, int32_t b) {
  const snapmla_decode_args *args = source->args;
  int32_t length = args->seqlens[b], page_tokens = source->problem->page_tokens;
  if (length < 0 || length > source->problem->max_context) return 0;
  if (source->latent) return 1;
  int64_t pages = ((int64_t)length + page_tokens - 1) / page_tokens;
  if (pages > args->block_table_stride) return 0;
  for (int64_t i = 0; i < pages; i++) {
    int32_t page = page_number(source, b, (int32_t)(i * page_tokens));
    if (page < 0 || page >= args->num_pages) return 0;
  }
  return 1;
}

static const int32_t *list_of(const smla_oracle_source *source, int32_t b, int32_t token) {
  const snapmla_decode_args *args = source->args;
  return args->indices + b * args->indices_stride_batch + token * args->indices_stride_token;
}

static int list_is_good(const smla_oracle_source *source, int32_t b, int32_t token) {
  const int32_t *list = list_of(source, b, token);
  int32_t count = smla_oracle_query_tokens(source, b, token);
  if (count < 0 || count > source->problem->max_indices) return 0;
  for (int32_t i = 0; i < count; i++)
    if (list[i] < -1 || (!source->latent && list[i] / source->problem->page_tokens >= source->args->num_pages))
      return 0;
  return 1;
}

int smla_oracle_query_is_good(const smla_oracle_source *source, int32_t b, int32_t token) {
  return source->problem->max_indices ? list_is_good(source, b, token) : request_is_good(source, b);
}

int32_t smla_oracle_query_tokens(const smla_oracle_source *source, int32_t b, int32_t token) {
  const snapmla_decode_args *args = source->args;
  int32_t q_len = source->problem->q_len;
  return source->problem->max_indices ? args->index_counts[b * q_len + token] : args->seqlens[b] - q_len + token + 1;
}

/* The scales of token t's groups, and its values as a kernel has them in registers. */
static void take_groups(const smla_page_geometry *geometry, const double *groups, int32_t t, double *values,
                        smla_oracle_tile *tile) {
  for (int32_t i = 0; i < smla_kv_scales(geometry->facts, geometry->latent_rank); i++)
    tile->group_scale[i][t] = groups[i];
  for (int32_t c = 0; c < geometry->latent_rank; c++)
    values[c] = smla_bf16_to_float(smla_bf16_from_float((float)(values[c] * groups[c / SMLA_GROUP_CHANNELS])));
}

/* Parts token t's key into what the tensor cores multiply: its e4m3 numbers, and sixteen times its residual's. */
static void part_residual(const smla_page_geometry *geometry, const unsigned char *page, int32_t token, int32_t t,
                          smla_oracle_tile *tile) {
  double residual[MOST_LATENT];
  smla_token_load_residual(geometry, page, token, residual);
  for (int32_t c = 0; c < geometry->latent_rank; c++) {
    tile->residual[c * SMLA_TILE_TOKENS + t] = residual[c];
    tile->keys[c * SMLA_TILE_TOKENS + t] -= residual[c] / 16.0;
  }
}

static void load_cached(const smla_oracle_source *source, int64_t slot, int32_t t, smla_oracle_tile *tile) {
  const smla_page_geometry *geometry = &source->geometry;
  const unsigned char *page =
      (const unsigned char *)source->args->kv + slot / geometry->page_tokens * source->args->page_stride;
  int32_t token = (int32_t)(slot % geometry->page_tokens);
  double *latent = tile->values + t * geometry->latent_rank, rope[MOST_ROPE];
  double groups[SMLA_TILE_GROUPS] = {0};
  smla_token_load(geometry, source->kv_scale, page, token, latent, rope, &tile->scale[t],
                  source->as_kernel ? groups : NULL);
  for (int32_t c = 0; c < geometry->latent_rank; c++) tile->keys[c * SMLA_TILE_TOKENS + t] = latent[c];
  if (source->as_kernel && tile->residual) part_residual(geometry, page, token, t, tile);
  if (source->as_kernel && geometry->facts->scaling == SMLA_SCALING_GROUP)
    take_groups(geometry, groups, t, latent, tile);
  for (int32_t c = 0; c < geometry->rope_dim; c++)
    tile->keys[(geometry->latent_rank + c) * SMLA_TILE_TOKENS + t] = rope[c];
}

static void load_dense(const smla_oracle_source *source, int64_t row, int32_t t, smla_oracle_tile *tile) {
  int32_t latent_rank = source->problem->latent_rank, rope_dim = source->problem->rope_dim;
  const float *latent = source->latent + row * latent_rank, *rope = source->rope + row * rope_dim;
  for (int32_t c = 0; c < latent_rank; c++) {
    tile->keys[c * SMLA_TILE_TOKENS + t] = latent[c];
    tile->values[t * latent_rank + c] = latent[c];
  }
  for (int32_t c = 0; c < rope_dim; c++) tile->keys[(latent_rank + c) * SMLA_TILE_TOKENS + t] = rope[c];
  tile->scale[t] = 1.0;
}

static void clear(const smla_oracle_source *source, smla_oracle_tile *tile) {
  size_t latent_rank = (size_t)source->problem->latent_rank, channels = latent_rank + (size_t)source->problem->rope_dim;
  memset(tile->keys, 0, channels * SMLA_TILE_TOKENS * sizeof *tile->keys);
  memset(tile->values, 0, SMLA_TILE_TOKENS * latent_rank * sizeof *tile->values);
  if (tile->residual) memset(tile->residual, 0, latent_rank * SMLA_TILE_TOKENS * sizeof *tile->residual);
  memset(tile->scale, 0, sizeof tile->scale);
  memset(tile->group_scale, 0, sizeof tile->group_scale);
}

void smla_oracle_tile_load(const smla_oracle_source *source, int32_t b, int32_t token, int32_t first, int32_t count,
                           smla_oracle_tile *tile) {
  const int32_t *list = source->problem->max_indices ? list_of(source, b, token) + first : NULL;
  int32_t page_tokens = source->problem->page_tokens;
  tile->count = count;
  tile->common_scale = source->latent || source->geometry.facts->scaling != SMLA_SCALING_CALL ? 1.0 : source->kv_scale;
  memset(tile->unseen, 0, sizeof tile->unseen);
  if (count < SMLA_TILE_TOKENS || list) clear(source, tile);
  for (int32_t t = 0; t < count; t++) {
    if (list && list[t] < 0) {
      tile->unseen[t] = 1;
      tile->scale[t] = 1.0;
    } else if (source->latent) {
      load_dense(source, source->row_of[b] + (list ? list[t] : first + t), t, tile);
    } else {
      load_cached(source,
                  list ? list[t] : (int64_t)page_number(source, b, first + t) * page_tokens + (first + t) % page_tokens,
                  t, tile);
    }
  }
}
