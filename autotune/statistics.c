#include "statistics.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double smla_median(double *samples, size_t count) {
  if (!count) return NAN;
  qsort(samples, count, sizeof *samples, compare);
  return count % 2 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
}

double smla_spread(double *samples, size_t count) {
  static const double normal = 1.4826;
  if (count < 2) return 0;
  double middle = smla_median(samples, count);
  for (size_t i = 0; i < count; i++) samples[i] = fabs(samples[i] - middle);
  return middle > 0 ? normal * smla_median(samples, count) / middle : 0;
}
