#include "data.h"

#include <math.h>

#include "narrow.h"

enum { STREAM_Q_NOPE = 1, STREAM_Q_ROPE, STREAM_LATENT, STREAM_ROPE };

static const double uniform_sigma = 0.01; /* near-uniform attention */
static const double sink_logit = 12;      /* how far the first token of --data sink stands out: a factor of 1.6e5 */
static const float sink_query = 4;        /* RoPE channel 0 of every query of --data sink */
static const float outlier = 1000;        /* two RoPE channels of --data outlier, with a random sign */

/* splitmix64's finaliser, a bijection that mixes well. https://prng.di.unimi.it/splitmix64.c */
static uint64_t mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static uint64_t key_of(uint64_t seed, uint64_t stream, uint64_t place) { return mix(mix(mix(seed) + stream) + place); }

uint64_t smla_data_bits(uint64_t seed, uint64_t stream, uint64_t index) { return key_of(seed, stream + 16, index); }

/* Nearly normal, mean 0, deviation 1: the sum of four 16-bit uniforms, whose deviation is sqrt(4 (2^32 - 1) / 12).
 * Without a logarithm or cosine the bits do not depend on the C library. */
static float normal(uint64_t key, uint32_t index) {
  uint64_t bits = mix(key + index);
  int32_t sum = (int32_t)(bits & 0xffff) + (int32_t)(bits >> 16 & 0xffff) + (int32_t)(bits >> 32 & 0xffff) +
                (int32_t)(bits >> 48);
  return (float)(sum - 2 * 65535) * (1 / 37837.227f);
}

static int is_outlier_channel(const smla_data *data, int32_t channel) {
  return data->kind == SMLA_DATA_OUTLIER && channel % (data->rope_dim > 1 ? data->rope_dim / 2 : 1) == 0;
}

void smla_data_query(const smla_data *data, int32_t step, int32_t request, uint16_t *nope, uint16_t *rope) {
  double sigma = data->kind == SMLA_DATA_UNIFORM ? uniform_sigma : data->sigma;
  /* keys have deviation 1 in every channel: the dot product's is gain * sqrt(channels) */
  float gain = (float)(sigma / (data->softmax_scale * sqrt(data->latent_rank + data->rope_dim)));
  float outlier_gain = (float)(sigma / (data->softmax_scale * 2 * outlier));
  uint64_t rows = (uint64_t)data->q_len * (uint64_t)data->heads;
  for (uint64_t row = 0; row < rows; ++row) {
    uint64_t place = mix((uint64_t)step << 32 | (uint32_t)request) + row;
    uint64_t key = key_of(data->seed, STREAM_Q_NOPE, place);
    for (int32_t c = 0; c < data->latent_rank; ++c) *nope++ = smla_narrow_bf16(gain * normal(key, (uint32_t)c));
    key = key_of(data->seed, STREAM_Q_ROPE, place);
    for (int32_t c = 0; c < data->rope_dim; ++c) {
      float value = (is_outlier_channel(data, c) ? outlier_gain : gain) * normal(key, (uint32_t)c);
      if (data->kind == SMLA_DATA_SINK && c == 0) value = sink_query;
      *rope++ = smla_narrow_bf16(value);
    }
  }
}

void smla_data_token(const smla_data *data, int32_t request, int32_t token, uint16_t *latent, uint16_t *rope) {
  uint64_t place = (uint64_t)request << 32 | (uint32_t)token;
  uint64_t key = key_of(data->seed, STREAM_LATENT, place);
  float offset = (float)data->value_offset;
  for (int32_t c = 0; c < data->latent_rank; ++c) latent[c] = smla_narrow_bf16(offset + normal(key, (uint32_t)c));
  key = key_of(data->seed, STREAM_ROPE, place);
  for (int32_t c = 0; c < data->rope_dim; ++c) {
    float value = normal(key, (uint32_t)c);
    if (is_outlier_channel(data, c)) value = value < 0 ? -outlier : outlier;
    if (data->kind == SMLA_DATA_SINK && c == 0)
      value = token ? 0 : (float)(sink_logit / (data->softmax_scale * sink_query));
    rope[c] = smla_narrow_bf16(value);
  }
}
