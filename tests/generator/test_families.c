/* The families that ship: embedded whole, described, and expanded the same way each time. */
#include <dirent.h>

#include "inline_family.h"

#include "file.h"
#include "store.h"

static int setup(void **state) { return smla_generator_create(NULL, (smla_generator **)state) != SNAPMLA_OK; }

static int teardown(void **state) {
  smla_generator_destroy(*state);
  return 0;
}

static void embedded_files_are_those_on_disk(void **state) {
  (void)state;
  assert_true(smla_embedded_template_count > 0);
  for (size_t i = 0; i < smla_embedded_template_count; ++i) {
    const smla_template_file *file = smla_embedded_templates + i;
    if (i) assert_true(strcmp(file[-1].path, file->path) < 0);
    char path[256];
    smla_buffer text = {0};
    snprintf(path, sizeof path, "templates/%s", file->path);
    if (smla_file_read(path, 4 << 20, &text)) fail_msg("%s", snapmla_error_message());
    assert_int_equal(text.length, file->length);
    assert_memory_equal(text.data ? text.data : "", file->text, file->length);
    smla_buffer_free(&text);
  }
}

/* The directory over the embedded files changes nothing: none is missing among the latter. */
static void no_file_is_missing(void **state) {
  char digest[65], from_disk[65];
  smla_generator *generator;
  if (smla_generator_make(NULL, 0, "templates", &generator)) fail_msg("%s", snapmla_error_message());
  assert_int_equal(smla_generator_digest(*state, NULL, digest), SNAPMLA_OK);
  assert_int_equal(smla_generator_digest(generator, NULL, from_disk), SNAPMLA_OK);
  assert_string_equal(digest, from_disk);
  smla_generator_destroy(generator);
}

static void every_folder_with_a_space_is_a_family(void **state) {
  const char *const *names = smla_generator_families(*state);
  size_t folders = 0, families = 0;
  DIR *templates = opendir("templates");
  assert_non_null(templates);
  for (struct dirent *entry; (entry = readdir(templates));) {
    char path[512];
    snprintf(path, sizeof path, "templates/%s/space.lua", entry->d_name);
    folders += smla_file_exists(path) != 0;
  }
  closedir(templates);
  while (names[families]) ++families;
  assert_int_equal(families, folders);
}

static void expand_twice(const smla_generator *generator, const char *variant, smla_expand_options options) {
  smla_buffer first = {0}, second = {0};
  if (smla_generator_expand(generator, variant, &options, &first)) fail_msg("%s: %s", variant, snapmla_error_message());
  assert_int_equal(smla_generator_expand(generator, variant, &options, &second), SNAPMLA_OK);
  assert_string_equal(first.data, second.data);
  assert_null(strstr(first.data, "#include"));
  assert_true((strstr(first.data, "\n#line ") != NULL) == (options.line_directives != 0));
  smla_buffer_free(&first);
  smla_buffer_free(&second);
}

/* Every value of every axis in its turn, where the rules allow it. */
static void each_value(const smla_generator *generator, const char *family) {
  smla_buffer axes = {0};
  assert_int_equal(smla_generator_axes(generator, family, &axes), SNAPMLA_OK);
  for (char *line = axes.data, *end; line && *line; line = end + 1) {
    end = strchr(line, '\n');
    *end = 0;
    char *values = strchr(strchr(line, '\t') + 1, '\t') + 1;
    *strchr(values, '\t') = 0;
    *strchr(line, '\t') = 0;
    for (char *rest, *value = strtok_r(values, " ", &rest); value; value = strtok_r(NULL, " ", &rest)) {
      char text[256];
      snprintf(text, sizeof text, "%s:%s=%s", family, line, value);
      smla_buffer variant = {0};
      snapmla_status status = smla_generator_resolve(generator, family, NULL, 0, text, &variant);
      if (status != SNAPMLA_ILLEGAL_VARIANT) {
        if (status) fail_msg("%s: %s", text, snapmla_error_message());
        expand_twice(generator, variant.data, (smla_expand_options){0, 0});
      }
      smla_buffer_free(&variant);
    }
  }
  smla_buffer_free(&axes);
}

static void every_family_expands(void **state) {
  static const char *const dialects[] = {"templates/dialect/sm90a.inc", "templates/dialect/emulator.inc"};
  assert_true(smla_file_exists(dialects[0]));
  for (const char *const *family = smla_generator_families(*state); *family; ++family) {
    for (int target = 0; target < 2; ++target) {
      if (!smla_file_exists(dialects[target])) continue;
      expand_twice(*state, *family, (smla_expand_options){target, 0});
      expand_twice(*state, *family, (smla_expand_options){target, 1});
    }
    each_value(*state, *family);
    smla_quantity *quantities;
    size_t count;
    assert_int_equal(smla_generator_describe(*state, *family, &quantities, &count), SNAPMLA_OK);
    assert_true(count >= 2);
    free(quantities);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(embedded_files_are_those_on_disk),
      cmocka_unit_test(no_file_is_missing),
      cmocka_unit_test(every_folder_with_a_space_is_a_family),
      cmocka_unit_test(every_family_expands),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
