/* Renewing wisdom: texts, cubins, kernels under two sets of templates, measurements. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "generator_make.h"
#include "kernel_text.h"
#include "machine_code.h"
#include "plan_make.h"
#include "renewal.h"
#include "util/temporary.h"

/* --- texts -------------------------------------------------------------------------------------------------------- */

static void strips_to(const char *text, const char *expected) {
  smla_buffer out = {0};
  assert_int_equal(renew_text_strip(text, &out), SNAPMLA_OK);
  assert_string_equal(out.data ? out.data : "", expected);
  smla_buffer_free(&out);
}

static void comments_and_blanks_go(void **state) {
  (void)state;
  strips_to("", "");
  strips_to("// only\n\n/* this */", "");
  strips_to("// head\n\n  int a;  // tail\n\tint /* in\nit */ b;\n", "int a; int b;");
  strips_to("a/**/b", "a b");
  strips_to("a = b / c; d = e /f; // g / h", "a = b / c; d = e /f;");
  strips_to("x // goes on \\\n here too\ny", "x y");
  strips_to("a /* never closed", "a");
  strips_to("one\\\ntwo\\\r\n three\r\n", "onetwo three");
}

static void texts_stay_as_they_are(void **state) {
  (void)state;
  strips_to("f(\"a  //  b\", \"/* c */\"); // d", "f(\"a  //  b\", \"/* c */\");");
  strips_to("g('\"', '/', '\\'', \"\\\"  //\"); /* d */ h", "g('\"', '/', '\\'', \"\\\"  //\"); h");
  strips_to("n = 1'000; // m\no = 'p'; // q", "n = 1'000; o = 'p';");
  smla_buffer out = {0};
  assert_int_equal(renew_text_strip("a = R\"(//)\";", &out), SNAPMLA_UNSUPPORTED);
  assert_int_equal(renew_text_strip("a /\\\n/ b", &out), SNAPMLA_UNSUPPORTED);
  smla_buffer_free(&out);
}

/* A directive ends with its line, and nothing else does. */
static void directives_keep_their_lines(void **state) {
  (void)state;
  strips_to("#define A  1 // one\nint a;\n# if  A\n\nb\n#endif", "#define A 1\nint a;\n# if A\nb\n#endif");
  strips_to("#define F(x) \\\n  (x) + \\\n  1\ny", "#define F(x) (x) + 1\ny");
  strips_to("/* c */ #define A\n/* d */\n#define B /* e\n */ 2\nz", "#define A\n#define B 2\nz");
  strips_to("a # b\n", "a # b");
}

static void compares(const char *a, const char *b, int expected) {
  int same = !expected;
  assert_int_equal(renew_text_compare(a, b, &same), SNAPMLA_OK);
  if (same != expected) fail_msg("'%s' and '%s'", a, b);
}

static void texts_are_compared_as_programs(void **state) {
  (void)state;
  compares("", "// nothing\n", 1);
  compares("int a;  // one\nint b;", "// two\nint a; int b;\n", 1);
  compares("int a;", "int b;", 0);
  compares("int a; int b;", "int a;", 0);
  compares("#define A\n1", "#define A 1", 0);
  compares("f(\"a b\")", "f(\"a  b\")", 0);
  compares("a + +b", "a ++b", 0);
  compares("a b", "ab", 0);
  compares("a\\\nb", "a b", 0);
  compares("a\\\nb", "ab", 1);
}

/* --- cubins ------------------------------------------------------------------------------------------------------- */

enum { SECTIONS = 6, CUBIN_MAX = 4096 };

typedef struct part {
  const char *name;
  uint32_t type;
  const void *data;
  size_t bytes;
} part;

