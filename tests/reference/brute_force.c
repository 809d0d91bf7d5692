#include "brute_force.h"

#include <math.h>
#include <string.h>

enum { LONGEST = 512, CHANNELS = 576 };

static long double bf16(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, 4);
  return value;
}

static long double e4m3(int bits) {
  int exponent = bits >> 3 & 15, fraction = bits & 7;
  long double magnitude = exponent ? ldexpl(8 + fraction, exponent - 10) : ldexpl(fraction, -9);
  return bits & 0x80 ? -magnitude : magnitude;
}

/* `x` to the nearest multiple of 2^unit, ties to even. */
static long double to_multiple(long double x, int unit) {
  long double scaled = ldexpl(x, -unit), below = floorl(scaled), rest = scaled - below;
  if (rest > 0.5L || (rest == 0.5L && fmodl(below, 2.0L) != 0.0L)) below += 1.0L;
  return ldexpl(below, unit);
}

/* `x` rounded to `bits` significant bits, but to no finer unit than 2^least. */
static long double to_bits(long double x, int bits, int least) {
  if (x == 0.0L) return x;
  int exponent = ilogbl(x), unit = exponent - bits + 1;
  return to_multiple(x, unit > least ? unit : least);
}

static long double quantized_query(const uint16_t *content, const uint16_t *rope, int32_t latent_rank,
                                   long double *query) {
  float amax = 0;
  for (int32_t c = 0; c < latent_rank; c++)
    if (fabsl(bf16(content[c])) > amax) amax = (float)fabsl(bf16(content[c]));
  volatile float sigma = amax / 448.0f;
  if (sigma < 0x1p-40f) sigma = 0x1p-40f;
  for (int32_t c = 0; c < latent_rank + 64; c++) {
    volatile float divided = (float)(c < latent_rank ? bf16(content[c]) : bf16(rope[c - latent_rank])) / sigma;
    long double rounded = c < latent_rank ? to_bits(divided, 4, -9) : to_bits(divided, 8, -133);
    query[c] = c < latent_rank && fabsl(rounded) > 448 ? copysignl(448, rounded) : rounded;
  }
  return sigma;
}

/* Token t of request b: its key and value channels in the format's units; returns its scale. */
static long double cached_token(const decode_case *c, int32_t b, int32_t t, long double *key) {
  int32_t latent_rank = c->problem.latent_rank, page = c->problem.page_tokens, rows = page < 64 ? page : 64;
  int32_t row = t % rows;
  const unsigned char *image = case_page(c, b, t) + t % page / rows * rows * (latent_rank + 132);
  for (int32_t x = 0; x < latent_rank; x++)
    key[x] = e4m3(image[x / 128 * 128 * rows + 128 * row + ((x % 128) ^ (16 * (row % 8)))]);
  for (int32_t x = 0; x < 64; x++) {
    int low = rows * latent_rank + 128 * row + ((2 * x) ^ (16 * (row % 8)));
    key[latent_rank + x] = bf16((uint16_t)(image[low] | image[low + 1] << 8));
  }
  float scale;
  memcpy(&scale, image + rows * latent_rank + 128 * rows + 4 * row, 4);
  return scale;
}

/* Softmax and weighted sum over `count` tokens with logits x, scales s and values v; P rounded or not. */
static long double attend(int32_t count, int32_t latent_rank, const long double *x, const long double *s,
                          long double (*v)[CHANNELS], int round_p, long double *out) {
  long double largest = -INFINITY, sum = 0, norm = 0;
  for (int32_t t = 0; t < count; t++)
    if (x[t] > largest) largest = x[t];
  for (int32_t t = 0; t < count; t++) sum += expl(x[t] - largest);
  /* P in units of a power of two that is not the oracle's: which one must not matter. */
  long double unit = floorl(largest / logl(2.0L)) + 37;
  memset(out, 0, (size_t)latent_rank * sizeof *out);
  for (int32_t first = 0; first < count; first += 64) {
    int32_t end = first + 64 < count ? first + 64 : count;
    long double p[64], peak = 0;
    for (int32_t t = first; t < end; t++) {
      p[t - first] = expl(x[t] - unit * logl(2.0L)) * s[t];
      if (p[t - first] > peak) peak = p[t - first];
    }
    for (int32_t t = first; t < end; t++) {
      long double weight = round_p ? to_bits(p[t - first], 4, ilogbl(peak) - 17) : p[t - first];
      norm += weight / s[t];
      for (int32_t c = 0; c < latent_rank; c++) out[c] += weight * v[t][c];
    }
  }
  for (int32_t c = 0; c < latent_rank && norm > 0; c++) out[c] /= norm;
  return count > 0 ? largest + logl(sum) : -INFINITY;
}

