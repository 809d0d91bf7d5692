/* MLA decoding written down from docs/format.md, docs/accuracy.md and docs/numerics.md alone, in long double, two passes, one row at
 * a time: shares no line with reference/. */
#ifndef SMLA_TESTS_REFERENCE_BRUTE_FORCE_H
#define SMLA_TESTS_REFERENCE_BRUTE_FORCE_H

#include "cases.h"

/* Row (b, i, h) of the case: out [latent_rank], and the log-sum-exp. */
long double brute_force_row(const decode_case *c, int32_t b, int32_t i, int32_t h, snapmla_reference_mode mode,
                            long double *out);

/* The same from the unquantised rows and query. */
long double brute_force_row_dense(const decode_case *c, int32_t b, int32_t i, int32_t h, long double *out);

#endif
