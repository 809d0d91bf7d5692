/* Plans as bytes, and their fingerprint: so that several ranks agree, or fail loudly. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/reference.h>

#include "hash.h"
#include "plan_make.h"
#include "status.h"
#include "tuner.h"

enum { SCHEMA = 3 };
static const char kind[] = "snapmla plan";

/* X(field): the problem's numbers, in the order of the fingerprint and of the text. */
#define PROBLEM_FIELDS(X) \
  X(heads)                \
  X(q_len)                \
  X(latent_rank) X(rope_dim) X(page_tokens) X(kv_format) X(accuracy) X(max_batch) X(max_context) X(max_indices) X(flags)

snapmla_status snapmla_plan_fingerprint(const snapmla_plan *plan, char out[65]) {
  if (!plan || !out) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan and out are needed, and one is NULL");
  snapmla_page_layout layout = {.size = sizeof layout};
  char templates[SMLA_HASH_HEX];
  snapmla_status status = snapmla_page_layout_get(&plan->problem, &layout);
  const char *families[SMLA_FAMILY_COUNT + 1] = {0}; /* a layer's kernels, or a family of one's own, are not in it */
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) families[i] = smla_family_names[i];
  if (!status) status = smla_generator_digest(plan->context->generator, families, templates);
  if (status) return status;
  smla_hash hash;
  smla_hash_start(&hash);
  smla_hash_field_number(&hash, SCHEMA);
#define FIELD(name) smla_hash_field_number(&hash, (int64_t)plan->problem.name);
  PROBLEM_FIELDS(FIELD)
#undef FIELD
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) smla_hash_field_text(&hash, plan->kernels[i].variant);
  /* Splits depend on these, and so do the bits of a result: what the schedule's kernel, one of the templates, is given. */
  const smla_workspace *w = &plan->workspace;
  smla_hash_field_number(&hash, plan->multiprocessors);
  smla_hash_field_number(&hash, w->unit_count);
  smla_hash_field_number(&hash, w->min_share);
  smla_hash_field_number(&hash, w->merge_cost);
  smla_hash_field_number(&hash, w->slack);
  smla_hash_field_text(&hash, templates);
  smla_hash_field_text(&hash, layout.fingerprint);
  smla_hash_finish(&hash, out);
  return SNAPMLA_OK;
}

snapmla_status snapmla_plan_save(const snapmla_plan *plan, char **text, size_t *bytes) {
  if (!plan || !text || !bytes)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "plan, text and bytes are needed, and one is NULL");
  char fingerprint[65];
  snapmla_status status = snapmla_plan_fingerprint(plan, fingerprint);
  if (status) return status;
  json_t *root = json_object(), *problem = json_object(), *variants = json_array();
  int failed = !root || !problem || !variants;
#define FIELD(name) \
  failed = failed || json_object_set_new(problem, #name, json_integer((json_int_t)plan->problem.name));
  PROBLEM_FIELDS(FIELD)
#undef FIELD
  for (int i = 0; i < SMLA_FAMILY_COUNT && !failed; i++)
    failed = json_array_append_new(variants, json_string(plan->kernels[i].variant));
  failed = failed || json_object_set_new(root, "kind", json_string(kind)) ||
           json_object_set_new(root, "schema", json_integer(SCHEMA)) ||
           json_object_set_new(root, "fingerprint", json_string(fingerprint)) ||
           json_object_set(root, "problem", problem) || json_object_set(root, "variants", variants);
  char *dumped = failed ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
  json_decref(problem);
  json_decref(variants);
  json_decref(root);
  if (!dumped) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a plan's text");
  *text = dumped;
  *bytes = strlen(dumped);
  return SNAPMLA_OK;
}

static snapmla_status malformed(const char *what) {
  return smla_fail(SNAPMLA_BAD_FORMAT, "this is not a plan's text (%s); save the plan again", what);
}

static snapmla_status read_problem(const json_t *json, snapmla_problem *out) {
  *out = (snapmla_problem){.size = sizeof *out};
  size_t known = 0;
#define FIELD(name)                                                        \
  {                                                                        \
    const json_t *value = json_object_get(json, #name);                    \
    json_int_t number = json_integer_value(value);                         \
    if (!json_is_integer(value) || number < 0 || number > 0x7fffffff)      \
      return malformed("its problem's " #name " is missing or no number"); \
    out->name = number;                                                    \
    known++;                                                               \
  }
  PROBLEM_FIELDS(FIELD)
#undef FIELD
  return json_object_size(json) == known ? SNAPMLA_OK : malformed("its problem has a field too many");
}

static snapmla_status read_variants(const json_t *array, smla_buffer *out) {
  snapmla_status status = SNAPMLA_OK;
  if (!json_is_array(array) || json_array_size(array) != SMLA_FAMILY_COUNT) return malformed("its variants");
  for (size_t i = 0; i < SMLA_FAMILY_COUNT && !status; i++) {
    const char *text = json_string_value(json_array_get(array, i));
    status = text ? smla_buffer_printf(out, "%s%s", i ? ";" : "", text) : malformed("its variants");
  }
  return status;
}

static snapmla_status load(snapmla_context *context, const json_t *root, uint32_t flags, snapmla_plan **out) {
  const char *read_kind, *fingerprint;
  int schema;
  json_t *problem_json, *variants_json;
  snapmla_problem problem;
  smla_buffer variants = {0};
  char here[65];
  if (json_unpack((json_t *)root, "{s:s s:i s:s s:o s:o !}", "kind", &read_kind, "schema", &schema, "fingerprint",
                  &fingerprint, "problem", &problem_json, "variants", &variants_json))
    return malformed("a field is missing or too many");
  if (strcmp(read_kind, kind) || schema != SCHEMA) return malformed("another kind or version");
  snapmla_status status = read_problem(problem_json, &problem);
  if (!status) status = read_variants(variants_json, &variants);
  if (!status) status = snapmla_problem_check(&problem);
  snapmla_plan *plan = NULL;
  if (!status) status = smla_plan_make(context, &problem, variants.data, flags, &plan);
  if (!status) status = snapmla_plan_fingerprint(plan, here);
  if (!status && strcmp(here, fingerprint))
    status = smla_fail(SNAPMLA_UNSUPPORTED,
                       "the plan was saved with the fingerprint %.12s… and is %.12s… here: its text was changed, or "
                       "templates, version or multiprocessors differ; use the same on all ranks",
                       fingerprint, here);
  smla_tuning t = {0};
  if (!status) status = smla_tuning_open(context, &problem, SMLA_TUNING_BLIND, &t);
  if (!status) {
    plan->report = (snapmla_plan_report){.size = sizeof plan->report, .provenance = SNAPMLA_PROVENANCE_GIVEN};
    memcpy(plan->report.device_class, t.key.device, sizeof t.key.device);
    memcpy(plan->report.templates, t.key.templates, sizeof t.key.templates);
    smla_problem_key_text(&t.key.problem, plan->report.problem_key);
    smla_tuning_close(&t);
  }
  smla_buffer_free(&variants);
  if (status)
    snapmla_plan_destroy(plan);
  else
    *out = plan;
  return status;
}

snapmla_status snapmla_plan_load(snapmla_context *context, const char *text, size_t bytes,
                                 const snapmla_plan_options *options, snapmla_plan **out) {
  if (!context || !text || !out)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "context, text and out are needed, and one is NULL");
  *out = NULL;
  snapmla_plan_options known;
  json_error_t error;
  snapmla_status status = smla_plan_options_read(options, &known);
  if (status) return status;
  json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
  status = root ? load(context, root, known.flags, out) : malformed(error.text);
  json_decref(root);
  return status;
}
