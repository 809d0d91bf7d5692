/* Tuning a problem, and what is known without: wisdom, the model's estimate. */
#ifndef SMLA_RUNTIME_TUNER_H
#define SMLA_RUNTIME_TUNER_H

#include <snapmla/tune.h>

#include "calibration.h"
#include "candidates.h"
#include "context_object.h"
#include "tuning_key.h"

/* A problem on a device, and all that is known about it. */
typedef struct smla_tuning {
  snapmla_context *context; /* NULL where there is no device at hand: nothing can be searched then */
  const smla_generator *generator;
  snapmla_problem problem;
  smla_wisdom_query key;
  smla_machine machine;
  smla_measurements known; /* of the store, of the library, and of this context */
  smla_calibration calibration;
} smla_tuning;

/* How much is read: a warm plan needs no more than its own problem's. */
typedef enum smla_tuning_reach {
  SMLA_TUNING_BLIND,   /* nothing: `known` is empty */
  SMLA_TUNING_PROBLEM, /* the store's measurements of this device class and problem, the library's, and the context's */
  SMLA_TUNING_ALL      /* all of them, and the model is calibrated */
} smla_tuning_reach;

/* A store that fails is done without, and said. Errors: OUT_OF_MEMORY. */
snapmla_status smla_tuning_open(snapmla_context *context, const snapmla_problem *problem, smla_tuning_reach reach,
                                smla_tuning *out);
/* The same for a device class of which no device is at hand, and kernels for `target`. The model is that of the nearest
 * machine. Errors: INVALID_ARGUMENT (not a class, or not one that runs the target's kernels), OUT_OF_MEMORY. */
snapmla_status smla_tuning_open_class(const smla_generator *generator, const char *device_class, snapmla_target target,
                                      const snapmla_problem *problem, smla_tuning_reach reach, smla_tuning *out);
void smla_tuning_close(smla_tuning *tuning);

/* The model is not believed to be finer than this factor where it speaks against a problem's usual variant. */
extern const double smla_default_margin;

/* Microseconds of a candidate by the calibrated model, for `batch` requests of `tokens` tokens in the mean. */
double smla_tuning_model(const smla_tuning *tuning, const smla_candidate *candidate, double batch, double tokens);

/* The model's choice, freed by the caller: the fastest modelled that is not quarantined, the default where it is within 2 % of
 * that. *us may be NULL. Errors: as smla_candidates_make. */
snapmla_status smla_tuning_estimate(const smla_tuning *tuning, double batch, double tokens, char **override_text,
                                    double *us);

/* Searches, remembers what it measured, and gives the winner as an override, freed by the caller, NULL where nothing was
 * found to be right in time. The report's provenance, times and counts are filled.
 * Errors: as smla_candidates_make; OUT_OF_MEMORY. */
snapmla_status smla_tuning_search(const smla_tuning *tuning, const snapmla_plan_options *options, char **override_text,
                                  snapmla_plan_report *report);

/* Nonzero where a measurement's variant is legal here, is for this problem, and is not quarantined; `user` is a
 * smla_tuning. */
int smla_tuning_usable(void *user, const smla_measurement *measurement);

/* The exact wisdom alone. *done: nonzero where there is some that these options take as it is. */
snapmla_status smla_planner_exact(const smla_tuning *tuning, const snapmla_plan_options *options, char **override_text,
                                  snapmla_plan_report *report, int *done);
/* What a plan of these options would be, without tuning: *tune is set where tuning is called for. The override is freed by the
 * caller. Errors: NOT_FOUND (WISDOM_ONLY), those of smla_tuning_estimate. */
snapmla_status smla_planner_choose(const smla_tuning *tuning, const snapmla_plan_options *options, char **override_text,
                                   snapmla_plan_report *report, int *tune);
/* Checks and copies; `options` may be NULL. Error: INVALID_ARGUMENT. */
snapmla_status smla_plan_options_read(const snapmla_plan_options *options, snapmla_plan_options *known);

#endif
