/* P as a kernel of level `fast` rounds it: e4m3 in units of a power of two that suits the tile. Pure, thread-safe. */
#ifndef SMLA_REFERENCE_ROUNDED_P_H
#define SMLA_REFERENCE_ROUNDED_P_H

#include <math.h>

enum {
  SMLA_P_FRACTION_BITS = 3,   /* of e4m3: with the leading one, 4 significant bits */
  SMLA_P16_FRACTION_BITS = 7, /* of bf16 */
  SMLA_P_NORMAL_BINADES = 14  /* from the binade of the largest P, 2^8, down to e4m3's least normal number, 2^-6 */
};

/* The exponent of `largest`: the integer e with 2^e <= largest < 2^(e + 1). largest is positive and finite. */
static inline int smla_exponent_of(double largest) {
  int exponent;
  (void)frexp(largest, &exponent);
  return exponent - 1;
}

/* `f` >= 0 rounded to nearest even: to 4 significant bits, and to multiples of e4m3's subnormal unit where f lies
 * more than 14 binades below the tile's largest, whose exponent is `tile_exponent`. Which power of two is the unit
 * does not matter. */
static inline double smla_round_p(double f, int tile_exponent) {
  if (!(f > 0.0) || isinf(f)) return f;
  int exponent = smla_exponent_of(f), least = tile_exponent - SMLA_P_NORMAL_BINADES;
  int unit = (exponent > least ? exponent : least) - SMLA_P_FRACTION_BITS;
  return ldexp(nearbyint(ldexp(f, -unit)), unit);
}

/* The same of kernels whose values are bf16: to 8 significant bits. */
static inline double smla_round_p16(double f) {
  if (!(f > 0.0) || isinf(f)) return f;
  int unit = smla_exponent_of(f) - SMLA_P16_FRACTION_BITS;
  return ldexp(nearbyint(ldexp(f, -unit)), unit);
}

#endif
