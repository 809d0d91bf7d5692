/* A cubin's .nv.info section lists attributes: u8 format, u8 attribute, u16 size or value, then, for
 * the format "sized", that many bytes: the kernel's symbol and the value. */
#include <string.h>

#include "cubin.h"
#include "facts.h"

enum { FORMAT_SIZED = 4, ATTRIBUTE_FRAME_SIZE = 0x11, ATTRIBUTE_MIN_STACK_SIZE = 0x12, ATTRIBUTE_REGISTERS = 0x2f };

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

void smla_facts_read_cubin(const void *image, size_t bytes, smla_facts *facts) {
  smla_cubin cubin;
  if (!smla_cubin_open(image, bytes, &cubin)) return;
  for (unsigned i = 1; i < cubin.header.e_shnum; i++) {
    smla_cubin_section section;
    if (smla_cubin_section_at(&cubin, i, &section) && section.data && !strcmp(section.name, ".nv.info"))
      read_attributes(section.data, section.head.sh_size, facts);
  }
}
