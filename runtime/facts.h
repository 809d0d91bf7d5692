/* What a compilation tells about a kernel: read from the log, and from the cubin where the log is silent. */
#ifndef SMLA_RUNTIME_FACTS_H
#define SMLA_RUNTIME_FACTS_H

#include <stddef.h>
#include <stdint.h>

typedef struct smla_facts {
  int32_t registers;        /* per thread at entry; 0 on the emulator */
  int32_t spill_bytes;      /* stores and loads together, per thread */
  int32_t stack_bytes;      /* per thread */
  int32_t warnings;         /* lines that warn, wgmma serialisation among them */
  int32_t serialized_wgmma; /* nonzero: the compiler serialised wgmma */
} smla_facts;

/* Adds what the log of NVRTC, ptxas or a host compiler says. *tells_spills: 1 where it speaks of spills. Pure. */
void smla_facts_read_log(const char *log, smla_facts *facts, int *tells_spills);

/* Registers and stack from a cubin's ELF, the largest over its kernels; leaves *facts alone where the image is not such
 * an ELF. Reads within `bytes` whatever the image holds. Pure. */
void smla_facts_read_cubin(const void *image, size_t bytes, smla_facts *facts);

#endif
