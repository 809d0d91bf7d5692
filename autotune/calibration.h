/* Measurements correct the model: a factor for the device class, refined per group of alike variants. Pure. */
#ifndef SMLA_AUTOTUNE_CALIBRATION_H
#define SMLA_AUTOTUNE_CALIBRATION_H

#include <stddef.h>

enum { SMLA_CALIBRATION_GROUPS = 16 };

typedef struct smla_calibration_sample {
  double modelled_us, measured_us; /* of one variant and work, both > 0 */
  int group;                       /* of alike variants: the rows that a block takes */
} smla_calibration_sample;

typedef struct smla_calibration {
  size_t samples; /* it stands on; 0: the plain model */
  double factor;  /* measured / modelled, the median of all */
  double spread;  /* deviation of the logarithm of measured / calibrated */
  size_t group_count;
  int groups[SMLA_CALIBRATION_GROUPS];
  double factors[SMLA_CALIBRATION_GROUPS]; /* of each group, drawn towards `factor` where samples are few */
} smla_calibration;

/* A group's factor is the median of its n samples, weighted n to 2 against that of all. Samples that are not positive
 * and finite are left out. */
void smla_calibration_fit(const smla_calibration_sample *samples, size_t count, smla_calibration *out);

double smla_calibration_apply(const smla_calibration *calibration, int group, double modelled_us);

#endif
