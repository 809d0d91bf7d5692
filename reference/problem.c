#include <snapmla/problem.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "kv_format.h"
#include "status.h"
#include "struct_size.h"

void snapmla_problem_init(snapmla_problem *problem) {
  if (!problem) return;
  *problem = (snapmla_problem){
      .size = sizeof *problem,
      .heads = 128,
      .q_len = 1,
      .latent_rank = 512,
      .rope_dim = 64,
      .page_tokens = 64,
      .kv_format = SNAPMLA_KV_FP8_TOKEN,
      .accuracy = SNAPMLA_ACCURACY_FAST,
      .max_batch = 128,
      .max_context = 131072,
  };
}

enum {
  LISTED = 4,
  MOST_LISTS = 4096,
  /* Longer chunks are prefill's. A head attends to a token of the latent with 1088 products a query token (rank 512), to its
   * keys and values with 320, and those are made of the latent with 131072, once: from 171 query tokens on that is less. */
  MOST_QUERY_TOKENS = 128
};

/* The legal values of an integer field: a range, or up to four listed values. `remedy` ends the message. */
typedef struct field_rule {
  const char *name;
  size_t offset;
  int32_t low, high; /* a range; unused where there is a list */
  int count;         /* of the listed values; none: a range */
  int32_t listed[LISTED];
  const char *remedy;
} field_rule;

#define FIELD(name) #name, offsetof(snapmla_problem, name)

static const field_rule field_rules[] = {
    {FIELD(heads), 1, 128, 0, {0}, "set the query heads of this device; shard more heads over devices"},
    {FIELD(q_len),
     1,
     MOST_QUERY_TOKENS,
     0,
     {0},
     "set the query tokens of one decode step; cut longer ones into several calls, or attend to keys and values made "
     "of the cache"},
    {FIELD(latent_rank), 0, 0, 4, {128, 256, 384, 512}, "pad the latent with zero channels to the next of them"},
    {FIELD(rope_dim), 0, 0, 4, {0, 32, 64, 128}, "pad RoPE with zero channels to the next of them"},
    {FIELD(page_tokens), 0, 0, 4, {16, 32, 64, 128}, "choose one of them as the cache's page size"},
    {FIELD(max_batch), 1, 4096, 0, {0}, "set the most requests of one call"},
    {FIELD(max_context), 1, 1 << 20, 0, {0}, "set the most tokens of one request, new ones included"},
    {FIELD(max_indices),
     0,
     1 << 20,
     0,
     {0},
     "set the most entries of a query token's list, or 0 where none has a list"},
};

/* "a, b or c": for messages; `text` is large enough for every list here. */
static void list_values(const int32_t *listed, int count, char *text, size_t bytes) {
  size_t length = 0;
  text[0] = 0;
  for (int i = 0; i < count && length < bytes; i++) {
    const char *before = i == 0 ? "" : i == count - 1 ? " or " : ", ";
    length += (size_t)snprintf(text + length, bytes - length, "%s%d", before, listed[i]);
  }
}

static snapmla_status check_field(const snapmla_problem *problem, const field_rule *rule) {
  int32_t value;
  memcpy(&value, (const char *)problem + rule->offset, sizeof value);
  if (!rule->count) {
    if (value >= rule->low && value <= rule->high) return SNAPMLA_OK;
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "problem: %s is %d, it must be %d to %d: %s", rule->name, value,
                     rule->low, rule->high, rule->remedy);
  }
  for (int i = 0; i < rule->count; i++)
    if (value == rule->listed[i]) return SNAPMLA_OK;
  char values[64];
  list_values(rule->listed, rule->count, values, sizeof values);
  return smla_fail(value > 0 ? SNAPMLA_UNSUPPORTED : SNAPMLA_INVALID_ARGUMENT, "problem: %s is %d, it must be %s: %s",
                   rule->name, value, values, rule->remedy);
}

/* The names of an enum's values, value by value. */
typedef struct name_table {
  const char *what;
  const char *(*name)(int value); /* NULL past the last */
} name_table;

static const char *kv_format_name(int value) {
  const smla_kv_facts *facts = smla_kv_facts_of((snapmla_kv_format)value);
  return facts ? facts->name : NULL;
}

static const char *accuracy_name(int value) {
  static const char *const names[] = {"fast", "balanced", "max"};
  return value >= 0 && (size_t)value < sizeof names / sizeof *names ? names[value] : NULL;
}

static const name_table kv_formats = {"KV format", kv_format_name};
static const name_table accuracies = {"accuracy", accuracy_name};

/* "a, b": for messages; `list` is large enough for every table here. */
static void list_names(const name_table *table, char *list, size_t bytes) {
  size_t length = 0;
  list[0] = 0;
  for (int i = 0; table->name(i) && length < bytes; i++)
    length += (size_t)snprintf(list + length, bytes - length, "%s%s", i ? ", " : "", table->name(i));
}

