#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "artifact_store.h"
#include "status.h"
#include "store_folder.h"
#include "util/temporary.h"

static const char key[] = "ab00000000000000000000000000000000000000000000000000000000000001";
static const char content[] = "not really a cubin";

static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  return setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1);
}

static smla_image *make_image(snapmla_target target) {
  smla_image *image;
  assert_int_equal(smla_image_create(target, key, "entry", "log \xff of it", strdup(content), sizeof content, &image),
                   SNAPMLA_OK);
  image->facts =
      (smla_facts){.registers = 128, .spill_bytes = 32, .stack_bytes = 48, .warnings = 2, .serialized_wgmma = 1};
  image->nvrtc_major = 13;
  image->seconds = 1.5;
  return image;
}

static void store(snapmla_target target) {
  smla_image *image = make_image(target);
  assert_int_equal(smla_store_write(image), SNAPMLA_OK);
  smla_image_release(image);
}

static const char *path_of(void **state, const char *extension) {
  char name[256];
  snprintf(name, sizeof name, "cache/v1/obj/ab/%s.%s", key, extension);
  return in(state, name);
}

static void refused(snapmla_target target, snapmla_status expected, const char *word) {
  smla_image *image = NULL;
  assert_int_equal(smla_store_read(target, key, &image), expected);
  assert_null(image);
  assert_non_null(strstr(snapmla_error_message(), word));
}

static void gives_back_what_it_got(void **state) {
  (void)state;
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_NOT_FOUND, key);
  store(SNAPMLA_TARGET_SM90A);
  smla_image *image;
  assert_int_equal(smla_store_read(SNAPMLA_TARGET_SM90A, key, &image), SNAPMLA_OK);
  assert_int_equal(image->size, sizeof content);
  assert_memory_equal(image->bytes, content, sizeof content);
  assert_string_equal(image->entry, "entry");
  assert_string_equal(image->log, "log ? of it");
  assert_string_equal(image->key, key);
  assert_int_equal(image->facts.registers, 128);
  assert_int_equal(image->facts.spill_bytes, 32);
  assert_int_equal(image->facts.stack_bytes, 48);
  assert_int_equal(image->facts.warnings, 2);
  assert_int_equal(image->facts.serialized_wgmma, 1);
  assert_int_equal(image->nvrtc_major, 13);
  assert_true(image->seconds == 1.5);
  smla_image_release(image);
}

static void makes_private_directories(void **state) {
  store(SNAPMLA_TARGET_EMULATOR);
  static const char *const names[] = {"cache", "cache/v1", "cache/v1/obj", "cache/v1/obj/ab"};
  struct stat info;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    assert_int_equal(stat(in(state, names[i]), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
  }
  assert_int_equal(stat(path_of(state, "so"), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
}

static void overwrite(const char *path, long offset, char byte) {
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, offset, SEEK_SET), 0);
  assert_int_equal(fputc(byte, file), byte);
  assert_int_equal(fclose(file), 0);
}

static void refuses_a_changed_image(void **state) {
  store(SNAPMLA_TARGET_SM90A);
  overwrite(path_of(state, "cubin"), 3, 'X');
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_BAD_FORMAT, "not the one that was stored");
}

static void refuses_a_truncated_image(void **state) {
  store(SNAPMLA_TARGET_SM90A);
  assert_int_equal(truncate(path_of(state, "cubin"), 5), 0);
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_BAD_FORMAT, "not the one that was stored");
}

static void refuses_a_broken_manifest(void **state) {
  store(SNAPMLA_TARGET_SM90A);
  assert_int_equal(truncate(path_of(state, "json"), 40), 0);
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_BAD_FORMAT, "malformed");
  assert_int_equal(truncate(path_of(state, "json"), 0), 0);
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_BAD_FORMAT, "malformed");
}

static void refuses_a_manifest_of_another_target(void **state) {
  store(SNAPMLA_TARGET_SM90A);
  assert_int_equal(rename(path_of(state, "cubin"), path_of(state, "so")), 0);
  refused(SNAPMLA_TARGET_EMULATOR, SNAPMLA_BAD_FORMAT, "another kernel");
}