/* An ELF file of the sections, the names' own behind them; returns its bytes. */
static size_t make_cubin(unsigned char *out, const part *parts, size_t count, uint16_t machine) {
  Elf64_Shdr heads[SECTIONS + 2] = {0};
  char names[512] = "";
  size_t named = 1, at = sizeof(Elf64_Ehdr);
  for (size_t i = 0; i < count; i++) {
    heads[i + 1] = (Elf64_Shdr){.sh_name = (Elf64_Word)named,
                                .sh_type = parts[i].type,
                                .sh_offset = at,
                                .sh_size = parts[i].bytes,
                                .sh_link = parts[i].type == SHT_SYMTAB ? 1 : 0}; /* .strtab comes first */
    memcpy(names + named, parts[i].name, strlen(parts[i].name) + 1);
    named += strlen(parts[i].name) + 1;
    if (parts[i].type == SHT_NOBITS) continue;
    memcpy(out + at, parts[i].data, parts[i].bytes);
    at += parts[i].bytes;
  }
  heads[count + 1] = (Elf64_Shdr){.sh_name = (Elf64_Word)named, .sh_type = SHT_STRTAB, .sh_offset = at};
  memcpy(names + named, ".shstrtab", sizeof ".shstrtab");
  named += sizeof ".shstrtab";
  heads[count + 1].sh_size = named;
  memcpy(out + at, names, named);
  at += named;
  Elf64_Ehdr header = {.e_machine = machine,
                       .e_shoff = at,
                       .e_shentsize = sizeof *heads,
                       .e_shnum = (Elf64_Half)(count + 2),
                       .e_shstrndx = (Elf64_Half)(count + 1)};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  memcpy(out, &header, sizeof header);
  memcpy(out + at, heads, (count + 2) * sizeof *heads);
  return at + (count + 2) * sizeof *heads;
}

static const char texts[] = "\0kernel\0vprintf"; /* at 1 and 8 */
static const Elf64_Sym symbols[] = {
    {0}, {.st_name = 1, .st_shndx = 4, .st_value = 64, .st_size = 128}, {.st_name = 8, .st_shndx = SHN_UNDEF}};
static const part whole[SECTIONS] = {
    {".strtab", SHT_STRTAB, texts, sizeof texts}, {".symtab", SHT_SYMTAB, symbols, sizeof symbols},
    {".note.nv.tkinfo", SHT_NOTE, "tool", 4},     {".text.k", SHT_PROGBITS, "machine code", 12},
    {".nv.shared.k", SHT_NOBITS, NULL, 1024},     {".nv.constant0.k", SHT_PROGBITS, "0123", 4},
};

