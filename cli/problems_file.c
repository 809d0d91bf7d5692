#include "problems_file.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "library.h"
#include "options.h"
#include "problem.h"
#include "sets.h"

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
/* Those that are true or false. */
static const struct {
  const char *name;
  uint32_t flag;
} flags[] = {
    {"power_of_two_scales", SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES},
    {"sinks", SNAPMLA_PROBLEM_SINKS},
    {"batch_invariant", SNAPMLA_PROBLEM_BATCH_INVARIANT},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers, FLAGS = sizeof flags / sizeof *flags, MOST_PROBLEMS = 4096 };

/* Where a text comes from, for messages: a file's path, or a set. */
typedef struct source {
  const char *name;
  size_t entry; /* of the list, from 0 */
} source;

void smla_problems_free(smla_problems *problems) {
  for (size_t i = 0; i < problems->count; ++i) {
    free((void *)(uintptr_t)problems->requests[i].problem);
    free((char *)(uintptr_t)problems->requests[i].variant);
    free(problems->names[i]);
  }
  free(problems->requests);
  free(problems->names);
  *problems = (smla_problems){0};
}

/* Appends a problem with its defaults; the caller fills in what *problem, *variant and *name say. */
static snapmla_status add(smla_problems *problems, snapmla_problem **problem, char ***variant, char ***name) {
  snapmla_pack_request *grown = realloc(problems->requests, (problems->count + 1) * sizeof *grown);
  if (grown) problems->requests = grown;
  char **names = realloc(problems->names, (problems->count + 1) * sizeof *names);
  if (names) problems->names = names;
  *problem = grown && names ? malloc(sizeof **problem) : NULL;
  if (!*problem) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
  snapmla_problem_init(*problem);
  snapmla_pack_request *request = &grown[problems->count];
  *request = (snapmla_pack_request){.size = sizeof *request, .problem = *problem};
  *variant = (char **)(uintptr_t)&request->variant;
  *name = &names[problems->count++];
  **name = NULL;
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
  char **variant = NULL, **name;
  smla_lengths lengths = {0};
  *out = (smla_problems){0};
  snapmla_status status = add(out, &problem, &variant, &name);
  if (!status && settings->context) status = smla_lengths_read(settings, settings->context, &lengths);
  if (!status) status = smla_problem_read(settings, settings->context ? &lengths : NULL, problem);
  if (!status) status = smla_problem_verify(problem);
  if (!status && settings->variants.count && !(*variant = join(&settings->variants)))
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
  smla_lengths_free(&lengths);
  if (status) smla_problems_free(out);
  return status;
}

static snapmla_status unknown_member(source from, const char *key) {
  const char *names[NUMBERS + FLAGS + 5] = {"kv_format", "accuracy", "variant", "name"};
  for (size_t i = 0; i < NUMBERS; ++i) names[4 + i] = numbers[i].name;
  for (size_t i = 0; i < FLAGS; ++i) names[4 + NUMBERS + i] = flags[i].name;
  const char *nearest = smla_nearest_name(key, names);
  return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: there is no member \"%.80s\"%s%s%s", from.name,
                           from.entry + 1, key, nearest ? ": the nearest is \"" : ": see docs/pack.md",
                           nearest ? nearest : "", nearest ? "\"" : "");
}

static snapmla_status read_member(source from, const char *key, const json_t *value, snapmla_problem *problem,
                                  char **variant, char **name) {
  const char *text = json_string_value(value);
  for (size_t i = 0; i < NUMBERS; ++i) {
    if (strcmp(key, numbers[i].name)) continue;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX)
      return smla_console_fail(
          SNAPMLA_BAD_FORMAT,
          "%s, problem %zu: \"%s\" is not an integer: write a whole number below 2^31, without quotes", from.name,
          from.entry + 1, key);
    int32_t narrow = (int32_t)number;
    memcpy((char *)problem + numbers[i].offset, &narrow, sizeof narrow);
    return SNAPMLA_OK;
  }
  for (size_t i = 0; i < FLAGS; ++i) {
    if (strcmp(key, flags[i].name)) continue;
    if (!json_is_boolean(value))
      return smla_console_fail(SNAPMLA_BAD_FORMAT,
                               "%s, problem %zu: \"%s\" is neither true nor false: write one of them, without quotes",
                               from.name, from.entry + 1, key);
    problem->flags = json_is_true(value) ? problem->flags | flags[i].flag : problem->flags & ~flags[i].flag;
    return SNAPMLA_OK;
  }
  int is_format = !strcmp(key, "kv_format"), is_accuracy = !strcmp(key, "accuracy"), is_name = !strcmp(key, "name");
  if (!is_format && !is_accuracy && !is_name && strcmp(key, "variant")) return unknown_member(from, key);
  if (!text)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: \"%s\" is not a text: write it in quotes", from.name,
                             from.entry + 1, key);
  if (is_format) return smla_library_status(snapmla_kv_format_parse(text, &problem->kv_format));
  if (is_accuracy) return smla_library_status(snapmla_accuracy_parse(text, &problem->accuracy));
  char **copy = is_name ? name : variant;
  *copy = strdup(text);
  return *copy ? SNAPMLA_OK : smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
}

