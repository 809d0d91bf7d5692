/* The generator: a variant's text in, kernel source out. The only door to Lua.
 *
 * Each call runs in a Lua state of its own: thread-safe, and a pure function of the embedded (or overriding) templates and
 * its arguments. Depends on util/ and on the embedded text of templates/ alone. */
#ifndef SMLA_GENERATOR_GENERATOR_H
#define SMLA_GENERATOR_GENERATOR_H

#include <stddef.h>

#include <snapmla/status.h>

#include "buffer.h"
#include "quantity.h"

typedef struct smla_generator smla_generator;

/* `templates`: a directory that overrides the embedded templates file by file (it may add families), or NULL.
 * Errors: NOT_FOUND (the directory), OUT_OF_MEMORY. */
snapmla_status smla_generator_create(const char *templates, smla_generator **out);
void smla_generator_destroy(smla_generator *generator);

/* Family names, sorted, NULL-terminated; owned by the generator. */
const char *const *smla_generator_families(const smla_generator *generator);

/* A named text, as a problem's axis values are given: {"latent", "512"}, {"format", "fp8_token"}. */
typedef struct smla_setting {
  const char *name;
  const char *value;
} smla_setting;

/* The canonical variant text "family:axis=value,…" (every axis, in the space's order): the defaults, then `settings` (a name
 * the family has no axis for is ignored: families use different parts of a problem), then `override_text` (a whole or
 * partial variant text of this family, strict: an unknown axis or illegal value is an error; NULL or "" for none).
 * Errors: INVALID_ARGUMENT (family, axis or value, with what is legal), ILLEGAL_VARIANT (the rule's name and reason). */
snapmla_status smla_generator_resolve(const smla_generator *generator, const char *family, const smla_setting *settings,
                                      size_t setting_count, const char *override_text, smla_buffer *out);

/* The integers of a variant by name, sorted: derived quantities and integer axes. `threads` and `smem_bytes` are always
 * among them, `rows` where a family deals in rows. Freed by the caller with free().
 * Errors: as smla_generator_resolve. */
snapmla_status smla_generator_describe(const smla_generator *generator, const char *variant, smla_quantity **out,
                                       size_t *count);

/* The entry symbol of a family. Error: INVALID_ARGUMENT. */
snapmla_status smla_generator_entry(const smla_generator *generator, const char *family, smla_buffer *out);

/* The axes of a family, a line for each: name, default, legal values (blanks between), what it is; tabs between.
 * Appended to `out`. Errors: INVALID_ARGUMENT; TEMPLATE (a faulty space.lua). */
snapmla_status smla_generator_axes(const smla_generator *generator, const char *family, smla_buffer *out);

/* SHA-256, in hexadecimal, of the template files in effect: over their sorted names, each with the SHA-256 of its contents in
 * hexadecimal, all length-prefixed. `families`, NULL-terminated: of the files alone that these may read (smla_store_may_read), so that
 * an edit elsewhere changes nothing; NULL: of all files. Error: INVALID_ARGUMENT (there is no such family). */
snapmla_status smla_generator_digest(const smla_generator *generator, const char *const *families, char hex[65]);

typedef struct smla_expand_options {
  int emulator;        /* nonzero: target emulator, else sm_90a */
  int line_directives; /* nonzero: #line directives naming templates */
} smla_expand_options;

/* Expands a variant (whole or partial text) into `out`, which is untouched on failure.
 * Errors: as resolve; TEMPLATE with one line "template:line: message" per collected error. */
snapmla_status smla_generator_expand(const smla_generator *generator, const char *variant,
                                     const smla_expand_options *options, smla_buffer *out);

#endif
