/* An overriding directory: file by file, with families of its own. */
#include <sys/stat.h>
#include <unistd.h>

#include "inline_family.h"
#include "util/temporary.h"

/* The tests' own family, beside this file; tests run from the repository's root. */
#define TOY "tests/generator/templates"

static void put(void **state, const char *name, const char *text) {
  assert_int_equal(smla_file_write(in(state, name), text, strlen(text), 0600), SNAPMLA_OK);
}

static void folder(void **state, const char *name) {
  assert_int_equal(smla_file_make_directory(in(state, name)), SNAPMLA_OK);
}

static const smla_template_file embedded[] = {
    TEXT_FILE("common/a.inc", "a of the program\n"), TEXT_FILE("common/b.inc", "b of the program\n"),
    TEXT_FILE("t/space.lua", SPACE),
    TEXT_FILE("t/t.cu.tmpl", "% include('common/a.inc')\n% include('common/b.inc')\n")};

static void a_toy_from_disk(void **state) {
  (void)state;
  smla_generator *generator;
  if (smla_generator_make(NULL, 0, TOY, &generator)) fail_msg("%s", snapmla_error_message());
  assert_string_equal(smla_generator_families(generator)[0], "toy");
  assert_null(smla_generator_families(generator)[1]);
  smla_buffer out = {0};
  if (smla_generator_expand(generator, "toy:kind=scaled", &(smla_expand_options){1, 1}, &out))
    fail_msg("%s", snapmla_error_message());
  assert_string_equal(out.data,
                      "// Generated from templates/toy/toy.cu.tmpl: do not edit.\n"
                      "//   variant: toy:width=2,kind=scaled,stages=1\n"
                      "//   command: snapmla gen --variant 'toy:width=2,kind=scaled,stages=1' --target emulator\n"
                      "#line 1 \"templates/dialect/emulator.inc\"\n"
                      "#define KERNEL(entry, threads) void entry()\n"
                      "#line 2 \"templates/toy/toy.cu.tmpl\"\n"
                      "// Copies 2 numbers a thread.\n"
                      "KERNEL(toy_copy, 64) {\n"
                      "#line 1 \"templates/toy/scale.inc\"\n"
                      "  // number 0 of 2\n"
                      "  out[0] = 0.5 * in[0];\n"
                      "#line 1 \"templates/toy/scale.inc\"\n"
                      "  // number 1 of 2\n"
                      "  out[1] = 0.5 * in[1];\n"
                      "#line 11 \"templates/toy/toy.cu.tmpl\"\n"
                      "  % a literal percent sign; ${ opens an expression\n"
                      "}\n");
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
}

static void files_win_and_families_join(void **state) {
  folder(state, "common");
  folder(state, "extra/deep");
  put(state, "common/a.inc", "a of the user, ${n}\n");
  put(state, "extra/space.lua",
      "return { family = 'extra', entry = 'x', about = 'x', axes = {}, rules = {},\n"
      "derived = function() return { threads = 1, smem_bytes = 0 } end }");
  put(state, "extra/extra.cu.tmpl", "% include('extra/deep/d.h')\n% include('common/b.inc')\n");
  put(state, "extra/deep/d.h", "d\n");
  /* what is no template file does no harm */
  put(state, "extra/extra.cu.tmpl~", "% broken");
  put(state, "extra/.hidden.inc", "x");
  put(state, "extra/notes with blanks.txt", "x");
  smla_generator *generator;
  if (smla_generator_make(embedded, 4, *state, &generator)) fail_msg("%s", snapmla_error_message());
  assert_string_equal(smla_generator_families(generator)[0], "extra");
  assert_string_equal(smla_generator_families(generator)[1], "t");
  /* a snapshot: what happens to the directory afterwards does not matter */
  assert_int_equal(unlink(in(state, "common/a.inc")), 0);
  smla_buffer out = {0};
  if (smla_generator_expand(generator, "t", NULL, &out)) fail_msg("%s", snapmla_error_message());
  assert_string_equal(out.data, HEAD "a of the user, 2\nb of the program\n");
  out.length = 0;
  if (smla_generator_expand(generator, "extra", NULL, &out)) fail_msg("%s", snapmla_error_message());
  assert_non_null(strstr(out.data, "\nd\nb of the program\n"));
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
}

static snapmla_status tried(void **state) {
  smla_generator *generator = (smla_generator *)1;
  snapmla_status status = smla_generator_make(embedded, 4, *state, &generator);
  if (status) assert_null(generator);
  smla_generator_destroy(generator);
  return status;
}

static void wrong_directories(void **state) {
  smla_generator *generator;
  assert_int_equal(smla_generator_create(in(state, "nowhere"), &generator), SNAPMLA_NOT_FOUND);
  assert_non_null(strstr(snapmla_error_message(), "/nowhere'"));
  assert_int_equal(smla_generator_create("", &generator), SNAPMLA_NOT_FOUND);
  put(state, "file", "x");
  assert_int_equal(smla_generator_create(in(state, "file"), &generator), SNAPMLA_NOT_FOUND);
}

static void wrong_files(void **state) {
  put(state, "a \"b\".inc", "x");
  assert_int_equal(tried(state), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "a name has letters, digits and '._-' only: rename it"));
  assert_int_equal(unlink(in(state, "a \"b\".inc")), 0);
  folder(state, "Big");
  put(state, "Big/space.lua", "return {}");
  assert_int_equal(tried(state), SNAPMLA_BAD_FORMAT);
  assert_string_equal(snapmla_error_message(),
                      "template file 'Big/space.lua': a family's folder is named by a-z 0-9 _ up to 47 characters");
  assert_int_equal(unlink(in(state, "Big/space.lua")), 0);
  assert_int_equal(tried(state), SNAPMLA_OK);
}

