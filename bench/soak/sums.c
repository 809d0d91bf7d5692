/* Sums of a visit, and of all. */
#include "sums.h"

#include <stddef.h>

#include "console.h"
#include "json_output.h"
#include "soak.h"

static const struct {
  const char *name;
  size_t at;
} numbers[] = {{"calls", offsetof(soak_sums, calls)},
               {"replays", offsetof(soak_sums, replays)},
               {"compared", offsetof(soak_sums, compared)},
               {"tokens", offsetof(soak_sums, tokens)},
               {"drifts", offsetof(soak_sums, drifts)},
               {"guards_broken", offsetof(soak_sums, guards_broken)},
               {"status_words", offsetof(soak_sums, status_words)},
               {"oracle_compared", offsetof(soak_sums, checked)},
               {"oracle_unlike", offsetof(soak_sums, unlike)},
               {"failed", offsetof(soak_sums, failed)},
               {"renewed", offsetof(soak_sums, renewed)}};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static int64_t value_of(const soak_sums *sums, size_t number) {
  return *(const int64_t *)(const void *)((const char *)sums + numbers[number].at);
}

int sums_ok(const soak_sums *sums) {
  return !sums->drifts && !sums->guards_broken && !sums->status_words && !sums->unlike && !sums->failed;
}

void sums_put(const soak_sums *sums, json_t *report) {
  for (size_t i = 0; i < NUMBERS; i++) smla_json_set(report, numbers[i].name, json_integer(value_of(sums, i)));
}

snapmla_status sums_added(const soak_sums *sums, double seconds, const json_t *state, json_t **out) {
  json_t *copy = json_deep_copy(state);
  *out = copy;
  if (!copy) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a state");
  state_add(copy, "seconds", seconds);
  state_add(copy, "visits", 1);
  for (size_t i = 0; i < NUMBERS; i++) state_add(copy, numbers[i].name, (double)value_of(sums, i));
  return SNAPMLA_OK;
}

json_t *sums_total(const json_t *state) {
  json_t *total = json_object();
  smla_json_set(total, "seconds", smla_json_real(json_number_value(json_object_get(state, "seconds"))));
  smla_json_set(total, "visits", smla_json_real(json_number_value(json_object_get(state, "visits"))));
  for (size_t i = 0; i < NUMBERS; i++)
    smla_json_set(total, numbers[i].name,
                  json_integer((json_int_t)json_number_value(json_object_get(state, numbers[i].name))));
  return total;
}
