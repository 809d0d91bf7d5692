#include "tryout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "log.h"
#include "plan_make.h"
#include "status.h"
#include "trial.h"
#include "tryout_worker.h"

enum { PLANS = 12 /* kept loaded: more than there are finalists */ };

typedef struct kept_plan {
  char *text;
  snapmla_plan *plan;
  uint64_t used;
} kept_plan;

struct smla_tryout {
  snapmla_context *context;
  snapmla_problem problem;
  smla_tryout_options options;
  smla_tryout_worker *worker; /* NULL: in this process */
  smla_trial_check *check;
  smla_trial_timer *timer;
  kept_plan plans[PLANS];
  uint64_t uses;
  int32_t batch;
  int64_t tokens;
  int device_lost; /* a GPU's context does not survive a fault: what fails after the first is not to blame */
};

void smla_verdict_fail(smla_verdict *verdict, smla_fate fate, const char *reason) {
  verdict->ok = 0;
  verdict->fate = fate;
  snprintf(verdict->reason, sizeof verdict->reason, "%s", reason);
  for (char *c = verdict->reason; *c; c++)
    if (*c == '\n') *c = ' ';
}

snapmla_status smla_tryout_create(snapmla_context *context, const snapmla_problem *problem,
                                  const smla_tryout_options *options, smla_tryout **out) {
  smla_tryout *t = calloc(1, sizeof *t);
  if (!t) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a tryout");
  t->context = context;
  t->problem = *problem;
  t->options = *options;
  if ((options->flags & SNAPMLA_PLAN_ISOLATED) && smla_tryout_worker_create(context, problem, options, &t->worker)) {
    smla_log(SMLA_LOG_WARNING, "no worker process, candidates are tried in this one: %s", snapmla_error_message());
    t->worker = NULL;
  }
  *out = t;
  return SNAPMLA_OK;
}

void smla_tryout_destroy(smla_tryout *t) {
  if (!t) return;
  smla_tryout_worker_destroy(t->worker);
  for (int i = 0; i < PLANS; i++) {
    free(t->plans[i].text);
    snapmla_plan_destroy(t->plans[i].plan);
  }
  smla_trial_check_destroy(t->check);
  smla_trial_timer_destroy(t->timer);
  free(t);
}

/* The kernels of one candidate among the builds of all. */
static void set_verdict(smla_verdict *verdict, const smla_build *builds) {
  verdict->ok = 1;
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) {
    if (!builds[i].status) continue;
    smla_fate fate = builds[i].status == SNAPMLA_COMPILE || builds[i].status == SNAPMLA_TEMPLATE
                         ? SMLA_FATE_COMPILE_FAILED
                         : SMLA_FATE_FAILED;
    smla_verdict_fail(verdict, fate, builds[i].reason ? builds[i].reason : "out of memory");
    return;
  }
}

static void compile_here(smla_tryout *t, const char *const *texts, size_t count, smla_verdict *verdicts) {
  char *(*variants)[SMLA_FAMILY_COUNT] = calloc(count, sizeof *variants);
  smla_build *builds = calloc(count * SMLA_FAMILY_COUNT, sizeof *builds);
  size_t resolved = 0;
  for (size_t i = 0; i < count; i++) {
    if (!variants || !builds) {
      smla_verdict_fail(&verdicts[i], SMLA_FATE_FAILED, "out of memory: builds");
      continue;
    }
    if (smla_plan_variants(t->context->generator, &t->problem, texts[i], variants[resolved])) {
      smla_verdict_fail(&verdicts[i], SMLA_FATE_FAILED, snapmla_error_message());
      continue;
    }
    for (int f = 0; f < SMLA_FAMILY_COUNT; f++)
      builds[resolved * SMLA_FAMILY_COUNT + (size_t)f] =
          (smla_build){.generator = t->context->generator,
                       .target = t->context->device->target,
                       .variant = variants[resolved][f],
                       .no_write = (t->options.flags & SNAPMLA_PLAN_NO_WRITE) != 0};
    verdicts[i].ok = 1;
    resolved++;
  }
  if (resolved) (void)smla_build_all(builds, resolved * SMLA_FAMILY_COUNT, t->options.workers, NULL, NULL);
  for (size_t i = 0, r = 0; i < count && variants && builds; i++) {
    if (!verdicts[i].ok) continue;
    set_verdict(&verdicts[i], builds + r * SMLA_FAMILY_COUNT);
    for (int f = 0; f < SMLA_FAMILY_COUNT; f++) {
      smla_build_clear(&builds[r * SMLA_FAMILY_COUNT + (size_t)f]);
      free(variants[r][f]);
    }
    r++;
  }
  free(builds);
  free(variants);
}

