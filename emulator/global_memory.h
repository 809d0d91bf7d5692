/* Checked global memory. */
#ifndef SMLA_EMULATOR_GLOBAL_MEMORY_H
#define SMLA_EMULATOR_GLOBAL_MEMORY_H

#include "machine.h"

/* Ends the cluster unless the running thread may access these bytes. */
void smla_global_check(smla_thread *thread, const void *p, uint32_t bytes, uint32_t alignment, int writing,
                       const char *what, smla_place line);

/* Services. */
const void *smla_global_load(const void *p, unsigned bytes, smla_place line);
void *smla_global_store(void *p, unsigned bytes, smla_place line);
unsigned smla_global_atomic(unsigned *p, unsigned value, int operation, smla_place line);

#endif
