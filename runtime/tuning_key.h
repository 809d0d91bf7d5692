/* What names a tuning: device class, problem bucket, target, templates. */
#ifndef SMLA_RUNTIME_TUNING_KEY_H
#define SMLA_RUNTIME_TUNING_KEY_H

#include <snapmla/problem.h>
#include <snapmla/source.h>
#include <snapmla/status.h>

#include "context_object.h"
#include "device_class.h"
#include "generator.h"
#include "tune_mark.h"
#include "wisdom.h"

/* Of a checked problem and kernels for `target` on a device of those facts. Error: OUT_OF_MEMORY. */
snapmla_status smla_tuning_key(const smla_generator *generator, const snapmla_problem *problem,
                               const smla_device_facts *facts, snapmla_target target, smla_wisdom_query *out);

/* The problem that smla_tuning_key names by `text`: the largest of its bucket. In sparse decoding a key says nothing of the context, which is then
 * the least one. *out is a checked problem. Errors: BAD_FORMAT (no problem's key), those of snapmla_problem_check. */
snapmla_status smla_tuning_problem(const char *text, snapmla_problem *out);

/* Nonzero where devices of the class run kernels for `target`; 0 also for a text that is no class. */
int smla_target_runs(snapmla_target target, const char *device_class);

/* "driver 13000, NVIDIA H100 80GB HBM3": recorded with a measurement; a change calls for a recheck. */
void smla_tuning_soft_facts(const snapmla_context *context, char out[SMLA_SOFT_FACTS_MAX]);

/* The quarantine's mark of an override's decode variant here: OK and *mark (to be cleared), or NOT_FOUND. */
snapmla_status smla_tuning_mark(const smla_wisdom_query *key, const char *override_text, smla_mark *mark);
/* Quarantines it. Errors are the store's. */
snapmla_status smla_tuning_quarantine(const smla_wisdom_query *key, const char *override_text, const char *fate,
                                      const char *reason);

#endif
