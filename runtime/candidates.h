/* The variants of a problem as the tuner knows them: texts and numbers. */
#ifndef SMLA_RUNTIME_CANDIDATES_H
#define SMLA_RUNTIME_CANDIDATES_H

#include <snapmla/problem.h>
#include <snapmla/status.h>

#include "candidate.h"
#include "cost_model.h"
#include "enumerate.h"

/* Every legal variant of `family` for a checked problem, as a whole override: `base` (an override, or NULL), with each variant
 * of the family in place of what it says of that. The default, which is what `base` alone gives, is marked. Numbers are those of
 * the decode variant. Freed with smla_candidates_free. `refuse` (may be NULL) gets the illegal ones.
 * Errors: as smla_generator_enumerate. */
snapmla_status smla_candidates_make(const smla_generator *generator, const snapmla_problem *problem, const char *family,
                                    const char *base, smla_variant_refuse *refuse, void *user, smla_candidate **out,
                                    size_t *count);

/* What is modelled for a problem: its largest batch, and the mean length of the mix that is timed. */
smla_work smla_work_of(const snapmla_problem *problem, double batch, double tokens);

/* The most tokens that a query sees. */
double smla_work_tokens(const snapmla_problem *problem);

#endif
