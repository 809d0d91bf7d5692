#include "tuning_key.h"

#include <stdio.h>
#include <string.h>

#include "compiler.h"
#include "plan_make.h"
#include "status.h"

snapmla_status smla_tuning_key(const smla_generator *generator, const snapmla_problem *problem,
                               const smla_device_facts *facts, snapmla_target target, smla_wisdom_query *out) {
  smla_wisdom_query key = {0};
  smla_device_class(facts, key.device);
  key.problem = (smla_problem_key){.heads = problem->heads,
                                   .q_len = problem->q_len,
                                   .latent_rank = problem->latent_rank,
                                   .rope_dim = problem->rope_dim,
                                   .page_tokens = problem->page_tokens,
                                   .batch = problem->max_batch,
                                   .context = problem->max_context,
                                   .indices = problem->max_indices,
                                   .flags = problem->flags};
  snprintf(key.problem.format, sizeof key.problem.format, "%s", snapmla_kv_format_name(problem->kv_format));
  snprintf(key.problem.accuracy, sizeof key.problem.accuracy, "%s", snapmla_accuracy_name(problem->accuracy));
  if (problem->max_indices) key.problem.context = 1; /* of no use there */
  smla_problem_key_bucket(&key.problem);
  snprintf(key.target, sizeof key.target, "%s", smla_compiler_of(target)->name);
  snapmla_status status = smla_plan_timed_digest(generator, key.templates);
  if (!status) *out = key;
  return status;
}

snapmla_status smla_tuning_problem(const char *text, snapmla_problem *out) {
  smla_problem_key key;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  if (!smla_problem_key_read(text, &key))
    return smla_fail(SNAPMLA_BAD_FORMAT,
                     "'%.150s' is no problem's key; one reads h128-q1-l512-r64-p64-fp8_token-fast-b128-c131072", text);
  problem.heads = key.heads;
  problem.q_len = key.q_len;
  problem.latent_rank = key.latent_rank;
  problem.rope_dim = key.rope_dim;
  problem.page_tokens = key.page_tokens;
  problem.max_batch = key.batch;
  problem.max_context = key.context;
  problem.max_indices = key.indices;
  problem.flags = key.flags;
  snapmla_status status = snapmla_kv_format_parse(key.format, &problem.kv_format);
  if (!status) status = snapmla_accuracy_parse(key.accuracy, &problem.accuracy);
  if (!status) status = snapmla_problem_check(&problem);
  if (!status) *out = problem;
  return status;
}

int smla_target_runs(snapmla_target target, const char *device_class) {
  smla_device_facts facts;
  if (!smla_device_class_facts(device_class, &facts)) return 0;
  if (target == SNAPMLA_TARGET_EMULATOR) return facts.is_emulator;
  return !facts.is_emulator && facts.compute_major == 9 && facts.compute_minor == 0;
}

void smla_tuning_soft_facts(const snapmla_context *context, char out[SMLA_SOFT_FACTS_MAX]) {
  snapmla_device_info info = {.size = sizeof info};
  context->device->ops->info(context->device, &info);
  snprintf(out, SMLA_SOFT_FACTS_MAX, "driver %d, %.120s", info.driver_version, info.product);
  for (char *c = out; *c; c++)
    if ((unsigned char)*c < ' ' || (unsigned char)*c >= 127) *c = '?';
}

/* The part of an override that is the decode kernel's, which is what a mark is of; the whole where there is none. */
static void marked_variant(const char *override_text, char out[SMLA_VARIANT_MAX + 1]) {
  static const char family[] = "mla_decode:";
  const char *part = strstr(override_text, family);
  size_t length = part ? strcspn(part, ";") : strlen(override_text);
  snprintf(out, SMLA_VARIANT_MAX + 1, "%.*s", (int)length, part ? part : override_text);
}

snapmla_status smla_tuning_mark(const smla_wisdom_query *key, const char *override_text, smla_mark *mark) {
  char variant[SMLA_VARIANT_MAX + 1], hex[SMLA_HASH_HEX];
  marked_variant(override_text, variant);
  smla_mark_key(variant, key->target, key->templates, key->device, hex);
  return smla_mark_read(SMLA_MARK_QUARANTINE, hex, mark) ? SNAPMLA_NOT_FOUND : SNAPMLA_OK;
}

snapmla_status smla_tuning_quarantine(const smla_wisdom_query *key, const char *override_text, const char *fate,
                                      const char *reason) {
  char variant[SMLA_VARIANT_MAX + 1], hex[SMLA_HASH_HEX];
  marked_variant(override_text, variant);
  smla_mark_key(variant, key->target, key->templates, key->device, hex);
  return smla_mark_write(SMLA_MARK_QUARANTINE, hex, variant, key->device, fate, reason);
}