/* The loaded plan of a candidate; owned by the tryout. */
static snapmla_status plan_of(smla_tryout *t, const char *text, snapmla_plan **out) {
  kept_plan *slot = &t->plans[0];
  for (int i = 0; i < PLANS; i++) {
    kept_plan *p = &t->plans[i];
    if (p->text && !strcmp(p->text, text)) {
      p->used = ++t->uses;
      *out = p->plan;
      return SNAPMLA_OK;
    }
    if (p->used < slot->used) slot = p;
  }
  snapmla_plan *plan = NULL;
  char *copy = strdup(text);
  snapmla_status status =
      copy ? smla_plan_make(t->context, &t->problem, text, t->options.flags & SNAPMLA_PLAN_NO_WRITE, &plan)
           : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a tryout");
  if (status) {
    free(copy);
    return status;
  }
  free(slot->text);
  snapmla_plan_destroy(slot->plan);
  *slot = (kept_plan){copy, plan, ++t->uses};
  *out = plan;
  return SNAPMLA_OK;
}

static smla_fate fate_of(smla_tryout *t, snapmla_status status, int wrong) {
  if (wrong) return SMLA_FATE_WRONG;
  if (status == SNAPMLA_DEVICE && t->device_lost) return SMLA_FATE_FAILED;
  if (status == SNAPMLA_DEVICE) t->device_lost = 1;
  return status == SNAPMLA_EMULATOR_FAULT || status == SNAPMLA_DEVICE ? SMLA_FATE_CRASHED : SMLA_FATE_FAILED;
}

static void check_here(smla_tryout *t, const char *text, smla_verdict *verdict) {
  snapmla_plan *plan;
  int wrong = 0;
  snapmla_status status = t->check ? SNAPMLA_OK : smla_trial_check_create(t->context, &t->problem, &t->check);
  if (!status) status = plan_of(t, text, &plan);
  if (!status) status = smla_trial_check_run(t->check, plan, &wrong);
  verdict->ok = !status;
  if (status) smla_verdict_fail(verdict, fate_of(t, status, wrong), snapmla_error_message());
}

static void time_here(smla_tryout *t, const char *text, size_t count, double *microseconds, smla_verdict *verdict) {
  snapmla_plan *plan;
  snapmla_status status = SNAPMLA_OK;
  if (!t->timer) status = smla_trial_timer_create(t->context, &t->problem, t->options.memory_limit, &t->timer);
  if (!status) smla_trial_timer_shape(t->timer, &t->batch, &t->tokens);
  if (!status) status = plan_of(t, text, &plan);
  if (!status) status = smla_trial_timer_run(t->timer, plan, count, microseconds);
  verdict->ok = !status;
  if (status) smla_verdict_fail(verdict, fate_of(t, status, 0), snapmla_error_message());
}

void smla_tryout_compile(smla_tryout *t, const char *const *texts, size_t count, smla_verdict *verdicts) {
  if (t->worker)
    smla_tryout_worker_compile(t->worker, texts, count, verdicts);
  else
    compile_here(t, texts, count, verdicts);
}

void smla_tryout_check(smla_tryout *t, const char *text, smla_verdict *verdict) {
  if (t->worker)
    smla_tryout_worker_check(t->worker, text, verdict);
  else
    check_here(t, text, verdict);
}

void smla_tryout_time(smla_tryout *t, const char *text, size_t count, double *microseconds, smla_verdict *verdict) {
  if (t->worker)
    smla_tryout_worker_time(t->worker, text, count, microseconds, &t->batch, &t->tokens, verdict);
  else
    time_here(t, text, count, microseconds, verdict);
}

void smla_tryout_shape(const smla_tryout *t, int32_t *batch, int64_t *tokens) {
  *batch = t->batch;
  *tokens = t->tokens;
}
