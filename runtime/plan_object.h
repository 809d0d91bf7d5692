/* The inside of a plan. */
#ifndef SMLA_RUNTIME_PLAN_OBJECT_H
#define SMLA_RUNTIME_PLAN_OBJECT_H

#include <pthread.h>

#include <snapmla/plan.h>
#include <snapmla/tune.h>

#include "buffer.h"
#include "context_object.h"
#include "quantities.h"
#include "workspace.h"

typedef enum smla_family {
  SMLA_QUERY_QUANT,
  SMLA_MLA_DECODE,
  SMLA_MLA_COMBINE,
  SMLA_KV_APPEND,
  SMLA_SCHEDULE,
  SMLA_FAMILY_COUNT
} smla_family;

extern const char *const smla_family_names[SMLA_FAMILY_COUNT];

typedef struct smla_plan_kernel {
  char *variant; /* canonical */
  smla_geometry geometry;
  void *kernel; /* loaded on the device */
} smla_plan_kernel;

/* What the last decode call counted: the one part of a plan that execution writes. */
typedef struct smla_plan_tally {
  pthread_mutex_t lock;
  snapmla_plan_counters counters;
} smla_plan_tally;

struct snapmla_plan {
  snapmla_context *context;
  snapmla_problem problem;
  smla_workspace workspace;
  int32_t multiprocessors;
  smla_plan_kernel kernels[SMLA_FAMILY_COUNT];
  smla_plan_tally *tally;
  snapmla_plan_report report; /* where the variants came from */
};

/* The canonical variants of a plan's kernels after an override, in the order of smla_family; each freed by the caller, all NULL
 * on failure. Errors: as snapmla_variant_resolve. */
snapmla_status smla_plan_variants(const snapmla_context *context, const snapmla_problem *problem,
                                  const char *override_text, char *variants[SMLA_FAMILY_COUNT]);

/* The texts of the kernels that a decode call and its schedule launch, separated by ';': what a measurement is of.
 * Appended to `out`. */
snapmla_status smla_plan_variants_text(char *const variants[SMLA_FAMILY_COUNT], smla_buffer *out);

/* Makes the plan of given variants, of a checked problem; looks for none. Of `flags` (SNAPMLA_PLAN_…) NO_JIT and NO_WRITE
 * count. Errors: as snapmla_plan_create. */
snapmla_status smla_plan_make(snapmla_context *context, const snapmla_problem *problem, const char *override_text,
                              uint32_t flags, snapmla_plan **out);

/* The kernels of a decode call. */
enum { SMLA_PART_QUERY = 1, SMLA_PART_ATTEND = 2, SMLA_PART_COMBINE = 4 };

/* snapmla_plan_decode with some of its kernels alone, for measuring: what the others would have written must be in the
 * workspace and the outputs from an earlier call with the same arguments. */
snapmla_status smla_plan_decode_parts(const snapmla_plan *plan, const snapmla_decode_args *args, unsigned parts);

#endif
