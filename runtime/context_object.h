/* The inside of a context. */
#ifndef SMLA_RUNTIME_CONTEXT_OBJECT_H
#define SMLA_RUNTIME_CONTEXT_OBJECT_H

#include <pthread.h>

#include <snapmla/context.h>

#include "device.h"
#include "generator.h"

struct smla_measurements; /* measurement.h */

struct snapmla_context {
  smla_device *device;
  smla_generator *generator;
  snapmla_context_options options; /* as given; its texts are owned: what a worker process needs to open the same */
  void (*progress)(void *user, const char *what);
  void *progress_user;
  pthread_mutex_t lock;             /* of what follows */
  struct smla_measurements *wisdom; /* measured by this context: what a store that fails would have kept */
  char *compile_log;                /* of the last compilation, NULL before the first */
};

/* Keeps a copy of `log` as the last one. Thread-safe. */
void smla_context_keep_log(snapmla_context *context, const char *log);

#endif
