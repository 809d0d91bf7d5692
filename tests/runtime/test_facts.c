#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "facts.h"

static void reads_what_ptxas_says(void **state) {
  (void)state;
  static const char log[] =
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'k' for 'sm_90a'\n"
      "ptxas info    : Function properties for k\n"
      "ptxas         .     256 bytes stack frame, 48 bytes spill stores, 52 bytes spill loads\n"
      "ptxas info    : Used 168 registers, used 9 barriers, 256 bytes cumulative stack size\n";
  smla_facts facts = {0};
  int tells_spills;
  smla_facts_read_log(log, &facts, &tells_spills);
  assert_int_equal(facts.registers, 168);
  assert_int_equal(facts.stack_bytes, 256);
  assert_int_equal(facts.spill_bytes, 100);
  assert_int_equal(facts.warnings, 0);
  assert_int_equal(facts.serialized_wgmma, 0);
  assert_int_equal(tells_spills, 1);
}

static void adds_over_functions(void **state) {
  (void)state;
  static const char log[] =
      "    8 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads\n"
      "ptxas info    : Used 40 registers\n"
      "    0 bytes stack frame, 1 bytes spill stores, 2 bytes spill loads\n"
      "ptxas info    : Used 32 registers";
  smla_facts facts = {0};
  int tells_spills;
  smla_facts_read_log(log, &facts, &tells_spills);
  assert_int_equal(facts.registers, 40);
  assert_int_equal(facts.spill_bytes, 15);
}

static void counts_warnings_of_every_compiler(void **state) {
  (void)state;
  static const char log[] =
      "k.cu(1): warning #177-D: variable \"unused\" was declared but never referenced\n"
      "Remark: The warnings can be suppressed with \"-diag-suppress <warning-number>\"\n"
      "ptxas warning : Local memory used for function 'k'\n"
      "templates/x.inc:3:4: warning: unused variable 'a' [-Wunused]\n";
  smla_facts facts = {0};
  int tells_spills;
  smla_facts_read_log(log, &facts, &tells_spills);
  assert_int_equal(facts.warnings, 3);
  assert_int_equal(facts.serialized_wgmma, 0);
  assert_int_equal(tells_spills, 0);
}

static void sees_serialised_wgmma(void **state) {
  (void)state;
  static const char *const lines[] = {
      "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to function "
      "calls",
      "ptxas info    : (C7514) Potential Performance Loss: x",
      "ptxas info    : wgmma.mma_async instructions are serialized due to insufficient register resources"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    smla_facts facts = {0};
    int tells_spills;
    smla_facts_read_log(lines[i], &facts, &tells_spills);
    assert_int_equal(facts.serialized_wgmma, 1);
    assert_int_equal(facts.warnings, 1);
  }
}

/* An ELF of CUDA with one .nv.info section: 90 registers, 24 bytes of frame. */
typedef struct small_cubin {
  Elf64_Ehdr header;
  Elf64_Shdr sections[3];
  char names[24];
  unsigned char info[40];
} small_cubin;

static small_cubin make_cubin(void) {
  small_cubin c;
  memset(&c, 0, sizeof c);
  memcpy(c.header.e_ident, ELFMAG, SELFMAG);
  c.header.e_ident[EI_CLASS] = ELFCLASS64;
  c.header.e_machine = 190;
  c.header.e_shentsize = sizeof(Elf64_Shdr);
  c.header.e_shoff = offsetof(small_cubin, sections);
  c.header.e_shnum = 3;
  c.header.e_shstrndx = 1;
  memcpy(c.names, "\0.names\0.nv.info\0.text", 22);
  c.sections[1].sh_name = 1;
  c.sections[1].sh_type = SHT_STRTAB;
  c.sections[1].sh_offset = offsetof(small_cubin, names);
  c.sections[1].sh_size = sizeof c.names;
  c.sections[2].sh_name = 8;
  c.sections[2].sh_offset = offsetof(small_cubin, info);
  c.sections[2].sh_size = sizeof c.info;
  static const unsigned char info[] = {4, 0x2f, 8, 0, 1, 0, 0, 0, 90, 0, 0, 0, /* registers of symbol 1 */
                                       3, 0x1b, 9, 9,                          /* a value in the size's place */
                                       4, 0x11, 8, 0, 1, 0, 0, 0, 24, 0, 0, 0, /* frame size */
                                       4, 0x2f, 8, 0, 2, 0, 0, 0, 17, 0, 0, 0};
  memcpy(c.info, info, sizeof info);
  return c;
}

static void reads_the_cubin(void **state) {
  (void)state;
  small_cubin c = make_cubin();
  smla_facts facts = {0};
  smla_facts_read_cubin(&c, sizeof c, &facts);
  assert_int_equal(facts.registers, 90);
  assert_int_equal(facts.stack_bytes, 24);
}

static void leaves_other_files_alone(void **state) {
  (void)state;
  small_cubin c = make_cubin();
  c.header.e_machine = EM_X86_64;
  smla_facts facts = {.registers = 3};
  smla_facts_read_cubin(&c, sizeof c, &facts);
  smla_facts_read_cubin("", 0, &facts);
  assert_int_equal(facts.registers, 3);
  assert_int_equal(facts.stack_bytes, 0);
}

/* Every truncation and every flipped byte, each in a block of its own size: a sanitizer or valgrind sees a read
 * outside. */
static void survives_broken_cubins(void **state) {
  (void)state;
  small_cubin c = make_cubin();
  for (size_t length = 0; length <= sizeof c; length++) {
    unsigned char *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    memcpy(copy, &c, length);
    smla_facts facts = {0};
    smla_facts_read_cubin(copy, length, &facts);
    assert_true(length == sizeof c || facts.registers <= 90);
    free(copy);
  }
  for (size_t i = 0; i < sizeof c; i++) {
    unsigned char *copy = malloc(sizeof c);
    assert_non_null(copy);
    for (unsigned bit = 0; bit < 8; bit++) {
      memcpy(copy, &c, sizeof c);
      copy[i] ^= (unsigned char)(1u << bit);
      smla_facts facts = {0};
      smla_facts_read_cubin(copy, sizeof c, &facts);
      assert_true(facts.registers >= 0 && facts.stack_bytes >= 0);
    }
    free(copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_what_ptxas_says),
      cmocka_unit_test(adds_over_functions),
      cmocka_unit_test(counts_warnings_of_every_compiler),
      cmocka_unit_test(sees_serialised_wgmma),
      cmocka_unit_test(reads_the_cubin),
      cmocka_unit_test(leaves_other_files_alone),
      cmocka_unit_test(survives_broken_cubins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
