#include "machine_code.h"

#include <string.h>

#include "cubin.h"
#include "status.h"

static snapmla_status broken(void) {
  return smla_fail(SNAPMLA_BAD_FORMAT, "what the compiler gave is no cubin that can be read");
}

static int is_for_people(const char *name) {
  return !strcmp(name, ".strtab") || !strcmp(name, ".shstrtab") || !strncmp(name, ".debug_", 7) ||
         !strncmp(name, ".rela.debug_", 12) || !strncmp(name, ".note.", 6);
}

/* The first section from *next on that counts, behind which *next is then; its name is NULL after the last. */
static snapmla_status take(const smla_cubin *c, unsigned *next, smla_cubin_section *out) {
  while (*next < c->header.e_shnum) {
    if (!smla_cubin_section_at(c, (*next)++, out)) return broken();
    if (!is_for_people(out->name)) return SNAPMLA_OK;
  }
  *out = (smla_cubin_section){0};
  return SNAPMLA_OK;
}

/* Symbols but for what those are called that are defined here: what is defined elsewhere is found by its name. */
static int same_symbols(const smla_cubin *of_a, const smla_cubin_section *a, const smla_cubin *of_b,
                        const smla_cubin_section *b) {
  for (size_t at = 0; at + sizeof(Elf64_Sym) <= a->head.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym left, right;
    memcpy(&left, a->data + at, sizeof left);
    memcpy(&right, b->data + at, sizeof right);
    if (left.st_shndx == SHN_UNDEF && (left.st_name || right.st_name)) {
      const char *x = smla_cubin_text(of_a, a->head.sh_link, left.st_name),
                 *y = smla_cubin_text(of_b, b->head.sh_link, right.st_name);
      if (!x || !y || strcmp(x, y)) return 0;
    }
    left.st_name = right.st_name = 0;
    if (memcmp(&left, &right, sizeof left)) return 0;
  }
  return 1;
}

static int same_section(const smla_cubin *of_a, const smla_cubin_section *a, const smla_cubin *of_b,
                        const smla_cubin_section *b) {
  if (strcmp(a->name, b->name) || a->head.sh_type != b->head.sh_type || a->head.sh_flags != b->head.sh_flags ||
      a->head.sh_size != b->head.sh_size || a->head.sh_info != b->head.sh_info)
    return 0;
  if (a->head.sh_type == SHT_SYMTAB) return same_symbols(of_a, a, of_b, b);
  return !a->data || !memcmp(a->data, b->data, a->head.sh_size);
}

snapmla_status renew_code_compare(const void *a, size_t a_bytes, const void *b, size_t b_bytes, int *same) {
  smla_cubin left, right;
  smla_cubin_section x, y;
  unsigned next_x = 1, next_y = 1;
  if (!smla_cubin_open(a, a_bytes, &left) || !smla_cubin_open(b, b_bytes, &right)) return broken();
  int equal = left.header.e_flags == right.header.e_flags; /* the architecture */
  while (equal) {
    snapmla_status status = take(&left, &next_x, &x);
    if (!status) status = take(&right, &next_y, &y);
    if (status) return status;
    if (!x.name && !y.name) break;
    equal = x.name && y.name && same_section(&left, &x, &right, &y);
  }
  *same = equal;
  return SNAPMLA_OK;
}
