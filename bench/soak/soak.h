/* The soak and the growth test: one problem on a device with guarded results, and launches that are repeated as they were
 * captured. Failures leave their reason in smla_console_reason(). */
#ifndef SMLA_BENCH_SOAK_H
#define SMLA_BENCH_SOAK_H

#include <jansson.h>

#include "bench.h"
#include "check.h"
#include "session.h"
#include "workload.h"

/* Makes the library's reason the program's and returns `status`; with OK it does nothing. (cli/library.h, whose name launch/ has
 * too, does the same.) */
snapmla_status soak_status(snapmla_status status);

/* --- launches that are repeated unchanged (replay.c) */

typedef struct replay replay;

/* Captures what `action` launches on the bench's stream: into a CUDA graph, or, on a device without graphs, as a list of its
 * launches (grid, block, parameters byte by byte), which are launched again. Nothing is computed. Not while another
 * thread launches on the device. Errors: UNSUPPORTED (a launch does not tell the size of its parameters, or there are more than are kept), DEVICE. */
snapmla_status replay_open(bench *b, bench_action *action, void *user, replay **out);
snapmla_status replay_launch(replay *r);
int replay_is_graph(const replay *r);
void replay_close(replay *r); /* NULL is allowed */

/* --- problems (problems.c) */

typedef struct soak_problem {
  const char *name; /* unique: it stands in state files */
  int32_t heads, q_len, latent, page, batch, context, sparse;
  const char *format, *accuracy;
  uint32_t flags; /* SNAPMLA_PROBLEM_SINKS, SNAPMLA_PROBLEM_BATCH_INVARIANT */
} soak_problem;

/* The first `count` are what --problems N takes. */
const soak_problem *soak_problems(int small, size_t *count);

/* --- one problem on a device (lane.c) */

/* Device memory between two bands of a pattern. */
typedef struct guarded {
  bench_memory memory;
  unsigned char *pointer;
  size_t bytes;
} guarded;

typedef struct lane {
  bench b; /* a copy of the caller's, with this lane's stream */
  const soak_problem *of;
  smla_workload work; /* its lengths are those of the last lane_begin */
  smla_session session;
  guarded out, lse, workspace;
  replay *captured;     /* schedule and decode */
  uint64_t cache;       /* digest of the cache as filled */
  double cache_seconds; /* what reading it took */
  char fingerprint[65];
} lane;

typedef struct lane_result {
  uint64_t digest;      /* of the bits of out and lse */
  uint32_t status_word; /* 0: nothing wrong */
  int guards_broken;    /* bytes of pattern overwritten */
  uint16_t *out;        /* as smla_session_read; owned by the caller: lane_result_free */
  float *lse;
} lane_result;

/* Makes a plan that depends on no measurement, fills a cache with `context` tokens of each request, captures one step.
 * Not while another thread launches on the device. */
snapmla_status lane_open(bench *b, const soak_problem *of, uint64_t seed, lane *out);
void lane_close(lane *l);
/* New lengths [batch], 0 .. context: their last q_len tokens are appended again (the same bytes), queries, lengths and lists
 * uploaded, and a step decoded eagerly. */
snapmla_status lane_begin(lane *l, const int32_t *lengths);
/* Schedule and decode, eagerly or as captured. Asynchronous. */
snapmla_status lane_launch(lane *l, int captured);
/* Fills results with 0xff, so that none passes for a later one; with `workspace` the workspace too. */
snapmla_status lane_clear(lane *l, int workspace);
/* Waits, and reads results and guards. */
snapmla_status lane_read(lane *l, lane_result *out);
void lane_result_free(lane_result *r);
/* Compares a request with the oracle: from `first` on, the first that has tokens and costs at most `effort` multiply-adds. *ok
 * is 1 where there is none, and *checked 0. */
snapmla_status lane_check(lane *l, const lane_result *r, int32_t first, double effort, int *checked, int *ok);
/* Digest of the cache as it is now. */
snapmla_status lane_cache(lane *l, uint64_t *digest);

/* --- what outlives a process (state.c) */

/* Reads a state file or starts one where there is none. Errors: IO, BAD_FORMAT, INVALID_ARGUMENT (it is of another seed or
 * device). */
snapmla_status state_open(const char *path, uint64_t seed, const snapmla_device_info *info, json_t **out);
snapmla_status state_save(json_t *state, const char *path);
/* The digests of a problem, begun where there are none, and begun anew (*renewed) where those there are other kernels'. Error:
 * BAD_FORMAT. */
snapmla_status state_problem(json_t *state, const lane *l, json_t **out, int *renewed);
/* Compares with what `record` has under `name`, or puts it there: 1 equal, 0 different, -1 new. */
int state_compare(json_t *record, const char *name, uint64_t digest);
/* Adds to a number of the state. */
void state_add(json_t *state, const char *name, double amount);

#endif
