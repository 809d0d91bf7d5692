/* Order statistics of a few samples. Pure. */
#ifndef SMLA_AUTOTUNE_STATISTICS_H
#define SMLA_AUTOTUNE_STATISTICS_H

#include <stddef.h>

/* The median; the mean of the middle two of an even count; NaN of none. Sorts the samples. */
double smla_median(double *samples, size_t count);

/* The relative spread: median of |x - median|, times 1.4826 (a normal distribution's deviation), by the median. Sorts and
 * overwrites the samples. 0 for fewer than two. */
double smla_spread(double *samples, size_t count);

#endif
