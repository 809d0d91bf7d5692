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

/* What a member's value is, and how it is stored. */
typedef enum member_kind {
  NUMBER,   /* int32_t */
  FLAG,     /* a bit of a uint32_t */
  CHOICE,   /* one of `choices`, an enumeration from 0 */
  FORMAT,   /* snapmla_kv_format */
  ACCURACY, /* snapmla_accuracy */
  TEXT      /* char *, of the item */
} member_kind;

/* A problem of the list as it is read. */
typedef struct item {
  snapmla_layer_problem problem; /* of which the attention alone counts where it is no layer */
  char *variant, *name;
  uint32_t is_layer;
  const char *of_layer; /* the last member that only a layer has, NULL: there is none */
} item;

#define ATTENTION(name) .offset = offsetof(item, problem.attention.name)
#define LAYER(name) .offset = offsetof(item, problem.name)
static const struct member {
  const char *name;
  member_kind kind;
  size_t offset;
  uint32_t flag;
  const char *const *choices;
  int of_layer; /* nonzero: a problem that is no layer has no such member */
} members[] = {
    {"heads", NUMBER, ATTENTION(heads)},
    {"q_len", NUMBER, ATTENTION(q_len)},
    {"latent_rank", NUMBER, ATTENTION(latent_rank)},
    {"rope_dim", NUMBER, ATTENTION(rope_dim)},
    {"page_tokens", NUMBER, ATTENTION(page_tokens)},
    {"kv_format", FORMAT, ATTENTION(kv_format)},
    {"accuracy", ACCURACY, ATTENTION(accuracy)},
    {"max_batch", NUMBER, ATTENTION(max_batch)},
    {"max_context", NUMBER, ATTENTION(max_context)},
    {"max_indices", NUMBER, ATTENTION(max_indices)},
    {"flags", NUMBER, ATTENTION(flags)},
    {"power_of_two_scales", FLAG, ATTENTION(flags), .flag = SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES},
    {"sinks", FLAG, ATTENTION(flags), .flag = SNAPMLA_PROBLEM_SINKS},
    {"batch_invariant", FLAG, ATTENTION(flags), .flag = SNAPMLA_PROBLEM_BATCH_INVARIANT},
    {"layer", FLAG, .offset = offsetof(item, is_layer), .flag = 1},
    {"nope_dim", NUMBER, LAYER(nope_dim), .of_layer = 1},
    {"v_dim", NUMBER, LAYER(v_dim), .of_layer = 1},
    {"hidden", NUMBER, LAYER(hidden_size), .of_layer = 1},
    {"weights", CHOICE, LAYER(weight_type), .choices = smla_weight_names, .of_layer = 1},
    {"rope_pairs", CHOICE, LAYER(rope_pairs), .choices = smla_pair_names, .of_layer = 1},
    {"normed", FLAG, LAYER(flags), .flag = SNAPMLA_LAYER_NORMED, .of_layer = 1},
    {"rotated", FLAG, LAYER(flags), .flag = SNAPMLA_LAYER_ROTATED, .of_layer = 1},
    {"variant", TEXT, .offset = offsetof(item, variant)},
    {"name", TEXT, .offset = offsetof(item, name)},
};
enum { MEMBERS = sizeof members / sizeof *members, MOST_PROBLEMS = 4096 };

/* Where a text comes from, for messages: a file's path, or a set. */
typedef struct source {
  const char *name;
  size_t number; /* of the list's entry, from 0 */
} source;

static snapmla_status out_of_memory(void) {
  return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the problems");
}

void smla_problems_free(smla_problems *problems) {
  for (size_t i = 0; i < problems->count; ++i) {
    free((char *)(uintptr_t)problems->requests[i].variant);
    free(problems->problems[i]);
    free(problems->names[i]);
  }
  free(problems->requests);
  free(problems->problems);
  free(problems->names);
  *problems = (smla_problems){0};
}

