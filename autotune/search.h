/* The search: the model prunes, what is left is compiled side by side, checked, and timed one at a time by successive
 * halving; finalists are timed again in interleaved pairs, and what lies within the noise is a tie that a fixed order
 * breaks. Knows no device: compiling, checking and timing are three callbacks. */
#ifndef SMLA_AUTOTUNE_SEARCH_H
#define SMLA_AUTOTUNE_SEARCH_H

#include <stddef.h>

#include <snapmla/status.h>

#include "candidate.h"

typedef enum smla_fate {
  SMLA_FATE_PRUNED,      /* by the model: not compiled */
  SMLA_FATE_QUARANTINED, /* known to crash, hang or lie, or known not to compile: not tried */
  SMLA_FATE_COMPILE_FAILED,
  SMLA_FATE_UNCHECKED, /* the deadline came before */
  SMLA_FATE_CRASHED,
  SMLA_FATE_HUNG,
  SMLA_FATE_WRONG,   /* failed the correctness gate */
  SMLA_FATE_FAILED,  /* anything else that kept it from being timed */
  SMLA_FATE_CHECKED, /* right, but the deadline came before it was timed */
  SMLA_FATE_LOST,    /* timed, and slower */
  SMLA_FATE_TIED,    /* within the noise of the fastest, and not first in the fixed order */
  SMLA_FATE_WON
} smla_fate;

/* "pruned", "won", …; static. */
const char *smla_fate_name(smla_fate fate);

enum { SMLA_REASON_MAX = 400 };

typedef struct smla_search_entry {
  double model_us;              /* in */
  smla_fate fate;               /* in: QUARANTINED keeps a candidate out; all else is set by the search */
  char reason[SMLA_REASON_MAX]; /* in for QUARANTINED; why it failed, or how it lost; "" */
  double median_us;             /* of all its samples; 0 without */
  double spread;                /* relative, of the last round's samples */
  double ratio;                 /* finalists: the median of time / fastest in the same round; else 0 */
  size_t samples;
  int final; /* nonzero: was timed in pairs */
} smla_search_entry;

/* What a check or a compilation found: OK, or the fate and its reason. */
typedef struct smla_verdict {
  smla_fate fate; /* COMPILE_FAILED, CRASHED, HUNG, WRONG, FAILED; meaningless where ok */
  int ok;
  char reason[SMLA_REASON_MAX];
} smla_verdict;

typedef struct smla_search_progress {
  const char *phase; /* "compiling", "checking", "timing", "comparing finalists"; static */
  size_t done, total;
  const char *candidate; /* the one in hand, or "" */
  double best_us;        /* 0: none yet */
} smla_search_progress;

/* Called from the thread that searches. */
typedef struct smla_search_ops {
  void *user;
  /* Compiles candidates[which[0 … count)], side by side as it sees fit; sets each verdict. */
  void (*compile)(void *user, const size_t *which, size_t count, smla_verdict *verdicts);
  /* The correctness gate. */
  void (*check)(void *user, size_t candidate, smla_verdict *verdict);
  /* `count` samples in microseconds, of which some may be repeated until they are steady. */
  void (*time)(void *user, size_t candidate, size_t count, double *microseconds, smla_verdict *verdict);
  /* Nonzero cancels. May be NULL. */
  int (*progress)(void *user, const smla_search_progress *progress);
} smla_search_ops;

typedef struct smla_search_options {
  size_t most_tried;     /* candidates that the model lets through, the default aside; 0: all */
  double most_slower;    /* and none that is modelled slower than this times the best; 0: no such limit */
  size_t compile_batch;  /* given to `compile` at a time */
  size_t first_samples;  /* of the first round; each further round doubles them */
  size_t finalists;      /* at least 1 */
  size_t pair_rounds;    /* in which every finalist is timed once */
  double noise_floor;    /* relative: the least that counts as a difference */
  double default_margin; /* a tie goes to the default, but to what is modelled so many times less; 0: always to it */
  double deadline;       /* of smla_clock_seconds(); 0: none */
} smla_search_options;

typedef struct smla_search_result {
  size_t winner; /* index; the default where nothing was timed and it may be used */
  int found;     /* nonzero: the winner was compiled and checked */
  int timed;     /* nonzero: and timed */
  double band;   /* relative noise within which finalists tied */
  size_t tied;   /* finalists within it, the winner included */
  int deadline_passed, cancelled;
} smla_search_result;

/* Ties break in favour of the default, then of what is modelled faster, then by the candidates' texts.
 * `entries` has one per candidate.
 * Errors: OUT_OF_MEMORY; INVALID_ARGUMENT (no candidates). */
snapmla_status smla_search_run(const smla_candidate *candidates, size_t count, const smla_search_options *options,
                               const smla_search_ops *ops, smla_search_entry *entries, smla_search_result *result);

#endif