static snapmla_status parse_name(const name_table *table, const char *name, int *value) {
  for (int i = 0; name && table->name(i); i++) {
    if (strcmp(name, table->name(i)) == 0) {
      *value = i;
      return SNAPMLA_OK;
    }
  }
  char list[128];
  list_names(table, list, sizeof list);
  return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s \"%s\" is not known: use one of: %s", table->what,
                   name ? name : "(null)", list);
}

static snapmla_status check_name(const name_table *table, const char *field, int value) {
  if (table->name(value)) return SNAPMLA_OK;
  char list[128];
  list_names(table, list, sizeof list);
  return smla_fail(SNAPMLA_UNSUPPORTED, "problem: %s is %d, not a %s this library knows: use one of: %s", field, value,
                   table->what, list);
}

static snapmla_status check_format_channels(const snapmla_problem *problem) {
  const smla_kv_facts *facts = smla_kv_facts_of(problem->kv_format);
  const struct {
    const char *name;
    int32_t value, only;
  } fields[] = {{"latent_rank", problem->latent_rank, facts->only_latent},
                {"rope_dim", problem->rope_dim, facts->only_rope}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (fields[i].only && fields[i].only != fields[i].value)
      return smla_fail(SNAPMLA_UNSUPPORTED,
                       "problem: %s is %d, and the format %s is defined for %d alone: take another format",
                       fields[i].name, fields[i].value, facts->name, fields[i].only);
  return SNAPMLA_OK;
}

/* P has the type of the values, and of bf16's 8 significant bits the level's limit is too near. */
static snapmla_status check_level(const snapmla_problem *problem) {
  const smla_kv_facts *facts = smla_kv_facts_of(problem->kv_format);
  if (problem->accuracy != SNAPMLA_ACCURACY_MAX || facts->content != SMLA_NUMBER_BF16) return SNAPMLA_OK;
  return smla_fail(
      SNAPMLA_UNSUPPORTED,
      "problem: accuracy is max, and with the format %s P has 8 significant bits, too few for its limits: take "
      "balanced, or a format of e4m3",
      facts->name);
}

snapmla_status snapmla_problem_check(const snapmla_problem *problem) {
  if (!problem)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "problem is NULL: pass a struct that snapmla_problem_init filled");
  snapmla_status status = smla_struct_size_check("snapmla_problem", problem, problem->size, sizeof *problem);
  for (size_t i = 0; !status && i < sizeof field_rules / sizeof *field_rules; i++)
    status = check_field(problem, &field_rules[i]);
  if (!status) status = check_name(&kv_formats, "kv_format", (int)problem->kv_format);
  if (!status) status = check_format_channels(problem);
  if (!status) status = check_name(&accuracies, "accuracy", (int)problem->accuracy);
  if (!status) status = check_level(problem);
  if (status) return status;
  static const uint32_t known_flags =
      SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES | SNAPMLA_PROBLEM_SINKS | SNAPMLA_PROBLEM_BATCH_INVARIANT;
  if (problem->flags & ~known_flags)
    return smla_fail(SNAPMLA_UNSUPPORTED, "problem: flags is 0x%x, this library knows 0x%x: set no other bit",
                     problem->flags, known_flags);
  if (problem->flags & SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES &&
      !smla_kv_scales(smla_kv_facts_of(problem->kv_format), problem->latent_rank))
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "problem: flags asks for scales that are powers of two, and the format %s stores none: clear "
                     "SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES",
                     snapmla_kv_format_name(problem->kv_format));
  if (problem->max_indices && problem->max_batch * problem->q_len > MOST_LISTS)
    return smla_fail(
        SNAPMLA_UNSUPPORTED,
        "problem: max_batch * q_len is %d * %d, with max_indices it must be at most %d, as each query token has "
        "a list of its own: set a smaller max_batch",
        problem->max_batch, problem->q_len, MOST_LISTS);
  return SNAPMLA_OK;
}

const char *snapmla_kv_format_name(snapmla_kv_format format) { return kv_format_name((int)format); }

const char *snapmla_accuracy_name(snapmla_accuracy accuracy) { return accuracy_name((int)accuracy); }

snapmla_status snapmla_kv_format_parse(const char *name, snapmla_kv_format *out) {
  int value = 0;
  snapmla_status status = parse_name(&kv_formats, name, &value);
  if (!status) *out = (snapmla_kv_format)value;
  return status;
}

snapmla_status snapmla_accuracy_parse(const char *name, snapmla_accuracy *out) {
  int value = 0;
  snapmla_status status = parse_name(&accuracies, name, &value);
  if (!status) *out = (snapmla_accuracy)value;
  return status;
}
