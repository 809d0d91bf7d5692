/* The inside of a context. */
#ifndef SMLA_LAUNCH_CONTEXT_OBJECT_H
#define SMLA_LAUNCH_CONTEXT_OBJECT_H

#include <pthread.h>

#include <snapmla/context.h>

#include "device.h"

struct snapmla_context {
  smla_device *device;
  struct smla_generator *generator; /* of the whole library's contexts alone, which close it so */
  void (*close_generator)(struct smla_generator *generator);
  void (*progress)(void *user, const char *what);
  void *progress_user;
  pthread_mutex_t lock; /* of what follows */
  char *compile_log;    /* of the last compilation, NULL before the first */
};

/* Opens a device without a generator: what the libraries' snapmla_context_create have in common. Errors: as there. */
snapmla_status smla_context_open(const snapmla_context_options *options, snapmla_context **out);

/* Keeps a copy of `log` as the last one. Thread-safe. */
void smla_context_keep_log(snapmla_context *context, const char *log);

#endif
