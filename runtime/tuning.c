/* What is known of a problem before it is tuned: wisdom, and the cost model that measurements correct. */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "plan_make.h"
#include "status.h"
#include "target_name.h"
#include "tune_store.h"
#include "tuner.h"

const double smla_default_margin = 1.02;
enum { CALIBRATION_SAMPLES = 64 };
static const char decode_family[] = "mla_decode";

/* --- what is known ---------------------------------------------------------------------------------------------- */

/* `context` may be NULL. */
static snapmla_status gather(snapmla_context *context, const smla_wisdom_selector *selector, smla_measurements *out) {
  smla_measurements stored = {0};
  snapmla_status status = smla_wisdom_shipped(out);
  if (!status && smla_tune_store_read(selector, &stored))
    smla_log(SMLA_LOG_WARNING, "stored wisdom not used: %s", snapmla_error_message());
  if (!status) status = smla_wisdom_merge(out, &stored);
  smla_measurements_free(&stored);
  if (!context) return status;
  pthread_mutex_lock(&context->lock);
  if (!status) status = smla_wisdom_merge(out, context->wisdom);
  pthread_mutex_unlock(&context->lock);
  return status;
}

/* Model and measurement of what this device class was timed with. */
static snapmla_status calibrate(smla_tuning *t) {
  smla_calibration_sample samples[CALIBRATION_SAMPLES];
  size_t count = 0;
  for (size_t i = 0; i < t->known.count && count < CALIBRATION_SAMPLES; i++) {
    const smla_measurement *m = &t->known.items[i];
    smla_problem_key problem;
    if (strcmp(m->device, t->key.device) || strcmp(m->target, t->key.target) || m->timed_batch < 1 ||
        !smla_problem_key_read(m->problem, &problem) || strncmp(m->variant, decode_family, strlen(decode_family)))
      continue;
    smla_quantity *quantities = NULL;
    size_t numbers = 0;
    char *variant = strndup(m->variant, strcspn(m->variant, ";"));
    if (!variant) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a calibration");
    if (!smla_generator_describe(t->generator, variant, &quantities, &numbers)) {
      smla_candidate candidate = {.numbers = calloc(numbers + 1, sizeof(smla_number)), .number_count = numbers};
      for (size_t k = 0; candidate.numbers && k < numbers; k++) {
        memcpy(candidate.numbers[k].name, quantities[k].name, sizeof quantities[k].name);
        candidate.numbers[k].value = (double)quantities[k].value;
      }
      const smla_work work = {m->timed_batch,      (double)m->timed_context / m->timed_batch,
                              problem.heads,       problem.q_len,
                              problem.latent_rank, problem.rope_dim};
      smla_cost cost;
      if (candidate.numbers) {
        smla_cost_estimate(&t->machine, &work, &candidate, &cost);
        samples[count++] = (smla_calibration_sample){cost.total_us, m->us};
      }
      free(candidate.numbers);
    }
    free(quantities);
    free(variant);
  }
  smla_calibration_fit(samples, count, &t->calibration);
  return SNAPMLA_OK;
}

/* `context` may be NULL. */
static snapmla_status open_on(snapmla_context *context, const smla_generator *generator, const smla_device_facts *facts,
                              snapmla_target target, const snapmla_problem *problem, smla_tuning_reach reach,
                              smla_tuning *out) {
  smla_tuning t = {.context = context, .generator = generator, .problem = *problem};
  char here[SMLA_PROBLEM_KEY_MAX];
  snapmla_status status = smla_tuning_key(generator, problem, facts, target, &t.key);
  if (status) return status;
  t.machine = smla_machine_of(facts);
  smla_problem_key_text(&t.key.problem, here);
  smla_calibration_fit(NULL, 0, &t.calibration);
  const smla_wisdom_selector own = {.device = t.key.device, .problem = here};
  if (reach != SMLA_TUNING_BLIND) status = gather(context, reach == SMLA_TUNING_ALL ? NULL : &own, &t.known);
  if (!status && reach == SMLA_TUNING_ALL) status = calibrate(&t);
  if (status)
    smla_measurements_free(&t.known);
  else
    *out = t;
  return status;
}

