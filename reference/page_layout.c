#include "page_layout.h"

#include <stdio.h>

#include <snapmla/reference.h>

#include "hash.h"
#include "status.h"

/* Images: subtiles of 128-byte rows, then RoPE's, then residuals, subtile by subtile, then scales, padded. */
static void lay_out_image(smla_page_geometry *geometry) {
  int64_t content_bytes = (int64_t)geometry->latent_rank * geometry->facts->content;
  geometry->subtile_bytes = (int64_t)geometry->image_tokens * SMLA_SUBTILE_ROW;
  geometry->rope_offset = content_bytes / SMLA_SUBTILE_ROW * geometry->subtile_bytes;
  int32_t rope_bytes = geometry->rope_dim * (int32_t)geometry->facts->rope;
  geometry->rope_row = rope_bytes < SMLA_SUBTILE_ROW ? rope_bytes : SMLA_SUBTILE_ROW;
  geometry->residual_offset = geometry->rope_offset + (int64_t)geometry->image_tokens * rope_bytes;
  geometry->scales_offset =
      geometry->residual_offset +
      geometry->image_tokens * (int64_t)smla_kv_residual_bytes(geometry->facts, geometry->latent_rank);
  int64_t scales = smla_kv_scales(geometry->facts, geometry->latent_rank) * (int64_t)sizeof(float);
  int64_t used = geometry->scales_offset + geometry->image_tokens * scales;
  geometry->image_bytes = (used + SMLA_PAGE_ALIGNMENT - 1) / SMLA_PAGE_ALIGNMENT * SMLA_PAGE_ALIGNMENT;
}

/* Rows: content, scales, RoPE. */
static void lay_out_rows(smla_page_geometry *geometry) {
  geometry->scales_offset = (int64_t)geometry->latent_rank * geometry->facts->content;
  int64_t scales = smla_kv_scales(geometry->facts, geometry->latent_rank) * (int64_t)sizeof(float);
  geometry->rope_offset = geometry->scales_offset + scales;
  geometry->row_bytes = geometry->rope_offset + (int64_t)geometry->rope_dim * geometry->facts->rope;
  geometry->image_bytes = geometry->row_bytes * geometry->image_tokens;
}

smla_page_geometry smla_page_geometry_of(const snapmla_problem *problem) {
  int32_t tokens = problem->page_tokens < SMLA_IMAGE_TOKENS ? problem->page_tokens : SMLA_IMAGE_TOKENS;
  smla_page_geometry geometry = {.facts = smla_kv_facts_of(problem->kv_format),
                                 .latent_rank = problem->latent_rank,
                                 .rope_dim = problem->rope_dim,
                                 .page_tokens = problem->page_tokens,
                                 .image_tokens = tokens,
                                 .power_of_two = (problem->flags & SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES) != 0};
  if (geometry.facts->is_image)
    lay_out_image(&geometry);
  else
    lay_out_rows(&geometry);
  geometry.page_bytes = geometry.image_bytes * (problem->page_tokens / tokens);
  return geometry;
}

static int64_t image_offset(const smla_page_geometry *geometry, int32_t token) {
  return token / geometry->image_tokens * geometry->image_bytes;
}

/* Byte `x` of a token's row in a subtile, under the 128-byte swizzle of shared memory: 16-byte chunk i of row t is
 * stored as chunk i XOR (t mod 8). In rows of 64 bytes, under the 64-byte swizzle, as i XOR (t / 2 mod 4). */
static int64_t swizzled(const smla_page_geometry *geometry, int32_t row_bytes, int32_t token, int32_t x) {
  int32_t row = token % geometry->image_tokens, chunks = row_bytes / 16;
  return (int64_t)row * row_bytes + (x ^ (row * chunks / 8 % chunks * 16));
}

int64_t smla_page_latent_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel) {
  int32_t x = channel * (int32_t)geometry->facts->content;
  if (geometry->row_bytes) return token * geometry->row_bytes + x;
  return image_offset(geometry, token) + x / SMLA_SUBTILE_ROW * geometry->subtile_bytes +
         swizzled(geometry, SMLA_SUBTILE_ROW, token, x % SMLA_SUBTILE_ROW);
}

int64_t smla_page_rope_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel) {
  int32_t x = channel * (int32_t)geometry->facts->rope;
  if (geometry->row_bytes) return token * geometry->row_bytes + geometry->rope_offset + x;
  return image_offset(geometry, token) + geometry->rope_offset + x / SMLA_SUBTILE_ROW * geometry->subtile_bytes +
         swizzled(geometry, geometry->rope_row, token, x % SMLA_SUBTILE_ROW);
}

int64_t smla_page_scale_offset(const smla_page_geometry *geometry, int32_t token) {
  if (geometry->row_bytes) return token * geometry->row_bytes + geometry->scales_offset;
  return image_offset(geometry, token) + geometry->scales_offset + 4 * (int64_t)(token % geometry->image_tokens);
}

int64_t smla_page_residual_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel) {
  int32_t row = token % geometry->image_tokens, subtile = channel / SMLA_SUBTILE_ROW;
  return image_offset(geometry, token) + geometry->residual_offset + subtile * geometry->subtile_bytes / 2 +
         row * (SMLA_SUBTILE_ROW / 2) + channel % SMLA_SUBTILE_ROW / 2;
}

/* SHA-256, in hexadecimal, of the layout's text: what decides where a byte lies, and nothing else. */
static void fingerprint_of(const snapmla_problem *problem, char hex[SMLA_HASH_HEX]) {
  char text[128];
  int length = snprintf(text, sizeof text, "snapmla-page v%d %s page=%d latent=%d rope=%d", (int)SMLA_LAYOUT_VERSION,
                        snapmla_kv_format_name(problem->kv_format), problem->page_tokens, problem->latent_rank,
                        problem->rope_dim);
  smla_hash_buffer(text, (size_t)length, hex);
}

snapmla_status snapmla_page_layout_get(const snapmla_problem *problem, snapmla_page_layout *out) {
  snapmla_status status = snapmla_problem_check(problem);
  if (status) return status;
  if (!out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "page layout: out is NULL: pass a snapmla_page_layout");
  if (out->size < sizeof *out)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "snapmla_page_layout: size is %zu, it must be at least %zu: set size = sizeof(snapmla_page_layout)", out->size,
        sizeof *out);
  smla_page_geometry geometry = smla_page_geometry_of(problem);
  out->page_bytes = geometry.page_bytes;
  out->image_bytes = geometry.image_bytes;
  out->image_tokens = geometry.image_tokens;
  out->bytes_per_token = (double)geometry.page_bytes / geometry.page_tokens;
  fingerprint_of(problem, out->fingerprint);
  return SNAPMLA_OK;
}
