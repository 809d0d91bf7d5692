/* Tuning: where a plan's variants come from, plans as bytes, wisdom, the store, and the cost model. docs/tuning.md explains.
 * Not in snapmla-deploy. */
#ifndef SNAPMLA_TUNE_H
#define SNAPMLA_TUNE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/export.h>
#include <snapmla/plan.h>
#include <snapmla/problem.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a plan's variants came from. */
typedef enum snapmla_provenance {
  SNAPMLA_PROVENANCE_GIVEN = 0,     /* an override, or a plan's bytes */
  SNAPMLA_PROVENANCE_EXACT = 1,     /* wisdom of this bucket, device class and templates, or tuned just now */
  SNAPMLA_PROVENANCE_NEAR = 2,      /* wisdom of other templates, another bucket or another device class */
  SNAPMLA_PROVENANCE_ESTIMATED = 3, /* the cost model */
  SNAPMLA_PROVENANCE_PACKED = 4     /* a pack */
} snapmla_provenance;
/* "given", "exact", "near", "estimated", "packed"; NULL for an unknown value. */
SNAPMLA_API const char *snapmla_provenance_name(snapmla_provenance provenance);
/* "estimate", "measure", "patient", "exhaustive"; NULL for an unknown value. */
SNAPMLA_API const char *snapmla_effort_name(snapmla_effort effort);

/* What kind of time it is: never compared with one another. */
typedef enum snapmla_time_kind {
  SNAPMLA_TIME_NONE = 0,
  SNAPMLA_TIME_MEASURED = 1, /* on a GPU */
  SNAPMLA_TIME_MODELLED = 2, /* the emulator's */
  SNAPMLA_TIME_ESTIMATED = 3 /* the cost model's */
} snapmla_time_kind;
SNAPMLA_API const char *snapmla_time_kind_name(snapmla_time_kind kind); /* "none", "measured", … */

typedef struct snapmla_plan_report {
  size_t size; /* sizeof(snapmla_plan_report), set by the caller */
  snapmla_provenance provenance;
  snapmla_time_kind time_kind;
  double microseconds;                     /* of a decode call of what was timed; 0: not known */
  snapmla_effort effort;                   /* of the measurement, or of the tuning */
  char device_class[96], problem_key[128]; /* the bucket: batch and context are powers of two */
  char templates[65];                      /* digest of the templates that a decode step's kernels are made of */
  char fingerprint[65];                    /* as snapmla_plan_fingerprint */
  char difference[400];                    /* NEAR: the fields of the key that differ; else "" */
  /* Of tuning just now; 0 where there was none. */
  int32_t candidates, tried, failed, quarantined, timed, tied; /* tied: within the noise, the winner included */
  int32_t deadline_passed, cancelled;
  int32_t timed_batch;
  int64_t timed_tokens;  /* of all requests together */
  double noise, seconds; /* noise: relative, within which times tie */
} snapmla_plan_report;
/* Thread-safe. */
SNAPMLA_API snapmla_status snapmla_plan_report_get(const snapmla_plan *plan, snapmla_plan_report *out);

/* A text that is equal exactly where two plans compute alike: problem, variants, multiprocessors, the templates of their families, what
 * the schedule cuts by, and the cache's layout. Ranks compare theirs before the first step. `out` has room for 65 characters. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_plan_fingerprint(const snapmla_plan *plan, char out[65]);

/* A plan as a text of *bytes bytes, to be handed to other ranks; freed with snapmla_text_free. Error: OUT_OF_MEMORY. */
SNAPMLA_API snapmla_status snapmla_plan_save(const snapmla_plan *plan, char **text, size_t *bytes);

/* Makes the plan that was saved: the same problem and variants, with the fingerprint that it had, or fails. Of `options` the
 * flags NO_JIT and NO_WRITE count. Errors: BAD_FORMAT (not such a text, or changed), UNSUPPORTED (the fingerprint here
 * is another: other templates or another version), and those of snapmla_plan_create. */
SNAPMLA_API snapmla_status snapmla_plan_load(snapmla_context *context, const char *text, size_t bytes,
                                             const snapmla_plan_options *options, snapmla_plan **out);

/* One variant and what is known of it. Texts are valid during the call. */
typedef struct snapmla_explanation {
  const char *variant;
  const char *fate; /* "chosen", "won", "tied", "lost", "pruned", "quarantined", "does not compile", "illegal", … */
  const char *reason;
  double estimated_us;         /* the cost model, calibrated by what was measured here; 0: none */
  double timed_us;             /* from wisdom; 0: none */
  snapmla_time_kind time_kind; /* of timed_us */
} snapmla_explanation;

