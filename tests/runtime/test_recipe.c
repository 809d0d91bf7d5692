/* What a recipe's key in the store does: it spares the expansion, and never leads to another kernel than the expansion would. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "artifact_store.h"
#include "build.h"
#include "image_cache.h"
#include "recipe.h"
#include "store_folder.h"
#include "store_sweep.h"
#include "util/temporary.h"

static const char ASKED[] = "schedule:block=128", OTHER[] = "schedule:block=256";

typedef struct built {
  char recipe[SMLA_HASH_HEX], key[SMLA_HASH_HEX];
} built;

static int setup(void **state) {
  return temporary_setup(state) || setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1) ? -1 : 0;
}

/* Builds as a new process would: nothing of it is in memory. */
static built build_with(const char *variant, int no_write) {
  built out = {0};
  smla_buffer identity = {0};
  smla_generator *generator;
  assert_int_equal(smla_generator_create(NULL, &generator), SNAPMLA_OK);
  assert_int_equal(smla_compiler_host.identity(&identity), SNAPMLA_OK);
  assert_int_equal(smla_recipe(generator, variant, &smla_compiler_host, identity.data, out.recipe), SNAPMLA_OK);
  smla_image_cache_clear();
  smla_build b = {.generator = generator, .target = SNAPMLA_TARGET_EMULATOR, .variant = variant, .no_write = no_write};
  if (smla_build_run(&b)) fail_msg("%s", b.reason);
  strcpy(out.key, b.image->key);
  smla_build_clear(&b);
  smla_buffer_free(&identity);
  smla_generator_destroy(generator);
  return out;
}
static built build(const char *variant) { return build_with(variant, 0); }

static int known(const char *recipe) {
  char key[SMLA_HASH_HEX];
  return !smla_store_read_key(SNAPMLA_TARGET_EMULATOR, recipe, key);
}

static void the_key_is_remembered(void **state) {
  (void)state;
  built b = build(ASKED);
  assert_int_equal(strlen(b.recipe), 64); /* CMakeLists.txt asks the linker for a build-id */
  char key[SMLA_HASH_HEX];
  assert_int_equal(smla_store_read_key(SNAPMLA_TARGET_EMULATOR, b.recipe, key), SNAPMLA_OK);
  assert_string_equal(key, b.key);
}

/* A key planted under another recipe shows that the expansion is spared: its kernel is what one gets. */
static void the_stored_key_is_used(void **state) {
  (void)state;
  built asked = build(ASKED), other = build(OTHER);
  assert_string_not_equal(asked.key, other.key);
  assert_string_not_equal(asked.recipe, other.recipe);
  assert_int_equal(smla_store_write_key(SNAPMLA_TARGET_EMULATOR, asked.recipe, other.key), SNAPMLA_OK);
  assert_string_equal(build(ASKED).key, other.key);
}

static void a_key_that_was_changed_or_moved_is_not_used(void **state) {
  (void)state;
  built asked = build(ASKED), other = build(OTHER);
  smla_buffer text = {0};
  char sub[16], name[80];
  snprintf(sub, sizeof sub, "obj/%.2s", other.recipe);
  snprintf(name, sizeof name, "%s.key", other.recipe);
  assert_int_equal(smla_store_read_file(sub, name, SMLA_STORE_OWN, 4096, &text), SNAPMLA_OK);
  snprintf(sub, sizeof sub, "obj/%.2s", asked.recipe);
  snprintf(name, sizeof name, "%s.key", asked.recipe);
  assert_int_equal(smla_store_publish(sub, name, SMLA_STORE_OWN, text.data, text.length), SNAPMLA_OK);
  assert_false(known(asked.recipe));
  assert_string_equal(build(ASKED).key, asked.key);
  assert_true(known(asked.recipe));             /* mended by the way */
  for (size_t i = 0; i < text.length; i += 9) { /* of the other's text, a digit changed or the end cut off */
    smla_buffer wrong = {0};
    assert_int_equal(smla_buffer_append(&wrong, text.data, text.length), SNAPMLA_OK);
    wrong.data[i] ^= 1;
    assert_int_equal(smla_store_publish(sub, name, SMLA_STORE_OWN, wrong.data, wrong.length), SNAPMLA_OK);
    assert_false(known(asked.recipe));
    assert_int_equal(smla_store_publish(sub, name, SMLA_STORE_OWN, text.data, i), SNAPMLA_OK);
    assert_false(known(asked.recipe));
    smla_buffer_free(&wrong);
  }
  assert_string_equal(build(ASKED).key, asked.key);
  smla_buffer_free(&text);
}

