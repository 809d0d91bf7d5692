/* What a run found, and how it is told. */
#ifndef SMLA_CLI_OUTCOME_H
#define SMLA_CLI_OUTCOME_H

#include <stdint.h>

#include <jansson.h>

#include <snapmla/context.h>

#include "check.h"
#include "session.h"

typedef struct smla_outcome {
  int ok;
  const char *variant;             /* of mla_decode; the plan's */
  const snapmla_device_info *info; /* of the device */
  smla_limits limits;
  smla_distance distance; /* worst of what was compared; no requests: not compared */
  int32_t requests;       /* of all steps */
  double time_us;         /* of one decode call */
  int64_t bytes;          /* smla_workload_bytes */
  uint64_t digest;        /* of out and lse of all steps */
  int same_bits;          /* a repeated decode gave the same bits; nonzero too where none was repeated */
  uint32_t status_word;   /* snapmla_plan.h: SNAPMLA_STATUS_… */
} smla_outcome;

/* "measured" on a GPU, "modelled" on the emulator. */
const char *smla_outcome_time_kind(const snapmla_device_info *info);
/* Nonzero if nothing speaks against it. */
int smla_outcome_judge(const smla_outcome *outcome);
/* The members of the JSON object that run and verify share. */
json_t *smla_outcome_json(const smla_outcome *outcome);
/* Members of a distance, into `object`; null where nothing was compared. */
void smla_distance_json(json_t *object, const smla_distance *distance);
/* Lines of "name  value". */
void smla_outcome_print(const smla_workload *work, const smla_outcome *outcome);

/* Compares requests of a step: all if `most` is 0 and the effort left (multiply-adds) allows it, else the longest, the
 * shortest that is not empty, and others in order, until `most` requests or the effort is reached. What it spends is
 * subtracted; the first two are compared whatever they cost. `out` and `lse` are the whole batch's. */
snapmla_status smla_outcome_compare(const smla_session *session, int32_t step, const uint16_t *out, const float *lse,
                                    int32_t most, double *effort, smla_outcome *outcome);

#endif
