#include "renewal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "plan_make.h"
#include "status.h"
#include "tuning_key.h"

snapmla_status renewal_open(const smla_generator *old, const smla_generator *now, const char *vouched, renewal *out) {
  *out = (renewal){.old = old, .now = now, .vouched = vouched};
  snapmla_status status = smla_plan_timed_digest(old, out->old_digest);
  return status ? status : smla_plan_timed_digest(now, out->now_digest);
}

void renewal_close(renewal *r) {
  for (size_t i = 0; i < r->count; i++) {
    free(r->compared[i].variant);
    renew_kernel_clear(&r->compared[i].kernel);
  }
  free(r->compared);
  *r = (renewal){0};
}

static snapmla_status short_of_memory(void) { return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a renewal"); }

/* The comparison of a kernel, which is made once. */
static snapmla_status compare(renewal *r, const char *variant, size_t length, const char *target, renew_kernel **out) {
  for (size_t i = 0; i < r->count; i++) {
    renew_compared *c = &r->compared[i];
    if (strncmp(c->variant, variant, length) || c->variant[length] || strcmp(c->target, target)) continue;
    *out = &c->kernel;
    return SNAPMLA_OK;
  }
  renew_compared *grown = realloc(r->compared, (r->count + 1) * sizeof *grown);
  if (!grown) return short_of_memory();
  r->compared = grown;
  renew_compared *c = &grown[r->count];
  *c = (renew_compared){.variant = strndup(variant, length)};
  if (!c->variant) return short_of_memory();
  snprintf(c->target, sizeof c->target, "%s", target);
  const snapmla_target of = strcmp(target, smla_compiler_sm90a.name) ? SNAPMLA_TARGET_EMULATOR : SNAPMLA_TARGET_SM90A;
  snapmla_status status = renew_kernel_compare(r->old, r->now, c->variant, of, &c->kernel);
  if (status)
    free(c->variant);
  else
    r->count++;
  *out = &c->kernel;
  return status;
}

/* Whether the plan of a measurement's problem that is given `variants` has them: what the new templates add may follow the problem. */
static snapmla_status check_plan(const renewal *r, const char *problem_text, const char *variants) {
  snapmla_problem problem;
  char *made[SMLA_FAMILY_COUNT] = {0};
  smla_buffer text = {0};
  snapmla_status status = smla_tuning_problem(problem_text, &problem);
  if (!status) status = smla_plan_variants(r->now, &problem, variants, made);
  if (!status) status = smla_plan_variants_text(made, &text);
  if (!status && strcmp(text.data, variants))
    status = smla_fail(SNAPMLA_ILLEGAL_VARIANT, "a plan of this problem that is given its kernels has others: %.400s",
                       text.data);
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) free(made[i]);
  smla_buffer_free(&text);
  return status;
}

/* Whether a measurement of `kernel` says something of today's. */
static int stands(const renewal *r, const char *variant, const renew_kernel *kernel) {
  if (kernel->verdict != RENEW_OTHER_PROGRAM) return kernel->verdict != RENEW_OTHER;
  return r->same_schedule && !strncmp(variant, "schedule:", strlen("schedule:"));
}

/* The texts of a measurement's kernels under the new templates; fails with the reason where one is another. */
static snapmla_status translate(renewal *r, const smla_measurement *m, smla_buffer *out) {
  snapmla_status status = SNAPMLA_OK;
  for (const char *part = m->variant; *part && !status;) {
    const size_t length = strcspn(part, ";");
    renew_kernel *kernel = NULL;
    status = compare(r, part, length, m->target, &kernel);
    if (!status && !stands(r, part, kernel))
      status = smla_fail(SNAPMLA_NOT_FOUND, "%.*s: %.500s", (int)strcspn(part, ":"), part, kernel->reason);
    if (!status) status = smla_buffer_printf(out, "%s%s", out->length ? ";" : "", kernel->variant);
    part += length + (part[length] == ';');
  }
  return status;
}

snapmla_status renewal_apply(renewal *r, smla_measurement *m, renew_fate *fate, char reason[1024]) {
  reason[0] = 0;
  *fate = RENEW_CURRENT;
  if (!strcmp(m->templates, r->now_digest)) return SNAPMLA_OK;
  *fate = RENEW_FOREIGN;
  if (strcmp(m->templates, r->old_digest) && (!r->vouched || strcmp(m->templates, r->vouched))) return SNAPMLA_OK;
  smla_buffer variants = {0};
  snapmla_status status = translate(r, m, &variants);
  if (!status) status = check_plan(r, m->problem, variants.data);
  if (!status && variants.length > SMLA_VARIANT_MAX)
    status = smla_fail(SNAPMLA_BAD_FORMAT, "its variant would be longer than %d characters", SMLA_VARIANT_MAX);
  if (!status) {
    free(m->variant);
    m->variant = smla_buffer_take(&variants);
    memcpy(m->templates, r->now_digest, sizeof m->templates);
    smla_measurement_key(m->variant, m->target, m->templates, m->key);
    *fate = RENEW_RENEWED;
  } else if (status != SNAPMLA_OUT_OF_MEMORY) {
    snprintf(reason, 1024, "%s", snapmla_error_message());
    *fate = RENEW_STALE;
    status = SNAPMLA_OK;
  }
  smla_buffer_free(&variants);
  return status;
}
