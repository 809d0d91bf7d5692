/* What a compilation tells about a kernel: read from the log, and from the cubin where the log is silent. */
#ifndef SMLA_RUNTIME_FACTS_H
#define SMLA_RUNTIME_FACTS_H

#include <stddef.h>

#include "image.h"

/* Adds what the log of NVRTC, ptxas or a host compiler says. *tells_spills: 1 where it speaks of spills. Pure. */
void smla_facts_read_log(const char *log, smla_facts *facts, int *tells_spills);

/* Registers and stack from a cubin's ELF, the largest over its kernels; leaves *facts alone where the image is not such
 * an ELF. Reads within `bytes` whatever the image holds. Pure. */
void smla_facts_read_cubin(const void *image, size_t bytes, smla_facts *facts);

#endif
