/* The host's checks of a call's arguments: all that can be known without a device, before anything is launched. The
 * oracle and the runtime share them. A message names the field, the rule and the remedy. Pure, thread-safe.
 *
 * `device` nonzero: the call goes to a kernel, so outputs and workspace must be there and pointers and strides
 * aligned as plan.h says. Zero: the call goes to the oracle, which needs natural alignment and leaves outputs and
 * workspace alone. `problem` has passed snapmla_problem_check. Errors: INVALID_ARGUMENT, UNSUPPORTED. */
#ifndef SMLA_REFERENCE_DECODE_ARGS_H
#define SMLA_REFERENCE_DECODE_ARGS_H

#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/shards.h>

/* Everything of a decode call. With batch 0 no tensor is looked at. Not checked: workspace_bytes, which the plan
 * knows. */
snapmla_status smla_decode_args_check(const snapmla_problem *problem, const snapmla_decode_args *args, int device);

/* The scale of the whole cache that host arguments give. */
static inline float smla_decode_kv_scale(const snapmla_decode_args *args) {
  if (args->kv_scale_pointer) return *args->kv_scale_pointer;
  return args->kv_scale == 0.0f ? 1.0f : args->kv_scale;
}

/* Where a head's sinks are due, or must not be. */
snapmla_status smla_sinks_check(const snapmla_problem *problem, const snapmla_decode_args *args);

/* What the oracle of unquantised rows needs: all but cache, block table, outputs and workspace; the index lists
 * of sparse decoding are part of it. */
snapmla_status smla_decode_args_check_query(const snapmla_problem *problem, const snapmla_decode_args *args,
                                            int device);

/* What a schedule call needs: batch, seqlens and block_table_stride or index_counts, workspace. */
snapmla_status smla_schedule_args_check(const snapmla_problem *problem, const snapmla_decode_args *args);

/* Everything of a merge call of shards, on a device. With batch 0 no tensor is looked at. */
snapmla_status smla_merge_args_check(const snapmla_problem *problem, const snapmla_merge_args *args);

/* Everything of an append call. With tokens 0 no tensor is looked at. */
snapmla_status smla_append_args_check(const snapmla_problem *problem, const snapmla_append_args *args, int device);

#endif
