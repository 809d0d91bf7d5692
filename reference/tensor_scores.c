/* The rule of tensor_dot.c in doubles, 64 tokens at a time: a product of two e4m3 or bf16 numbers is exact in double, and
 * so is its scaling by a power of two; the conversion to int then cuts it toward zero, as the rule wants. */
#include "tensor_scores.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "narrow_float.h"
#include "tensor_dot.h"

enum {
  TOKENS = SMLA_SCORE_TOKENS,
  LEAST_E4M3 = -6, /* the exponents of subnormals, which are not normalised */
  LEAST_BF16 = -126,
  LEAST_FLOAT = -126,
  ABSENT = -2048, /* exponent of a zero: no sum with it is the largest */
  DOUBLE_BIAS = 1023,
  DOUBLE_FRACTION_BITS = 52
};

/* Products that are added at once, and what is kept of their sum. */
typedef struct group_rule {
  int32_t k;
  int sum_bits, result_bits;
} group_rule;

static const group_rule E4M3 = {SMLA_E4M3_K, SMLA_E4M3_SUM_BITS, SMLA_E4M3_RESULT_BITS};
static const group_rule BF16 = {SMLA_BF16_K, SMLA_BF16_SUM_BITS, SMLA_BF16_RESULT_BITS};

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* 2^exponent of a normal double. */
static double power_of_two(int32_t exponent) {
  return double_of((uint64_t)(exponent + DOUBLE_BIAS) << DOUBLE_FRACTION_BITS);
}

static int32_t larger(int32_t x, int32_t y) { return x > y ? x : y; }

/* The exponent of a number of a format whose least is `least`. */
static int32_t exponent_of(double value, int32_t least) {
  int32_t exponent = (int32_t)(bits_of(value) >> DOUBLE_FRACTION_BITS & 0x7ff) - DOUBLE_BIAS;
  exponent = larger(exponent, least);
  return value == 0.0 ? ABSENT : exponent;
}

static int find_exponents(int32_t count, int32_t least, const double *restrict values, int16_t *restrict exponents) {
  int special = 0;
  for (int32_t i = 0; i < count; i++) {
    exponents[i] = (int16_t)exponent_of(values[i], least);
    special |= exponents[i] > DOUBLE_BIAS;
  }
  return special;
}

int smla_tensor_exponents(int32_t e4m3_channels, int32_t channels, int32_t width, const double *values,
                          int16_t *exponents) {
  int32_t first = e4m3_channels * width;
  int special = find_exponents(first, LEAST_E4M3, values, exponents);
  return special | find_exponents(channels * width - first, LEAST_BF16, values + first, exponents + first);
}

/* The largest exponent among the nonzero products, far below SMLA_MMA_LEAST_TOP where there is none. */
static void find_tops(int32_t count, const int16_t *restrict query, const int16_t *restrict keys,
                      int16_t *restrict top) {
  for (int j = 0; j < TOKENS; j++) top[j] = 2 * ABSENT;
  for (int32_t k = 0; k < count; k++, keys += TOKENS) {
    for (int j = 0; j < TOKENS; j++) {
      int16_t exponent = (int16_t)(query[k] + keys[j]);
      top[j] = top[j] > exponent ? top[j] : exponent;
    }
  }
}

/* The sum of the cut products, in an int32: 32 of e4m3 are at most 225 << 7 each, 16 of bf16 at most 255 * 255 << 11, which
 * leaves no room for the accumulator. */
static void add_products(int32_t count, const double *restrict query, const double *restrict keys,
                         const double *restrict scale, int32_t *restrict sum) {
  for (int j = 0; j < TOKENS; j++) sum[j] = 0;
  for (int32_t k = 0; k < count; k += 4, keys += 4 * TOKENS) {
    double q0 = query[k], q1 = query[k + 1], q2 = query[k + 2], q3 = query[k + 3];
    for (int j = 0; j < TOKENS; j++)
      sum[j] += (int32_t)(q0 * keys[j] * scale[j]) + (int32_t)(q1 * keys[TOKENS + j] * scale[j]) +
                (int32_t)(q2 * keys[2 * TOKENS + j] * scale[j]) + (int32_t)(q3 * keys[3 * TOKENS + j] * scale[j]);
  }
}

/* `total`, exact in double, as the float that the tensor cores make of it. No result is a negative zero. */
static double cut_to_float(double total, int result_bits) {
  double kept = double_of(bits_of(total) & ~((UINT64_C(1) << (DOUBLE_FRACTION_BITS - result_bits)) - 1));
  double magnitude = fabs(kept);
  if (magnitude >= 0x1p128) return kept < 0 ? -INFINITY : INFINITY;
  if (magnitude >= 0x1p-126) return kept;
  double units = power_of_two(result_bits - LEAST_FLOAT); /* of a subnormal of that many bits */
  return (double)(int32_t)(kept * units) / units;
}

/* One instruction: the accumulators and `rule` channels of the query and the keys, all finite, into the accumulators. */
static void add_group(group_rule rule, const double *query, const int16_t *query_exponents, const double *keys,
                      const int16_t *key_exponents, double *restrict accumulators) {
  int16_t product_top[TOKENS];
  int32_t top[TOKENS], sum[TOKENS];
  double scale[TOKENS];
  find_tops(rule.k, query_exponents, key_exponents, product_top);
  for (int j = 0; j < TOKENS; j++) {
    int32_t exponent = isinf(accumulators[j]) ? ABSENT : exponent_of(accumulators[j], LEAST_FLOAT);
    top[j] = larger(larger(product_top[j], exponent), SMLA_MMA_LEAST_TOP);
    scale[j] = power_of_two(rule.sum_bits - top[j]);
  }
  add_products(rule.k, query, keys, scale, sum);
  for (int j = 0; j < TOKENS; j++) {
    if (isinf(accumulators[j])) continue; /* and nothing here can change that */
    double total = (double)sum[j] + (double)(int32_t)(accumulators[j] * scale[j]);
    accumulators[j] = cut_to_float(total * power_of_two(top[j] - rule.sum_bits), rule.result_bits);
  }
}

