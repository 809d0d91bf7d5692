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
  smla_buffer_free(&selected);
  return status;
}

/* The decode kernel's: how many query rows a block takes and in how many terms it wants them, and its partial results: the
 * kernels around it lay them out alike. */
static snapmla_status decode_geometry(const smla_generator *generator, const smla_setting *settings, size_t count,
                                      const char *override_text, smla_geometry *geometry) {
  smla_buffer variant = {0};
  snapmla_status status = resolve(generator, settings, count, decode_family, override_text, &variant);
  if (!status) status = smla_geometry_get(generator, variant.data, geometry);
  smla_buffer_free(&variant);
  return status;
}

snapmla_status smla_problem_resolve(const smla_generator *generator, const snapmla_problem *problem, const char *family,
                                    const char *override_text, smla_buffer *out) {
  char heads[16], q_len[16], latent[16], rope[16], page[16], rows[16], query_terms[16];
  snprintf(heads, sizeof heads, "%d", problem->heads);
  snprintf(q_len, sizeof q_len, "%d", problem->q_len);
  snprintf(latent, sizeof latent, "%d", problem->latent_rank);
  snprintf(rope, sizeof rope, "%d", problem->rope_dim);
  snprintf(page, sizeof page, "%d", problem->page_tokens);
  smla_setting settings[] = {
      {"heads", heads},
      {"q_len", q_len},
      {"latent", latent},
      {"rope", rope},
      {"page", page},
      {"format", snapmla_kv_format_name(problem->kv_format)},
      {"accuracy", snapmla_accuracy_name(problem->accuracy)},
      {"rows", rows}, /* from here on of the kernels around the decode kernel only */
      {"query_terms", query_terms},
      {"partial", NULL},
  };
  const char *const *families = smla_generator_families(generator);
  size_t count = 0;
  while (families[count]) count++;
  size_t setting_count = sizeof settings / sizeof *settings - 3;
  smla_geometry decode = {0};
  smla_buffer variant = {0};
  snapmla_status status = smla_override_check(override_text, families, count);
  if (!status && strcmp(family, decode_family)) {
    status = decode_geometry(generator, settings, setting_count, override_text, &decode);
    snprintf(rows, sizeof rows, "%d", decode.rows);
    snprintf(query_terms, sizeof query_terms, "%d", decode.query_terms);
    settings[setting_count + 2].value = decode.partial_bytes == 2 ? "bf16" : "f32";
    setting_count += 3;
  }
  if (!status) status = resolve(generator, settings, setting_count, family, override_text, &variant);
  if (!status) status = smla_buffer_append(out, variant.data, variant.length);
  smla_buffer_free(&variant);
  return status;
}