/* Appends an item, whose texts are taken over, on failure too. */
static snapmla_status add(smla_problems *problems, item *e) {
  size_t count = problems->count;
  snapmla_pack_request *requests = realloc(problems->requests, (count + 1) * sizeof *requests);
  if (requests) problems->requests = requests;
  snapmla_layer_problem **list = realloc(problems->problems, (count + 1) * sizeof *list);
  if (list) problems->problems = list;
  char **names = realloc(problems->names, (count + 1) * sizeof *names);
  if (names) problems->names = names;
  snapmla_layer_problem *problem = requests && list && names ? malloc(sizeof *problem) : NULL;
  if (!problem) {
    free(e->variant);
    free(e->name);
    return out_of_memory();
  }
  *problem = e->problem;
  requests[count] = (snapmla_pack_request){.size = sizeof *requests,
                                           .problem = e->is_layer ? NULL : &problem->attention,
                                           .layer = e->is_layer ? problem : NULL,
                                           .variant = e->variant};
  list[count] = problem;
  names[count] = e->name;
  problems->count++;
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
  item e = {0};
  smla_lengths lengths = {0};
  *out = (smla_problems){0};
  snapmla_layer_problem_init(&e.problem);
  snapmla_status status = settings->context ? smla_lengths_read(settings, settings->context, &lengths) : SNAPMLA_OK;
  if (!status) status = smla_problem_read(settings, settings->context ? &lengths : NULL, &e.problem.attention);
  if (!status) status = smla_problem_verify(&e.problem.attention);
  if (!status && settings->variants.count && !(e.variant = join(&settings->variants))) status = out_of_memory();
  if (!status) status = add(out, &e);
  smla_lengths_free(&lengths);
  if (status) smla_problems_free(out);
  return status;
}

static snapmla_status unknown_member(source from, const char *key) {
  const char *names[MEMBERS + 1] = {0};
  for (size_t i = 0; i < MEMBERS; ++i) names[i] = members[i].name;
  const char *nearest = smla_nearest_name(key, names);
  return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: there is no member \"%.80s\"%s%s%s", from.name,
                           from.number + 1, key, nearest ? ": the nearest is \"" : ": see docs/pack.md",
                           nearest ? nearest : "", nearest ? "\"" : "");
}

static snapmla_status read_number(source from, const char *key, const json_t *value, void *field) {
  json_int_t number = json_integer_value(value);
  if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX)
    return smla_console_fail(
        SNAPMLA_BAD_FORMAT,
        "%s, problem %zu: \"%s\" is not an integer: write a whole number below 2^31, without quotes", from.name,
        from.number + 1, key);
  int32_t narrow = (int32_t)number;
  memcpy(field, &narrow, sizeof narrow);
  return SNAPMLA_OK;
}

static snapmla_status read_flag(source from, const char *key, const json_t *value, uint32_t flag, uint32_t *field) {
  if (!json_is_boolean(value))
    return smla_console_fail(SNAPMLA_BAD_FORMAT,
                             "%s, problem %zu: \"%s\" is neither true nor false: write one of them, without quotes",
                             from.name, from.number + 1, key);
  *field = json_is_true(value) ? *field | flag : *field & ~flag;
  return SNAPMLA_OK;
}

static snapmla_status read_choice(source from, const char *key, const char *text, const char *const *choices,
                                  void *field) {
  char names[200] = "";
  for (int i = 0; choices[i]; ++i) {
    size_t used = strlen(names);
    if (!strcmp(choices[i], text)) {
      memcpy(field, &i, sizeof i);
      return SNAPMLA_OK;
    }
    snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", choices[i]);
  }
  return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: \"%s\" is \"%.80s\": write one of %s", from.name,
                           from.number + 1, key, text, names);
}

_Static_assert(sizeof(snapmla_weight_type) == sizeof(int) && sizeof(snapmla_rope_pairs) == sizeof(int),
               "read_choice writes an int");

