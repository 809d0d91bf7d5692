/* The inside of a plan. */
#ifndef SMLA_RUNTIME_PLAN_OBJECT_H
#define SMLA_RUNTIME_PLAN_OBJECT_H

#include <pthread.h>

#include <snapmla/plan.h>

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
};

/* The kernels of a decode call. */
enum { SMLA_PART_QUERY = 1, SMLA_PART_ATTEND = 2, SMLA_PART_COMBINE = 4 };

/* snapmla_plan_decode with some of its kernels alone, for measuring: what the others would have written must be in the
 * workspace and the outputs from an earlier call with the same arguments. */
snapmla_status smla_plan_decode_parts(const snapmla_plan *plan, const snapmla_decode_args *args, unsigned parts);

#endif
