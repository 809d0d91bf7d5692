/* Tuning: the search over a problem's variants, and what it leaves behind. */
#include "tuner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "clock.h"
#include "log.h"
#include "plan_make.h"
#include "search.h"
#include "status.h"
#include "tryout.h"
#include "tune_store.h"

/* How much each effort does; docs/tuning.md shows it. */
static const smla_search_options efforts[] = {
    [SNAPMLA_EFFORT_MEASURE] =
        {.most_tried = 8, .most_slower = 1.5, .first_samples = 5, .finalists = 3, .pair_rounds = 9},
    [SNAPMLA_EFFORT_PATIENT] =
        {.most_tried = 24, .most_slower = 3, .first_samples = 9, .finalists = 4, .pair_rounds = 21},
    [SNAPMLA_EFFORT_EXHAUSTIVE] = {.first_samples = 9, .finalists = 6, .pair_rounds = 31},
};
static const double noise_floor = 0.01;
enum { COMPILES_PER_WORKER = 2 };
static const char decode_family[] = "mla_decode";
/* Whose axes are searched around the best decode kernel, from PATIENT on. Not the schedule's: it is launched before what is timed. */
static const char *const around[] = {"mla_combine", "query_quant"};

/* --- the search's callbacks ------------------------------------------------------------------------------------- */

typedef struct session {
  const smla_tuning *tuning;
  const snapmla_plan_options *options;
  smla_tryout *tryout;
  smla_candidate *candidates;
  size_t count;
  snapmla_plan_report *report;
  smla_measurements measured;
} session;

static void on_compile(void *user, const size_t *which, size_t count, smla_verdict *verdicts) {
  session *s = user;
  const char **texts = calloc(count, sizeof *texts);
  for (size_t i = 0; i < count; i++) {
    if (texts)
      texts[i] = s->candidates[which[i]].text;
    else
      smla_verdict_fail(&verdicts[i], SMLA_FATE_FAILED, "out of memory: a list of candidates");
  }
  if (texts) smla_tryout_compile(s->tryout, texts, count, verdicts);
  free(texts);
}

/* What crashed, hung or lied is kept from being tried again. */
static void mark(const session *s, size_t candidate, const smla_verdict *verdict) {
  if (verdict->ok ||
      (verdict->fate != SMLA_FATE_CRASHED && verdict->fate != SMLA_FATE_HUNG && verdict->fate != SMLA_FATE_WRONG))
    return;
  const char *text = s->candidates[candidate].text;
  smla_log(SMLA_LOG_ERROR, "%s %s: %s", text, smla_fate_name(verdict->fate), verdict->reason);
  if (!(s->options->flags & SNAPMLA_PLAN_NO_WRITE) &&
      smla_tuning_quarantine(&s->tuning->key, text, smla_fate_name(verdict->fate), verdict->reason))
    smla_log(SMLA_LOG_WARNING, "not quarantined: %s", snapmla_error_message());
}

static void on_check(void *user, size_t candidate, smla_verdict *verdict) {
  session *s = user;
  smla_tryout_check(s->tryout, s->candidates[candidate].text, verdict);
  mark(s, candidate, verdict);
}

static void on_time(void *user, size_t candidate, size_t count, double *microseconds, smla_verdict *verdict) {
  session *s = user;
  smla_tryout_time(s->tryout, s->candidates[candidate].text, count, microseconds, verdict);
  mark(s, candidate, verdict);
}

static int on_progress(void *user, const smla_search_progress *p) {
  session *s = user;
  const snapmla_tune_progress progress = {.size = sizeof progress,
                                          .phase = p->phase,
                                          .done = (int64_t)p->done,
                                          .total = (int64_t)p->total,
                                          .candidate = p->candidate,
                                          .best_us = p->best_us};
  return s->options->progress ? s->options->progress(s->options->progress_user, &progress) : 0;
}

/* --- what is remembered ----------------------------------------------------------------------------------------- */