enum { LEAST_TOP = -133 };

/* The exponent that a number of a format brings to a product; `least` is that of the format's subnormals. */
static int product_exponent(long double x, int least) { return ilogbl(x) > least ? ilogbl(x) : least; }

/* One group of docs/numerics.md: the accumulator and `count` products, cut to `sum_bits` below the largest exponent, and
 * their sum to `result_bits`. Finite numbers only. */
static long double add_group(long double accumulator, const long double *a, const long double *b, int count, int least,
                             int sum_bits, int result_bits) {
  int top = LEAST_TOP;
  if (accumulator != 0 && product_exponent(accumulator, -126) > top) top = product_exponent(accumulator, -126);
  for (int k = 0; k < count; k++) {
    if (a[k] == 0 || b[k] == 0) continue;
    int exponent = product_exponent(a[k], least) + product_exponent(b[k], least);
    if (exponent > top) top = exponent;
  }
  long double sum = truncl(ldexpl(accumulator, sum_bits - top));
  for (int k = 0; k < count; k++) sum += truncl(ldexpl(a[k] * b[k], sum_bits - top));
  if (sum == 0) return 0;
  sum = ldexpl(sum, top - sum_bits);
  int last = product_exponent(sum, -126) - result_bits;
  return ldexpl(truncl(ldexpl(sum, -last)), last);
}

/* query · key as the tensor cores give it: the lower half of the latent, then RoPE; and the upper half; added in fp32. */
static long double tensor_score(const long double *query, const long double *key, int32_t latent_rank) {
  long double lower = 0, upper = 0;
  for (int32_t k = 0; k < latent_rank / 2; k += 32) lower = add_group(lower, query + k, key + k, 32, -6, 13, 13);
  for (int32_t k = latent_rank; k < latent_rank + 64; k += 16)
    lower = add_group(lower, query + k, key + k, 16, -126, 25, 23);
  for (int32_t k = latent_rank / 2; k < latent_rank; k += 32)
    upper = add_group(upper, query + k, key + k, 32, -6, 13, 13);
  return (float)lower + (float)upper;
}

static long double row_of(const decode_case *c, int32_t b, int32_t i, int32_t h, int dense, snapmla_reference_mode mode,
                          long double *out) {
  static long double keys[LONGEST][CHANNELS];
  long double x[LONGEST], s[LONGEST], query[CHANNELS], sigma = 1;
  int32_t latent_rank = c->problem.latent_rank, channels = latent_rank + 64;
  int round_p = !dense && mode == SNAPMLA_REFERENCE_ROUNDED_P;
  int32_t count = c->seqlens[b] - c->problem.q_len + i + 1;
  if (count < 0) count = 0;
  int64_t offset = b * c->args.q_nope_stride_batch + i * c->args.q_nope_stride_token + h * c->args.q_nope_stride_head;
  const uint16_t *content = c->query + offset, *rope = content + latent_rank;
  if (dense || mode == SNAPMLA_REFERENCE_EXACT_QUERY) {
    for (int32_t k = 0; k < channels; k++) query[k] = bf16(content[k]);
  } else {
    sigma = quantized_query(content, rope, latent_rank, query);
  }
  for (int32_t t = 0; t < count; t++) {
    if (dense) {
      for (int32_t k = 0; k < latent_rank; k++) keys[t][k] = bf16(c->latent[(c->row_of[b] + t) * latent_rank + k]);
      for (int32_t k = 0; k < 64; k++) keys[t][latent_rank + k] = bf16(c->rope[(c->row_of[b] + t) * 64 + k]);
      s[t] = 1;
    } else {
      s[t] = cached_token(c, b, t, keys[t]);
    }
    long double dot = 0;
    for (int32_t k = 0; k < channels; k++) dot += query[k] * keys[t][k];
    if (round_p) dot = tensor_score(query, keys[t], latent_rank);
    x[t] = (long double)c->args.softmax_scale * sigma * s[t] * dot;
  }
  return attend(count, latent_rank, x, s, keys, round_p, out);
}

long double brute_force_row(const decode_case *c, int32_t b, int32_t i, int32_t h, snapmla_reference_mode mode,
                            long double *out) {
  return row_of(c, b, i, h, 0, mode, out);
}

long double brute_force_row_dense(const decode_case *c, int32_t b, int32_t i, int32_t h, long double *out) {
  return row_of(c, b, i, h, 1, SNAPMLA_REFERENCE_EXACT_QUERY, out);
}
