/* A problem as the generator knows it: texts by axis name. */
#ifndef SMLA_RUNTIME_PROBLEM_SETTINGS_H
#define SMLA_RUNTIME_PROBLEM_SETTINGS_H

#include <snapmla/problem.h>
#include <snapmla/status.h>

#include "buffer.h"
#include "generator.h"

/* The directory of overriding templates: `asked`, else SNAPMLA_TEMPLATES, else NULL. */
const char *smla_templates_directory(const char *asked);

enum { SMLA_MORE_SETTINGS = 12 /* that a caller of smla_problem_resolve_with may add */ };

/* A problem's settings for one family, and room for their texts: must stay where it is while the settings are used. */
typedef struct smla_problem_texts {
  char numbers[5][16], rows[16], query_terms[16];
  smla_setting settings[14 + SMLA_MORE_SETTINGS];
  size_t count;
} smla_problem_texts;

/* The settings that smla_problem_resolve gives `family` under `override_text`. Errors: as there. */
snapmla_status smla_problem_texts_get(const smla_generator *generator, const snapmla_problem *problem,
                                      const char *family, const char *override_text, smla_problem_texts *out);

/* Appends the canonical variant of `family` for a checked problem, as the attention's own plan has it: its append neither norms nor
 * rotates, and an override that makes it do so is refused like one of another format. Of `override_text` ("family:axis=value,…", several
 * separated by ';') the parts that name `family` apply, in their order; NULL for none.
 * Errors: as smla_generator_resolve; INVALID_ARGUMENT for a part that names no family or contradicts the problem. */
snapmla_status smla_problem_resolve(const smla_generator *generator, const snapmla_problem *problem, const char *family,
                                    const char *override_text, smla_buffer *out);

/* The same with settings of the caller's after the problem's (at most SMLA_MORE_SETTINGS); of norm and rotation they alone say anything. */
snapmla_status smla_problem_resolve_with(const smla_generator *generator, const snapmla_problem *problem,
                                         const char *family, const char *override_text, const smla_setting *more,
                                         size_t count, smla_buffer *out);

/* Appends the parts of `override_text` that name one of `families`, separated by ';' as they were. */
snapmla_status smla_override_part(const char *override_text, const char *const *families, size_t count,
                                  smla_buffer *out);

/* Checks that every part of `override_text` names one of `families`. Error: INVALID_ARGUMENT, with what is legal. */
snapmla_status smla_override_check(const char *override_text, const char *const *families, size_t count);

#endif