static void links(void **state) {
  assert_int_equal(symlink(".", in(state, "loop")), 0);
  assert_int_equal(tried(state), SNAPMLA_BAD_FORMAT);
  assert_non_null(strstr(snapmla_error_message(), "deeper than 8 folders (a link to itself?)"));
  assert_int_equal(unlink(in(state, "loop")), 0);
  assert_int_equal(symlink("nowhere", in(state, "gone.inc")), 0);
  assert_int_equal(tried(state), SNAPMLA_IO);
  assert_int_equal(unlink(in(state, "gone.inc")), 0);
}

static void huge_files(void **state) {
  put(state, "huge.inc", "");
  assert_int_equal(truncate(in(state, "huge.inc"), (4 << 20) + 1), 0);
  assert_int_not_equal(tried(state), SNAPMLA_OK);
  assert_non_null(strstr(snapmla_error_message(), "huge.inc"));
}

static void unreadable_files(void **state) {
  if (!geteuid()) skip(); /* root reads everything */
  put(state, "closed.inc", "x");
  assert_int_equal(chmod(in(state, "closed.inc"), 0), 0);
  assert_int_equal(tried(state), SNAPMLA_IO);
  assert_non_null(strstr(snapmla_error_message(), "closed.inc"));
}

static void digests(void **state) {
  char program[65], again[65], overridden[65], same[65];
  smla_generator *generator = make(embedded, 4);
  assert_int_equal(smla_generator_digest(generator, NULL, program), SNAPMLA_OK);
  assert_int_equal(smla_generator_digest(generator, NULL, again), SNAPMLA_OK);
  smla_generator_destroy(generator);
  assert_string_equal(program, again);
  assert_int_equal(strlen(program), 64);
  assert_int_equal(strspn(program, "0123456789abcdef"), 64);
  /* SHA-256 of 05 00*7 "a.inc" 40 00*7 and the 64 digits of the SHA-256 of "b\n" */
  smla_template_file one = TEXT_FILE("a.inc", "b\n");
  generator = make(&one, 1);
  assert_int_equal(smla_generator_digest(generator, NULL, again), SNAPMLA_OK);
  assert_string_equal(again, "7af25aba85c08497740fb18e1ddb85ee93d4d7ac3f35f0dabfe3b36a7ef988a2");
  smla_generator_destroy(generator);

  folder(state, "common");
  put(state, "common/a.inc", "a of the program\n");
  assert_int_equal(smla_generator_make(embedded, 4, *state, &generator), SNAPMLA_OK);
  assert_int_equal(smla_generator_digest(generator, NULL, same), SNAPMLA_OK);
  assert_string_equal(same, program);
  smla_generator_destroy(generator);
  put(state, "common/a.inc", "a of the program!\n");
  assert_int_equal(smla_generator_make(embedded, 4, *state, &generator), SNAPMLA_OK);
  assert_int_equal(smla_generator_digest(generator, NULL, overridden), SNAPMLA_OK);
  assert_string_not_equal(overridden, program);
  smla_generator_destroy(generator);
}

/* The digest of some families changes with what these may read, and with nothing else. */
static void digests_of_families(void **state) {
  (void)state;
  static const smla_template_file before[] = {TEXT_FILE("a.inc", "a"),        TEXT_FILE("common/a.inc", "a"),
                                              TEXT_FILE("t/space.lua", "t"),  TEXT_FILE("tu/t.inc", "t"),
                                              TEXT_FILE("u/deep/u.inc", "u"), TEXT_FILE("u/space.lua", "u"),
                                              TEXT_FILE("v/space.lua", "v")};
  enum { FILES = sizeof before / sizeof *before, NEW = FILES };
  static const char *const t[] = {"t", NULL}, *const tu[] = {"t", "u", NULL}, *const missing[] = {"t", "w", NULL};
  /* whether the digests of t, of t and u, and of all know of a change of each file, or of one more in v */
  static const int changes[FILES + 1][3] = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1},
                                            {0, 1, 1}, {0, 1, 1}, {0, 0, 1}, {0, 0, 1}};
  const char *const *const of[] = {t, tu, NULL};
  char old[3][65], new[65];
  smla_generator *generator = make(before, FILES);
  for (int i = 0; i < 3; i++) assert_int_equal(smla_generator_digest(generator, of[i], old[i]), SNAPMLA_OK);
  assert_string_not_equal(old[0], old[1]);
  assert_string_not_equal(old[1], old[2]);
  assert_int_equal(smla_generator_digest(generator, missing, new), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "there is no kernel family 'w'"));
  smla_generator_destroy(generator);
  for (size_t file = 0; file <= NEW; file++) {
    smla_template_file after[FILES + 1];
    memcpy(after, before, sizeof before);
    after[NEW] = (smla_template_file)TEXT_FILE("v/new.inc", "v");
    if (file < NEW) after[file].text = "x";
    generator = make(after, file < NEW ? FILES : FILES + 1);
    for (int i = 0; i < 3; i++) {
      assert_int_equal(smla_generator_digest(generator, of[i], new), SNAPMLA_OK);
      if ((strcmp(new, old[i]) != 0) != changes[file][i]) fail_msg("file %zu, digest %d", file, i);
    }
    smla_generator_destroy(generator);
  }
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_toy_from_disk),
      IN_A_DIRECTORY(files_win_and_families_join),
      IN_A_DIRECTORY(wrong_directories),
      IN_A_DIRECTORY(wrong_files),
      IN_A_DIRECTORY(links),
      IN_A_DIRECTORY(huge_files),
      IN_A_DIRECTORY(unreadable_files),
      IN_A_DIRECTORY(digests),
      cmocka_unit_test(digests_of_families),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