static void misses_an_image_that_is_gone(void **state) {
  store(SNAPMLA_TARGET_SM90A);
  assert_int_equal(unlink(path_of(state, "cubin")), 0);
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_NOT_FOUND, "cubin");
}

static void refuses_links(void **state) {
  store(SNAPMLA_TARGET_SM90A);
  assert_int_equal(rename(path_of(state, "cubin"), in(state, "elsewhere")), 0);
  assert_int_equal(symlink(in(state, "elsewhere"), path_of(state, "cubin")), 0);
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_UNSUPPORTED, "link");
}

static void refuses_a_linked_directory(void **state) {
  store(SNAPMLA_TARGET_SM90A);
  assert_int_equal(rename(in(state, "cache/v1/obj"), in(state, "moved")), 0);
  assert_int_equal(symlink(in(state, "moved"), in(state, "cache/v1/obj")), 0);
  refused(SNAPMLA_TARGET_SM90A, SNAPMLA_UNSUPPORTED, "links do not count");
}

static void refuses_what_others_may_write(void **state) {
  store(SNAPMLA_TARGET_EMULATOR);
  assert_int_equal(chmod(in(state, "cache/v1"), 0777), 0);
  refused(SNAPMLA_TARGET_EMULATOR, SNAPMLA_UNSUPPORTED, "chmod go-w");
  smla_image *image = make_image(SNAPMLA_TARGET_EMULATOR);
  assert_int_equal(smla_store_write(image), SNAPMLA_UNSUPPORTED);
  smla_image_release(image);
  assert_int_equal(chmod(in(state, "cache/v1"), 0700), 0);
  assert_int_equal(chmod(path_of(state, "so"), 0602), 0);
  refused(SNAPMLA_TARGET_EMULATOR, SNAPMLA_UNSUPPORTED, "others may write");
}

/* Root alone can give a file away, and then root's own file is still its own: both are seen where the test runs as
 * root. */
static void refuses_files_of_others(void **state) {
  store(SNAPMLA_TARGET_EMULATOR);
  if (geteuid()) skip();
  assert_int_equal(chown(path_of(state, "so"), 12345, 12345), 0);
  refused(SNAPMLA_TARGET_EMULATOR, SNAPMLA_UNSUPPORTED, "belongs to user 12345");
  assert_int_equal(chown(path_of(state, "so"), 0, 0), 0);
  assert_int_equal(chown(in(state, "cache"), 12345, 12345), 0);
  refused(SNAPMLA_TARGET_EMULATOR, SNAPMLA_UNSUPPORTED, "belongs to user 12345");
}

static void does_without_a_place(void **state) {
  FILE *file = fopen(in(state, "cache"), "w");
  assert_non_null(file);
  fclose(file);
  smla_image *image = make_image(SNAPMLA_TARGET_SM90A);
  assert_int_equal(smla_store_write(image), SNAPMLA_IO);
  assert_int_equal(smla_store_probe(), SNAPMLA_IO);
  unsetenv("SNAPMLA_CACHE_DIR");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  assert_int_equal(smla_store_write(image), SNAPMLA_NOT_FOUND);
  assert_non_null(strstr(snapmla_error_message(), "SNAPMLA_CACHE_DIR"));
  smla_image_release(image);
}

static void root_follows_the_environment(void **state) {
  (void)state;
  smla_buffer root = {0};
  unsetenv("SNAPMLA_CACHE_DIR");
  setenv("XDG_CACHE_HOME", "/x", 1);
  setenv("HOME", "/h", 1);
  assert_int_equal(smla_store_root(&root), SNAPMLA_OK);
  assert_string_equal(root.data, "/x/snapmla");
  smla_buffer_free(&root);
  setenv("XDG_CACHE_HOME", "relative", 1); /* the specification says to ignore it */
  assert_int_equal(smla_store_root(&root), SNAPMLA_OK);
  assert_string_equal(root.data, "/h/.cache/snapmla");
  smla_buffer_free(&root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(gives_back_what_it_got, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(makes_private_directories, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_a_changed_image, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_a_truncated_image, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_a_broken_manifest, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_a_manifest_of_another_target, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(misses_an_image_that_is_gone, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_links, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_a_linked_directory, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_what_others_may_write, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(refuses_files_of_others, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(does_without_a_place, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(root_follows_the_environment, setup, temporary_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