snapmla_status smla_tuning_open(snapmla_context *context, const snapmla_problem *problem, smla_tuning_reach reach,
                                smla_tuning *out) {
  smla_device_facts facts;
  context->device->ops->facts(context->device, &facts);
  return open_on(context, context->generator, &facts, context->device->target, problem, reach, out);
}

snapmla_status smla_tuning_open_class(const smla_generator *generator, const char *device_class, snapmla_target target,
                                      const snapmla_problem *problem, smla_tuning_reach reach, smla_tuning *out) {
  smla_device_facts facts;
  if (!smla_target_runs(target, device_class) || !smla_device_class_facts(device_class, &facts))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "no device of class \"%.100s\" runs kernels for %s; name another class or target", device_class,
                     smla_target_name(target));
  return open_on(NULL, generator, &facts, target, problem, reach, out);
}

void smla_tuning_close(smla_tuning *tuning) { smla_measurements_free(&tuning->known); }

int smla_tuning_usable(void *user, const smla_measurement *measurement) {
  const smla_tuning *t = user;
  char *variants[SMLA_FAMILY_COUNT];
  smla_mark mark;
  if (strcmp(measurement->templates, t->key.templates)) { /* of the same templates it was legal, and still is */
    if (smla_plan_variants(t->generator, &t->problem, measurement->variant, variants)) return 0;
    for (int i = 0; i < SMLA_FAMILY_COUNT; i++) free(variants[i]);
  }
  if (smla_tuning_mark(&t->key, measurement->variant, &mark)) return 1;
  smla_mark_clear(&mark);
  return 0;
}

/* --- the model -------------------------------------------------------------------------------------------------- */

double smla_tuning_model(const smla_tuning *t, const smla_candidate *candidate, double batch, double tokens) {
  smla_cost cost;
  const smla_work work = smla_work_of(&t->problem, batch, tokens);
  smla_cost_estimate(&t->machine, &work, candidate, &cost);
  return cost.total_us * t->calibration.factor;
}

snapmla_status smla_tuning_estimate(const smla_tuning *t, double batch, double tokens, char **override_text,
                                    double *us) {
  smla_candidate *all = NULL;
  size_t count = 0, best = 0;
  snapmla_status status =
      smla_candidates_make(t->generator, &t->problem, decode_family, NULL, NULL, NULL, &all, &count);
  double *modelled = status ? NULL : calloc(count + 1, sizeof *modelled);
  if (!status && !modelled) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an estimate");
  for (size_t i = 0; i < count && !status; i++) modelled[i] = smla_tuning_model(t, &all[i], batch, tokens);
  for (size_t tried = 0; tried < count && !status; tried++) {
    best = count;
    for (size_t i = 0; i < count; i++)
      if (modelled[i] > 0 && (best == count || modelled[i] < modelled[best])) best = i;
    for (size_t i = 0; i < count && best < count; i++)
      if (all[i].is_default && modelled[i] > 0 && modelled[i] <= modelled[best] * smla_default_margin) best = i;
    smla_mark mark;
    if (best == count || smla_tuning_mark(&t->key, all[best].text, &mark)) break;
    smla_mark_clear(&mark);
    modelled[best] = -1; /* quarantined */
  }
  if (!status && (!count || best == count))
    status = smla_fail(SNAPMLA_NOT_FOUND,
                       "no variant of %s is left for this problem: all are quarantined; see 'snapmla quarantine'",
                       decode_family);
  if (!status && us) *us = modelled[best];
  if (!status && !(*override_text = strdup(all[best].text)))
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an estimate");
  free(modelled);
  smla_candidates_free(all, count);
  return status;
}
