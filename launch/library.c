#include "library.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

enum { MOST_SEGMENTS = 64, MOST_NOTE_BYTES = 1 << 16 };

static int read_at(int file, void *target, size_t bytes, uint64_t offset) {
  return pread(file, target, bytes, (off_t)offset) == (ssize_t)bytes;
}

static snapmla_status read_file_notes(int file, smla_buffer *out) {
  ElfW(Ehdr) header;
  ElfW(Phdr) segments[MOST_SEGMENTS];
  build_id_search search = {0, out, SNAPMLA_OK};
  if (!read_at(file, &header, sizeof header, 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
      header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) || header.e_phnum > MOST_SEGMENTS ||
      header.e_phentsize != sizeof *segments ||
      !read_at(file, segments, header.e_phnum * sizeof *segments, header.e_phoff))
    return SNAPMLA_OK;
  for (int i = 0; i < header.e_phnum && !out->length && !search.status; i++) {
    if (segments[i].p_type != PT_NOTE || segments[i].p_filesz > MOST_NOTE_BYTES) continue;
    char *notes = malloc(segments[i].p_filesz + 1);
    if (!notes) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a library's notes");
    if (read_at(file, notes, segments[i].p_filesz, segments[i].p_offset))
      read_notes(notes, segments[i].p_filesz, &search);
    free(notes);
  }
  return search.status;
}

snapmla_status smla_library_file_build_id(const char *path, smla_buffer *out) {
  smla_buffer id = {0};
  int file = open(path, O_RDONLY | O_CLOEXEC);
  snapmla_status status = file < 0 ? SNAPMLA_OK : read_file_notes(file, &id);
  if (file >= 0) close(file);
  if (!status && id.length) status = smla_buffer_append(out, id.data, id.length);
  smla_buffer_free(&id);
  return status;
}
