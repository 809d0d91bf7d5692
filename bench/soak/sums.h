/* What a visit did and found, in numbers. */
#ifndef SMLA_BENCH_SOAK_SUMS_H
#define SMLA_BENCH_SOAK_SUMS_H

#include <stdint.h>

#include <jansson.h>

#include <snapmla/status.h>

typedef struct soak_sums {
  int64_t calls, replays, compared, tokens; /* of calls whose results were read, or were overwritten by one that was */
  int64_t drifts, guards_broken, status_words, checked, unlike, failed, renewed;
} soak_sums;

/* 1 where nothing wrong was found. */
int sums_ok(const soak_sums *sums);
/* Each by its name, into a report. */
void sums_put(const soak_sums *sums, json_t *report);
/* *out becomes a copy of `state`, which knows earlier visits alone, that knows this one too, `seconds` long. Error: OUT_OF_MEMORY. */
snapmla_status sums_added(const soak_sums *sums, double seconds, const json_t *state, json_t **out);
/* The numbers of such a copy, for a report; NULL without memory. */
json_t *sums_total(const json_t *state);

#endif
