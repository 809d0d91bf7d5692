/* What is searched: each candidate a text and named numbers, as the runtime hands them over. Pure. */
#ifndef SMLA_AUTOTUNE_CANDIDATE_H
#define SMLA_AUTOTUNE_CANDIDATE_H

#include <stddef.h>

/* A number that a variant's space derives, or an integer axis. */
typedef struct smla_number {
  char name[48];
  double value;
} smla_number;

typedef struct smla_candidate {
  char *text;           /* canonical; its name everywhere */
  smla_number *numbers; /* sorted by name */
  size_t number_count;
  int is_default; /* nonzero: what is used where nothing is known; it always competes */
} smla_candidate;

/* The number of that name, or `fallback`. */
double smla_candidate_number(const smla_candidate *candidate, const char *name, double fallback);

/* Frees what `count` candidates own, and the array. */
void smla_candidates_free(smla_candidate *candidates, size_t count);

#endif
