/* snapmla verify: kinds of data over lengths, each request against the oracles. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "commands.h"
#include "console.h"
#include "digest.h"
#include "json_output.h"
#include "outcome.h"
#include "plan_maker.h"
#include "problem.h"
#include "session.h"
#include "workload.h"

static const char default_context[] = "0,1,63,64,65,700,4096";
enum { DEFAULT_HEADS = 16, REPEAT = 5 };

/* The kinds; --data, --sigma and --value-offset choose among them or, where none fits, replace sigma and offset. */
static const smla_data kinds[] = {
    {.kind = SMLA_DATA_NORMAL, .sigma = 0.3},
    {.kind = SMLA_DATA_NORMAL, .sigma = 0.3, .value_offset = 1},
    {.kind = SMLA_DATA_NORMAL, .sigma = 1},
    {.kind = SMLA_DATA_NORMAL, .sigma = 1, .value_offset = 1},
    {.kind = SMLA_DATA_NORMAL, .sigma = 3},
    {.kind = SMLA_DATA_NORMAL, .sigma = 3, .value_offset = 1},
    {.kind = SMLA_DATA_NORMAL, .sigma = 8},
    {.kind = SMLA_DATA_NORMAL, .sigma = 8, .value_offset = 1},
    {.kind = SMLA_DATA_SINK, .sigma = 1},
    {.kind = SMLA_DATA_UNIFORM, .sigma = 1},
    {.kind = SMLA_DATA_UNIFORM, .sigma = 1, .value_offset = 1},
    {.kind = SMLA_DATA_OUTLIER, .sigma = 1},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct report {
  const smla_settings *settings;
  snapmla_context *context;
  const snapmla_device_info *info;
  char used[512]; /* the plan's own text */
  smla_outcome total;
  json_t *cases; /* NULL: print a table */
} report;

static int wanted(const smla_settings *settings, int k) {
  const smla_data *data = &kinds[k];
  if (settings->data >= 0 && data->kind != (smla_data_kind)settings->data) return 0;
  /* a sigma or offset of its own: each kind once */
  for (int before = 0; before < k; ++before) {
    int same_sigma = !isnan(settings->sigma) || kinds[before].sigma == data->sigma;
    int same_offset = !isnan(settings->value_offset) || kinds[before].value_offset == data->value_offset;
    if (kinds[before].kind == data->kind && same_sigma && same_offset) return 0;
  }
  return 1;
}

static void add_case(json_t *cases, const smla_workload *work, int32_t request, const smla_distance *distance, int ok) {
  json_t *entry = json_object();
  smla_json_set(entry, "ok", json_boolean(ok));
  smla_json_set(entry, "data", json_string(smla_data_names[work->data.kind]));
  smla_json_set(entry, "sigma", smla_json_real(work->data.sigma));
  smla_json_set(entry, "value_offset", smla_json_real(work->data.value_offset));
  smla_json_set(entry, "length", json_integer(work->lengths.items[request]));
  smla_distance_json(entry, distance);
  json_array_append_new(cases, entry);
}

static void print_header(void) {
  puts("worst of all lengths    the oracle:          that rounds P:       lse:              the format");
  puts("data     sigma offset   rel. L2  of limit   rel. L2  of limit  absolute of limit  adds");
}

static void print_row(const smla_workload *work, const smla_outcome *outcome) {
  const smla_distance *d = &outcome->distance;
  char sigma[16] = "-";
  if (work->data.kind != SMLA_DATA_UNIFORM) snprintf(sigma, sizeof sigma, "%g", work->data.sigma);
  char rounded[32] = "        -         -"; /* the level has no such oracle */
  if (outcome->limits.rounded > 0)
    snprintf(rounded, sizeof rounded, "%9.2e %7.0f %%", d->rel_l2_rounded, 100 * d->rounded_ratio);
  printf("%-8s %5s %6g %9.2e %7.0f %% %s %8.1e %5.0f %%  %.2e  %s\n", smla_data_names[work->data.kind], sigma,
         work->data.value_offset, d->rel_l2, 100 * d->rel_l2_ratio, rounded, d->lse_abs, 100 * d->lse_ratio,
         d->quantization, outcome->ok ? "ok" : "FAILED");
  if (d->not_finite) printf("%9s%" PRId64 " elements are not finite\n", "", d->not_finite);
  if (d->cache_wrong) printf("%9s%" PRId64 " bytes of the cache are not the reference's\n", "", d->cache_wrong);
  if (outcome->status_word) printf("%9sthe device's status word is %" PRIu32 "\n", "", outcome->status_word);
  if (!outcome->same_bits) printf("%9sa repeated decode gave other bits\n", "");
}

/* Compares every request of a decoded batch. */
static snapmla_status compare_all(report *rep, const smla_session *session, const uint16_t *out, const float *lse,
                                  smla_outcome *outcome) {
  const smla_workload *work = session->work;
  size_t rows = (size_t)work->problem.heads * (size_t)work->problem.q_len;
  size_t values = rows * (size_t)work->problem.latent_rank;
  for (int32_t b = 0; b < work->lengths.count; ++b) {
    smla_distance one;
    smla_console_progress("%s: comparing with the oracle: request %d of %d, %d tokens",
                          smla_data_names[work->data.kind], b + 1, work->lengths.count, work->lengths.items[b]);
    snapmla_status status =
        smla_check_request(session, &outcome->limits, 0, b, out + (size_t)b * values, lse + (size_t)b * rows, &one);
    if (status) return status;
    if (rep->cases) add_case(rep->cases, work, b, &one, smla_distance_ok(&one));
    smla_distance_add(&outcome->distance, &one);
  }
  return SNAPMLA_OK;
}

static snapmla_status decode(report *rep, smla_session *session, uint16_t *out, float *lse, smla_outcome *outcome) {
  const smla_workload *work = session->work;
  size_t out_bytes = smla_session_out_count(work) * sizeof *out, lse_bytes = smla_session_lse_count(work) * sizeof *lse;
  snapmla_status status = smla_session_fill(session);
  if (!status) status = smla_session_step(session, 0, &outcome->time_us);
  if (!status) status = smla_session_read(session, out, lse, &outcome->status_word);
  if (status) return status;
  outcome->digest = smla_digest(smla_digest(SMLA_DIGEST_START, out, out_bytes), lse, lse_bytes);
  if (rep->info->is_emulator) return SNAPMLA_OK;
  status = smla_session_repeat(session, REPEAT, &outcome->time_us);
  if (!status) status = smla_session_read(session, out, lse, &outcome->status_word);
  outcome->same_bits = outcome->digest == smla_digest(smla_digest(SMLA_DIGEST_START, out, out_bytes), lse, lse_bytes);
  return status;
}

static void add_to_total(report *rep, const smla_session *session, const smla_outcome *outcome) {
  smla_outcome *total = &rep->total;
  if (!total->requests) { /* the first kind's time and bytes stand for all: their shapes are the same */
    total->time_us = outcome->time_us;
    total->bytes = outcome->bytes;
    snprintf(rep->used, sizeof rep->used, "%s", snapmla_plan_variant(session->plan, "mla_decode"));
  }
  total->ok = total->ok && outcome->ok;
  total->requests += session->work->lengths.count;
  total->digest = smla_digest(total->digest, &outcome->digest, sizeof outcome->digest);
  total->same_bits = total->same_bits && outcome->same_bits;
  total->status_word |= outcome->status_word;
  smla_distance_add(&total->distance, &outcome->distance);
}

static snapmla_status verify_kind(report *rep, const smla_data *data) {
  smla_lengths lengths;
  smla_workload work = {0};
  snapmla_plan *plan = NULL;
  smla_session session = {0};
  uint16_t *out = NULL;
  float *lse = NULL;
  smla_outcome outcome = {.same_bits = 1, .distance = smla_distance_none()};
  snapmla_status status = smla_lengths_read(rep->settings, default_context, &lengths);
  if (!status)
    status = smla_workload_synthetic(rep->settings, &lengths, smla_workload_data(rep->settings, *data), &work);
  if (!status) status = smla_plan_of_settings(rep->settings, rep->context, &work.problem, &plan);
  if (!status) status = smla_session_open(rep->context, rep->info, &work, plan, &session);
  if (status) goto out;
  out = malloc(smla_session_out_count(&work) * sizeof *out);
  lse = malloc(smla_session_lse_count(&work) * sizeof *lse);
  if (!out || !lse) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the result");
    goto out;
  }
  outcome.limits = smla_limits_of(&work);
  outcome.bytes = smla_workload_bytes(&work);
  status = decode(rep, &session, out, lse, &outcome);
  if (!status) status = compare_all(rep, &session, out, lse, &outcome);
  if (status) goto out;
  outcome.ok = smla_outcome_judge(&outcome);
  add_to_total(rep, &session, &outcome);
  smla_console_progress_end();
  if (!rep->cases) print_row(&work, &outcome);
out:
  free(out);
  free(lse);
  smla_session_close(&session);
  smla_workload_free(&work);
  smla_lengths_free(&lengths);
  return status;
}