static void a_kernel_that_is_gone_is_made_again(void **state) {
  (void)state;
  built asked = build(ASKED);
  smla_sweep sweep;
  assert_int_equal(smla_store_sweep(0, 0, &sweep), SNAPMLA_OK);
  assert_false(known(asked.recipe)); /* swept with the kernels */
  assert_int_equal(smla_store_write_key(SNAPMLA_TARGET_EMULATOR, asked.recipe, asked.key), SNAPMLA_OK);
  assert_string_equal(build(ASKED).key, asked.key);
}

static void where_nothing_may_be_written_it_is_not(void **state) {
  (void)state;
  built asked = build_with(ASKED, 1);
  assert_false(known(asked.recipe));
}

/* The recipe of a variant where a comment was added to one file of the templates, in the test's folder. */
static void recipe_after(void **state, const char *folder, const char *file, const char *variant,
                         char out[SMLA_HASH_HEX]) {
  char path[256], own[256];
  smla_buffer text = {0};
  smla_generator *generator = NULL;
  if (folder) {
    snprintf(path, sizeof path, "templates/%s/%s", folder, file);
    assert_int_equal(smla_file_read(path, 1 << 20, &text), SNAPMLA_OK);
    assert_int_equal(smla_buffer_append_text(&text, "\n// a comment\n"), SNAPMLA_OK);
    snprintf(own, sizeof own, "templates/%s", folder);
    assert_int_equal(smla_file_make_directory(in(state, own)), SNAPMLA_OK);
    assert_int_equal(smla_file_write(in(state, path), text.data, text.length, 0600), SNAPMLA_OK);
    smla_buffer_free(&text);
  }
  assert_int_equal(smla_generator_create(folder ? in(state, "templates") : NULL, &generator), SNAPMLA_OK);
  assert_int_equal(smla_recipe(generator, variant, &smla_compiler_host, "a compiler", out), SNAPMLA_OK);
  smla_generator_destroy(generator);
  if (folder) assert_int_equal(remove(in(state, path)), 0);
}

/* An edit of what it cannot be made of leaves a kernel warm. */
static void a_recipe_is_of_what_the_kernel_can_be_made_of(void **state) {
  static const char APPEND[] = "kv_append:page=64";
  char schedule[SMLA_HASH_HEX], append[SMLA_HASH_HEX], now[SMLA_HASH_HEX];
  recipe_after(state, NULL, NULL, ASKED, schedule);
  recipe_after(state, NULL, NULL, APPEND, append);
  recipe_after(state, "kv_append", "norm.inc", ASKED, now);
  assert_string_equal(now, schedule);
  recipe_after(state, "kv_append", "norm.inc", APPEND, now);
  assert_string_not_equal(now, append);
  recipe_after(state, "schedule", "scan.inc", ASKED, now);
  assert_string_not_equal(now, schedule);
  recipe_after(state, "schedule", "scan.inc", APPEND, now);
  assert_string_equal(now, append);
  recipe_after(state, "dialect", "emulator.inc", ASKED, now);
  assert_string_not_equal(now, schedule);
  smla_generator *generator;
  assert_int_equal(smla_generator_create(NULL, &generator), SNAPMLA_OK);
  assert_int_equal(smla_recipe(generator, "no_family:x=1", &smla_compiler_host, "a compiler", now),
                   SNAPMLA_INVALID_ARGUMENT);
  smla_generator_destroy(generator);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {TEST(a_recipe_is_of_what_the_kernel_can_be_made_of),
                                     TEST(the_key_is_remembered),
                                     TEST(the_stored_key_is_used),
                                     TEST(a_key_that_was_changed_or_moved_is_not_used),
                                     TEST(a_kernel_that_is_gone_is_made_again),
                                     TEST(where_nothing_may_be_written_it_is_not)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
