#include "machine_code.h"

#include <elf.h>
#include <string.h>

#include "status.h"

enum { MACHINE_CUDA = 190 };

typedef struct cubin {
  const unsigned char *base;
  size_t bytes;
  Elf64_Ehdr header;
  Elf64_Shdr names;
  unsigned next; /* section to look at */
} cubin;

typedef struct section {
  const char *name;
  Elf64_Shdr head;
  const unsigned char *data; /* NULL where the file holds none */
} section;

static int within(const cubin *c, uint64_t offset, uint64_t size) {
  return offset <= c->bytes && size <= c->bytes - offset;
}

static snapmla_status broken(void) {
  return smla_fail(SNAPMLA_BAD_FORMAT, "what the compiler gave is no cubin that can be read");
}

static snapmla_status read_head(cubin *c, unsigned i, Elf64_Shdr *out) {
  if (i >= c->header.e_shnum) return broken();
  memcpy(out, c->base + c->header.e_shoff + i * sizeof *out, sizeof *out);
  return out->sh_type == SHT_NOBITS || within(c, out->sh_offset, out->sh_size) ? SNAPMLA_OK : broken();
}

static snapmla_status open(const void *bytes, size_t size, cubin *c) {
  *c = (cubin){.base = bytes, .bytes = size, .next = 1};
  if (size < sizeof c->header) return broken();
  memcpy(&c->header, bytes, sizeof c->header);
  if (memcmp(c->header.e_ident, ELFMAG, SELFMAG) || c->header.e_ident[EI_CLASS] != ELFCLASS64 ||
      c->header.e_machine != MACHINE_CUDA || c->header.e_shentsize != sizeof(Elf64_Shdr) ||
      !within(c, c->header.e_shoff, (uint64_t)c->header.e_shnum * sizeof(Elf64_Shdr)))
    return broken();
  snapmla_status status = read_head(c, c->header.e_shstrndx, &c->names);
  if (status) return status;
  /* the names end with a NUL, so that each is a text */
  return c->names.sh_type == SHT_STRTAB && c->names.sh_size && !c->base[c->names.sh_offset + c->names.sh_size - 1]
             ? SNAPMLA_OK
             : broken();
}

static int is_for_people(const char *name) {
  return !strcmp(name, ".strtab") || !strcmp(name, ".shstrtab") || !strncmp(name, ".debug_", 7) ||
         !strncmp(name, ".rela.debug_", 12) || !strncmp(name, ".note.", 6);
}

/* The next section that counts; its name is NULL after the last. */
static snapmla_status take(cubin *c, section *out) {
  snapmla_status status = SNAPMLA_OK;
  *out = (section){0};
  while (c->next < c->header.e_shnum && !status && !out->name) {
    status = read_head(c, c->next++, &out->head);
    if (!status && out->head.sh_name >= c->names.sh_size) status = broken();
    if (status) break;
    const char *name = (const char *)c->base + c->names.sh_offset + out->head.sh_name;
    if (is_for_people(name)) continue;
    out->name = name;
    out->data = out->head.sh_type == SHT_NOBITS ? NULL : c->base + out->head.sh_offset;
  }
  return status;
}

/* Symbols but for what they are called. */
static int same_symbols(const section *a, const section *b) {
  for (size_t at = 0; at + sizeof(Elf64_Sym) <= a->head.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym left, right;
    memcpy(&left, a->data + at, sizeof left);
    memcpy(&right, b->data + at, sizeof right);
    left.st_name = right.st_name = 0;
    if (memcmp(&left, &right, sizeof left)) return 0;
  }
  return 1;
}

static int same_section(const section *a, const section *b) {
  if (strcmp(a->name, b->name) || a->head.sh_type != b->head.sh_type || a->head.sh_flags != b->head.sh_flags ||
      a->head.sh_size != b->head.sh_size || a->head.sh_info != b->head.sh_info)
    return 0;
  if (a->head.sh_type == SHT_SYMTAB) return same_symbols(a, b);
  return !a->data || !memcmp(a->data, b->data, a->head.sh_size);
}

snapmla_status renew_code_compare(const void *a, size_t a_bytes, const void *b, size_t b_bytes, int *same) {
  cubin left, right;
  section x, y;
  snapmla_status status = open(a, a_bytes, &left);
  if (!status) status = open(b, b_bytes, &right);
  if (status) return status;
  int equal = left.header.e_flags == right.header.e_flags; /* the architecture */
  while (equal) {
    status = take(&left, &x);
    if (!status) status = take(&right, &y);
    if (status) return status;
    if (!x.name && !y.name) break;
    equal = x.name && y.name && same_section(&x, &y);
  }
  *same = equal;
  return SNAPMLA_OK;
}
