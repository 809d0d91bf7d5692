/* The largest |logit| of a request, on which the limit of the lse depends. */
#ifndef SMLA_CLI_CHECK_LOGITS_H
#define SMLA_CLI_CHECK_LOGITS_H

#include <stdint.h>

#include <snapmla/plan.h>
#include <snapmla/status.h>

#include "workload.h"

/* `args`: one request on the host, dense queries. Logits of the query as given and the cache as stored, in single precision:
 * enough for a limit. Errors: OUT_OF_MEMORY, INVALID_ARGUMENT. */
snapmla_status smla_check_max_logit(const smla_workload *work, const snapmla_decode_args *args, int32_t length,
                                    double *max_logit);

#endif
