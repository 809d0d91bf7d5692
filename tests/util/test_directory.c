#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "temporary.h"

static int mode_of(const char *path) {
  struct stat info;
  assert_int_equal(lstat(path, &info), 0);
  return (int)(info.st_mode & 0777);
}

static void missing_directories_are_made_private(void **state) {
  assert_int_equal(mode_of(*state), 0700);
  assert_int_equal(mkdir(in(state, "a"), 0755), 0);
  assert_int_equal(smla_file_make_directory(in(state, "a/b//c")), SNAPMLA_OK);
  assert_int_equal(mode_of(in(state, "a")), 0755);
  assert_int_equal(mode_of(in(state, "a/b")), 0700);
  assert_int_equal(mode_of(in(state, "a/b/c")), 0700);
  assert_int_equal(smla_file_make_directory(in(state, "a/b/c")), SNAPMLA_OK);
}

static void a_file_in_the_way_is_named(void **state) {
  assert_int_equal(smla_file_write(in(state, "a"), "x", 1, 0600), SNAPMLA_OK);
  assert_int_equal(smla_file_make_directory(in(state, "a/b")), SNAPMLA_IO);
  assert_non_null(strstr(snapmla_error_message(), in(state, "a")));
}

static void temporary_directories_follow_tmpdir(void **state) {
  smla_buffer one = {0}, other = {0}, none = {0};
  const char *before = getenv("TMPDIR");
  char *saved = before ? strdup(before) : NULL;
  setenv("TMPDIR", *state, 1);
  assert_int_equal(smla_file_make_temporary("x", &one), SNAPMLA_OK);
  assert_int_equal(smla_file_make_temporary("x", &other), SNAPMLA_OK);
  setenv("TMPDIR", in(state, "none"), 1);
  assert_int_equal(smla_file_make_temporary("x", &none), SNAPMLA_IO);
  assert_non_null(strstr(snapmla_error_message(), "TMPDIR"));
  if (saved)
    setenv("TMPDIR", saved, 1);
  else
    unsetenv("TMPDIR");
  assert_int_equal(strncmp(one.data, in(state, "x-"), strlen(in(state, "x-"))), 0);
  assert_string_not_equal(one.data, other.data);
  assert_int_equal(none.length, 0);
  free(saved);
  smla_buffer_free(&one);
  smla_buffer_free(&other);
}

static void removing_does_not_follow_links(void **state) {
  assert_int_equal(smla_file_make_directory(in(state, "kept")), SNAPMLA_OK);
  assert_int_equal(smla_file_write(in(state, "kept/file"), "x", 1, 0600), SNAPMLA_OK);
  assert_int_equal(smla_file_make_directory(in(state, "tree/deep/deeper")), SNAPMLA_OK);
  assert_int_equal(smla_file_write(in(state, "tree/deep/file"), "x", 1, 0400), SNAPMLA_OK);
  assert_int_equal(symlink("../kept", in(state, "tree/link")), 0);
  assert_int_equal(symlink("kept", in(state, "top")), 0);
  assert_int_equal(smla_file_remove_tree(in(state, "tree")), SNAPMLA_OK);
  assert_int_equal(smla_file_remove_tree(in(state, "top")), SNAPMLA_OK);
  assert_int_equal(smla_file_remove_tree(in(state, "never was")), SNAPMLA_OK);
  assert_int_equal(smla_file_exists(in(state, "tree")), 0);
  assert_int_equal(smla_file_exists(in(state, "top")), 0);
  assert_int_equal(smla_file_exists(in(state, "kept/file")), 1);
  assert_int_equal(smla_file_remove_tree(""), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_file_remove_tree("/"), SNAPMLA_INVALID_ARGUMENT);
}

static void expect_refused(const char *path, const char *because) {
  assert_int_equal(smla_file_check_private(path), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), because));
}

static void only_private_files_are_trusted(void **state) {
  assert_int_equal(smla_file_check_private(in(state, "code")), SNAPMLA_NOT_FOUND);
  assert_int_equal(smla_file_write(in(state, "code"), "x", 1, 0600), SNAPMLA_OK);
  assert_int_equal(smla_file_check_private(in(state, "code")), SNAPMLA_OK);

  assert_int_equal(chmod(in(state, "code"), 0620), 0);
  expect_refused(in(state, "code"), "others may write");
  assert_int_equal(chmod(in(state, "code"), 0644), 0);
  assert_int_equal(smla_file_check_private(in(state, "code")), SNAPMLA_OK);

  assert_int_equal(symlink("code", in(state, "link")), 0);
  expect_refused(in(state, "link"), "is a link");
  expect_refused(*state, "not a regular file");

  assert_int_equal(chmod(*state, 0777), 0);
  expect_refused(in(state, "code"), "others may write");
  assert_int_equal(chmod(*state, 0700), 0);

  assert_int_equal(smla_file_make_directory(in(state, "real")), SNAPMLA_OK);
  assert_int_equal(smla_file_write(in(state, "real/code"), "x", 1, 0600), SNAPMLA_OK);
  assert_int_equal(symlink("real", in(state, "alias")), 0);
  assert_int_equal(smla_file_check_private(in(state, "real/code")), SNAPMLA_OK);
  expect_refused(in(state, "alias/code"), "is a link");
}

static void foreign_files_are_not_trusted(void **state) {
  assert_int_equal(smla_file_write(in(state, "code"), "x", 1, 0600), SNAPMLA_OK);
  if (geteuid() == 0) {
    assert_int_equal(chown(in(state, "code"), 4711, (gid_t)-1), 0);
    expect_refused(in(state, "code"), "belongs to user 4711");
  } else {
    assert_int_equal(smla_file_check_private("/etc/passwd"), SNAPMLA_OK); /* root's, and only root's to write */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
      TEST(missing_directories_are_made_private), TEST(a_file_in_the_way_is_named),
      TEST(temporary_directories_follow_tmpdir),  TEST(removing_does_not_follow_links),
      TEST(only_private_files_are_trusted),       TEST(foreign_files_are_not_trusted),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
