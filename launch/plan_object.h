/* The inside of a plan. */
#ifndef SMLA_LAUNCH_PLAN_OBJECT_H
#define SMLA_LAUNCH_PLAN_OBJECT_H

#include <pthread.h>

#include <snapmla/plan.h>
#include <snapmla/tune.h>

#include "context_object.h"
#include "geometry.h"
#include "image.h"
#include "workspace.h"

typedef enum smla_family {
  SMLA_QUERY_QUANT,
  SMLA_MLA_DECODE,
  SMLA_MLA_COMBINE,
  SMLA_KV_APPEND,
  SMLA_SCHEDULE,
  SMLA_SHARD_MERGE,
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

/* Starts a plan of a problem, which it checks: no kernels yet. Errors: INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY. */
snapmla_status smla_plan_open(snapmla_context *context, const snapmla_problem *problem, snapmla_plan **out);

/* Lays out the workspace that the decode kernel's geometry calls for, once every kernel has variant and geometry.
 * Errors: TEMPLATE (it deals in no rows), ILLEGAL_VARIANT (its clusters do not divide the groups of rows), INVALID_ARGUMENT. */
snapmla_status smla_plan_lay_out(snapmla_plan *plan);

/* Loads the kernel of `family`, which has a geometry. Errors: those of the device's load. */
snapmla_status smla_plan_load(snapmla_plan *plan, smla_family family, const smla_image *image);

/* Launches a loaded kernel of `plan`'s device in a grid, `name` for messages. Errors: those of the device's launch. */
snapmla_status smla_plan_launch(const snapmla_plan *plan, const char *name, const smla_plan_kernel *kernel,
                                uint32_t grid_x, uint32_t grid_y, int dependent, smla_params params, void *stream,
                                snapmla_plan_counters *counters);

/* The kernels of a decode call. */
enum { SMLA_PART_QUERY = 1, SMLA_PART_ATTEND = 2, SMLA_PART_COMBINE = 4 };

/* snapmla_plan_decode with some of its kernels alone, for measuring: what the others would have written must be in the
 * workspace and the outputs from an earlier call with the same arguments. */
snapmla_status smla_plan_decode_parts(const snapmla_plan *plan, const snapmla_decode_args *args, unsigned parts);

#endif
