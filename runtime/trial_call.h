/* Making a call's tensors, for trial_check.c and trial_time.c. */
#ifndef SMLA_RUNTIME_TRIAL_CALL_H
#define SMLA_RUNTIME_TRIAL_CALL_H

#include <stdint.h>

#include <snapmla/reference.h>

#include "trial.h"

/* A number of about normal distribution, variance 1: a function of seed and index alone. */
float smla_trial_normal(uint64_t seed, uint64_t index);
uint16_t smla_trial_bf16(float value);

/* A shuffle of 0 … count-1, a function of the seed alone. NULL only when memory is short. */
int32_t *smla_trial_shuffle(uint64_t seed, int32_t count);

/* Host pages with `count` pages of synthetic tokens, each page full. NULL only when memory is short, or on a failure of
 * snapmla_page_write, with the reason set. */
unsigned char *smla_trial_pages(const snapmla_problem *problem, const snapmla_page_layout *layout, uint64_t seed,
                                int32_t count);

/* The query of `batch` requests, [batch, q_len, heads][latent + rope] bf16. NULL only when memory is short. */
uint16_t *smla_trial_query(const snapmla_problem *problem, uint64_t seed, int32_t batch, size_t *bytes);

enum { SMLA_TRIAL_MOST_HEADS = 128 };
/* Sinks of the heads, about what the tokens of a trial weigh together. */
void smla_trial_sinks(int32_t heads, float sinks[SMLA_TRIAL_MOST_HEADS]);

/* Lists of what is seen: of pages, one a request; in sparse decoding of slots, one a query token. */
int32_t smla_trial_lists(const snapmla_problem *problem, int32_t batch);

/* Fills args' shapes and strides for dense tensors of `batch` requests and `entries` a list; no pointers. */
void smla_trial_args(const snapmla_problem *problem, const snapmla_page_layout *layout, int32_t batch, int64_t pages,
                     int64_t entries, snapmla_decode_args *args);

/* Makes the device buffers for args (as smla_trial_args fills them), `tables` sets of lists and no workspace yet; sinks are filled in. */
snapmla_status smla_trial_call_create(snapmla_context *context, const snapmla_problem *problem,
                                      const snapmla_decode_args *args, int64_t tables, smla_trial_call *out);
/* A workspace for the plan, if there is none as large. */
snapmla_status smla_trial_call_workspace(snapmla_context *context, const snapmla_plan *plan, smla_trial_call *call);
void smla_trial_call_destroy(smla_trial_call *call);

#endif