static snapmla_status print_total(report *rep) {
  smla_outcome *total = &rep->total;
  total->variant = rep->used;
  if (rep->cases) {
    json_t *root = smla_outcome_json(total);
    smla_json_set(root, "cases", rep->cases);
    rep->cases = NULL;
    return smla_json_print(root);
  }
  printf("\nvariant     %s\ndevice      %s (%s)\n", total->variant, rep->info->name, rep->info->product);
  printf("bytes       %" PRId64 " a decode call\ntime        %.2f us a decode call (%s)\n", total->bytes,
         total->time_us, smla_outcome_time_kind(rep->info));
  printf("compared    %d requests; worst rel. L2 %.3g, worst lse %.3g\n%s\n", total->distance.requests,
         total->distance.rel_l2, total->distance.lse_abs, total->ok ? "ok" : "FAILED");
  return SNAPMLA_OK;
}

smla_exit smla_command_verify(const smla_settings *given) {
  smla_settings settings = *given; /* the list in it stays given's */
  snapmla_device_info info;
  report rep = {.settings = &settings, .info = &info, .cases = given->json ? json_array() : NULL};
  rep.total = (smla_outcome){
      .ok = 1, .same_bits = 1, .info = &info, .digest = SMLA_DIGEST_START, .distance = smla_distance_none()};
  if (!settings.heads) settings.heads = DEFAULT_HEADS;
  snapmla_status status = smla_device_open(&settings, &rep.context, &info);
  if (!status && !rep.cases) print_header();
  for (int k = 0; k < KINDS && !status; ++k)
    if (wanted(&settings, k)) status = verify_kind(&rep, &kinds[k]);
  if (!status) status = print_total(&rep);
  if (status) {
    smla_console_error();
    if (settings.json) smla_json_print_failure(status);
  }
  json_decref(rep.cases);
  snapmla_context_destroy(rep.context);
  if (status) return smla_console_exit_code(status);
  return rep.total.ok ? SMLA_EXIT_OK : SMLA_EXIT_FAILED;
}
