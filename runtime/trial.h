/* Trying a plan: is it right, and how fast is it? Data that resemble use, on the plan's device. One thread at a time. */
#ifndef SMLA_RUNTIME_TRIAL_H
#define SMLA_RUNTIME_TRIAL_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/memory.h>
#include <snapmla/plan.h>

/* --- a guarded buffer -------------------------------------------------------------------------------------------- */

/* Device memory with a pattern on either side that nothing may change. */
typedef struct smla_guarded {
  snapmla_buffer *buffer;
  void *pointer; /* of the middle */
  size_t bytes;
} smla_guarded;

/* The middle is 0xff (NaN) throughout. Errors: OUT_OF_MEMORY, DEVICE. */
snapmla_status smla_guarded_create(snapmla_context *context, size_t bytes, smla_guarded *out);
void smla_guarded_destroy(smla_guarded *guarded);
snapmla_status smla_guarded_write(smla_guarded *guarded, size_t offset, const void *data, size_t bytes);
snapmla_status smla_guarded_read(const smla_guarded *guarded, void *data);
/* INTERNAL, naming `what`, where the pattern was changed. */
snapmla_status smla_guarded_verify(const smla_guarded *guarded, const char *what);

/* --- a call's tensors -------------------------------------------------------------------------------------------- */

enum {
  SMLA_TRIAL_Q,
  SMLA_TRIAL_KV,
  SMLA_TRIAL_TABLE,
  SMLA_TRIAL_LENGTHS,
  SMLA_TRIAL_SINKS, /* of no bytes where the problem has none */
  SMLA_TRIAL_OUT,
  SMLA_TRIAL_LSE,
  SMLA_TRIAL_WORKSPACE,
  SMLA_TRIAL_BUFFERS
};

typedef struct smla_trial_call {
  smla_guarded buffers[SMLA_TRIAL_BUFFERS];
  snapmla_decode_args args;
} smla_trial_call;

/* --- the correctness gate ---------------------------------------------------------------------------------------- */

typedef struct smla_trial_check smla_trial_check;

/* A few requests of uneven length in shuffled pages, NaN in all that must not be read, and the oracle's result for them.
 * Errors: OUT_OF_MEMORY, and those of snapmla_reference_decode. */
snapmla_status smla_trial_check_create(snapmla_context *context, const snapmla_problem *problem,
                                       smla_trial_check **out);
void smla_trial_check_destroy(smla_trial_check *check);

/* OK where the plan's result is within its accuracy level's limits of the oracle, twice with the same bits, and nothing
 * around it changed: guards, cache, query. *wrong: nonzero where it ran and its result is to blame.
 * Errors: INTERNAL (wrong: what, and by how much), EMULATOR_FAULT, DEVICE, OUT_OF_MEMORY. */
snapmla_status smla_trial_check_run(smla_trial_check *check, const snapmla_plan *plan, int *wrong);

/* --- timing ------------------------------------------------------------------------------------------------------ */

typedef struct smla_trial_timer smla_trial_timer;

/* Requests of skewed lengths up to the problem's largest, in shuffled pages, and as many such sets as exceed twice the L2
 * cache, which calls take in turns. Where that needs more than `memory_limit` bytes (0: half of what is free; on the
 * emulator 1 GiB), or more work than an emulator does in a second, fewer requests, then shorter ones, stand for them.
 * Errors: OUT_OF_MEMORY (not even the smallest fits), DEVICE. */
snapmla_status smla_trial_timer_create(snapmla_context *context, const snapmla_problem *problem, size_t memory_limit,
                                       smla_trial_timer **out);
void smla_trial_timer_destroy(smla_trial_timer *timer);
void smla_trial_timer_shape(const smla_trial_timer *timer, int32_t *batch, int64_t *tokens);

/* `count` samples, each the mean of as many calls as take about 200 us, in microseconds a call. On a GPU samples during
 * which NVML reports throttling are repeated, up to three times; on the emulator, whose model has no noise, one call is all
 * samples. Errors: those of snapmla_plan_decode, OUT_OF_MEMORY. */
snapmla_status smla_trial_timer_run(smla_trial_timer *timer, const snapmla_plan *plan, size_t count,
                                    double *microseconds);

#endif
