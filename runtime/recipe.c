#include "recipe.h"

#include <stdio.h>
#include <string.h>

#include "library.h"

enum { SCHEMA = 2 };

snapmla_status smla_recipe(const smla_generator *generator, const char *variant, const smla_compiler *compiler,
                           const char *fingerprint, char recipe[SMLA_HASH_HEX]) {
  static const char here = 0; /* an address in this library */
  smla_buffer build = {0};
  char templates[SMLA_HASH_HEX], family[64];
  const char *const families[] = {family, NULL};
  snprintf(family, sizeof family, "%.*s", (int)strcspn(variant, ":"), variant);
  recipe[0] = 0;
  snapmla_status status = smla_library_build_id(&here, &build);
  if (!status) status = smla_generator_digest(generator, families, templates);
  if (!status && build.length) {
    smla_hash hash;
    smla_hash_start(&hash);
    smla_hash_field_number(&hash, SCHEMA);
    smla_hash_field_text(&hash, build.data);
    smla_hash_field_text(&hash, templates);
    smla_hash_field_text(&hash, variant);
    smla_hash_field_text(&hash, compiler->name);
    for (const char *const *option = compiler->options; *option; option++) smla_hash_field_text(&hash, *option);
    smla_hash_field_text(&hash, fingerprint);
    smla_hash_finish(&hash, recipe);
  }
  smla_buffer_free(&build);
  return status;
}
