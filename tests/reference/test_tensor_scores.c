/* The scores of a tile against the plain chain of dot products, bit for bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "narrow_float.h"
#include "tensor_dot.h"
#include "tensor_scores.h"

enum { MOST_LATENT = 512, ROPE = 64, CHANNELS = MOST_LATENT + ROPE, TOKENS = SMLA_SCORE_TOKENS, ROWS = TOKENS + 1 };

/* Row 0 is the query, row 1 + t the key of token t. */
typedef struct operands {
  uint8_t content[ROWS][MOST_LATENT];
  uint16_t rope[ROWS][ROPE];
  double query[CHANNELS], keys[CHANNELS * TOKENS];
  int16_t query_exponents[CHANNELS], key_exponents[CHANNELS * TOKENS];
} operands;

static uint64_t seed;

static uint32_t random_bits(void) {
  seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return (uint32_t)(seed >> 20);
}

static uint8_t finite_e4m3(uint32_t bits) { return (uint8_t)((bits & 0x7f) == 0x7f ? bits ^ 1 : bits); }

/* bf16 with an exponent field from `low` to `high`. */
static uint16_t random_bf16(uint32_t low, uint32_t high) {
  uint32_t bits = random_bits();
  return (uint16_t)((bits & 0x807f) | (low + (bits >> 16) % (high - low + 1)) << 7);
}

enum kind { ANY, NARROW, TINY, HUGE_ROPE, SPARSE, CANCELLING, KINDS };

static void fill(operands *o, enum kind kind) {
  for (int r = 0; r < ROWS; r++) {
    for (int c = 0; c < MOST_LATENT; c++) {
      uint32_t bits = random_bits();
      o->content[r][c] = finite_e4m3(bits);
      if (kind == NARROW) o->content[r][c] = (uint8_t)((bits & 0x87) | 0x40 | (bits >> 8 & 1) << 3);
      if (kind == TINY) o->content[r][c] = (uint8_t)(bits & 0x87);
      if (kind == SPARSE && bits >> 8 & 7) o->content[r][c] = (uint8_t)(bits & 0x80);
      if (kind == CANCELLING && c % 2) o->content[r][c] = o->content[r][c - 1] ^ (r ? 0x80 : 0);
    }
    for (int c = 0; c < ROPE; c++) {
      o->rope[r][c] = kind == TINY        ? random_bf16(0, 60) /* products among the subnormals */
                      : kind == HUGE_ROPE ? random_bf16(150, 195)
                      : kind == ANY       ? random_bf16(0, 180)
                                          : random_bf16(118, 132);
      if (kind == CANCELLING && c % 2) o->rope[r][c] = o->rope[r][c - 1] ^ (r ? 0x8000 : 0);
    }
  }
}

static void widen(operands *o, int latent) {
  for (int c = 0; c < latent + ROPE; c++)
    for (int r = 0; r < ROWS; r++) {
      double value = c < latent ? smla_e4m3_to_float(o->content[r][c]) : smla_bf16_to_float(o->rope[r][c - latent]);
      *(r ? &o->keys[c * TOKENS + r - 1] : &o->query[c]) = value;
    }
}

static float chain(const operands *o, int latent, int token) {
  float lower = 0, upper = 0;
  for (int c = 0; c < latent / 2; c += SMLA_E4M3_K)
    lower = smla_dot_e4m3(lower, o->content[0] + c, o->content[1 + token] + c);
  for (int c = 0; c < ROPE; c += SMLA_BF16_K) lower = smla_dot_bf16(lower, o->rope[0] + c, o->rope[1 + token] + c);
  for (int c = latent / 2; c < latent; c += SMLA_E4M3_K)
    upper = smla_dot_e4m3(upper, o->content[0] + c, o->content[1 + token] + c);
  return lower + upper;
}

/* RoPE, then each group of 128 channels from zero, multiplied as it is added. */
static float grouped_chain(const operands *o, const double *groups, int latent, int token) {
  float total = 0;
  for (int c = 0; c < ROPE; c += SMLA_BF16_K) total = smla_dot_bf16(total, o->rope[0] + c, o->rope[1 + token] + c);
  total += 0.0f; /* as a sum of the total and a part */
  for (int group = 0; group < latent / 128; group++) {
    float part = 0;
    for (int c = group * 128; c < (group + 1) * 128; c += SMLA_E4M3_K)
      part = smla_dot_e4m3(part, o->content[0] + c, o->content[1 + token] + c);
    total = fmaf(part, (float)groups[group * TOKENS + token], total);
  }
  return total;
}

