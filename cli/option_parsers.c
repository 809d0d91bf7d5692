#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

void smla_settings_init(smla_settings *settings) {
  *settings = (smla_settings){.seed = 1,
                              .emulator_order = -1,
                              .target = -1,
                              .weights = -1,
                              .rope = -1,
                              .rope_pairs = -1,
                              .data = -1,
                              .effort = -1,
                              .limit = -1,
                              .sigma = NAN,
                              .value_offset = NAN,
                              .softmax_scale = NAN,
                              .budget = NAN};
}

void smla_settings_free(smla_settings *settings) {
  smla_text_list *lists[] = {&settings->variants, &settings->targets,  &settings->device_classes,
                             &settings->keys,     &settings->operands, &settings->files};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; ++i) {
    free(lists[i]->items);
    *lists[i] = (smla_text_list){0};
  }
}

int smla_read_integer(const char *text, size_t length, long long *number) {
  long long value = 0;
  size_t i = length && (text[0] == '-' || text[0] == '+');
  if (i == length) return -1;
  for (; i < length; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    if (__builtin_mul_overflow(value, 10LL, &value) ||
        __builtin_add_overflow(value, (long long)(text[i] - '0'), &value)) {
      *number = text[0] == '-' ? LLONG_MIN : LLONG_MAX; /* out of every range, and said so there */
      for (; i < length; ++i)
        if (text[i] < '0' || text[i] > '9') return -1;
      return 0;
    }
  }
  *number = text[0] == '-' ? -value : value;
  return 0;
}

snapmla_status smla_parse_flag(const smla_option *option, const char *text, void *field) {
  (void)option;
  (void)text;
  *(int *)field = 1;
  return SNAPMLA_OK;
}

snapmla_status smla_parse_count(const smla_option *option, const char *text, void *field) {
  long long number;
  if (smla_read_integer(text, strlen(text), &number))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s %.80s: not an integer: give one in %.0f..%.0f",
                             option->name, text, option->low, option->high);
  if ((double)number < option->low || (double)number > option->high)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s %.80s: out of range: give an integer in %.0f..%.0f",
                             option->name, text, option->low, option->high);
  *(int32_t *)field = (int32_t)number;
  return SNAPMLA_OK;
}

snapmla_status smla_parse_seed(const smla_option *option, const char *text, void *field) {
  char *end;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 0);
  if (text[0] < '0' || text[0] > '9' || *end || errno)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s %.80s: give an integer in 0..2^64-1", option->name, text);
  *(uint64_t *)field = number;
  return SNAPMLA_OK;
}

snapmla_status smla_parse_real(const smla_option *option, const char *text, void *field) {
  char *end;
  double number = strtod(text, &end);
  if (!text[0] || text[0] == ' ' || *end)
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s %.80s: not a number: give one in %g..%g", option->name,
                             text, option->low, option->high);
  if (!(number >= option->low && number <= option->high))
    return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s %.80s: out of range: give a number in %g..%g",
                             option->name, text, option->low, option->high);
  *(double *)field = number;
  return SNAPMLA_OK;
}

snapmla_status smla_parse_text(const smla_option *option, const char *text, void *field) {
  if (!text[0]) return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s: its argument is empty", option->name);
  *(const char **)field = text;
  return SNAPMLA_OK;
}

snapmla_status smla_list_add(smla_text_list *list, const char *text) {
  const char **grown = realloc(list->items, (list->count + 1) * sizeof *grown);
  if (!grown) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for the command line");
  list->items = grown;
  list->items[list->count++] = text;
  return SNAPMLA_OK;
}

snapmla_status smla_parse_list(const smla_option *option, const char *text, void *field) {
  if (!text[0]) return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s: its argument is empty", option->name);
  return smla_list_add(field, text);
}

snapmla_status smla_parse_choice(const smla_option *option, const char *text, void *field) {
  char known[256] = "";
  for (int i = 0; option->choices[i]; ++i) {
    if (!strcmp(option->choices[i], text)) {
      *(int *)field = i;
      return SNAPMLA_OK;
    }
    strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
    strncat(known, option->choices[i], sizeof known - strlen(known) - 1);
  }
  return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "--%s %.80s: unknown: give one of %s", option->name, text, known);
}
