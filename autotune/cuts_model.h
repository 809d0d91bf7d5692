/* How the schedule cuts requests of equal length into the units' runs: it walks them as templates/schedule/cuts.inc does, which has the
 * reasons, so that what it counts is what the kernel cuts. A step for each unit, a few times. Pure. */
#ifndef SMLA_AUTOTUNE_CUTS_MODEL_H
#define SMLA_AUTOTUNE_CUTS_MODEL_H

typedef struct smla_cuts {
  double units; /* that have work */
  double share; /* tiles of the busiest */
  double cut;   /* pieces of requests that are cut: they are merged; 0 where all stay whole */
} smla_cuts;

/* `batch` requests of `tiles` each for `units` units, of `groups` groups of `rows` rows, padding included. */
smla_cuts smla_cuts_of(double batch, double tiles, double units, double groups, double rows);

#endif
