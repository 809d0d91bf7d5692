/* What a decode call should take: throughput = min(compute, bandwidth / bytes per token), refined with the shared-memory
 * port, exponentials, splits and fixed costs. Pure.
 *
 * Read from the candidate's numbers, with what is assumed where one is missing: rows (64), latent (512), rope (64), stages
 * (4), tile_tokens (64), image_bytes and images_per_tile (the bytes of an fp8_token tile), partial_bytes (4 a channel). A space whose
 * arithmetic differs from the plain one may derive tensor_percent, shared_percent and special_percent (100 each): what its
 * tile costs of the tensor pipe, the shared-memory port and the exponentials, relative to the formulas here; and tile_cycles (0), what was
 * measured of a tile where memory keeps up: no unit's ceiling says what steps that wait for one another take. */
#ifndef SMLA_AUTOTUNE_COST_MODEL_H
#define SMLA_AUTOTUNE_COST_MODEL_H

#include "candidate.h"
#include "machine.h"

/* One decode call: requests of equal length stand for a mix of the same sum. */
typedef struct smla_work {
  double batch;
  double context; /* tokens of a request, in the mean */
  double heads, q_len, latent, rope;
} smla_work;

/* Microseconds. The parts that overlap (hbm, tensor, shared, special, latency) are whole-GPU times of the busiest multiprocessor. */
typedef struct smla_cost {
  double hbm_us, tensor_us, shared_us, special_us, latency_us;
  double combine_us; /* partial results, written and read, and the merge */
  double fixed_us;   /* launches, ramp and drain, a run's start and end, queries read and outputs written */
  double total_us;
  double bytes;      /* KV, query and output that have to move at least once */
  double splits;     /* pieces that the mean request is cut into */
  const char *bound; /* the largest part: "memory", "tensor", "shared memory", "exponentials", "latency",
                        "fixed costs"; static */
} smla_cost;

void smla_cost_estimate(const smla_machine *machine, const smla_work *work, const smla_candidate *candidate,
                        smla_cost *out);

#endif