/* An object whose members have one value each. */
static snapmla_status read_problem(source from, json_t *object, smla_problems *out) {
  snapmla_problem *problem;
  char **variant = NULL, **name = NULL;
  const char *key;
  json_t *value;
  if (out->count == MOST_PROBLEMS)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: more than %d problems: give fewer values at a time",
                             from.name, from.entry + 1, MOST_PROBLEMS);
  snapmla_status status = add(out, &problem, &variant, &name);
  if (status) return status;
  json_object_foreach(object, key, value) {
    status = read_member(from, key, value, problem, variant, name);
    if (status) return status;
  }
  status = snapmla_problem_check(problem);
  if (!status) return status;
  return smla_console_fail(status, "%s, problem %zu: %s", from.name, from.entry + 1, snapmla_error_message());
}

/* A problem for each combination of values where members are lists of them. */
static snapmla_status read_entry(source from, json_t *object, smla_problems *out) {
  const char *key;
  json_t *values = NULL, *value;
  size_t i;
  if (!json_is_object(object))
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: it is not an object", from.name, from.entry + 1);
  json_object_foreach(object, key, values) if (json_is_array(values)) break;
  if (!values || !json_is_array(values)) return read_problem(from, object, out);
  if (!json_array_size(values))
    return smla_console_fail(SNAPMLA_BAD_FORMAT,
                             "%s, problem %zu: \"%.80s\" is an empty list: give a value, or leave it out", from.name,
                             from.entry + 1, key);
  snapmla_status status = SNAPMLA_OK;
  json_array_foreach(values, i, value) {
    json_t *one = json_copy(object);
    if (!one || json_object_set(one, key, value))
      status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
    if (!status && json_is_array(value))
      status =
          smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: \"%.80s\" is a list of lists: give single values",
                            from.name, from.entry + 1, key);
    if (!status) status = read_entry(from, one, out);
    json_decref(one);
    if (status) return status;
  }
  return SNAPMLA_OK;
}

static snapmla_status read_list(const char *name, const json_t *root, smla_problems *out) {
  size_t i;
  json_t *entry;
  const json_t *list = json_is_object(root) ? json_object_get(root, "problems") : root;
  snapmla_status status = SNAPMLA_OK;
  if (!json_is_array(list) || !json_array_size(list))
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s holds no list of problems: write [{\"heads\": 128, …}, …]", name);
  json_array_foreach(list, i, entry) if (!status) status = read_entry((source){name, i}, entry, out);
  return status;
}

static const smla_set *find_set(const char *name) {
  size_t length = strlen(name);
  for (const smla_set *set = smla_sets; set->path; ++set)
    if (!strncmp(set->path, name, length) && !strcmp(set->path + length, ".json")) return set;
  return NULL;
}

static snapmla_status unknown_set(const char *name) {
  char names[400] = "";
  for (const smla_set *set = smla_sets; set->path; ++set) {
    size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%.*s", used ? ", " : "", (int)strcspn(set->path, "."), set->path);
  }
  return smla_console_fail(
      SNAPMLA_NOT_FOUND,
      "--set %.80s: there is no such set: give one of %s, or --problems FILE with problems of your own", name, names);
}

static int describes_a_problem(const smla_settings *s) {
  return s->heads || s->q_len || s->latent || s->rope || s->page || s->format || s->accuracy || s->scales || s->batch ||
         s->context || s->max_context || s->sparse || s->sinks || s->batch_invariant;
}

snapmla_status smla_problems_read(const smla_settings *settings, smla_problems *out) {
  json_error_t error;
  *out = (smla_problems){0};
  if (settings->problems && settings->set)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--problems and --set are both given: give one of the two");
  if (describes_a_problem(settings))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT,
                             "%s and options that describe a problem are both given: give one of the two",
                             settings->set ? "--set" : "--problems");
  const smla_set *set = settings->set ? find_set(settings->set) : NULL;
  if (settings->set && !set) return unknown_set(settings->set);
  const char *name = set ? set->path : settings->problems;
  json_t *root = set ? json_loadb(set->text, set->length, JSON_REJECT_DUPLICATES, &error)
                     : json_load_file(name, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return smla_console_fail(
        json_error_code(&error) == json_error_cannot_open_file ? SNAPMLA_NOT_FOUND : SNAPMLA_BAD_FORMAT,
        "%s: %s (line %d): give a JSON list of problems", name, error.text, error.line);
  snapmla_status status = read_list(name, root, out);
  json_decref(root);
  if (status) smla_problems_free(out);
  return status;
}
