/* Measurements correct the model: a factor for the device class. Pure.
 *
 * One for all variants: what is remembered is the winner of each problem, so that a factor of some variants would be that of the
 * problems they win, and be taken to others (docs/tuning.md says what that cost). */
#ifndef SMLA_AUTOTUNE_CALIBRATION_H
#define SMLA_AUTOTUNE_CALIBRATION_H

#include <stddef.h>

typedef struct smla_calibration_sample {
  double modelled_us, measured_us; /* of one variant and work, both > 0 */
} smla_calibration_sample;

typedef struct smla_calibration {
  size_t samples; /* it stands on; 0: the plain model */
  double factor;  /* measured / modelled, the median */
  double spread;  /* deviation of the logarithm of measured / calibrated */
} smla_calibration;

/* Samples that are not positive and finite are left out. */
void smla_calibration_fit(const smla_calibration_sample *samples, size_t count, smla_calibration *out);

#endif
