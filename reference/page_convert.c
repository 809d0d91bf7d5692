#include <snapmla/reference.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "narrow_float.h"
#include "page_layout.h"
#include "status.h"
#include "struct_size.h"
#include "token_store.h"

/* Where a slot lies. */
typedef struct slot_place {
  smla_page_geometry geometry;
  int64_t page_offset; /* bytes from kv to the page */
  int32_t token;       /* in the page */
  float kv_scale;
} slot_place;

static snapmla_status find_slot(const snapmla_problem *problem, const void *kv, int64_t page_stride, int64_t num_pages,
                                int64_t slot, slot_place *place) {
  snapmla_status status = snapmla_problem_check(problem);
  if (status) return status;
  place->geometry = smla_page_geometry_of(problem);
  int32_t page_tokens = place->geometry.page_tokens;
  if (!kv) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "cache: kv is NULL: pass the host cache");
  if (page_stride < place->geometry.page_bytes || page_stride % SMLA_PAGE_ALIGNMENT)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "cache: page_stride is %lld bytes, it must be a multiple of %d and at least %lld: pad the pages",
                     (long long)page_stride, (int)SMLA_PAGE_ALIGNMENT, (long long)place->geometry.page_bytes);
  if (num_pages < 0 || num_pages > INT64_MAX / page_stride)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "cache: num_pages is %lld, with a stride of %lld bytes no such cache exists", (long long)num_pages,
                     (long long)page_stride);
  if (slot < 0 || slot / page_tokens >= num_pages)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "cache: slot %lld is outside the cache of %lld pages of %d tokens: use 0 to %lld, or a larger cache",
        (long long)slot, (long long)num_pages, page_tokens, (long long)num_pages * page_tokens - 1);
  place->page_offset = slot / page_tokens * page_stride;
  place->token = (int32_t)(slot % page_tokens);
  return SNAPMLA_OK;
}

static snapmla_status find(const snapmla_problem *problem, const snapmla_cache *cache, int64_t slot,
                           slot_place *place) {
  if (!cache) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "cache: it is NULL: pass a snapmla_cache");
  snapmla_status status = smla_struct_size_check("snapmla_cache", cache, cache->size, sizeof *cache);
  if (!status) status = find_slot(problem, cache->kv, cache->page_stride, cache->num_pages, slot, place);
  if (status) return status;
  place->kv_scale = cache->kv_scale == 0.0f ? 1.0f : cache->kv_scale;
  if (place->kv_scale >= FLT_MIN && isfinite(place->kv_scale)) return SNAPMLA_OK;
  return smla_fail(
      SNAPMLA_INVALID_ARGUMENT,
      "cache: kv_scale is %g, it must be finite and at least 2^-126: set what the cache's numbers are multiplied by",
      (double)cache->kv_scale);
}

snapmla_status snapmla_cache_write(const snapmla_problem *problem, const snapmla_cache *cache, int64_t slot,
                                   const uint16_t *latent, const uint16_t *rope) {
  slot_place place;
  snapmla_status status = find(problem, cache, slot, &place);
  if (status) return status;
  if (!latent || (!rope && problem->rope_dim))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "cache: %s is NULL: pass the token's bf16 row",
                     latent ? "rope" : "latent");
  smla_token_write(&place.geometry, place.kv_scale, (unsigned char *)cache->kv + place.page_offset, place.token, latent,
                   rope);
  return SNAPMLA_OK;
}

snapmla_status snapmla_cache_read(const snapmla_problem *problem, const snapmla_cache *cache, int64_t slot,
                                  float *latent, float *rope) {
  slot_place place;
  snapmla_status status = find(problem, cache, slot, &place);
  if (status) return status;
  if (!latent || (!rope && problem->rope_dim))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "cache: %s is NULL: pass room for the token's fp32 row",
                     latent ? "rope" : "latent");
  smla_token_read(&place.geometry, place.kv_scale, (const unsigned char *)cache->kv + place.page_offset, place.token,
                  latent, rope);
  return SNAPMLA_OK;
}

snapmla_status snapmla_page_write(const snapmla_problem *problem, void *kv, int64_t page_stride, int64_t num_pages,
                                  int64_t slot, const uint16_t *latent, const uint16_t *rope) {
  const snapmla_cache cache = {.size = sizeof cache, .kv = kv, .page_stride = page_stride, .num_pages = num_pages};
  return snapmla_cache_write(problem, &cache, slot, latent, rope);
}

snapmla_status snapmla_page_read(const snapmla_problem *problem, const void *kv, int64_t page_stride, int64_t num_pages,
                                 int64_t slot, float *latent, float *rope) {
  const snapmla_cache cache = {
      .size = sizeof cache, .kv = (void *)(uintptr_t)kv, .page_stride = page_stride, .num_pages = num_pages};
  return snapmla_cache_read(problem, &cache, slot, latent, rope);
}

static snapmla_status check_alike(const snapmla_problem *from, const snapmla_problem *to) {
  snapmla_status status = snapmla_problem_check(from);
  if (!status) status = snapmla_problem_check(to);
  if (status) return status;
  if (from->latent_rank == to->latent_rank && from->rope_dim == to->rope_dim) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "convert: a cache of latent_rank %d, rope_dim %d cannot become one of %d, %d: make them equal",
                   from->latent_rank, from->rope_dim, to->latent_rank, to->rope_dim);
}

snapmla_status snapmla_cache_convert(const snapmla_problem *from, const snapmla_cache *from_cache,
                                     const int64_t *from_slots, const snapmla_problem *to,
                                     const snapmla_cache *to_cache, const int64_t *to_slots, int64_t tokens) {
  snapmla_status status = check_alike(from, to);
  if (status || tokens <= 0) return status;
  if (!from_slots || !to_slots)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "convert: %s is NULL: pass a slot for each token",
                     from_slots ? "to_slots" : "from_slots");
  size_t latent_rank = (size_t)from->latent_rank, channels = latent_rank + (size_t)from->rope_dim;
  float *values = malloc(channels * sizeof *values);
  uint16_t *rounded = malloc(channels * sizeof *rounded);
  if (!values || !rounded)
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a token of %zu channels", channels);
  for (int64_t i = 0; i < tokens && !status; i++) {
    status = snapmla_cache_read(from, from_cache, from_slots[i], values, values + latent_rank);
    for (size_t c = 0; c < channels && !status; c++) rounded[c] = smla_bf16_from_float(values[c]);
    if (!status) status = snapmla_cache_write(to, to_cache, to_slots[i], rounded, rounded + latent_rank);
  }
  free(values);
  free(rounded);
  return status;
}
