#include "page_layout.h"

#include <stdio.h>

#include <snapmla/reference.h>

#include "hash.h"
#include "status.h"

smla_page_geometry smla_page_geometry_of(const snapmla_problem *problem) {
  int32_t tokens = problem->page_tokens < SMLA_IMAGE_TOKENS ? problem->page_tokens : SMLA_IMAGE_TOKENS;
  smla_page_geometry geometry = {.latent_rank = problem->latent_rank,
                                 .rope_dim = problem->rope_dim,
                                 .page_tokens = problem->page_tokens,
                                 .image_tokens = tokens,
                                 .subtile_bytes = (int64_t)tokens * SMLA_SUBTILE_ROW};
  geometry.rope_offset = problem->latent_rank / SMLA_SUBTILE_ROW * geometry.subtile_bytes;
  geometry.scales_offset = geometry.rope_offset + geometry.subtile_bytes;
  int64_t used = geometry.scales_offset + tokens * (int64_t)sizeof(float);
  geometry.image_bytes = (used + SMLA_PAGE_ALIGNMENT - 1) / SMLA_PAGE_ALIGNMENT * SMLA_PAGE_ALIGNMENT;
  geometry.page_bytes = geometry.image_bytes * (problem->page_tokens / tokens);
  return geometry;
}

static int64_t image_offset(const smla_page_geometry *geometry, int32_t token) {
  return token / geometry->image_tokens * geometry->image_bytes;
}

/* Byte `x` of a token's row in a subtile, under the 128-byte swizzle of shared memory: 16-byte chunk i of row t is
 * stored as chunk i XOR (t mod 8). */
static int64_t swizzled(const smla_page_geometry *geometry, int32_t token, int32_t x) {
  int32_t row = token % geometry->image_tokens;
  return (int64_t)row * SMLA_SUBTILE_ROW + (x ^ (row % 8 * 16));
}

int64_t smla_page_latent_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel) {
  return image_offset(geometry, token) + channel / SMLA_SUBTILE_ROW * geometry->subtile_bytes +
         swizzled(geometry, token, channel % SMLA_SUBTILE_ROW);
}

int64_t smla_page_rope_offset(const smla_page_geometry *geometry, int32_t token, int32_t channel) {
  return image_offset(geometry, token) + geometry->rope_offset + swizzled(geometry, token, 2 * channel);
}

int64_t smla_page_scale_offset(const smla_page_geometry *geometry, int32_t token) {
  return image_offset(geometry, token) + geometry->scales_offset + 4 * (int64_t)(token % geometry->image_tokens);
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
