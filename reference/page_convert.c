#include <snapmla/reference.h>

#include <string.h>

#include "narrow_float.h"
#include "page_layout.h"
#include "status.h"
#include "token_quant.h"

/* Where a slot lies. */
typedef struct slot_place {
  smla_page_geometry geometry;
  int64_t page_offset; /* bytes from kv to the page */
  int32_t token;       /* in the page */
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

snapmla_status snapmla_page_write(const snapmla_problem *problem, void *kv, int64_t page_stride, int64_t num_pages,
                                  int64_t slot, const uint16_t *latent, const uint16_t *rope) {
  slot_place place;
  snapmla_status status = find_slot(problem, kv, page_stride, num_pages, slot, &place);
  if (status) return status;
  if (!latent || !rope)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "cache: %s is NULL: pass the token's bf16 row",
                     latent ? "rope" : "latent");

  const smla_page_geometry *geometry = &place.geometry;
  unsigned char *page = (unsigned char *)kv + place.page_offset;
  float scale = smla_token_quant_scale(latent, geometry->latent_rank);
  for (int32_t c = 0; c < geometry->latent_rank; c++)
    page[smla_page_latent_offset(geometry, place.token, c)] = smla_token_quant_content(latent[c], scale);
  for (int32_t c = 0; c < geometry->rope_dim; c++) {
    uint16_t stored = smla_token_quant_rope(rope[c], scale);
    memcpy(page + smla_page_rope_offset(geometry, place.token, c), &stored, sizeof stored);
  }
  memcpy(page + smla_page_scale_offset(geometry, place.token), &scale, sizeof scale);
  return SNAPMLA_OK;
}

snapmla_status snapmla_page_read(const snapmla_problem *problem, const void *kv, int64_t page_stride, int64_t num_pages,
                                 int64_t slot, float *latent, float *rope) {
  slot_place place;
  snapmla_status status = find_slot(problem, kv, page_stride, num_pages, slot, &place);
  if (status) return status;
  if (!latent || !rope)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "cache: %s is NULL: pass room for the token's fp32 row",
                     latent ? "rope" : "latent");

  const smla_page_geometry *geometry = &place.geometry;
  const unsigned char *page = (const unsigned char *)kv + place.page_offset;
  float scale;
  memcpy(&scale, page + smla_page_scale_offset(geometry, place.token), sizeof scale);
  for (int32_t c = 0; c < geometry->latent_rank; c++)
    latent[c] = smla_e4m3_to_float(page[smla_page_latent_offset(geometry, place.token, c)]) * scale;
  for (int32_t c = 0; c < geometry->rope_dim; c++) {
    uint16_t stored;
    memcpy(&stored, page + smla_page_rope_offset(geometry, place.token, c), sizeof stored);
    rope[c] = smla_bf16_to_float(stored) * scale;
  }
  return SNAPMLA_OK;
}
