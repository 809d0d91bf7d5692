/* snapmla run: one workload, from its data to its result. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <snapmla/snapmla.h>

#include "console.h"
#include "digest.h"
#include "input_tensors.h"
#include "json_output.h"
#include "outcome.h"
#include "plan_maker.h"
#include "problem.h"
#include "result_file.h"
#include "run.h"
#include "session.h"
#include "workload.h"

static const char default_context[] = "1024";
/* Multiply-adds that an oracle may spend per core of this machine, unless --check says how many requests. */
static const double effort_per_core = 5e9;
enum { DEFAULT_REPEAT = 20 };

typedef struct results {
  uint16_t *out; /* [batch, q_len, heads, latent_rank] */
  float *lse;    /* [batch, heads, q_len] */
} results;

static snapmla_status make_workload(const smla_settings *settings, smla_workload *work) {
  smla_data data = smla_workload_data(settings, (smla_data){.kind = SMLA_DATA_NORMAL, .sigma = 1});
  smla_lengths lengths;
  if (smla_input_tensors_given(settings)) return smla_workload_read(settings, data, work);
  snapmla_status status = smla_lengths_read(settings, default_context, &lengths);
  if (status) return status;
  status = smla_workload_synthetic(settings, &lengths, data, work);
  smla_lengths_free(&lengths);
  return status;
}

static uint64_t digest_of(uint64_t digest, const smla_workload *work, const results *r) {
  digest = smla_digest(digest, r->out, smla_session_out_count(work) * sizeof *r->out);
  return smla_digest(digest, r->lse, smla_session_lse_count(work) * sizeof *r->lse);
}

/* All steps, each compared within the effort; the last step's results stay in `r`. */
static snapmla_status run_steps(const smla_settings *settings, smla_session *session, results *r,
                                smla_outcome *outcome) {
  const smla_workload *work = session->work;
  snapmla_status status = SNAPMLA_OK;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  double all_effort = effort_per_core * (double)(cores > 0 ? cores : 1), effort = all_effort;
  for (int32_t step = 0; step < work->steps && !status; ++step) {
    uint32_t word = 0;
    status = smla_session_step(session, step, &outcome->time_us);
    if (!status) status = smla_session_read(session, r->out, r->lse, &word);
    if (status) break;
    outcome->status_word |= word;
    outcome->requests += work->lengths.count;
    outcome->digest = digest_of(outcome->digest, work, r);
    /* the last step is compared whatever the ones before it cost */
    if (step == work->steps - 1 && effort < all_effort / 2) effort = all_effort / 2;
    if (!settings->no_check && (effort > 0 || step == work->steps - 1))
      status = smla_outcome_compare(session, step, r->out, r->lse, settings->check, &effort, outcome);
  }
  return status;
}

/* On a GPU: the median of repeated calls, which must give the same bits. */
static snapmla_status time_decode(const smla_settings *settings, smla_session *session, const snapmla_device_info *info,
                                  results *r, smla_outcome *outcome) {
  uint64_t before = digest_of(SMLA_DIGEST_START, session->work, r);
  uint32_t word = 0;
  if (info->is_emulator) {
    if (settings->repeat) smla_console_note("--repeat is for a GPU: the emulator's time is modelled and does not vary");
    return SNAPMLA_OK;
  }
  snapmla_status status =
      smla_session_repeat(session, settings->repeat ? settings->repeat : DEFAULT_REPEAT, &outcome->time_us);
  if (!status) status = smla_session_read(session, r->out, r->lse, &word);
  outcome->status_word |= word;
  outcome->same_bits = before == digest_of(SMLA_DIGEST_START, session->work, r);
  return status;
}

static snapmla_status print_outcome(const smla_settings *settings, const smla_workload *work,
                                    const smla_outcome *outcome) {
  smla_console_progress_end();
  if (settings->json) return smla_json_print(smla_outcome_json(outcome));
  smla_outcome_print(work, outcome);
  return SNAPMLA_OK;
}

smla_exit smla_run(const smla_settings *settings, smla_plan_maker *make_plan) {
  snapmla_context *context = NULL;
  snapmla_device_info info;
  smla_workload work = {0};
  smla_session session = {0};
  results r = {0};
  snapmla_plan *plan = NULL;
  smla_outcome outcome = {.digest = SMLA_DIGEST_START, .same_bits = 1, .info = &info};
  snapmla_status status = smla_result_check_names(settings);
  if (!status) status = make_workload(settings, &work);
  if (!status) status = smla_device_open(settings, &context, &info);
  if (!status) status = make_plan(settings, context, &work.problem, &plan);
  if (!status) status = smla_session_open(context, &info, &work, plan, &session);
  if (status) goto out;
  outcome.variant = snapmla_plan_variant(session.plan, "mla_decode");
  outcome.bytes = smla_workload_bytes(&work);
  outcome.limits = smla_limits_of(&work);
  outcome.distance = smla_distance_none();
  r.out = malloc(smla_session_out_count(&work) * sizeof *r.out);
  r.lse = malloc(smla_session_lse_count(&work) * sizeof *r.lse);
  if (!r.out || !r.lse) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the result");
    goto out;
  }
  status = smla_session_fill(&session);
  if (!status) status = run_steps(settings, &session, &r, &outcome);
  if (!status) status = time_decode(settings, &session, &info, &r, &outcome);
  if (!status && settings->output) status = smla_result_save(settings, &work, &outcome, r.out, r.lse);
  if (!status && settings->save_cache) status = smla_result_save_cache(settings, &session);
  outcome.ok = smla_outcome_judge(&outcome);
  if (!status) status = print_outcome(settings, &work, &outcome);
out:
  if (status) {
    smla_console_error();
    if (settings->json) smla_json_print_failure(status);
  }
  free(r.out);
  free(r.lse);
  smla_session_close(&session);
  snapmla_context_destroy(context);
  smla_workload_free(&work);
  if (status) return smla_console_exit_code(status);
  return outcome.ok ? SMLA_EXIT_OK : SMLA_EXIT_FAILED;
}
