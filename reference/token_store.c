#include "token_store.h"

#include <string.h>

#include "narrow_float.h"
#include "token_quant.h"

/* `value` / scale in the number's bits. A scale of 1 changes nothing. */
static void store_number(smla_number number, unsigned char *at, uint16_t value, float scale) {
  if (number == SMLA_NUMBER_E4M3) {
    *at = smla_token_quant_content(value, scale);
    return;
  }
  uint16_t stored = smla_token_quant_rope(value, scale);
  memcpy(at, &stored, sizeof stored);
}

static float load_number(smla_number number, const unsigned char *at) {
  if (number == SMLA_NUMBER_E4M3) return smla_e4m3_to_float(*at);
  uint16_t stored;
  memcpy(&stored, at, sizeof stored);
  return smla_bf16_to_float(stored);
}

/* The scales of the token as it is stored or to be stored: of each group of 128 channels, and of RoPE. */
enum { MOST_GROUPS = 4 };
typedef struct token_scales {
  float content[MOST_GROUPS], rope;
} token_scales;

static float scale_of_channel(const token_scales *scales, int32_t channel) {
  return scales->content[channel / SMLA_GROUP_CHANNELS];
}

static void fill(token_scales *scales, float content, float rope) {
  for (int i = 0; i < MOST_GROUPS; i++) scales->content[i] = content;
  scales->rope = rope;
}

static float found_scale(const smla_page_geometry *geometry, const uint16_t *content, int32_t count) {
  float scale = smla_token_quant_scale(content, count);
  return geometry->power_of_two ? smla_token_quant_power_of_two(scale) : scale;
}

static token_scales choose_scales(const smla_page_geometry *geometry, float kv_scale, const uint16_t *latent) {
  token_scales scales;
  fill(&scales, 1.0f, 1.0f);
  switch (geometry->facts->scaling) {
  case SMLA_SCALING_NONE: break;
  case SMLA_SCALING_CALL: fill(&scales, kv_scale, kv_scale); break;
  case SMLA_SCALING_TOKEN: {
    float scale = found_scale(geometry, latent, geometry->latent_rank);
    fill(&scales, scale, scale);
    break;
  }
  case SMLA_SCALING_GROUP:
    for (int32_t i = 0; i < geometry->latent_rank / SMLA_GROUP_CHANNELS; i++)
      scales.content[i] = found_scale(geometry, latent + i * SMLA_GROUP_CHANNELS, SMLA_GROUP_CHANNELS);
    break;
  }
  return scales;
}

static token_scales stored_scales(const smla_page_geometry *geometry, float kv_scale, const unsigned char *page,
                                  int32_t token) {
  token_scales scales;
  fill(&scales, 1.0f, 1.0f);
  if (geometry->facts->scaling == SMLA_SCALING_CALL) fill(&scales, kv_scale, kv_scale);
  int32_t count = smla_kv_scales(geometry->facts, geometry->latent_rank);
  const unsigned char *stored = page + smla_page_scale_offset(geometry, token);
  if (count) memcpy(scales.content, stored, (size_t)count * sizeof *scales.content);
  if (count == 1) fill(&scales, scales.content[0], scales.content[0]);
  return scales;
}

static void store_residual(const smla_page_geometry *geometry, unsigned char *page, int32_t token, int32_t channel,
                           uint16_t value, float scale) {
  uint8_t content = page[smla_page_latent_offset(geometry, token, channel)];
  uint8_t bits = smla_token_quant_residual(value, scale, content);
  unsigned char *at = page + smla_page_residual_offset(geometry, token, channel);
  *at = (unsigned char)(channel % 2 ? (*at & 0x0f) | bits << 4 : (*at & 0xf0) | bits);
}

static float load_residual_sixteenfold(const smla_page_geometry *geometry, const unsigned char *page, int32_t token,
                                       int32_t channel) {
  uint8_t both = page[smla_page_residual_offset(geometry, token, channel)];
  return smla_token_residual_sixteenfold(page[smla_page_latent_offset(geometry, token, channel)],
                                         (uint8_t)(channel % 2 ? both >> 4 : both & 0x0f));
}

/* A content channel in units of its scale. Exact: e4m3's four bits and four more. */
static float load_content(const smla_page_geometry *geometry, const unsigned char *page, int32_t token,
                          int32_t channel) {
  float number = load_number(geometry->facts->content, page + smla_page_latent_offset(geometry, token, channel));
  if (!geometry->facts->has_residual) return number;
  return number + load_residual_sixteenfold(geometry, page, token, channel) / 16.0f;
}

void smla_token_write(const smla_page_geometry *geometry, float kv_scale, unsigned char *page, int32_t token,
                      const uint16_t *latent, const uint16_t *rope) {
  const smla_kv_facts *facts = geometry->facts;
  token_scales scales = choose_scales(geometry, kv_scale, latent);
  for (int32_t c = 0; c < geometry->latent_rank; c++)
    store_number(facts->content, page + smla_page_latent_offset(geometry, token, c), latent[c],
                 scale_of_channel(&scales, c));
  for (int32_t c = 0; facts->has_residual && c < geometry->latent_rank; c++)
    store_residual(geometry, page, token, c, latent[c], scale_of_channel(&scales, c));
  for (int32_t c = 0; c < geometry->rope_dim; c++)
    store_number(facts->rope, page + smla_page_rope_offset(geometry, token, c), rope[c], scales.rope);
  size_t count = (size_t)smla_kv_scales(facts, geometry->latent_rank);
  if (count) memcpy(page + smla_page_scale_offset(geometry, token), scales.content, count * sizeof *scales.content);
}

void smla_token_read(const smla_page_geometry *geometry, float kv_scale, const unsigned char *page, int32_t token,
                     float *latent, float *rope) {
  const smla_kv_facts *facts = geometry->facts;
  token_scales scales = stored_scales(geometry, kv_scale, page, token);
  for (int32_t c = 0; c < geometry->latent_rank; c++)
    latent[c] = load_content(geometry, page, token, c) * scale_of_channel(&scales, c);
  for (int32_t c = 0; c < geometry->rope_dim; c++)
    rope[c] = load_number(facts->rope, page + smla_page_rope_offset(geometry, token, c)) * scales.rope;
}

void smla_token_load(const smla_page_geometry *geometry, float kv_scale, const unsigned char *page, int32_t token,
                     double *latent, double *rope, double *scale, double *groups) {
  const smla_kv_facts *facts = geometry->facts;
  token_scales scales = stored_scales(geometry, kv_scale, page, token);
  int grouped = facts->scaling == SMLA_SCALING_GROUP, multiplied = grouped && !groups;
  for (int32_t i = 0; grouped && groups && i < smla_kv_scales(facts, geometry->latent_rank); i++)
    groups[i] = (double)scales.content[i];
  *scale = grouped ? 1.0 : (double)scales.rope;
  for (int32_t c = 0; c < geometry->latent_rank; c++)
    latent[c] =
        (double)load_content(geometry, page, token, c) * (multiplied ? (double)scale_of_channel(&scales, c) : 1.0);
  for (int32_t c = 0; c < geometry->rope_dim; c++)
    rope[c] = load_number(facts->rope, page + smla_page_rope_offset(geometry, token, c));
}

void smla_token_load_residual(const smla_page_geometry *geometry, const unsigned char *page, int32_t token,
                              double *residual) {
  for (int32_t c = 0; c < geometry->latent_rank; c++)
    residual[c] = (double)load_residual_sixteenfold(geometry, page, token, c);
}
