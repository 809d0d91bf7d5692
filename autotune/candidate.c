#include "candidate.h"

#include <stdlib.h>
#include <string.h>

double smla_candidate_number(const smla_candidate *candidate, const char *name, double fallback) {
  for (size_t i = 0; i < candidate->number_count; i++)
    if (!strcmp(candidate->numbers[i].name, name)) return candidate->numbers[i].value;
  return fallback;
}

void smla_candidates_free(smla_candidate *candidates, size_t count) {
  for (size_t i = 0; candidates && i < count; i++) {
    free(candidates[i].text);
    free(candidates[i].numbers);
  }
  free(candidates);
}
