/* A kernel compiled for the emulator, loaded into this process. */
#ifndef SMLA_LAUNCH_HOST_OBJECT_H
#define SMLA_LAUNCH_HOST_OBJECT_H

#include <stddef.h>

#include <snapmla/status.h>

#include "emulator.h"

typedef struct smla_host_object {
  void *handle;
  int memory; /* the descriptor of the memory file that it was loaded from, or -1 */
  smla_emulator_entry entry;
} smla_host_object;

/* Loads a shared object from memory: by way of a file in memory, or, where the kernel has none to give and
 * `without_files` is zero, of a private file that is gone when the call returns. Errors: IO (neither can be had,
 * with the remedy), BAD_FORMAT (no such object or entry). */
snapmla_status smla_host_object_load(const void *bytes, size_t size, const char *entry, int without_files,
                                     smla_host_object *out);
void smla_host_object_unload(smla_host_object *object);

#endif
