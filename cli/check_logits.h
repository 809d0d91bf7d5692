/* What the limits of a request depend on: its logits. */
#ifndef SMLA_CLI_CHECK_LOGITS_H
#define SMLA_CLI_CHECK_LOGITS_H

#include <stdint.h>

#include <snapmla/plan.h>
#include <snapmla/status.h>

#include "workload.h"

typedef struct smla_logits {
  double largest; /* |logit| */
  /* The part of the rounding error of P (0 to 1) that is common to a tile of 64 tokens or list entries, in the mean of all rows:
   * with p the weights, the sum over tiles of (sum p^2)^2 / (sum p)^2, by the sum of p^2 over all tokens. Near 1
   * where one token dominates its tile, 1/64 where all are equal; 0 for a request, or lists, of one tile. */
  double share;
} smla_logits;

/* `args`: one request on the host, dense queries; lse: [heads, q_len], of the oracle. Logits of the query as given
 * and the cache as stored, in single precision: enough for a limit. Errors: OUT_OF_MEMORY, INVALID_ARGUMENT. */
snapmla_status smla_check_logits(const smla_workload *work, const snapmla_decode_args *args, int32_t length,
                                 const double *lse, smla_logits *out);

#endif
