#include "problem_settings.h"

#include <stdio.h>
#include <string.h>

#include "env.h"
#include "quantities.h"
#include "status.h"

static const char decode_family[] = "mla_decode";

const char *smla_templates_directory(const char *asked) { return asked ? asked : smla_env(SMLA_ENV_TEMPLATES); }

/* One part "family:settings" of an override; `settings` may be empty. Pointers into the text. */
typedef struct part {
  const char *family, *settings;
  size_t family_length, settings_length;
} part;

/* The part at `text`; returns the text after it. */
static const char *next_part(const char *text, part *out) {
  size_t length = strcspn(text, ";");
  size_t family = strcspn(text, ":;");
  *out = (part){text, text + family, family, length - family};
  if (out->settings_length) { /* skip the colon */
    out->settings++;
    out->settings_length--;
  }
  return text + length + (text[length] == ';');
}

static int names(const part *p, const char *family) {
  return strlen(family) == p->family_length && !memcmp(family, p->family, p->family_length);
}

snapmla_status smla_override_check(const char *override_text, const char *const *families, size_t count) {
  for (const char *text = override_text ? override_text : ""; *text;) {
    part p;
    text = next_part(text, &p);
    int known = 0;
    for (size_t i = 0; i < count; i++) known |= names(&p, families[i]);
    if (known) continue;
    char list[512] = "";
    for (size_t i = 0, used = 0; i < count && used < sizeof list; i++)
      used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", families[i]);
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "variant \"%s\": \"%.*s\" is no family; write family:axis=value,… with one of %s (several separated by ;)",
        override_text, (int)p.family_length, p.family, list);
  }
  return SNAPMLA_OK;
}

/* The parts of `override_text` that name `family`, as one: "family:a=1,b=2"; nothing where there is none. */
static snapmla_status select_parts(const char *override_text, const char *family, smla_buffer *out) {
  snapmla_status status = SNAPMLA_OK;
  int count = 0;
  for (const char *text = override_text ? override_text : ""; *text && !status;) {
    part p;
    text = next_part(text, &p);
    if (!names(&p, family) || !p.settings_length) continue;
    status = count++ ? smla_buffer_printf(out, ",%.*s", (int)p.settings_length, p.settings)
                     : smla_buffer_printf(out, "%s:%.*s", family, (int)p.settings_length, p.settings);
  }
  return status;
}

/* A variant for another cache or shape than the problem's would run outside its tensors. */
static snapmla_status check_agreement(const char *variant, const smla_setting *settings, size_t count) {
  for (const char *axis = strchr(variant, ':'); axis && *axis; axis += strcspn(axis, ",")) {
    axis++;
    for (size_t i = 0; i < count; i++) {
      size_t name = strlen(settings[i].name);
      if (strncmp(axis, settings[i].name, name) || axis[name] != '=') continue;
      const char *value = axis + name + 1;
      size_t length = strcspn(value, ",");
      if (length == strlen(settings[i].value) && !memcmp(value, settings[i].value, length)) continue;
      return smla_fail(
          SNAPMLA_INVALID_ARGUMENT,
          "variant %s: %s is %.*s and the problem's is %s; a variant may not change the problem: leave it out, or "
          "change the problem",
          variant, settings[i].name, (int)length, value, settings[i].value);
    }
  }
  return SNAPMLA_OK;
}

/* The canonical variant of `family` after the settings and its parts of the override. */
static snapmla_status resolve(const smla_generator *generator, const smla_setting *settings, size_t count,
                              const char *family, const char *override_text, smla_buffer *variant) {
  smla_buffer selected = {0};
  snapmla_status status = select_parts(override_text, family, &selected);
  if (!status) status = smla_generator_resolve(generator, family, settings, count, selected.data, variant);
  if (!status) status = check_agreement(variant->data, settings, count);
  /* What it says of an axis that the canonical text leaves out at its default. */
  if (!status && selected.data) status = check_agreement(selected.data, settings, count);
  smla_buffer_free(&selected);
  return status;
}

/* The decode kernel's geometry: the kernels around it lay out rows and partial results alike. */
static snapmla_status decode_geometry(const smla_generator *generator, const smla_setting *settings, size_t count,
                                      const char *override_text, smla_geometry *out) {
  smla_buffer variant = {0};
  snapmla_status status = resolve(generator, settings, count, decode_family, override_text, &variant);
  if (!status) status = smla_geometry_get(generator, variant.data, out);
  smla_buffer_free(&variant);
  return status;
}

snapmla_status smla_problem_texts_get(const smla_generator *generator, const snapmla_problem *problem,
                                      const char *family, const char *override_text, smla_problem_texts *out) {
  const struct {
    const char *name;
    int32_t value;
  } numbers[] = {{"heads", problem->heads},
                 {"q_len", problem->q_len},
                 {"latent", problem->latent_rank},
                 {"rope", problem->rope_dim},
                 {"page", problem->page_tokens}};
  const smla_setting words[] = {
      {"format", snapmla_kv_format_name(problem->kv_format)},
      {"accuracy", snapmla_accuracy_name(problem->accuracy)},
      {"scale", problem->flags & SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES ? "power_of_two" : "fp32"},
      {"tokens", problem->max_indices ? "indexed" : "paged"},
      {"sinks", problem->flags & SNAPMLA_PROBLEM_SINKS ? "on" : "off"},
      {"cuts", problem->flags & SNAPMLA_PROBLEM_BATCH_INVARIANT ? "fixed" : "balanced"}};
  const char *const *families = smla_generator_families(generator);
  size_t count = 0;
  while (families[count]) count++;
  out->count = 0;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    snprintf(out->numbers[i], sizeof out->numbers[i], "%d", numbers[i].value);
    out->settings[out->count++] = (smla_setting){numbers[i].name, out->numbers[i]};
  }
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) out->settings[out->count++] = words[i];
  snapmla_status status = smla_override_check(override_text, families, count);
  if (status || !strcmp(family, decode_family)) return status;
  /* Of the kernels around the decode kernel only. */
  smla_geometry decode = {0};
  status = decode_geometry(generator, out->settings, out->count, override_text, &decode);
  snprintf(out->rows, sizeof out->rows, "%d", decode.rows);
  out->settings[out->count++] = (smla_setting){"rows", out->rows};
  snprintf(out->query_terms, sizeof out->query_terms, "%d", decode.query_terms);
  out->settings[out->count++] = (smla_setting){"query_terms", out->query_terms};
  out->settings[out->count++] = (smla_setting){"partial", decode.partial_bytes == 2 ? "bf16" : "f32"};
  return status;
}

snapmla_status smla_problem_resolve_with(const smla_generator *generator, const snapmla_problem *problem,
                                         const char *family, const char *override_text, const smla_setting *more,
                                         size_t count, smla_buffer *out) {
  smla_problem_texts texts;
  smla_buffer variant = {0};
  snapmla_status status = smla_problem_texts_get(generator, problem, family, override_text, &texts);
  for (size_t i = 0; i < count && !status; i++) texts.settings[texts.count++] = more[i];
  if (!status) status = resolve(generator, texts.settings, texts.count, family, override_text, &variant);
  if (!status) status = smla_buffer_append(out, variant.data, variant.length);
  smla_buffer_free(&variant);
  return status;
}

snapmla_status smla_problem_resolve(const smla_generator *generator, const snapmla_problem *problem, const char *family,
                                    const char *override_text, smla_buffer *out) {
  return smla_problem_resolve_with(generator, problem, family, override_text, NULL, 0, out);
}