/* The channels of a score in the order in which they are added: `first` to before `end` of each run, and what follows a run
 * with `last` nonzero starts from zero again: lower half of the latent, RoPE | upper half; or so by quarters. RoPE in e4m3 is spread over
 * the parts, in whole steps: it is added with as many steps' errors as the content. With scales of groups: RoPE | a group | a group …; `group` is
 * that whose scales multiply the sum, or -1. */
typedef struct channel_run {
  int32_t first, end;
  int last, group;
} channel_run;

enum { MOST_PARTS = 4, MOST_RUNS = 2 * MOST_PARTS, GROUP_CHANNELS = 128 };

/* Where the RoPE of part `part` begins: step i of n goes to the part min(i, i * parts / n), and bf16 to the first. */
static int32_t first_rope(const smla_score_form *form, int32_t part) {
  int32_t channels = form->latent_rank + form->rope_dim, steps = form->rope_dim / SMLA_E4M3_K, step = 0;
  if (form->e4m3_channels < channels) return part ? channels : form->latent_rank;
  while (step < steps && (step < part || step * form->parts / steps < part)) step++;
  return form->latent_rank + step * SMLA_E4M3_K;
}

/* Returns how many runs there are. */
static int channel_runs(const smla_score_form *form, int grouped, channel_run runs[MOST_RUNS]) {
  int32_t latent_rank = form->latent_rank, count = 0;
  if (grouped) {
    runs[count++] = (channel_run){latent_rank, latent_rank + form->rope_dim, 1, -1};
    for (int i = 0; i < latent_rank / GROUP_CHANNELS; i++)
      runs[count++] = (channel_run){i * GROUP_CHANNELS, (i + 1) * GROUP_CHANNELS, 1, i};
    return count;
  }
  for (int32_t part = 0; part < form->parts; part++) {
    int32_t content = latent_rank / form->parts;
    runs[count++] = (channel_run){part * content, (part + 1) * content, 0, -1};
    runs[count++] = (channel_run){first_rope(form, part), first_rope(form, part + 1), 1, -1};
  }
  return count;
}

/* The score of token j with a run's sum added. */
static float add_part(const channel_run *run, const double *groups, int j, float score, float part) {
  return run->group < 0 ? score + part : fmaf(part, (float)groups[run->group * TOKENS + j], score);
}

/* One more group of one token, with NaN and infinities among the operands, by the plain statement. */
static float plain_group(float accumulator, int is_e4m3, const double *query, const double *keys) {
  if (is_e4m3) {
    uint8_t content[2][SMLA_E4M3_K];
    for (int32_t k = 0; k < SMLA_E4M3_K; k++) {
      content[0][k] = smla_e4m3_from_float((float)query[k]);
      content[1][k] = smla_e4m3_from_float((float)keys[k * TOKENS]);
    }
    return smla_dot_e4m3(accumulator, content[0], content[1]);
  }
  uint16_t rope[2][SMLA_BF16_K];
  for (int32_t k = 0; k < SMLA_BF16_K; k++) {
    rope[0][k] = smla_bf16_from_float((float)query[k]);
    rope[1][k] = smla_bf16_from_float((float)keys[k * TOKENS]);
  }
  return smla_dot_bf16(accumulator, rope[0], rope[1]);
}

static double plain_score(const channel_run *runs, int count, int32_t e4m3_channels, const double *groups, int j,
                          const double *query, const double *keys) {
  float total = 0, part = 0;
  for (int i = 0; i < count; i++) {
    for (int32_t c = runs[i].first; c < runs[i].end; c += c < e4m3_channels ? SMLA_E4M3_K : SMLA_BF16_K)
      part = plain_group(part, c < e4m3_channels, query + c, keys + j + (size_t)c * TOKENS);
    if (!runs[i].last) continue;
    total = add_part(&runs[i], groups, j, total, part);
    part = 0;
  }
  return total;
}

void smla_tensor_scores(const smla_score_form *form, const smla_tensor_operand *query, const smla_tensor_operand *keys,
                        const double *groups, double scores[SMLA_SCORE_TOKENS]) {
  channel_run runs[MOST_RUNS];
  int32_t e4m3_channels = form->e4m3_channels;
  int count = channel_runs(form, groups != NULL, runs);
  if (query->special || keys->special) {
    for (int j = 0; j < TOKENS; j++)
      scores[j] = plain_score(runs, count, e4m3_channels, groups, j, query->values, keys->values);
    return;
  }
  double part[TOKENS] = {0};
  for (int j = 0; j < TOKENS; j++) scores[j] = 0.0;
  for (int i = 0; i < count; i++) {
    for (int32_t c = runs[i].first; c < runs[i].end;) {
      group_rule rule = c < e4m3_channels ? E4M3 : BF16;
      size_t row = (size_t)c * TOKENS;
      add_group(rule, query->values + c, query->exponents + c, keys->values + row, keys->exponents + row, part);
      c += rule.k;
    }
    for (int j = 0; j < TOKENS && runs[i].last; j++) {
      scores[j] = add_part(&runs[i], groups, j, (float)scores[j], (float)part[j]);
      part[j] = 0.0;
    }
  }
}
