#include "candidates.h"

#include <stdlib.h>
#include <string.h>

#include "problem_settings.h"
#include "status.h"
#include "workspace.h"

typedef struct collection {
  smla_candidate *items;
  size_t count, capacity;
  const char *rest;         /* of the base: what is not of the family */
  const char *default_text; /* canonical variant of the family */
  const smla_number *fixed; /* numbers of the decode variant, where another family is varied */
  size_t fixed_count;
  const snapmla_problem *problem;
  smla_variant_refuse *refuse;
  void *user;
} collection;

static snapmla_status short_of_memory(void) { return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: candidates"); }

static smla_number *copy_numbers(const smla_quantity *quantities, size_t count) {
  smla_number *numbers = calloc(count + 1, sizeof *numbers);
  for (size_t i = 0; numbers && i < count; i++) {
    memcpy(numbers[i].name, quantities[i].name, sizeof numbers[i].name);
    numbers[i].value = (double)quantities[i].value;
  }
  return numbers;
}

/* Whether clusters of it divide the problem's groups of rows, which a plan asks for (smla_clusters_check) and the space, which knows no problem, cannot. */
static int has_whole_clusters(const collection *c, const smla_quantity *quantities, size_t count) {
  int32_t rows = 0, cluster = 1;
  for (size_t i = 0; i < count; i++) {
    if (!strcmp(quantities[i].name, "rows")) rows = (int32_t)quantities[i].value;
    if (!strcmp(quantities[i].name, "cluster")) cluster = (int32_t)quantities[i].value;
  }
  return rows < 1 || smla_row_groups(c->problem, rows) % cluster == 0;
}

static snapmla_status pass_refusal(void *user, const char *variant, const char *reason) {
  const collection *c = user;
  return c->refuse ? c->refuse(c->user, variant, reason) : SNAPMLA_OK;
}

static snapmla_status add(void *user, const char *variant, const smla_quantity *quantities, size_t count) {
  collection *c = user;
  if (!has_whole_clusters(c, quantities, count))
    return pass_refusal(c, variant, "its clusters do not divide the problem's groups of rows: take cluster=1");
  if (c->count == c->capacity) {
    size_t capacity = c->capacity ? 2 * c->capacity : 32;
    smla_candidate *grown = realloc(c->items, capacity * sizeof *grown);
    if (!grown) return short_of_memory();
    c->items = grown;
    c->capacity = capacity;
  }
  smla_buffer text = {0};
  smla_candidate candidate = {.is_default = !strcmp(variant, c->default_text)};
  snapmla_status status =
      *c->rest ? smla_buffer_printf(&text, "%s;%s", c->rest, variant) : smla_buffer_append_text(&text, variant);
  candidate.text = status ? NULL : smla_buffer_take(&text);
  candidate.numbers = copy_numbers(quantities, count);
  candidate.number_count = count;
  if (c->fixed && candidate.numbers) {
    free(candidate.numbers);
    candidate.numbers = calloc(c->fixed_count + 1, sizeof *candidate.numbers);
    if (candidate.numbers) memcpy(candidate.numbers, c->fixed, c->fixed_count * sizeof *c->fixed);
    candidate.number_count = c->fixed_count;
  }
  if (!candidate.text || !candidate.numbers) {
    free(candidate.text);
    free(candidate.numbers);
    return short_of_memory();
  }
  c->items[c->count++] = candidate;
  return SNAPMLA_OK;
}

/* The parts of an override that are not of `family`. */
static snapmla_status rest_of(const char *base, const char *family, smla_buffer *out) {
  snapmla_status status = smla_buffer_append_text(out, "");
  for (const char *text = base ? base : ""; *text && !status;) {
    size_t length = strcspn(text, ";"), name = strcspn(text, ":;");
    if (length && (name != strlen(family) || strncmp(text, family, name)))
      status = smla_buffer_printf(out, "%s%.*s", out->length ? ";" : "", (int)length, text);
    text += length + (text[length] == ';');
  }
  return status;
}

/* The numbers of the decode variant that `base` gives. */
static snapmla_status decode_numbers(const smla_generator *generator, const snapmla_problem *problem, const char *base,
                                     smla_number **out, size_t *count) {
  smla_buffer variant = {0};
  smla_quantity *quantities = NULL;
  snapmla_status status = smla_problem_resolve(generator, problem, "mla_decode", base, &variant);
  if (!status) status = smla_generator_describe(generator, variant.data, &quantities, count);
  if (!status && !(*out = copy_numbers(quantities, *count))) status = short_of_memory();
  free(quantities);
  smla_buffer_free(&variant);
  return status;
}

snapmla_status smla_candidates_make(const smla_generator *generator, const snapmla_problem *problem, const char *family,
                                    const char *base, smla_variant_refuse *refuse, void *user, smla_candidate **out,
                                    size_t *count) {
  smla_buffer rest = {0}, usual = {0};
  smla_number *fixed = NULL;
  smla_problem_texts texts;
  collection c = {.problem = problem, .refuse = refuse, .user = user};
  snapmla_status status = rest_of(base, family, &rest);
  if (!status) status = smla_problem_resolve(generator, problem, family, base, &usual);
  if (!status) status = smla_problem_texts_get(generator, problem, family, base, &texts);
  if (!status && strcmp(family, "mla_decode"))
    status = decode_numbers(generator, problem, base, &fixed, &c.fixed_count);
  if (!status) {
    c.rest = rest.data ? rest.data : "";
    c.default_text = usual.data;
    c.fixed = fixed;
    status = smla_generator_enumerate(generator, family, texts.settings, texts.count, NULL, add, pass_refusal, &c);
  }
  free(fixed);
  smla_buffer_free(&usual);
  smla_buffer_free(&rest);
  if (status) {
    smla_candidates_free(c.items, c.count);
    return status;
  }
  *out = c.items;
  *count = c.count;
  return SNAPMLA_OK;
}

double smla_work_tokens(const snapmla_problem *problem) {
  return problem->max_indices ? problem->max_indices : problem->max_context;
}

smla_work smla_work_of(const snapmla_problem *problem, double batch, double tokens) {
  /* In sparse decoding each query token has tokens of its own. */
  if (problem->max_indices)
    return (smla_work){batch * problem->q_len, tokens, problem->heads, 1, problem->latent_rank, problem->rope_dim};
  return (smla_work){batch, tokens, problem->heads, problem->q_len, problem->latent_rank, problem->rope_dim};
}
