#include "library.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "status.h"

snapmla_status smla_library_bind(void *handle, const char *what, const smla_symbol *symbols, size_t count) {
  for (size_t i = 0; i < count; i++) {
    void *address = dlsym(handle, symbols[i].name);
    if (!address)
      return smla_fail(SNAPMLA_NOT_FOUND, "%s has no function %s: it is too old or not the library meant", what,
                       symbols[i].name);
    memcpy(symbols[i].slot, &address, sizeof address); /* ISO C has no cast from void * to a function pointer */
  }
  return SNAPMLA_OK;
}

snapmla_status smla_library_path(const void *address, smla_buffer *out) {
  Dl_info info;
  if (!dladdr(address, &info) || !info.dli_fname || !*info.dli_fname)
    return smla_fail(SNAPMLA_NOT_FOUND, "the path of a loaded library is not known");
  return smla_buffer_append_text(out, info.dli_fname);
}

typedef struct build_id_search {
  uintptr_t address;
  smla_buffer *out;
  snapmla_status status;
} build_id_search;

static size_t note_align(size_t bytes) { return (bytes + 3) & ~(size_t)3; }

static void read_notes(const char *note, size_t bytes, build_id_search *search) {
  while (bytes >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    memcpy(&header, note, sizeof header);
    size_t name = note_align(header.n_namesz), content = note_align(header.n_descsz);
    if (name > bytes - sizeof header || content > bytes - sizeof header - name) return;
    const unsigned char *id = (const unsigned char *)note + sizeof header + name;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 && !memcmp(note + sizeof header, "GNU", 4)) {
      for (size_t i = 0; i < header.n_descsz && !search->status; i++)
        search->status = smla_buffer_printf(search->out, "%02x", id[i]);
      return;
    }
    note += sizeof header + name + content;
    bytes -= sizeof header + name + content;
  }
}

static int visit(struct dl_phdr_info *info, size_t size, void *user) {
  (void)size;
  build_id_search *search = user;
  int holds = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    uintptr_t start = info->dlpi_addr + segment->p_vaddr;
    if (segment->p_type == PT_LOAD && search->address >= start && search->address < start + segment->p_memsz) holds = 1;
  }
  if (!holds) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type == PT_NOTE)
      read_notes((const char *)(info->dlpi_addr + segment->p_vaddr), segment->p_memsz, search);
  }
  return 1;
}

snapmla_status smla_library_build_id(const void *address, smla_buffer *out) {
  build_id_search search = {(uintptr_t)address, out, SNAPMLA_OK};
  dl_iterate_phdr(visit, &search);
  return search.status;
}
