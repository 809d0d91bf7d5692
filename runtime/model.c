/* The cost model by the public API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_make.h"
#include "problem_settings.h"
#include "status.h"
#include "struct_size.h"
#include "tuner.h"

enum { MOST_MACHINES = 16 };

const char *const *snapmla_machine_names(void) {
  static const char *names[MOST_MACHINES + 1];
  size_t count;
  const smla_machine *machines = smla_machines(&count);
  for (size_t i = 0; i < count && i < MOST_MACHINES; i++) names[i] = machines[i].name; /* always the same pointers */
  return names;
}

static snapmla_status unknown_machine(const char *name) {
  char known[256] = "";
  size_t used = 0;
  for (const char *const *n = snapmla_machine_names(); *n && used < sizeof known; n++)
    used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", *n);
  return smla_fail(SNAPMLA_INVALID_ARGUMENT, "machine \"%s\" is not known; give one of %s", name, known);
}

/* The decode variant of an override, as a candidate. */
static snapmla_status candidate_of(const smla_generator *generator, const snapmla_problem *problem, const char *text,
                                   smla_candidate *out) {
  smla_buffer variant = {0};
  smla_quantity *quantities = NULL;
  size_t count = 0;
  snapmla_status status = smla_problem_resolve(generator, problem, "mla_decode", text, &variant);
  if (!status) status = smla_generator_describe(generator, variant.data, &quantities, &count);
  smla_candidate c = {.text = status ? NULL : smla_buffer_take(&variant)};
  c.numbers = status ? NULL : calloc(count + 1, sizeof *c.numbers);
  c.number_count = count;
  for (size_t i = 0; c.numbers && i < count; i++) {
    memcpy(c.numbers[i].name, quantities[i].name, sizeof quantities[i].name);
    c.numbers[i].value = (double)quantities[i].value;
  }
  if (!status && (!c.text || !c.numbers)) status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a model");
  free(quantities);
  smla_buffer_free(&variant);
  if (status) {
    free(c.text);
    free(c.numbers);
    return status;
  }
  *out = c;
  return SNAPMLA_OK;
}

/* A context that stands for a machine of that name: enough of one to model with. */
static snapmla_status open_tuning(snapmla_context *context, const char *machine, const snapmla_problem *problem,
                                  smla_tuning *t, snapmla_context **own) {
  const smla_machine *named = machine ? smla_machine_find(machine) : NULL;
  if (machine && !named) return unknown_machine(machine);
  if (!machine && !context)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context and machine are both NULL; give one of them");
  snapmla_status status = SNAPMLA_OK;
  const snapmla_context_options options = {.size = sizeof options, .device = "emulator"};
  if (!context) status = snapmla_context_create(&options, own);
  if (!status)
    status = smla_tuning_open(context ? context : *own, problem, machine ? SMLA_TUNING_BLIND : SMLA_TUNING_ALL, t);
  if (!status && named) t->machine = *named;
  return status;
}

snapmla_status snapmla_model_query(snapmla_context *context, const char *machine, const snapmla_problem *problem,
                                   const char *variant, double batch, double tokens, snapmla_model_point *out) {
  if (!out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "out is NULL; pass where the point goes");
  snapmla_status status = smla_struct_size_check("snapmla_model_point", out, out->size, sizeof *out);
  if (!status) status = snapmla_problem_check(problem);
  if (status) return status;
  if (!(batch >= 1) || !(tokens >= 1) || !(batch <= 1e9) || !(tokens <= 1e9))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "batch is %g and tokens %g, they must be at least 1", batch, tokens);
  smla_tuning t = {0};
  snapmla_context *own = NULL;
  smla_candidate c = {0};
  char *chosen = NULL;
  status = open_tuning(context, machine, problem, &t, &own);
  if (!status && !variant) status = smla_tuning_estimate(&t, batch, tokens, &chosen, NULL);
  if (!status) status = candidate_of(t.generator, problem, variant ? variant : chosen, &c);
  if (!status) {
    const smla_work work = smla_work_of(problem, batch, tokens);
    smla_cost cost;
    smla_cost_estimate(&t.machine, &work, &c, &cost);
    snapmla_model_point p = {.size = out->size,
                             .total_us = cost.total_us,
                             .hbm_us = cost.hbm_us,
                             .tensor_us = cost.tensor_us,
                             .shared_us = cost.shared_us,
                             .special_us = cost.special_us,
                             .latency_us = cost.latency_us,
                             .combine_us = cost.combine_us,
                             .fixed_us = cost.fixed_us,
                             .calibrated_us = smla_tuning_model(&t, &c, batch, tokens),
                             .calibration_samples = (int32_t)t.calibration.samples,
                             .bytes = cost.bytes,
                             .bound = cost.bound};
    p.tokens_per_second = batch * problem->q_len / p.calibrated_us * 1e6;
    snprintf(p.variant, sizeof p.variant, "%s", c.text);
    *out = p;
  }
  free(chosen);
  free(c.text);
  free(c.numbers);
  smla_tuning_close(&t);
  snapmla_context_destroy(own);
  return status;
}
