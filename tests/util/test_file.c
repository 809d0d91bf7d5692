#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "temporary.h"

static int entries(const char *path) {
  DIR *directory = opendir(path);
  assert_non_null(directory);
  int count = 0;
  while (readdir(directory)) count++;
  closedir(directory);
  return count - 2;
}

static void what_is_written_is_read(void **state) {
  smla_buffer text = {0};
  assert_int_equal(smla_file_write(in(state, "a"), "one\0two", 7, 0640), SNAPMLA_OK);
  assert_int_equal(smla_buffer_append_text(&text, "before "), SNAPMLA_OK);
  assert_int_equal(smla_file_read(in(state, "a"), 7, &text), SNAPMLA_OK);
  assert_int_equal(text.length, 14);
  assert_memory_equal(text.data, "before one\0two", 15);
  struct stat info;
  assert_int_equal(stat(in(state, "a"), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0640);
  smla_buffer_free(&text);
}

static void writing_replaces_and_leaves_nothing_beside(void **state) {
  smla_buffer text = {0};
  assert_int_equal(smla_file_write(in(state, "a"), "long text", 9, 0600), SNAPMLA_OK);
  assert_int_equal(smla_file_write(in(state, "a"), "", 0, 0600), SNAPMLA_OK);
  assert_int_equal(smla_file_read(in(state, "a"), 0, &text), SNAPMLA_OK);
  assert_int_equal(text.length, 0);
  assert_int_equal(entries(*state), 1);
  smla_buffer_free(&text);
}

static void a_failed_write_leaves_the_old_file(void **state) {
  smla_buffer text = {0};
  static char large[1 << 16];
  assert_int_equal(smla_file_write(in(state, "a"), "old", 3, 0600), SNAPMLA_OK);
  struct rlimit before, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 1000; /* the disk is full after 1000 bytes, as far as this process can tell */
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  snapmla_status status = smla_file_write(in(state, "a"), large, sizeof large, 0600);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(status, SNAPMLA_IO);
  assert_int_equal(entries(*state), 1);
  assert_int_equal(smla_file_read(in(state, "a"), 100, &text), SNAPMLA_OK);
  assert_string_equal(text.data, "old");
  smla_buffer_free(&text);
}

static void writing_needs_the_directory(void **state) {
  assert_int_equal(smla_file_write(in(state, "none/a"), "x", 1, 0600), SNAPMLA_IO);
  assert_non_null(strstr(snapmla_error_message(), "none/a"));
}

static void reading_refuses_by_reason(void **state) {
  smla_buffer text = {0};
  assert_int_equal(smla_file_read(in(state, "none"), 100, &text), SNAPMLA_NOT_FOUND);
  assert_int_equal(smla_file_read(*state, 100, &text), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "not a regular file"));
  assert_int_equal(mkfifo(in(state, "pipe"), 0600), 0);
  assert_int_equal(smla_file_read(in(state, "pipe"), 100, &text), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_file_write(in(state, "a"), "12345678", 8, 0600), SNAPMLA_OK);
  assert_int_equal(smla_file_read(in(state, "a"), 7, &text), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "longer than the 7 bytes"));
  /* /proc says 0 bytes: the limit holds by what is read. */
  assert_int_equal(smla_file_read("/proc/self/status", 7, &text), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(text.length, 0);
  assert_int_equal(smla_file_read("/proc/self/status", 1 << 20, &text), SNAPMLA_OK);
  assert_non_null(strstr(text.data, "Pid:"));
  smla_buffer_free(&text);
}

static void existence_includes_dangling_links(void **state) {
  assert_int_equal(smla_file_exists(in(state, "a")), 0);
  assert_int_equal(symlink("nowhere", in(state, "a")), 0);
  assert_int_equal(smla_file_exists(in(state, "a")), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
      TEST(what_is_written_is_read),
      TEST(writing_replaces_and_leaves_nothing_beside),
      TEST(a_failed_write_leaves_the_old_file),
      TEST(writing_needs_the_directory),
      TEST(reading_refuses_by_reason),
      TEST(existence_includes_dangling_links),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
