/* The sections of a cubin: an ELF file of CUDA's. Reads within the bytes given, whatever they hold. Pure. */
#ifndef SMLA_RUNTIME_CUBIN_H
#define SMLA_RUNTIME_CUBIN_H

#include <elf.h>
#include <stddef.h>

typedef struct smla_cubin {
  const unsigned char *base; /* not owned */
  size_t bytes;
  Elf64_Ehdr header; /* sections are 1 to header.e_shnum - 1 */
  Elf64_Shdr names;
} smla_cubin;

typedef struct smla_cubin_section {
  const char *name;
  Elf64_Shdr head;
  const unsigned char *data; /* head.sh_size bytes; NULL where the file holds none (SHT_NOBITS) */
} smla_cubin_section;

/* Nonzero where the bytes, which must live as long, are a cubin; else *out is undefined. */
int smla_cubin_open(const void *bytes, size_t size, smla_cubin *out);

/* Nonzero where there is a section `i` with a name, of bytes that are in the file; else *out is undefined. */
int smla_cubin_section_at(const smla_cubin *cubin, unsigned i, smla_cubin_section *out);

/* The text at `offset` of the string table that is section `i`; NULL where there is none. */
const char *smla_cubin_text(const smla_cubin *cubin, unsigned i, size_t offset);

#endif
