/* Every legal variant of a family for given settings. Thread-safe, as the generator is. */
#ifndef SMLA_GENERATOR_ENUMERATE_H
#define SMLA_GENERATOR_ENUMERATE_H

#include <stddef.h>

#include <snapmla/status.h>

#include "generator.h"

/* One variant and its integers, sorted by name as smla_generator_describe gives them; valid during the call. Anything
 * but OK ends the enumeration and is its result. */
typedef snapmla_status smla_variant_visit(void *user, const char *variant, const smla_quantity *quantities,
                                          size_t count);

/* An illegal variant: the rule's message. */
typedef snapmla_status smla_variant_refuse(void *user, const char *variant, const char *reason);

enum { SMLA_ENUMERATE_LIMIT = 1 << 20 /* points that are looked at */ };

/* Visits the points of the family's space in its own order, the last axis fastest. An axis that `settings` or
 * `override_text` (as in smla_generator_resolve) name has that value alone, one that is not searched its default where
 * neither does; all others take every value. Points that a rule refuses go to `refuse`, unless that is NULL.
 * Errors: as smla_generator_resolve; TEMPLATE (more than SMLA_ENUMERATE_LIMIT points); what `visit` returned. */
snapmla_status smla_generator_enumerate(const smla_generator *generator, const char *family,
                                        const smla_setting *settings, size_t setting_count, const char *override_text,
                                        smla_variant_visit *visit, smla_variant_refuse *refuse, void *user);

#endif