typedef struct tally {
  int zero, subnormal, infinite, nan, special;
} tally;

/* `groups`: scales of groups of channels, or NULL. */
static void compare(operands *o, int latent, const double *groups, tally *seen) {
  double scores[TOKENS];
  widen(o, latent);
  smla_tensor_operand query = {o->query, o->query_exponents, 0}, keys = {o->keys, o->key_exponents, 0};
  query.special = smla_tensor_exponents(latent, latent + ROPE, 1, o->query, o->query_exponents);
  keys.special = smla_tensor_exponents(latent, latent + ROPE, TOKENS, o->keys, o->key_exponents);
  const smla_score_form form = {latent, latent, ROPE, 2};
  smla_tensor_scores(&form, &query, &keys, groups, scores);
  seen->special += query.special || keys.special;
  for (int t = 0; t < TOKENS; t++) {
    float expected = groups ? grouped_chain(o, groups, latent, t) : chain(o, latent, t);
    if (isnan(expected))
      assert_true(isnan(scores[t]));
    else
      assert_true(scores[t] == expected && !signbit(scores[t]) == !signbit(expected));
    seen->zero += expected == 0;
    seen->subnormal += fpclassify(expected) == FP_SUBNORMAL;
    seen->infinite += !!isinf(expected);
    seen->nan += !!isnan(expected);
  }
}

static operands *create(void) {
  operands *o = malloc(sizeof *o);
  assert_non_null(o);
  seed = 88172645463325252u;
  return o;
}

static void is_the_chain(void **state) {
  (void)state;
  operands *o = create();
  tally seen[KINDS] = {{0}};
  for (int kind = 0; kind < KINDS; kind++) {
    for (int i = 0; i < 12; i++) {
      fill(o, (enum kind)kind);
      compare(o, i % 2 ? 512 : 256, NULL, &seen[kind]);
    }
    assert_int_equal(seen[kind].special, 0);
  }
  assert_true(seen[HUGE_ROPE].infinite > 50); /* finite operands can overflow */
  assert_true(seen[CANCELLING].zero > 50);
  free(o);
}

static void scales_of_groups(void **state) {
  (void)state;
  operands *o = create();
  tally seen = {0};
  double groups[4 * TOKENS];
  for (int kind = 0; kind < KINDS; kind++) {
    for (int i = 0; i < 4 * TOKENS; i++) groups[i] = (float)(random_bits() % 1000) / 3000.0f;
    for (int i = 0; i < 4; i++) {
      fill(o, (enum kind)kind);
      compare(o, i % 2 ? 512 : 256, groups, &seen);
    }
  }
  assert_int_equal(seen.special, 0);
  free(o);
}

/* RoPE in e4m3, here the content behind the latent: its first half, in whole steps, goes with the lower half of the latent. */
static float e4m3_chain(const operands *o, int latent, int rope, int token) {
  const int half = (rope / 2 + SMLA_E4M3_K - 1) / SMLA_E4M3_K * SMLA_E4M3_K;
  const int ends[2][2][2] = {{{0, latent / 2}, {latent, latent + half}},
                             {{latent / 2, latent}, {latent + half, latent + rope}}};
  float parts[2] = {0, 0};
  for (int part = 0; part < 2; part++)
    for (int run = 0; run < 2; run++)
      for (int c = ends[part][run][0]; c < ends[part][run][1]; c += SMLA_E4M3_K)
        parts[part] = smla_dot_e4m3(parts[part], o->content[0] + c, o->content[1 + token] + c);
  return parts[0] + parts[1];
}

