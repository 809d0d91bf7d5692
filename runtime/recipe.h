/* What a kernel's source is expanded from, under one name, so that a warm start need not expand it: the store keeps the key that
 * the expansion led to (runtime/artifact_store.h). */
#ifndef SMLA_RUNTIME_RECIPE_H
#define SMLA_RUNTIME_RECIPE_H

#include <snapmla/status.h>

#include "compiler.h"
#include "generator.h"
#include "hash.h"

/* SHA-256 over the templates in effect that the variant's family can be made of, its canonical text, what the compiler is told and its fingerprint, and the build of this
 * library, whose text engine and rules decide what templates become. "" where this build has no id of its own: then every
 * kernel is expanded. Errors: INVALID_ARGUMENT (no such family), NO_COMPILER, OUT_OF_MEMORY. Thread-safe. */
snapmla_status smla_recipe(const smla_generator *generator, const char *variant, const smla_compiler *compiler,
                           const char *fingerprint, char recipe[SMLA_HASH_HEX]);

#endif
