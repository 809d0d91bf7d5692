#include "same_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "kernel_text.h"
#include "machine_code.h"
#include "quantities.h"
#include "status.h"

/* What is compared of one side. */
typedef struct side {
  const smla_generator *generator;
  smla_buffer variant, text;
  smla_geometry geometry;
  smla_compiled compiled;
} side;

static void clear(side *s) {
  smla_buffer_free(&s->variant);
  smla_buffer_free(&s->text);
  smla_buffer_free(&s->compiled.image);
  smla_buffer_free(&s->compiled.log);
}

/* Canonical text, source and geometry of `variant`, given whole or in part. */
static snapmla_status expand(side *s, const char *variant, snapmla_target target) {
  char family[64];
  snprintf(family, sizeof family, "%.*s", (int)strcspn(variant, ":"), variant);
  const smla_expand_options options = {.emulator = target == SNAPMLA_TARGET_EMULATOR};
  snapmla_status status = smla_generator_resolve(s->generator, family, NULL, 0, variant, &s->variant);
  if (!status) status = smla_generator_expand(s->generator, s->variant.data, &options, &s->text);
  if (!status) status = smla_geometry_get(s->generator, s->variant.data, &s->geometry);
  return status;
}

static snapmla_status compare_code(side *old, side *now, int *same) {
  side *both[] = {old, now};
  snapmla_status status = SNAPMLA_OK;
  for (int i = 0; i < 2 && !status; i++)
    status = smla_compiler_sm90a.compile(both[i]->text.data, both[i]->variant.data, &both[i]->compiled);
  return status ? status
                : renew_code_compare(old->compiled.image.data, old->compiled.image.length, now->compiled.image.data,
                                     now->compiled.image.length, same);
}

static void refuse(renew_kernel *out, renew_verdict verdict, const char *why, const char *detail) {
  out->verdict = verdict;
  snprintf(out->reason, sizeof out->reason, "%s%.400s", why, detail);
}

static snapmla_status judge(side *old, side *now, const char *variant, snapmla_target target, renew_kernel *out) {
  int same = 0;
  snapmla_status status = expand(old, variant, target);
  if (status) return status;
  if (strcmp(old->variant.data, variant)) {
    refuse(out, RENEW_OTHER, "it is not what the old templates call it: ", old->variant.data);
    return SNAPMLA_OK;
  }
  status = expand(now, variant, target);
  if (status) return status;
  if (memcmp(&old->geometry, &now->geometry, sizeof old->geometry)) {
    refuse(out, RENEW_OTHER, "it is launched otherwise (threads, shared memory, clusters, rows or pieces)", "");
    return SNAPMLA_OK;
  }
  status = renew_text_compare(old->text.data, now->text.data, &same);
  if (status && status != SNAPMLA_UNSUPPORTED) return status;
  if (same) {
    out->verdict = RENEW_SAME_TEXT;
    return SNAPMLA_OK;
  }
  if (target != SNAPMLA_TARGET_SM90A) {
    refuse(out, RENEW_OTHER_PROGRAM, "its text is another", "");
    return SNAPMLA_OK;
  }
  status = compare_code(old, now, &same);
  if (status == SNAPMLA_NO_COMPILER) {
    refuse(out, RENEW_OTHER_PROGRAM,
           "its text is another, and its machine code cannot be compared: ", snapmla_error_message());
    return SNAPMLA_OK;
  }
  if (same)
    out->verdict = RENEW_SAME_CODE;
  else
    refuse(out, RENEW_OTHER_PROGRAM, "its machine code is another", "");
  return status;
}

snapmla_status renew_kernel_compare(const smla_generator *old, const smla_generator *now, const char *variant,
                                    snapmla_target target, renew_kernel *out) {
  side before = {.generator = old}, after = {.generator = now};
  *out = (renew_kernel){.verdict = RENEW_OTHER};
  snapmla_status status = judge(&before, &after, variant, target, out);
  if (status && status != SNAPMLA_OUT_OF_MEMORY) {
    refuse(out, RENEW_OTHER, "", snapmla_error_message());
    status = SNAPMLA_OK;
  }
  if (!status && out->verdict != RENEW_OTHER && !(out->variant = smla_buffer_take(&after.variant)))
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant's text");
  clear(&before);
  clear(&after);
  return status;
}

void renew_kernel_clear(renew_kernel *kernel) {
  free(kernel->variant);
  kernel->variant = NULL;
}
