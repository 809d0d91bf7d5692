/* The inside of a context. */
#ifndef SMLA_LAUNCH_CONTEXT_OBJECT_H
#define SMLA_LAUNCH_CONTEXT_OBJECT_H

#include <pthread.h>

#include <snapmla/context.h>

#include "device.h"
#include "device_class.h"

struct smla_generator;
struct smla_measurements;

struct snapmla_context {
  smla_device *device;
  /* What the whole library's contexts have beside, and how they free it; NULL in snapmla-deploy's. */
  struct smla_generator *generator;
  struct smla_measurements
      *wisdom;                     /* measured by this context: what a store that fails would have kept; under `lock` */
  snapmla_context_options options; /* as given; its templates are owned: what a worker process needs to open the same */
  void (*close_additions)(snapmla_context *context);
  void (*progress)(void *user, const char *what);
  void *progress_user;
  pthread_mutex_t lock; /* of what follows */
  char *compile_log;    /* of the last compilation, NULL before the first */
};

/* Opens a device without a generator: what the libraries' snapmla_context_create have in common. Errors: as there. */
snapmla_status smla_context_open(const snapmla_context_options *options, snapmla_context **out);

/* The class of its device. */
void smla_context_device_class(const snapmla_context *context, char text[SMLA_DEVICE_CLASS_MAX]);

/* Keeps a copy of `log` as the last one. Thread-safe. */
void smla_context_keep_log(snapmla_context *context, const char *log);

#endif