/* The artifact's key of a decode variant that was compiled just now; "" where it cannot be told. */
static void artifact_of(const session *s, const char *variant, char key[SMLA_HASH_HEX]) {
  smla_build build = {.generator = s->tuning->generator,
                      .target = s->tuning->context->device->target,
                      .variant = variant,
                      .no_jit = 1,
                      .no_write = 1};
  key[0] = 0;
  if (!smla_build_run(&build)) memcpy(key, build.image->key, SMLA_HASH_HEX);
  smla_build_clear(&build);
}

static snapmla_status remember(session *s, size_t candidate, const smla_search_entry *e) {
  const smla_tuning *t = s->tuning;
  char *variants[SMLA_FAMILY_COUNT];
  smla_buffer text = {0};
  int64_t tokens = 0;
  snapmla_status status = smla_plan_variants(t->generator, &t->problem, s->candidates[candidate].text, variants);
  if (status) return status;
  status = smla_plan_variants_text(variants, &text);
  if (!status) {
    smla_measurement m = {.variant = text.data,
                          .modelled = t->context->device->target == SNAPMLA_TARGET_EMULATOR,
                          .us = e->median_us,
                          .spread = e->spread,
                          .samples = (int)e->samples,
                          .effort = (int)s->options->effort,
                          .final = e->final || e->fate == SMLA_FATE_WON,
                          .won = e->fate == SMLA_FATE_WON};
    memcpy(m.device, t->key.device, sizeof m.device);
    smla_problem_key_text(&t->key.problem, m.problem);
    memcpy(m.target, t->key.target, sizeof m.target);
    memcpy(m.templates, t->key.templates, sizeof m.templates);
    smla_tuning_soft_facts(t->context, m.soft_facts);
    smla_tryout_shape(s->tryout, &m.timed_batch, &tokens);
    m.timed_context = (int)(tokens > 0x7fffffff ? 0x7fffffff : tokens);
    smla_measurement_key(m.variant, m.target, m.templates, m.key);
    if (m.won) artifact_of(s, variants[SMLA_MLA_DECODE], m.artifact);
    status = smla_wisdom_renew(&s->measured, &m);
  }
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) free(variants[i]);
  smla_buffer_free(&text);
  return status;
}

/* A later search of the same session has the say on what won. */
static void forget_winners(session *s) {
  for (size_t i = 0; i < s->measured.count; i++) s->measured.items[i].won = 0;
}

static snapmla_status publish(session *s) {
  snapmla_context *context = s->tuning->context;
  pthread_mutex_lock(&context->lock);
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < s->measured.count && !status; i++)
    status = smla_wisdom_renew(context->wisdom, &s->measured.items[i]);
  pthread_mutex_unlock(&context->lock);
  for (size_t i = 0; i < s->measured.count && !status && !(s->options->flags & SNAPMLA_PLAN_NO_WRITE); i++)
    if (smla_tune_store_write(&s->measured.items[i])) {
      smla_log(SMLA_LOG_WARNING, "measurements are kept in memory alone: %s", snapmla_error_message());
      break;
    }
  return status;
}

/* --- one search ------------------------------------------------------------------------------------------------- */

static void count_fates(const session *s, const smla_search_entry *entries, snapmla_plan_report *report) {
  for (size_t i = 0; i < s->count; i++) {
    const smla_search_entry *e = &entries[i];
    report->candidates++;
    report->tried += e->fate != SMLA_FATE_PRUNED && e->fate != SMLA_FATE_QUARANTINED && e->fate != SMLA_FATE_UNCHECKED;
    report->failed += e->fate >= SMLA_FATE_CRASHED && e->fate <= SMLA_FATE_FAILED;
    report->failed += e->fate == SMLA_FATE_COMPILE_FAILED;
    report->quarantined += e->fate == SMLA_FATE_QUARANTINED;
    report->timed += e->samples > 0;
  }
}

