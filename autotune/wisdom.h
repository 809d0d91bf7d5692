/* Wisdom: the measurements known. As one file it is exported, imported whole or not at all, and merged. */
#ifndef SMLA_AUTOTUNE_WISDOM_H
#define SMLA_AUTOTUNE_WISDOM_H

#include <stddef.h>

#include <snapmla/status.h>

#include "measurement.h"

enum { SMLA_WISDOM_FILE_LIMIT = 64 << 20 };

/* Appends the text of a wisdom file: JSON, sorted, the same bytes for the same measurements in any order.
 * Error: OUT_OF_MEMORY. */
snapmla_status smla_wisdom_print(const smla_measurements *list, smla_buffer *out);

/* Adds what a wisdom file holds to `out`, which is unchanged on failure. Every measurement must be right.
 * Errors: BAD_FORMAT (`name`, which one, and why), OUT_OF_MEMORY. */
snapmla_status smla_wisdom_read(const char *name, const char *text, size_t length, smla_measurements *out);

/* Adds those of `from`; of two of the same thing the one that outranks the other stays. Error: OUT_OF_MEMORY. */
snapmla_status smla_wisdom_merge(smla_measurements *into, const smla_measurements *from);

/* Adds what a search has just measured, by the rule of smla_measurement_renew. Error: OUT_OF_MEMORY. */
snapmla_status smla_wisdom_renew(smla_measurements *into, const smla_measurement *now);

/* What is asked for. NULL, "" and 0 match everything. */
typedef struct smla_wisdom_selector {
  const char *device, *problem, *variant; /* the variant: a part of its text */
} smla_wisdom_selector;
int smla_wisdom_matches(const smla_wisdom_selector *selector, const smla_measurement *measurement);

/* For whom a measurement is looked up. */
typedef struct smla_wisdom_query {
  char device[SMLA_DEVICE_CLASS_MAX];
  smla_problem_key problem; /* bucketed */
  char target[SMLA_TARGET_MAX];
  char templates[SMLA_HASH_HEX];
} smla_wisdom_query;

/* What may be used. */
typedef enum smla_wisdom_reach {
  SMLA_WISDOM_EXACT,     /* device, problem, target and templates agree */
  SMLA_WISDOM_TEMPLATES, /* made with other templates, all else agrees */
  SMLA_WISDOM_NEAREST    /* the nearest bucket, else the nearest device class */
} smla_wisdom_reach;

/* The winner among what `reach` allows, or NULL. Nearest first: the same device and problem with other templates, then the
 * same device's nearest bucket, then the nearest class. Within one class, problem and templates: of the greatest effort, one
 * that won its search, then one that was final; then the least time, ties in the order of the variant's text. `usable` may refuse
 * (an illegal or quarantined variant); NULL accepts all. `*reached` says which it was. */
const smla_measurement *smla_wisdom_best(const smla_measurements *list, const smla_wisdom_query *query,
                                         smla_wisdom_reach reach,
                                         int (*usable)(void *user, const smla_measurement *measurement), void *user,
                                         smla_wisdom_reach *reached);

/* Names what keeps a measurement from being exact: "device X (here Y), templates"; "" if nothing does. */
void smla_wisdom_difference(const smla_measurement *measurement, const smla_wisdom_query *query, char *out,
                            size_t room);

/* The wisdom that the library was built with (autotune/wisdom/), added to `out`. Error: OUT_OF_MEMORY. */
snapmla_status smla_wisdom_shipped(smla_measurements *out);

#endif
