/* The variants of a plan's kernels, as texts. */
#include <stdlib.h>

#include "plan_make.h"
#include "problem_settings.h"
#include "status.h"

snapmla_status smla_plan_variants(const smla_generator *generator, const snapmla_problem *problem,
                                  const char *override_text, char *variants[SMLA_FAMILY_COUNT]) {
  char *found[SMLA_FAMILY_COUNT] = {0};
  snapmla_status status = smla_override_check(override_text, smla_family_names, SMLA_FAMILY_COUNT);
  for (int i = 0; i < SMLA_FAMILY_COUNT && !status; i++) {
    smla_buffer text = {0};
    status = smla_problem_resolve(generator, problem, smla_family_names[i], override_text, &text);
    if (!status && !(found[i] = smla_buffer_take(&text)))
      status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a variant");
    smla_buffer_free(&text);
  }
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) {
    if (status) free(found[i]);
    variants[i] = status ? NULL : found[i];
  }
  return status;
}

static const smla_family timed[] = {SMLA_MLA_DECODE, SMLA_MLA_COMBINE, SMLA_QUERY_QUANT, SMLA_SCHEDULE};
enum { TIMED = sizeof timed / sizeof *timed };

snapmla_status smla_plan_variants_text(char *const variants[SMLA_FAMILY_COUNT], smla_buffer *out) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; i < TIMED && !status; i++)
    status = smla_buffer_printf(out, "%s%s", i ? ";" : "", variants[timed[i]]);
  return status;
}

snapmla_status smla_plan_timed_digest(const smla_generator *generator, char *hex) {
  const char *families[TIMED + 1] = {0};
  for (size_t i = 0; i < TIMED; i++) families[i] = smla_family_names[timed[i]];
  return smla_generator_digest(generator, families, hex);
}
