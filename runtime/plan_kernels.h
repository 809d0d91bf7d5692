/* Building the kernels of a plan, as far as plans of every kind do it alike. */
#ifndef SMLA_RUNTIME_PLAN_KERNELS_H
#define SMLA_RUNTIME_PLAN_KERNELS_H

#include "build.h"
#include "context_object.h"

/* Builds `count` variants for the context's device, all at once; says so to its progress callback, and keeps the compiler's logs as
 * the context's. Of `flags` (SNAPMLA_PLAN_…) NO_JIT and NO_WRITE count. `builds` has count entries, each to be cleared by the
 * caller, also on failure. Errors: as smla_build_run, the first one. Thread-safe. */
snapmla_status smla_plan_build_kernels(snapmla_context *context, const char *const *variants, size_t count,
                                       uint32_t flags, smla_build *builds);

#endif
