/* One request's result against the oracles. */
#ifndef SMLA_CLI_CHECK_H
#define SMLA_CLI_CHECK_H

#include <stdint.h>

#include <snapmla/status.h>

#include "session.h"
#include "workload.h"

/* Distances of a request, or the worst of several. NaN and infinity mean that something is not a number. */
typedef struct smla_distance {
  int32_t requests;    /* compared */
  double rel_l2;       /* |out - oracle| / |oracle|, the oracle of the same quantised query and cache */
  double rel_l2_ratio; /* largest rel_l2 / limit: at most 1 is right */
  double rel_l2_limit; /* the limit where that ratio is largest */
  double
      rel_l2_rounded;   /* the same against the oracle that rounds P as the kernel does; NaN where the level has none */
  double rounded_ratio; /* largest rel_l2_rounded / limit */
  double row_rel_l2;    /* the worst row's rel_l2, for information */
  double lse_abs;       /* largest |lse - oracle| */
  double lse_ratio;     /* largest |lse - oracle| / limit: at most 1 is right */
  double quantization;  /* |oracle - unquantised| / |unquantised|: what the format costs; NaN: not known */
  double max_logit;     /* largest |logit| */
  int64_t not_finite;   /* elements of out that are not finite, and of lse where a finite one is due */
  int64_t cache_wrong;  /* bytes of the cache that differ from what the reference writes */
} smla_distance;

/* What the accuracy level allows; docs/accuracy.md. */
typedef struct smla_limits {
  double mean_zero, least; /* of rel_l2, for values that vary about 0, and that do not vary at all */
  double value_offset;     /* mean of the values */
  double rounded;          /* of rel_l2_rounded, for a request in one piece; 0: the level has no such oracle */
  double output_rounding;  /* what the output's type usually costs, in mean_zero but not in least; 0: in both */
  double lse_absolute, lse_per_logit; /* lse_abs <= lse_absolute + lse_per_logit * max_logit */
} smla_limits;

/* The limits for a workload's level and the mean of its values. Rounding P errs in proportion to what the values vary about their mean,
 * since the weights add up to one as exactly as before: a mean makes the norm larger, not the error. So with v =
 * min(1, |oracle - value_offset| / |oracle|) the limit is sqrt((v mean_zero)^2 + (1 - v^2) least^2). A kernel that
 * cuts a request into pieces normalises each by itself, which undoes what rounding does to a piece as a whole; the
 * oracle that rounds P knows one piece only. With `share` as check_logits.h has it, what pieces of a tile would
 * undo, the limit of rel_l2_rounded is sqrt(rounded^2 + share (v mean_zero)^2); share is 0 for a request of one
 * tile. At the levels whose limits are near the rounding of the output to bf16, what that costs the oracle's own result
 * takes the place of output_rounding: sqrt(v^2 (mean_zero^2 - output_rounding^2) + (1 - v^2) least^2 + cost^2). The lse of logits of
 * sigma above 3 may be off by 7.5e-4 a unit of the largest logit where scores are summed in two parts, in place of 5e-4: docs/accuracy.md. */
smla_limits smla_limits_of(const smla_workload *work);

/* Compares request `request` of step `step`: out [q_len, heads, latent_rank] bf16 and lse [heads, q_len] are its own
 * rows; the session gives the cache as the device wrote it. Errors: OUT_OF_MEMORY, DEVICE. */
snapmla_status smla_check_request(const smla_session *session, const smla_limits *limits, int32_t step, int32_t request,
                                  const uint16_t *out, const float *lse, smla_distance *distance);
/* No distance yet. */
smla_distance smla_distance_none(void);
/* Takes the worst of both. */
void smla_distance_add(smla_distance *worst, const smla_distance *one);
/* Nonzero if all is within the limits. */
int smla_distance_ok(const smla_distance *distance);
/* Multiply-adds that comparing a request costs, for one oracle. */
double smla_check_cost(const smla_workload *work, int32_t step, int32_t request);

#endif
