/* ex2, lg2 and rcp .approx.ftz. The hardware's results differ from these by up to 2.1, 2.3 and 1 units in the last place
 * (docs/numerics.md): here they are correctly rounded, but the special values and the flushing are those measured. */
#include "mma.h"
#include "tensor_dot.h"

#include <float.h>
#include <math.h>

static float flushed(float x) { return fabsf(x) < FLT_MIN ? copysignf(0, x) : x; }

/* Rounded once, from double; what would be subnormal becomes zero. */
static float narrowed(double x) { return fabs(x) < (double)FLT_MIN ? copysignf(0, (float)x) : (float)x; }

float smla_exp2_approx(float x) {
  if (isnan(x)) return smla_bits_float(SMLA_MMA_NAN);
  if (x >= 128) return INFINITY;
  return narrowed(exp2((double)flushed(x)));
}

float smla_log2_approx(float x) {
  x = flushed(x);
  if (x == 0) return -INFINITY;
  if (isnan(x) || x < 0) return smla_bits_float(SMLA_MMA_NAN);
  if (isinf(x)) return INFINITY;
  return narrowed(log2((double)x));
}

float smla_reciprocal_approx(float x) {
  if (isnan(x)) return smla_bits_float(SMLA_MMA_NAN);
  x = flushed(x);
  if (x == 0) return copysignf(INFINITY, x);
  return narrowed(1 / (double)x);
}
