#include "calibration.h"

#include <math.h>
#include <stdlib.h>

#include "statistics.h"

static int usable(const smla_calibration_sample *s) {
  return isfinite(s->modelled_us) && isfinite(s->measured_us) && s->modelled_us > 0 && s->measured_us > 0;
}

void smla_calibration_fit(const smla_calibration_sample *samples, size_t count, smla_calibration *out) {
  smla_calibration c = {.factor = 1};
  double *logs = count ? calloc(count, sizeof *logs) : NULL;
  for (size_t i = 0; logs && i < count; i++)
    if (usable(&samples[i])) logs[c.samples++] = log(samples[i].measured_us / samples[i].modelled_us);
  if (c.samples) {
    const double middle = smla_median(logs, c.samples);
    double squares = 0;
    for (size_t i = 0; i < c.samples; i++) squares += (logs[i] - middle) * (logs[i] - middle);
    c.factor = exp(middle);
    c.spread = sqrt(squares / (double)c.samples);
  }
  free(logs);
  *out = c;
}