static snapmla_status read_member(source from, const char *key, const json_t *value, item *e) {
  const struct member *m = members;
  while (m < members + MEMBERS && strcmp(m->name, key)) ++m;
  if (m == members + MEMBERS) return unknown_member(from, key);
  void *field = (char *)e + m->offset;
  if (m->of_layer) e->of_layer = m->name;
  if (m->kind == NUMBER) return read_number(from, key, value, field);
  if (m->kind == FLAG) return read_flag(from, key, value, m->flag, field);
  const char *text = json_string_value(value);
  if (!text)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: \"%s\" is not a text: write it in quotes", from.name,
                             from.number + 1, key);
  if (m->kind == CHOICE) return read_choice(from, key, text, m->choices, field);
  if (m->kind == FORMAT) return smla_library_status(snapmla_kv_format_parse(text, field));
  if (m->kind == ACCURACY) return smla_library_status(snapmla_accuracy_parse(text, field));
  char *copy = strdup(text);
  memcpy(field, &copy, sizeof copy);
  return copy ? SNAPMLA_OK : out_of_memory();
}

/* An object whose members have one value each. */
static snapmla_status read_problem(source from, json_t *object, smla_problems *out) {
  item e = {0};
  const char *key;
  json_t *value;
  snapmla_status status = SNAPMLA_OK;
  if (out->count == MOST_PROBLEMS)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: more than %d problems: give fewer values at a time",
                             from.name, from.number + 1, MOST_PROBLEMS);
  snapmla_layer_problem_init(&e.problem);
  json_object_foreach(object, key, value) if (!status) status = read_member(from, key, value, &e);
  if (!status && e.of_layer && !e.is_layer)
    status =
        smla_console_fail(SNAPMLA_BAD_FORMAT,
                          "%s, problem %zu: \"%s\" is a member of a layer's problem: add \"layer\": true, or leave "
                          "it out",
                          from.name, from.number + 1, e.of_layer);
  if (!status) {
    status = e.is_layer ? snapmla_layer_problem_check(&e.problem) : snapmla_problem_check(&e.problem.attention);
    if (status) smla_console_fail(status, "%s, problem %zu: %s", from.name, from.number + 1, snapmla_error_message());
  }
  if (!status) return add(out, &e);
  free(e.variant);
  free(e.name);
  return status;
}

/* A problem for each combination of values where members are lists of them. */
static snapmla_status read_entry(source from, json_t *object, smla_problems *out) {
  const char *key;
  json_t *values = NULL, *value;
  size_t i;
  if (!json_is_object(object))
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: it is not an object", from.name, from.number + 1);
  json_object_foreach(object, key, values) if (json_is_array(values)) break;
  if (!values || !json_is_array(values)) return read_problem(from, object, out);
  if (!json_array_size(values))
    return smla_console_fail(SNAPMLA_BAD_FORMAT,
                             "%s, problem %zu: \"%.80s\" is an empty list: give a value, or leave it out", from.name,
                             from.number + 1, key);
  snapmla_status status = SNAPMLA_OK;
  json_array_foreach(values, i, value) {
    json_t *one = json_copy(object);
    if (!one || json_object_set(one, key, value)) status = out_of_memory();
    if (!status && json_is_array(value))
      status =
          smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, problem %zu: \"%.80s\" is a list of lists: give single values",
                            from.name, from.number + 1, key);
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

snapmla_status smla_set_about(const smla_set *set, char **out) {
  json_error_t error;
  json_t *root = json_loadb(set->text, set->length, JSON_REJECT_DUPLICATES, &error);
  const char *about = json_string_value(json_object_get(root, "about"));
  *out = strdup(about ? about : "");
  json_decref(root);
  return *out ? SNAPMLA_OK : out_of_memory();
}

int smla_problem_is_described(const smla_settings *s) {
  return s->heads || s->q_len || s->latent || s->rope >= 0 || s->page || s->format || s->accuracy || s->scales ||
         s->batch || s->context || s->max_context || s->sparse || s->sinks || s->batch_invariant || s->layer ||
         smla_problem_layer_option(s);
}

snapmla_status smla_problems_read(const smla_settings *settings, smla_problems *out) {
  json_error_t error;
  *out = (smla_problems){0};
  if (settings->problems && settings->set)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--problems and --set are both given: give one of the two");
  if (smla_problem_is_described(settings))
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
