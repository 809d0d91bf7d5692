#include "cubin.h"

#include <string.h>

enum { MACHINE_CUDA = 190 };

static int within(const smla_cubin *c, uint64_t offset, uint64_t size) {
  return offset <= c->bytes && size <= c->bytes - offset;
}

static int read_head(const smla_cubin *c, unsigned i, Elf64_Shdr *out) {
  if (i >= c->header.e_shnum) return 0;
  memcpy(out, c->base + c->header.e_shoff + i * sizeof *out, sizeof *out);
  return out->sh_type == SHT_NOBITS || within(c, out->sh_offset, out->sh_size);
}

/* NULL unless it ends with a NUL, so that from each place of it on there is a text. */
static const char *text_at(const smla_cubin *c, const Elf64_Shdr *table, size_t offset) {
  if (table->sh_type != SHT_STRTAB || offset >= table->sh_size) return NULL;
  const char *texts = (const char *)c->base + table->sh_offset;
  return texts[table->sh_size - 1] ? NULL : texts + offset;
}

int smla_cubin_open(const void *bytes, size_t size, smla_cubin *out) {
  smla_cubin c = {.base = bytes, .bytes = size};
  if (size < sizeof c.header) return 0;
  memcpy(&c.header, bytes, sizeof c.header);
  if (memcmp(c.header.e_ident, ELFMAG, SELFMAG) || c.header.e_ident[EI_CLASS] != ELFCLASS64 ||
      c.header.e_machine != MACHINE_CUDA || c.header.e_shentsize != sizeof(Elf64_Shdr) ||
      !within(&c, c.header.e_shoff, (uint64_t)c.header.e_shnum * sizeof(Elf64_Shdr)) ||
      !read_head(&c, c.header.e_shstrndx, &c.names) || !text_at(&c, &c.names, 0))
    return 0;
  *out = c;
  return 1;
}

int smla_cubin_section_at(const smla_cubin *c, unsigned i, smla_cubin_section *out) {
  if (!read_head(c, i, &out->head)) return 0;
  out->name = text_at(c, &c->names, out->head.sh_name);
  out->data = out->head.sh_type == SHT_NOBITS ? NULL : c->base + out->head.sh_offset;
  return out->name != NULL;
}

const char *smla_cubin_text(const smla_cubin *c, unsigned i, size_t offset) {
  Elf64_Shdr table;
  return read_head(c, i, &table) ? text_at(c, &table, offset) : NULL;
}