/* Calls `each` for every variant of the decode kernel that the problem could use, and for the stored measurements that could
 * have served and did not (fate "missed", with the fields of the key that differ), fastest first. `report` (may be NULL) is what
 * snapmla_plan_create with these options would choose without tuning. Nothing is compiled.
 * Errors: those of snapmla_plan_create. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_explain(snapmla_context *context, const snapmla_problem *problem,
                                           const snapmla_plan_options *options,
                                           void (*each)(void *user, const snapmla_explanation *explanation), void *user,
                                           snapmla_plan_report *report);

/* The cost model at one batch and context. Microseconds. */
typedef struct snapmla_model_point {
  size_t size;                                     /* sizeof(snapmla_model_point), set by the caller */
  double total_us;                                 /* the most of what overlaps, what is not hidden, combine, fixed */
  double hbm_us, tensor_us, shared_us, special_us; /* overlap */
  double latency_us;                               /* of a tile's steps one after another; overlaps with them */
  double combine_us, fixed_us;
  double calibrated_us; /* total_us corrected by the measurements of this device class */
  int32_t calibration_samples;
  double bytes;             /* that have to move at least once */
  double tokens_per_second; /* query tokens, from calibrated_us */
  const char *bound;        /* "memory", "tensor", "shared memory", "exponentials", "latency", "fixed costs"; static */
  char variant[1024];       /* of the decode kernel */
} snapmla_model_point;

/* Machines that the model knows by name, NULL-terminated: "emulator", "h100", "h200". */
SNAPMLA_API const char *const *snapmla_machine_names(void);

/* Models a decode call of `batch` requests of `tokens` tokens each. `machine`: a name, or NULL for the context's device;
 * `context` may be NULL with a name. `variant`: an override, or NULL for the model's choice at this very point.
 * Errors: INVALID_ARGUMENT, and those of snapmla_variant_resolve. Thread-safe. */
SNAPMLA_API snapmla_status snapmla_model_query(snapmla_context *context, const char *machine,
                                               const snapmla_problem *problem, const char *variant, double batch,
                                               double tokens, snapmla_model_point *out);

/* Which measurements a call is about; NULL fields match all. */
typedef struct snapmla_wisdom_selector {
  size_t size;
  const char *device_class, *problem_key;
  const char *variant; /* a part of the variant's text */
} snapmla_wisdom_selector;

/* One known measurement. Texts are valid during the call. */
typedef struct snapmla_wisdom_entry {
  const char *key, *device_class, *problem_key, *variant, *target, *templates;
  double microseconds, spread;
  snapmla_time_kind time_kind;
  snapmla_effort effort;
  int32_t samples, won, shipped; /* shipped: came with the library */
} snapmla_wisdom_entry;

/* The measurements in the store, and those that came with the library. Thread-safe, as are all below. */
SNAPMLA_API snapmla_status snapmla_wisdom_list(const snapmla_wisdom_selector *selector,
                                               void (*each)(void *user, const snapmla_wisdom_entry *entry), void *user);
/* The stored measurements as one text, the same bytes for the same measurements; freed with snapmla_text_free.
 * Errors: UNSUPPORTED, IO (the store), OUT_OF_MEMORY. */
SNAPMLA_API snapmla_status snapmla_wisdom_export(const snapmla_wisdom_selector *selector, char **text, size_t *bytes);
/* Adds a wisdom text to the store: all of it or nothing. *added (may be NULL): measurements that were new or better.
 * Errors: BAD_FORMAT (with which and why), IO, UNSUPPORTED. `name` is for messages. */
SNAPMLA_API snapmla_status snapmla_wisdom_import(const char *name, const char *text, size_t bytes, int64_t *added);
/* Merges wisdom texts into one; touches no store. Of two measurements of one thing the greater effort stays. */
SNAPMLA_API snapmla_status snapmla_wisdom_merge(const char *const *names, const char *const *texts, const size_t *bytes,
                                                size_t count, char **text, size_t *merged_bytes);
/* Removes measurements from the store. */
SNAPMLA_API snapmla_status snapmla_wisdom_forget(const snapmla_wisdom_selector *selector, int64_t *removed);

/* A variant that crashed, hung or lied, or a kernel that does not compile: not tried again until it is released. */
typedef struct snapmla_quarantine_entry {
  const char *key, *variant, *device_class, *fate, *reason;
} snapmla_quarantine_entry;
SNAPMLA_API snapmla_status snapmla_quarantine_list(void (*each)(void *user, const snapmla_quarantine_entry *entry),
                                                   void *user);
/* Releases one by its key, or all where `key` is NULL. */
SNAPMLA_API snapmla_status snapmla_quarantine_release(const char *key, int64_t *released);

/* What the store holds, and what a sweep removed of it. */
typedef struct snapmla_store_sweep_report {
  size_t size; /* sizeof(snapmla_store_sweep_report), set by the caller */
  int64_t files, bytes, removed_files, removed_bytes, abandoned;
  char root[1024];
} snapmla_store_sweep_report;
/* Removes abandoned files, and the least recently used kernels until the store has at most `limit_bytes` (negative: the
 * configured limit). `dry`: nonzero only counts. */
SNAPMLA_API snapmla_status snapmla_store_sweep(int64_t limit_bytes, int dry, snapmla_store_sweep_report *out);

/* Serves the jobs of a tuning process on two file descriptors until `input` ends: what the program snapmla-worker does. A
 * program of one's own, named by SNAPMLA_WORKER, needs to do no more than call this with 0 and 1. */
SNAPMLA_API snapmla_status snapmla_tune_worker(int input, int output);

#ifdef __cplusplus
}
#endif
#endif
