/* A kernel compiled for the emulator, loaded into this process. */
#ifndef SMLA_RUNTIME_HOST_OBJECT_H
#define SMLA_RUNTIME_HOST_OBJECT_H

#include <stddef.h>

#include <snapmla/status.h>

#include "emulator.h"

typedef struct smla_host_object {
  void *handle;
  smla_emulator_entry entry;
} smla_host_object;

/* Loads a shared object from memory, by way of a private file that is gone when the call returns. Errors: IO (the file;
 * with the remedy where the directory forbids execution), BAD_FORMAT (no such object or entry). */
snapmla_status smla_host_object_load(const void *bytes, size_t size, const char *entry, smla_host_object *out);
void smla_host_object_unload(smla_host_object *object);

#endif
