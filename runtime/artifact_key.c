#include "artifact_key.h"

void smla_artifact_key(const smla_artifact_fields *fields, char key[SMLA_HASH_HEX]) {
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_number(&hash, fields->schema);
  smla_hash_field(&hash, fields->source, fields->source_bytes);
  for (const char *const *option = fields->options; *option; option++) smla_hash_field_text(&hash, *option);
  smla_hash_field_text(&hash, fields->compiler);
  smla_hash_field_text(&hash, fields->target);
  smla_hash_field_text(&hash, fields->entry);
  smla_hash_finish(&hash, key);
}
