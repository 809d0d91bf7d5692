#include "problems_file.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "library.h"
#include "options.h"
#include "problem.h"

/* The members of a problem that are numbers. */
static const struct {
  const char *name;
  size_t offset;
} numbers[] = {
    {"heads", offsetof(snapmla_problem, heads)},
    {"q_len", offsetof(snapmla_problem, q_len)},
    {"latent_rank", offsetof(snapmla_problem, latent_rank)},
    {"rope_dim", offsetof(snapmla_problem, rope_dim)},
    {"page_tokens", offsetof(snapmla_problem, page_tokens)},
    {"max_batch", offsetof(snapmla_problem, max_batch)},
    {"max_context", offsetof(snapmla_problem, max_context)},
    {"max_indices", offsetof(snapmla_problem, max_indices)},
    {"flags", offsetof(snapmla_problem, flags)},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

void smla_problems_free(smla_problems *problems) {
  for (size_t i = 0; i < problems->count; ++i) {
    free((void *)(uintptr_t)problems->requests[i].problem);
    free((char *)(uintptr_t)problems->requests[i].variant);
  }
  free(problems->requests);
  *problems = (smla_problems){0};
}

/* Appends a problem with its defaults; the caller fills in what *problem and *variant say. */
static snapmla_status add(smla_problems *problems, snapmla_problem **problem, char ***variant) {
  snapmla_pack_request *grown = realloc(problems->requests, (problems->count + 1) * sizeof *grown);
  if (grown) problems->requests = grown;
  *problem = grown ? malloc(sizeof **problem) : NULL;
  if (!*problem) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
  snapmla_problem_init(*problem);
  snapmla_pack_request *request = &grown[problems->count++];
  *request = (snapmla_pack_request){.size = sizeof *request, .problem = *problem};
  *variant = (char **)(uintptr_t)&request->variant;
  return SNAPMLA_OK;
}

/* Several texts as one, separated by ';', the first family being mla_decode where none is named. */
static char *join(const smla_text_list *texts) {
  static const char family[] = "mla_decode:";
  size_t room = 1;
  for (size_t i = 0; i < texts->count; ++i) room += strlen(texts->items[i]) + sizeof family;
  char *all = calloc(1, room);
  for (size_t i = 0; all && i < texts->count; ++i) {
    if (i) strcat(all, ";");
    if (!strchr(texts->items[i], ':')) strcat(all, family);
    strcat(all, texts->items[i]);
  }
  return all;
}

snapmla_status smla_problems_of_options(const smla_settings *settings, smla_problems *out) {
  snapmla_problem *problem;
  char **variant = NULL;
  smla_lengths lengths = {0};
  *out = (smla_problems){0};
  snapmla_status status = add(out, &problem, &variant);
  if (!status && settings->context) status = smla_lengths_read(settings, settings->context, &lengths);
  if (!status) status = smla_problem_read(settings, settings->context ? &lengths : NULL, problem);
  if (!status) status = smla_problem_verify(problem);
  if (!status && settings->variants.count && !(*variant = join(&settings->variants)))
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
  smla_lengths_free(&lengths);
  if (status) smla_problems_free(out);
  return status;
}

static snapmla_status unknown_member(const char *path, size_t index, const char *key) {
  const char *names[NUMBERS + 4] = {"kv_format", "accuracy", "variant"};
  for (size_t i = 0; i < NUMBERS; ++i) names[3 + i] = numbers[i].name;
  const char *nearest = smla_nearest_name(key, names);
  return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: there is no member \"%.80s\"%s%s%s", path, index + 1,
                           key, nearest ? ": the nearest is \"" : ": see docs/pack.md", nearest ? nearest : "",
                           nearest ? "\"" : "");
}

static snapmla_status read_member(const char *path, size_t index, const char *key, const json_t *value,
                                  snapmla_problem *problem, char **variant) {
  const char *text = json_string_value(value);
  for (size_t i = 0; i < NUMBERS; ++i) {
    if (strcmp(key, numbers[i].name)) continue;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX)
      return smla_console_fail(
          SNAPMLA_BAD_FORMAT,
          "%s, problem %zu: \"%s\" is not an integer: write a whole number below 2^31, without quotes", path, index + 1,
          key);
    int32_t narrow = (int32_t)number;
    memcpy((char *)problem + numbers[i].offset, &narrow, sizeof narrow);
    return SNAPMLA_OK;
  }
  int is_format = !strcmp(key, "kv_format"), is_accuracy = !strcmp(key, "accuracy");
  if (!is_format && !is_accuracy && strcmp(key, "variant")) return unknown_member(path, index, key);
  if (!text)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: \"%s\" is not a text: write it in quotes", path,
                             index + 1, key);
  if (is_format) return smla_library_status(snapmla_kv_format_parse(text, &problem->kv_format));
  if (is_accuracy) return smla_library_status(snapmla_accuracy_parse(text, &problem->accuracy));
  *variant = strdup(text);
  return *variant ? SNAPMLA_OK : smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
}

static snapmla_status read_problem(const char *path, size_t index, json_t *object, smla_problems *out) {
  snapmla_problem *problem;
  char **variant = NULL;
  const char *key;
  json_t *value;
  if (!json_is_object(object))
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: it is not an object", path, index + 1);
  snapmla_status status = add(out, &problem, &variant);
  if (status) return status;
  json_object_foreach(object, key, value) {
    status = read_member(path, index, key, value, problem, variant);
    if (status) return status;
  }
  status = snapmla_problem_check(problem);
  if (!status) return status;
  return smla_console_fail(status, "%s, problem %zu: %s", path, index + 1, snapmla_error_message());
}

snapmla_status smla_problems_read(const char *path, smla_problems *out) {
  json_error_t error;
  size_t i;
  json_t *entry;
  *out = (smla_problems){0};
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return smla_console_fail(
        json_error_code(&error) == json_error_cannot_open_file ? SNAPMLA_NOT_FOUND : SNAPMLA_BAD_FORMAT,
        "%s: %s (line %d): give a JSON list of problems", path, error.text, error.line);
  const json_t *list = json_is_object(root) ? json_object_get(root, "problems") : root;
  snapmla_status status = SNAPMLA_OK;
  if (!json_is_array(list) || !json_array_size(list))
    status =
        smla_console_fail(SNAPMLA_BAD_FORMAT, "%s holds no list of problems: write [{\"heads\": 128, …}, …]", path);
  else
    json_array_foreach(list, i, entry) if (!status) status = read_problem(path, i, entry, out);
  json_decref(root);
  if (status) smla_problems_free(out);
  return status;
}