/* Searches the variants of one family around `base`; *winner, owned by the caller, is replaced where something was found. */
static snapmla_status search_family(session *s, const char *family, smla_search_options options, char **winner) {
  const smla_tuning *t = s->tuning;
  snapmla_status status =
      smla_candidates_make(t->generator, &t->problem, family, *winner, NULL, NULL, &s->candidates, &s->count);
  if (status) return status;
  smla_search_entry *entries = calloc(s->count + 1, sizeof *entries);
  smla_search_result result = {0};
  if (!entries) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a search");
  double tokens = 0.58 * smla_work_tokens(&t->problem); /* the mean of the mix that is timed */
  for (size_t i = 0; i < s->count && !status; i++) {
    smla_mark known;
    entries[i].model_us = smla_tuning_model(t, &s->candidates[i], t->problem.max_batch, tokens);
    if (smla_tuning_mark(&t->key, s->candidates[i].text, &known)) continue;
    entries[i].fate = SMLA_FATE_QUARANTINED;
    snprintf(entries[i].reason, sizeof entries[i].reason, "%s: %.300s", known.fate, known.reason);
    smla_mark_clear(&known);
  }
  int is_decode = !strcmp(family, decode_family);
  if (!status && (is_decode || s->count > 1)) {
    const smla_search_ops ops = {s, on_compile, on_check, on_time, on_progress};
    status = smla_search_run(s->candidates, s->count, &options, &ops, entries, &result);
  }
  if (!status) count_fates(s, entries, s->report);
  if (!status && result.found) {
    if (result.timed) forget_winners(s);
    for (size_t i = 0; i < s->count && !status; i++)
      if (entries[i].samples) status = remember(s, i, &entries[i]);
    char *text = strdup(s->candidates[result.winner].text);
    if (text) {
      free(*winner);
      *winner = text;
    }
    s->report->provenance = SNAPMLA_PROVENANCE_EXACT;
    if (result.timed) {
      s->report->microseconds = entries[result.winner].median_us;
      s->report->time_kind =
          t->context->device->target == SNAPMLA_TARGET_EMULATOR ? SNAPMLA_TIME_MODELLED : SNAPMLA_TIME_MEASURED;
      s->report->tied = (int32_t)result.tied;
      s->report->noise = result.band;
    }
  }
  s->report->deadline_passed |= result.deadline_passed;
  s->report->cancelled |= result.cancelled;
  free(entries);
  smla_candidates_free(s->candidates, s->count);
  return status;
}

snapmla_status smla_tuning_search(const smla_tuning *t, const snapmla_plan_options *options, char **override_text,
                                  snapmla_plan_report *report) {
  double start = smla_clock_seconds();
  int workers = options->workers > 0 ? options->workers : smla_clock_cores();
  const smla_tryout_options tryout = {options->flags, options->memory_limit_bytes, workers, options->candidate_seconds};
  smla_search_options search = efforts[options->effort];
  search.noise_floor = noise_floor;
  search.default_margin = smla_default_margin;
  search.compile_batch = (size_t)(workers * COMPILES_PER_WORKER);
  if (options->deadline_seconds > 0) search.deadline = start + options->deadline_seconds;
  session s = {.tuning = t, .options = options, .report = report};
  char *winner = NULL;
  snapmla_status status = smla_tryout_create(t->context, &t->problem, &tryout, &s.tryout);
  if (!status) status = search_family(&s, decode_family, search, &winner);
  for (size_t i = 0; i < sizeof around / sizeof *around; i++)
    if (!status && winner && options->effort >= SNAPMLA_EFFORT_PATIENT && !report->deadline_passed &&
        !report->cancelled)
      status = search_family(&s, around[i], search, &winner);
  if (!status) status = publish(&s);
  if (s.tryout) smla_tryout_shape(s.tryout, &report->timed_batch, &report->timed_tokens);
  report->effort = options->effort;
  report->seconds = smla_clock_seconds() - start;
  smla_tryout_destroy(s.tryout);
  smla_measurements_free(&s.measured);
  if (status)
    free(winner);
  else
    *override_text = winner;
  return status;
}