static void rope_of_e4m3(void **state) {
  (void)state;
  operands *o = create();
  for (int rope = 0; rope <= 128; rope = rope ? 2 * rope : 32) {
    double scores[TOKENS];
    fill(o, NARROW);
    widen(o, MOST_LATENT);
    smla_tensor_operand query = {o->query, o->query_exponents, 0}, keys = {o->keys, o->key_exponents, 0};
    smla_tensor_exponents(256 + rope, 256 + rope, 1, o->query, o->query_exponents);
    smla_tensor_exponents(256 + rope, 256 + rope, TOKENS, o->keys, o->key_exponents);
    const smla_score_form form = {256 + rope, 256, rope, 2};
    smla_tensor_scores(&form, &query, &keys, NULL, scores);
    for (int t = 0; t < TOKENS; t++) assert_true(scores[t] == e4m3_chain(o, 256, rope, t));
  }
  free(o);
}

/* Four parts: a quarter of the latent each, and a quarter of 128 channels of RoPE in e4m3, here the content behind it. */
static float chain_of_four(const operands *o, int latent, int rope, int token) {
  float score = 0;
  for (int part = 0; part < 4; part++) {
    float sum = 0;
    for (int c = part * latent / 4; c < (part + 1) * latent / 4; c += SMLA_E4M3_K)
      sum = smla_dot_e4m3(sum, o->content[0] + c, o->content[1 + token] + c);
    for (int c = latent + part * rope / 4; c < latent + (part + 1) * rope / 4; c += SMLA_E4M3_K)
      sum = smla_dot_e4m3(sum, o->content[0] + c, o->content[1 + token] + c);
    score += sum;
  }
  return score;
}

static void four_parts(void **state) {
  (void)state;
  operands *o = create();
  for (int rope = 0; rope <= 128; rope += 128)
    for (int latent = 128; latent <= 384; latent += 128) {
      double scores[TOKENS];
      int of_two = 0;
      fill(o, ANY);
      widen(o, MOST_LATENT);
      smla_tensor_operand query = {o->query, o->query_exponents, 0}, keys = {o->keys, o->key_exponents, 0};
      smla_tensor_exponents(latent + rope, latent + rope, 1, o->query, o->query_exponents);
      smla_tensor_exponents(latent + rope, latent + rope, TOKENS, o->keys, o->key_exponents);
      const smla_score_form form = {latent + rope, latent, rope, 4};
      smla_tensor_scores(&form, &query, &keys, NULL, scores);
      for (int t = 0; t < TOKENS; t++) {
        assert_true(scores[t] == chain_of_four(o, latent, rope, t));
        of_two += scores[t] == e4m3_chain(o, latent, rope, t);
      }
      assert_true(of_two < TOKENS / 2); /* two parts are another sum */
    }
  free(o);
}

/* RoPE alone: nothing hides the accumulator's subnormals. */
static void subnormal_scores(void **state) {
  (void)state;
  operands *o = create();
  tally seen = {0};
  for (int i = 0; i < 12; i++) {
    fill(o, TINY);
    for (int r = 0; r < ROWS; r++)
      for (int c = 0; c < MOST_LATENT; c++) o->content[r][c] = r % 2 ? 0x80 : 0;
    compare(o, 256, NULL, &seen);
  }
  assert_true(seen.subnormal > 20);
  free(o);
}

static void special_numbers(void **state) {
  (void)state;
  static const uint16_t specials[] = {0x7f80, 0xff80, 0x7fc0};
  operands *o = create();
  tally seen = {0};
  double groups[4 * TOKENS];
  for (int i = 0; i < 4 * TOKENS; i++) groups[i] = (float)(1 + i) / 97.0f;
  for (int i = 0; i < 8; i++) {
    fill(o, i % 2 ? SPARSE : NARROW);
    for (int n = 0; n < 20; n++) o->rope[1 + random_bits() % TOKENS][random_bits() % ROPE] = specials[n % 3];
    if (i % 4 == 3) o->content[1 + random_bits() % TOKENS][5] = 0xff;
    if (i == 6) o->rope[0][random_bits() % ROPE] = specials[0];
    if (i == 7) o->content[0][0] = 0x7f;
    compare(o, 256, i % 2 ? NULL : groups, &seen);
  }
  assert_int_equal(seen.special, 8);
  assert_true(seen.infinite > 20 && seen.nan > 20);
  free(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_the_chain), cmocka_unit_test(scales_of_groups), cmocka_unit_test(rope_of_e4m3),
      cmocka_unit_test(four_parts),   cmocka_unit_test(subnormal_scores), cmocka_unit_test(special_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
