/* Variant text in, compiled kernel out: expansion, the process's cache, the store, the compiler. */
#ifndef SMLA_RUNTIME_BUILD_H
#define SMLA_RUNTIME_BUILD_H

#include <stddef.h>

#include <snapmla/source.h>
#include <snapmla/status.h>

#include "generator.h"
#include "image.h"

/* One kernel to build and how it went. */
typedef struct smla_build {
  const smla_generator *generator;
  snapmla_target target;
  const char *variant; /* canonical */
  int no_jit;          /* nonzero: only what the process or the store has; else NOT_FOUND */
  int no_write;        /* nonzero: the store is not written to */
  /* out; smla_build_clear frees them */
  smla_image *image; /* one reference; NULL on failure */
  char *log;         /* the compiler's full log, also of a failure; NULL where nothing was compiled */
  char *reason;      /* of a failure, for other threads; else NULL */
  snapmla_status status;
  double seconds; /* expansion and compilation; of a kernel that was compiled before, what it took then */
} smla_build;

/* Builds one. Errors: TEMPLATE, NO_COMPILER, COMPILE, NOT_FOUND (no_jit), OUT_OF_MEMORY, IO; also in build->status. Thread-safe. */
snapmla_status smla_build_run(smla_build *build);

/* Called as each build ends, from the thread that called smla_build_all. */
typedef void smla_build_progress(void *user, const smla_build *build);

/* Builds several, one thread each, at most `workers` at a time (0: as many as there are cores). `progress` may be NULL. Returns the
 * first failure in the order of `builds`, its reason set for this thread. Thread-safe. */
snapmla_status smla_build_all(smla_build *builds, size_t count, int workers, smla_build_progress *progress, void *user);

void smla_build_clear(smla_build *build);

#endif