static int same_as_whole(const part *parts, size_t count) {
  unsigned char a[CUBIN_MAX], b[CUBIN_MAX];
  size_t a_bytes = make_cubin(a, whole, SECTIONS, 190), b_bytes = make_cubin(b, parts, count, 190);
  int same = -1, back = -1;
  if (renew_code_compare(a, a_bytes, b, b_bytes, &same)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(renew_code_compare(b, b_bytes, a, a_bytes, &back), SNAPMLA_OK);
  assert_int_equal(same, back);
  return same;
}

static void what_is_loaded_counts(void **state) {
  (void)state;
  part other[SECTIONS];
  assert_int_equal(same_as_whole(whole, SECTIONS), 1);
  assert_int_equal(same_as_whole(whole, SECTIONS - 1), 0);
#define CHANGED(section, field, value, expected) \
  memcpy(other, whole, sizeof whole);            \
  other[section].field = value;                  \
  assert_int_equal(same_as_whole(other, SECTIONS), expected)
  CHANGED(0, data, "\0kornel\0vprintf", 1); /* what is defined here may be called otherwise, what is not may not */
  CHANGED(0, data, "\0kernel\0wprintf", 0);
  CHANGED(0, bytes, sizeof texts - 1, 0); /* a table that does not end */
  CHANGED(2, data, "took", 1);
  CHANGED(2, name, ".debug_frame", 1);
  CHANGED(3, data, "machine cade", 0);
  CHANGED(3, bytes, 11, 0);
  CHANGED(3, name, ".text.j", 0);
  CHANGED(4, bytes, 2048, 0);
  CHANGED(5, data, "0124", 0);
  Elf64_Sym called[] = {symbols[0], symbols[1], symbols[2]}, moved[] = {symbols[0], symbols[1], symbols[2]},
            other_one[] = {symbols[0], symbols[1], symbols[2]}, nameless[] = {symbols[0], symbols[1], symbols[2]};
  called[1].st_name = 99;
  moved[1].st_value = 32;
  other_one[2].st_name = 9;
  nameless[2].st_name = 0;
  CHANGED(1, data, called, 1);
  CHANGED(1, data, moved, 0);
  CHANGED(1, data, other_one, 0);
  CHANGED(1, data, nameless, 0);
#undef CHANGED
}

static void what_is_no_cubin_is_refused(void **state) {
  (void)state;
  unsigned char good[CUBIN_MAX], bad[CUBIN_MAX];
  size_t bytes = make_cubin(good, whole, SECTIONS, 190);
  int same;
  make_cubin(bad, whole, SECTIONS, EM_X86_64);
  assert_int_equal(renew_code_compare(good, bytes, bad, bytes, &same), SNAPMLA_BAD_FORMAT);
  for (size_t cut = 0; cut < bytes; cut++) {
    unsigned char *exact = malloc(cut + 1); /* so that a read beyond it is seen */
    memcpy(exact, good, cut);
    assert_int_equal(renew_code_compare(exact, cut, good, bytes, &same), SNAPMLA_BAD_FORMAT);
    free(exact);
  }
  for (size_t i = 0; i < bytes; i++) { /* whatever a byte is, nothing beyond the file is read */
    memcpy(bad, good, bytes);
    bad[i] ^= 0x80;
    (void)renew_code_compare(good, bytes, bad, bytes, &same);
  }
}

/* --- kernels ------------------------------------------------------------------------------------------------------ */

#define SPACE(axes, threads)                                                           \
  "return { family = 't', entry = 'k', about = 'a test', rules = {},\n"                \
  "  axes = { { name = 'n', values = { 1, 2 }, default = 1, about = 'a number' }" axes \
  " },\n"                                                                              \
  "  derived = function() return { threads = " threads ", smem_bytes = 0 } end }\n"
#define AXIS(values, default, more) \
  ", { name = 'm', values = " values ", default = " default ", about = 'another'" more " }"

static smla_generator *templates(const char *space, const char *kernel) {
  const smla_template_file files[] = {{"t/space.lua", space, strlen(space)}, {"t/t.cu.tmpl", kernel, strlen(kernel)}};
  smla_generator *generator;
  if (smla_generator_make(files, 2, NULL, &generator)) fail_msg("%s", snapmla_error_message());
  return generator;
}

/* The verdict on t:n=2 where the old templates are the plain ones. */
static renew_kernel judge(const char *space, const char *kernel, snapmla_target target) {
  smla_generator *old = templates(SPACE("", "32"), "int f() { return ${n}; }\n"), *now = templates(space, kernel);
  renew_kernel out;
  if (renew_kernel_compare(old, now, "t:n=2", target, &out)) fail_msg("%s", snapmla_error_message());
  smla_generator_destroy(old);
  smla_generator_destroy(now);
  return out;
}

static void is_another(const char *space, const char *kernel, snapmla_target target, const char *reason) {
  renew_kernel k = judge(space, kernel, target);
  assert_int_equal(k.verdict, strstr(reason, "text is another") ? RENEW_OTHER_PROGRAM : RENEW_OTHER);
  assert_int_equal(k.variant != NULL, k.verdict == RENEW_OTHER_PROGRAM);
  if (!strstr(k.reason, reason)) fail_msg("'%s' is not in: %s", reason, k.reason);
  renew_kernel_clear(&k);
}

static void is_the_same(const char *space, const char *kernel, const char *variant) {
  renew_kernel k = judge(space, kernel, SNAPMLA_TARGET_SM90A);
  if (k.verdict != RENEW_SAME_TEXT) fail_msg("%s", k.reason);
  assert_string_equal(k.variant, variant);
  renew_kernel_clear(&k);
}

static void kernels_of_one_text_are_the_same(void **state) {
  (void)state;
  is_the_same(SPACE("", "32"), "// returns\n% local k = n\nint f() {\n  return ${k};\n}\n", "t:n=2");
  /* axes of today at their defaults; a quiet one is not named */
  is_the_same(SPACE(AXIS("{ 3, 4 }", "4", ""), "32"), "int f() { return ${n}${m == 3 and \" + 1\" or \"\"}; }\n",
              "t:n=2,m=4");
  is_the_same(SPACE(AXIS("{ 3, 4 }", "4", ", quiet = true"), "32"), "int f() { return ${n}; }\n", "t:n=2");
}

static void others_are_told_why(void **state) {
  (void)state;
  const char same[] = "int f() { return ${n}; }\n", other[] = "int f() { return ${n} + 1; }\n";
  is_another(SPACE("", "32"), other, SNAPMLA_TARGET_EMULATOR, "its text is another");
  is_another(SPACE("", "64"), same, SNAPMLA_TARGET_SM90A, "it is launched otherwise");
  is_another(SPACE(AXIS("{ 3, 4 }", "3", ""), "32"), "int f() { return ${n}${m == 3 and \" + 1\" or \"\"}; }\n",
             SNAPMLA_TARGET_EMULATOR, "its text is another");
  is_another(SPACE("", "32"), "% error('gone')\n", SNAPMLA_TARGET_SM90A, "t/t.cu.tmpl:1: gone");
  is_another("return 3", same, SNAPMLA_TARGET_SM90A, "must return a table");
  /* SNAPMLA_NVRTC names nothing (main): machine code cannot be compared */
  is_another(SPACE("", "32"), other, SNAPMLA_TARGET_SM90A,
             "its text is another, and its machine code cannot be compared: ");
}

static void a_variant_that_the_old_templates_have_not(void **state) {
  (void)state;
  smla_generator *old = templates(SPACE(AXIS("{ 3 }", "3", ""), "32"), "x\n"), *now = templates(SPACE("", "32"), "x\n");
  renew_kernel k;
  assert_int_equal(renew_kernel_compare(old, now, "t:n=2", SNAPMLA_TARGET_SM90A, &k), SNAPMLA_OK);
  assert_int_equal(k.verdict, RENEW_OTHER);
  assert_string_equal(k.reason, "it is not what the old templates call it: t:n=2,m=3");
  assert_int_equal(renew_kernel_compare(old, now, "t:n=2,m=3", SNAPMLA_TARGET_SM90A, &k), SNAPMLA_OK);
  assert_int_equal(k.verdict, RENEW_OTHER); /* the new ones have no such axis */
  assert_non_null(strstr(k.reason, "'m'"));
  smla_generator_destroy(old);
  smla_generator_destroy(now);
}

/* --- measurements ------------------------------------------------------------------------------------------------- */

static const char PROBLEM[] = "h16-q1-l512-r64-p64-fp8_token-fast-b1-c1024";

/* A measurement of the plan that `generator` makes of PROBLEM by itself. */
static smla_measurement measured(const smla_generator *generator) {
  snapmla_problem problem;
  char *variants[SMLA_FAMILY_COUNT];
  smla_buffer text = {0};
  snapmla_problem_init(&problem);
  problem.heads = 16;
  problem.max_batch = 1;
  problem.max_context = 1024;
  if (smla_plan_variants(generator, &problem, NULL, variants)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(smla_plan_variants_text(variants, &text), SNAPMLA_OK);
  for (int i = 0; i < SMLA_FAMILY_COUNT; i++) free(variants[i]);
  smla_measurement m = {.variant = smla_buffer_take(&text), .us = 8, .samples = 3, .effort = 2, .modelled = 1};
  snprintf(m.device, sizeof m.device, "emulator-132sm");
  snprintf(m.problem, sizeof m.problem, "%s", PROBLEM);
  snprintf(m.target, sizeof m.target, "emulator");
  assert_int_equal(smla_plan_timed_digest(generator, m.templates), SNAPMLA_OK);
  smla_measurement_key(m.variant, m.target, m.templates, m.key);
  return m;
}

/* The templates that ship, with `text` put behind one of their files in the test's folder. */
static smla_generator *with_more(void **state, const char *folder, const char *file, const char *text) {
  char path[256];
  smla_buffer old = {0};
  smla_generator *generator;
  snprintf(path, sizeof path, "templates/%s/%s", folder, file);
  assert_int_equal(smla_file_read(path, 1 << 20, &old), SNAPMLA_OK);
  assert_int_equal(smla_buffer_append_text(&old, text), SNAPMLA_OK);
  assert_int_equal(smla_file_make_directory(in(state, folder)), SNAPMLA_OK);
  snprintf(path, sizeof path, "%s/%s", folder, file);
  assert_int_equal(smla_file_write(in(state, path), old.data, old.length, 0600), SNAPMLA_OK);
  smla_buffer_free(&old);
  if (smla_generator_create(*state, &generator)) fail_msg("%s", snapmla_error_message());
  return generator;
}

static renew_fate apply(renewal *r, smla_measurement *m, char reason[1024]) {
  renew_fate fate;
  if (renewal_apply(r, m, &fate, reason)) fail_msg("%s", snapmla_error_message());
  return fate;
}

static void a_comment_renews(void **state) {
  smla_generator *old, *now = with_more(state, "schedule", "scan.inc", "// a comment\n");
  assert_int_equal(smla_generator_create(NULL, &old), SNAPMLA_OK);
  smla_measurement m = measured(old), before = m, back;
  renewal r;
  char reason[1024], *variant = strdup(m.variant);
  smla_buffer text = {0};
  assert_int_equal(renewal_open(old, now, NULL, &r), SNAPMLA_OK);
  assert_string_not_equal(r.old_digest, r.now_digest);
  if (apply(&r, &m, reason) != RENEW_RENEWED) fail_msg("%s", reason);
  assert_string_equal(m.templates, r.now_digest);
  assert_string_equal(m.variant, variant);
  assert_string_not_equal(m.key, before.key);
  /* what reads wisdom finds it whole */
  assert_int_equal(smla_measurement_print(&m, &text), SNAPMLA_OK);
  if (smla_measurement_read("m", text.data, text.length, &back)) fail_msg("%s", snapmla_error_message());
  smla_measurement_clear(&back);
  assert_int_equal(r.count, 4);
  assert_int_equal(apply(&r, &m, reason), RENEW_CURRENT);
  assert_int_equal(r.count, 4);
  smla_buffer_free(&text);
  free(variant);
  smla_measurement_clear(&m);
  renewal_close(&r);
  smla_generator_destroy(old);
  smla_generator_destroy(now);
}

static void another_kernel_stays_stale(void **state) {
  smla_generator *old, *now = with_more(state, "schedule", "scan.inc", "DEVICE int more() { return 1; }\n");
  assert_int_equal(smla_generator_create(NULL, &old), SNAPMLA_OK);
  smla_measurement m = measured(old), before = m;
  renewal r;
  char reason[1024];
  assert_int_equal(renewal_open(old, now, NULL, &r), SNAPMLA_OK);
  assert_int_equal(apply(&r, &m, reason), RENEW_STALE);
  assert_string_equal(reason, "schedule: its text is another");
  assert_memory_equal(&m, &before, sizeof m);
  renewal_close(&r);
  /* But for one who knows that the schedule writes what it wrote. */
  assert_int_equal(renewal_open(old, now, NULL, &r), SNAPMLA_OK);
  r.same_schedule = 1;
  if (apply(&r, &m, reason) != RENEW_RENEWED) fail_msg("%s", reason);
  assert_string_equal(m.templates, r.now_digest);
  smla_measurement_clear(&m);
  renewal_close(&r);
  smla_generator_destroy(old);
  smla_generator_destroy(now);
}

/* What no timed kernel is made of changes no digest, and a digest of a third tree is looked at for one who vouches alone. */
static void of_which_templates(void **state) {
  smla_generator *old, *now = with_more(state, "kv_append", "norm.inc", "// a comment\n");
  assert_int_equal(smla_generator_create(NULL, &old), SNAPMLA_OK);
  smla_measurement m = measured(old);
  renewal r;
  char reason[1024];
  assert_int_equal(renewal_open(old, now, NULL, &r), SNAPMLA_OK);
  assert_int_equal(apply(&r, &m, reason), RENEW_CURRENT);
  renewal_close(&r);
  memset(m.templates, '1', sizeof m.templates - 1);
  smla_measurement_key(m.variant, m.target, m.templates, m.key);
  assert_int_equal(renewal_open(old, now, NULL, &r), SNAPMLA_OK);
  assert_int_equal(apply(&r, &m, reason), RENEW_FOREIGN);
  assert_int_equal(r.count, 0);
  renewal_close(&r);
  char another[SMLA_HASH_HEX];
  memset(another, '2', sizeof another - 1);
  another[sizeof another - 1] = 0;
  assert_int_equal(renewal_open(old, now, another, &r), SNAPMLA_OK);
  assert_int_equal(apply(&r, &m, reason), RENEW_FOREIGN);
  renewal_close(&r);
  char vouched[SMLA_HASH_HEX];
  memcpy(vouched, m.templates, sizeof vouched);
  assert_int_equal(renewal_open(old, now, vouched, &r), SNAPMLA_OK);
  if (apply(&r, &m, reason) != RENEW_RENEWED) fail_msg("%s", reason);
  smla_measurement_clear(&m);
  renewal_close(&r);
  smla_generator_destroy(old);
  smla_generator_destroy(now);
}

/* Kernels that are all there, and that no plan of the problem has together. */
static void of_another_problem(void **state) {
  (void)state;
  smla_generator *old;
  assert_int_equal(smla_generator_create(NULL, &old), SNAPMLA_OK);
  smla_measurement m = measured(old);
  renewal r;
  char reason[1024];
  memset(m.templates, '1', sizeof m.templates - 1);
  snprintf(m.problem, sizeof m.problem, "h16-q1-l256-r64-p64-fp8_token-fast-b1-c1024");
  assert_int_equal(renewal_open(old, old, m.templates, &r), SNAPMLA_OK);
  assert_int_equal(apply(&r, &m, reason), RENEW_STALE);
  assert_non_null(strstr(reason, "latent"));
  smla_measurement_clear(&m);
  renewal_close(&r);
  smla_generator_destroy(old);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void) {
  if (setenv("SNAPMLA_NVRTC", "/nowhere/libnvrtc.so.13", 1)) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(comments_and_blanks_go),
      cmocka_unit_test(texts_stay_as_they_are),
      cmocka_unit_test(directives_keep_their_lines),
      cmocka_unit_test(texts_are_compared_as_programs),
      cmocka_unit_test(what_is_loaded_counts),
      cmocka_unit_test(what_is_no_cubin_is_refused),
      cmocka_unit_test(kernels_of_one_text_are_the_same),
      cmocka_unit_test(others_are_told_why),
      cmocka_unit_test(a_variant_that_the_old_templates_have_not),
      IN_A_DIRECTORY(a_comment_renews),
      IN_A_DIRECTORY(another_kernel_stays_stale),
      IN_A_DIRECTORY(of_which_templates),
      cmocka_unit_test(of_another_problem),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
