/* A cubin is an ELF file whose .nv.info section lists attributes: u8 format, u8 attribute, u16 size or value, then, for
 * the format "sized", that many bytes: the kernel's symbol and the value. */
#include <elf.h>
#include <string.h>

#include "facts.h"

enum {
  MACHINE_CUDA = 190,
  FORMAT_SIZED = 4,
  ATTRIBUTE_FRAME_SIZE = 0x11,
  ATTRIBUTE_MIN_STACK_SIZE = 0x12,
  ATTRIBUTE_REGISTERS = 0x2f
};

static void read_attributes(const unsigned char *data, size_t bytes, smla_facts *facts) {
  while (bytes >= 4) {
    size_t size = data[0] == FORMAT_SIZED ? (size_t)(data[2] | data[3] << 8) : 0;
    if (size > bytes - 4) return;
    if (size >= 8) {
      uint32_t value;
      memcpy(&value, data + 8, sizeof value);
      int32_t *fact = data[1] == ATTRIBUTE_REGISTERS                                           ? &facts->registers
                      : data[1] == ATTRIBUTE_FRAME_SIZE || data[1] == ATTRIBUTE_MIN_STACK_SIZE ? &facts->stack_bytes
                                                                                               : NULL;
      if (fact && value <= INT32_MAX && (int32_t)value > *fact) *fact = (int32_t)value;
    }
    data += 4 + size;
    bytes -= 4 + size;
  }
}

/* Nonzero where `bytes` holds `size` bytes at `offset`. */
static int within(size_t bytes, uint64_t offset, uint64_t size) { return offset <= bytes && size <= bytes - offset; }

void smla_facts_read_cubin(const void *image, size_t bytes, smla_facts *facts) {
  const unsigned char *base = image;
  Elf64_Ehdr header;
  if (bytes < sizeof header) return;
  memcpy(&header, image, sizeof header);
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_machine != MACHINE_CUDA || header.e_shentsize != sizeof(Elf64_Shdr))
    return;
  if (!within(bytes, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr))) return;
  if (header.e_shstrndx >= header.e_shnum) return;
  Elf64_Shdr names, section;
  memcpy(&names, base + header.e_shoff + header.e_shstrndx * sizeof names, sizeof names);
  if (!within(bytes, names.sh_offset, names.sh_size)) return;
  for (unsigned i = 0; i < header.e_shnum; i++) {
    static const char wanted[] = ".nv.info";
    memcpy(&section, base + header.e_shoff + i * sizeof section, sizeof section);
    if (!within(names.sh_size, section.sh_name, sizeof wanted)) continue;
    if (memcmp(base + names.sh_offset + section.sh_name, wanted, sizeof wanted)) continue;
    if (section.sh_type != SHT_NOBITS && within(bytes, section.sh_offset, section.sh_size))
      read_attributes(base + section.sh_offset, section.sh_size, facts);
  }
}
