/* Trying candidates by their override texts: in this process, or in worker processes that may crash or hang. What the search's
 * callbacks stand on. One thread at a time. */
#ifndef SMLA_RUNTIME_TRYOUT_H
#define SMLA_RUNTIME_TRYOUT_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/plan.h>
#include <snapmla/status.h>

#include "hash.h"
#include "search.h"

typedef struct smla_tryout_options {
  uint32_t flags;      /* SNAPMLA_PLAN_NO_WRITE, SNAPMLA_PLAN_ISOLATED */
  size_t memory_limit; /* as of smla_trial_timer_create */
  int workers;         /* compilations side by side, 0: one per core */
  double job_seconds;  /* isolated: the most for a check or a timing, 0: 60 */
} smla_tryout_options;

typedef struct smla_tryout smla_tryout;

/* Errors: OUT_OF_MEMORY. Where worker processes cannot be had (no program, an exclusive device) it is said and tried in this
 * process. */
snapmla_status smla_tryout_create(snapmla_context *context, const snapmla_problem *problem,
                                  const smla_tryout_options *options, smla_tryout **out);
void smla_tryout_destroy(smla_tryout *tryout);

void smla_tryout_compile(smla_tryout *tryout, const char *const *texts, size_t count, smla_verdict *verdicts);
void smla_tryout_check(smla_tryout *tryout, const char *text, smla_verdict *verdict);
void smla_tryout_time(smla_tryout *tryout, const char *text, size_t count, double *microseconds, smla_verdict *verdict);
/* What was timed: after the first smla_tryout_time. */
void smla_tryout_shape(const smla_tryout *tryout, int32_t *batch, int64_t *tokens);

/* Fills a verdict from a status and the thread's reason. */
void smla_verdict_fail(smla_verdict *verdict, smla_fate fate, const char *reason);

#endif
