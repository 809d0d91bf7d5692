/* One variant's timing for one problem on one device class, and its file's text. */
#ifndef SMLA_AUTOTUNE_MEASUREMENT_H
#define SMLA_AUTOTUNE_MEASUREMENT_H

#include <stddef.h>

#include <snapmla/status.h>

#include "bucket.h"
#include "buffer.h"
#include "device_class.h"
#include "hash.h"

enum { SMLA_VARIANT_MAX = 4096, SMLA_TARGET_MAX = 16, SMLA_SOFT_FACTS_MAX = 160 };

typedef struct smla_measurement {
  char key[SMLA_HASH_HEX];              /* smla_measurement_key of variant, target and templates */
  char device[SMLA_DEVICE_CLASS_MAX];   /* smla_device_class */
  char problem[SMLA_PROBLEM_KEY_MAX];   /* smla_problem_key_text, bucketed */
  char *variant;                        /* canonical texts of all kernels timed, separated by ';'; owned */
  char target[SMLA_TARGET_MAX];         /* "sm_90a", "emulator" */
  char templates[SMLA_HASH_HEX];        /* digest of what its kernels could be made of */
  char artifact[SMLA_HASH_HEX];         /* key of the decode kernel that ran; "" where it is not known */
  char soft_facts[SMLA_SOFT_FACTS_MAX]; /* driver and product: recorded, and a change calls for a recheck */
  int modelled;                         /* nonzero: the emulator's time, never compared with a measured one */
  double us, spread;                    /* median, and its relative spread */
  int samples, effort;                  /* effort: 1 measure, 2 patient, 3 exhaustive */
  int final, won;                       /* timed against the other finalists; chosen among them */
  int timed_batch, timed_context;       /* what was timed: requests, and tokens of them all */
} smla_measurement;

typedef struct smla_measurements {
  smla_measurement *items; /* owned */
  size_t count;
} smla_measurements;

void smla_measurement_key(const char *variant, const char *target, const char *templates, char key[SMLA_HASH_HEX]);

/* Appends the file's text: JSON, a field a line, sorted, the same bytes for the same measurement.
 * Error: OUT_OF_MEMORY. */
snapmla_status smla_measurement_print(const smla_measurement *measurement, smla_buffer *out);

/* Reads what smla_measurement_print writes and holds it to its rules: known fields of the right types, texts within their
 * sizes, a device class and a problem that could be, finite positive times, a key that is its content's. `name` is for the
 * message. Errors: BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_measurement_read(const char *name, const char *text, size_t length, smla_measurement *out);
void smla_measurement_clear(smla_measurement *measurement);

/* Adds a copy. Error: OUT_OF_MEMORY. */
snapmla_status smla_measurements_add(smla_measurements *list, const smla_measurement *measurement);
void smla_measurements_free(smla_measurements *list);

/* Nonzero where two speak of the same thing: key, device and problem. */
int smla_measurement_same(const smla_measurement *a, const smla_measurement *b);
/* Nonzero where `a` is to replace `b`, of the same thing: a greater effort, then more samples. */
int smla_measurement_outranks(const smla_measurement *a, const smla_measurement *b);
/* A search has just made `now`, of the same thing as `known`: `known` becomes what outranks the other, with the verdict (won,
 * final) of `now` unless `known` is of greater effort. Returns nonzero if it changed. */
int smla_measurement_renew(smla_measurement *known, const smla_measurement *now);

#endif
