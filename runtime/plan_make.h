/* Plans of given variants, and the variants' texts. */
#ifndef SMLA_RUNTIME_PLAN_MAKE_H
#define SMLA_RUNTIME_PLAN_MAKE_H

#include "buffer.h"
#include "generator.h"
#include "plan_object.h"

/* The canonical variants of a plan's kernels after an override, in the order of smla_family; each freed by the caller, all NULL
 * on failure. Errors: as snapmla_variant_resolve. */
snapmla_status smla_plan_variants(const smla_generator *generator, const snapmla_problem *problem,
                                  const char *override_text, char *variants[SMLA_FAMILY_COUNT]);

/* The texts of the kernels that a decode call and its schedule launch, separated by ';': what a measurement is of.
 * Appended to `out`. */
snapmla_status smla_plan_variants_text(char *const variants[SMLA_FAMILY_COUNT], smla_buffer *out);

/* The digest of the templates that those kernels can be made of: a measurement made with others is not exact. `hex` has SMLA_HASH_HEX
 * bytes. Error: INVALID_ARGUMENT (a generator without all their families). */
snapmla_status smla_plan_timed_digest(const smla_generator *generator, char *hex);

/* Makes the plan of given variants, of a checked problem; looks for none. Of `flags` (SNAPMLA_PLAN_…) NO_JIT and NO_WRITE
 * count. Errors: as snapmla_plan_create. */
snapmla_status smla_plan_make(snapmla_context *context, const snapmla_problem *problem, const char *override_text,
                              uint32_t flags, snapmla_plan **out);

#endif
