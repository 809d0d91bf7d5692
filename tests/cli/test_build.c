/* gen and build: what they write, where, and that nothing half-made stays. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "program.h"
#include "temporary.h"

static const char *const nothing = NULL;

static int is_text(json_t *object, const char *key, const char *expected) {
  const char *value = json_string_value(json_object_get(object, key));
  return value && !strcmp(value, expected);
}

static void gen_writes_all_families(void **state) {
  const char *directory = in(state, "sources");
  program_result r = program_run(PROGRAM, "gen", "--json", "-o", directory, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *entry;
  size_t i;
  assert_true(json_array_size(root) >= 5);
  assert_int_equal(program_count_files(directory), json_array_size(root));
  json_array_foreach(root, i, entry) {
    size_t bytes;
    const char *variant = json_string_value(json_object_get(entry, "variant"));
    char *source = program_read_file(json_string_value(json_object_get(entry, "path")), &bytes);
    assert_non_null(source);
    assert_true(is_text(entry, "target", "sm90a"));
    assert_int_equal(bytes, json_integer_value(json_object_get(entry, "bytes")));
    assert_int_equal(bytes, strlen(source));
    assert_non_null(strstr(source, variant));
    assert_null(strstr(source, "\n#line "));
    assert_null(strstr(source, "\n#include"));
    /* the same text on stdout, from the variant's name alone */
    program_result again = program_run(PROGRAM, "gen", "--variant", variant, "-o", "-", nothing);
    program_check(&again, 0, NULL, __FILE__, __LINE__);
    assert_string_equal(again.out, source);
    program_free(&again);
    free(source);
  }
  json_decref(root);
  program_free(&r);
}

static void gen_names_one_file(void **state) {
  const char *path = in(state, "k.cu"), *directory = in(state, "deep/er/");
  program_result r =
      program_run(PROGRAM, "gen", "--family", "schedule", "--lines", "--target", "emulator", "-o", path, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  assert_memory_equal(r.out, path, strlen(path));
  size_t bytes;
  char *source = program_read_file(path, &bytes);
  assert_non_null(source);
  assert_non_null(strstr(source, "\n#line "));
  free(source);
  program_free(&r);
  assert_program(PROGRAM, 0, NULL, "gen", "--family", "schedule", "-o", directory);
  assert_int_equal(program_count_files(directory), 1);
  assert_program(PROGRAM, 1, "a file of that name exists", "gen", "--family", "all", "-o", path);
}

/* Behind a link its target is replaced; what is no regular file gets the bytes and stays what it is. */
static void gen_keeps_links_and_pipes(void **state) {
  const char *target = in(state, "target.cu"), *link = in(state, "link.cu"), *pipe = in(state, "pipe");
  enum { ROOM = 1 << 20 };
  struct stat info;
  size_t bytes;
  program_write_file(target, "old", 3);
  assert_return_code(symlink("target.cu", link), 0);
  assert_program(PROGRAM, 0, NULL, "gen", "--family", "schedule", "-o", link);
  assert_return_code(lstat(link, &info), 0);
  assert_true(S_ISLNK(info.st_mode));
  char *source = program_read_file(target, &bytes), *piped = malloc(ROOM);
  assert_true(bytes > 3);

  assert_return_code(mkfifo(pipe, 0600), 0);
  int fd = open(pipe, O_RDONLY | O_NONBLOCK);
  assert_return_code(fd, 0);
  assert_return_code(fcntl(fd, F_SETPIPE_SZ, ROOM), 0);
  assert_program(PROGRAM, 0, NULL, "gen", "--family", "schedule", "-o", pipe);
  assert_return_code(lstat(pipe, &info), 0);
  assert_true(S_ISFIFO(info.st_mode));
  assert_int_equal(read(fd, piped, ROOM), bytes);
  assert_memory_equal(piped, source, bytes);
  close(fd);
  free(source), free(piped);
}

/* Two variants of one family, and the others as the problem has them. */
static void gen_variants(void **state) {
  const char *directory = in(state, "two");
  assert_program(PROGRAM, 0, NULL, "gen", "--variant", "mla_decode:stages=3", "--variant", "mla_decode:stages=4", "-o",
                 directory);
  assert_int_equal(program_count_files(directory), 2);
  /* the same variant twice is one kernel */
  assert_program(PROGRAM, 0, NULL, "gen", "--family", "mla_decode", "--variant", "stages=3", "--variant",
                 "mla_decode:stages=3", "-o", directory);
  assert_int_equal(program_count_files(directory), 2);
  const char *all = in(state, "all");
  assert_program(PROGRAM, 0, NULL, "gen", "--family", "all", "--variant", "mla_decode:stages=3", "-o", all);
  assert_true(program_count_files(all) >= 5);
}

/* A template of the test's own in place of an embedded one. */
static const char *override_template(void **state, const char *body) {
  static char directory[4200];
  snprintf(directory, sizeof directory, "%s/templates", (const char *)*state);
  mkdir(directory, 0700);
  mkdir(in(state, "templates/schedule"), 0700);
  program_write_file(in(state, "templates/schedule/schedule.cu.tmpl"), body, strlen(body));
  return directory;
}

static void gen_leaves_nothing_on_error(void **state) {
  const char *templates = override_template(state, "int a;\n${undefined_name}\n"), *directory = in(state, "out");
  assert_program(PROGRAM, 1, "schedule/schedule.cu.tmpl:2:", "gen", "--templates", templates, "-o", directory);
  assert_int_equal(program_count_files(directory), -1);
  assert_program(PROGRAM, 1, "schedule.cu.tmpl:2:", "gen", "--family", "schedule", "--templates", templates, "-o",
                 in(state, "one.cu"));
  assert_int_equal(program_count_files(*state), 1); /* templates */
}

static void build_for_the_emulator(void **state) {
  const char *directory = in(state, "built");
  program_result r =
      program_run(PROGRAM, "build", "--family", "schedule", "--device", "emulator", "--json", "-o", directory, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_int_equal(json_array_size(root), 1);
  json_t *row = json_array_get(root, 0);
  static const char *const keys[] = {"registers", "spill_bytes", "smem_bytes", "warnings", "image_bytes"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) assert_true(json_is_integer(json_object_get(row, keys[i])));
  assert_true(json_is_number(json_object_get(row, "seconds")));
  assert_true(json_is_true(json_object_get(row, "ok")));
  assert_true(json_is_null(json_object_get(row, "error")));
  assert_true(json_is_false(json_object_get(row, "serialized_wgmma")));
  assert_int_equal(program_count_files(directory), 2);
  char path[4400];
  size_t bytes;
  snprintf(path, sizeof path, "%s/schedule-block_256.so", directory);
  char *image = program_read_file(path, &bytes);
  assert_non_null(image);
  assert_memory_equal(image, "\177ELF", 4);
  assert_int_equal(bytes, json_integer_value(json_object_get(row, "image_bytes")));
  free(image);
  json_decref(root);
  program_free(&r);
}

static void build_shows_the_compilers_log(void **state) {
  const char *templates = override_template(state, "int a = undeclared_name;\n"), *directory = in(state, "built");
  program_result r = program_run(PROGRAM, "build", "--target", "emulator", "--family", "schedule", "--templates",
                                 templates, "--json", "-o", directory, nothing);
  program_check(&r, 1, "'undeclared_name' was not declared", __FILE__, __LINE__);
  assert_non_null(strstr(r.err, "schedule.cu.tmpl:1:"));
  json_t *root = program_json(&r), *row = json_array_get(root, 0);
  assert_true(json_is_false(json_object_get(row, "ok")));
  assert_non_null(strstr(json_string_value(json_object_get(row, "error")), "undeclared_name"));
  assert_true(json_is_null(json_object_get(row, "registers")));
  assert_int_equal(program_count_files(directory), 0);
  json_decref(root);
  program_free(&r);
}

static void build_without_a_compiler(void **state) {
  const char *directory = in(state, "built");
  assert_program(PROGRAM, 3, "compiler", "SNAPMLA_CXX=no-such-compiler", "build", "--target", "emulator", "-o",
                 directory);
  assert_program(PROGRAM, 3, "nvrtc", "SNAPMLA_NVRTC=no-such-library.so", "build", "-o", directory);
  assert_int_equal(program_count_files(directory), 0);
}

/* With NVRTC where there is one: the reports are the compiler's. */
static void build_for_the_gpu(void **state) {
  const char *directory = in(state, "built");
  program_result r = program_run(PROGRAM, "build", "--json", "-o", directory, nothing);
  if (r.code == 3) {
    program_free(&r);
    skip();
  }
  if (r.code) fail_msg("%s", r.err);
  json_t *root = program_json(&r), *row;
  size_t i;
  int decodes = 0;
  json_array_foreach(root, i, row) {
    assert_true(json_is_true(json_object_get(row, "ok")));
    assert_true(json_integer_value(json_object_get(row, "registers")) > 8);
    if (!strncmp(json_string_value(json_object_get(row, "variant")), "mla_decode:", 11)) {
      ++decodes;
      assert_true(json_integer_value(json_object_get(row, "smem_bytes")) > 4 * 40960);
      assert_true(json_is_false(json_object_get(row, "serialized_wgmma")));
    }
  }
  assert_int_equal(decodes, 1);
  assert_int_equal(program_count_files(directory), 2 * json_array_size(root));
  json_decref(root);
  program_free(&r);
}

/* The set that comes with the program: every row legal, kernels enough, each once and with the models that it is for. */
static void the_default_set(void **state) {
  const char *directory = in(state, "set");
  program_result r = program_run(PROGRAM, "gen", "--set", "default", "--json", "-o", directory, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *entry;
  size_t i;
  assert_true(json_array_size(root) >= 64);
  assert_int_equal(program_count_files(directory), json_array_size(root));
  size_t decode = 0, sparse_tile = 0;
  json_array_foreach(root, i, entry) {
    const char *variant = json_string_value(json_object_get(entry, "variant"));
    const int is_decode = !strncmp(variant, "mla_decode:", 11);
    decode += (size_t)is_decode;
    sparse_tile += is_decode && strstr(variant, "format=fp8_tile") && strstr(variant, "tokens=indexed");
    assert_non_null(json_string_value(json_object_get(entry, "for")));
    if (strstr(variant, "mla_decode:rows=64,") && strstr(variant, "format=fp8_token,accuracy=fast") &&
        strstr(variant, "page=64") && strstr(variant, "tokens=paged"))
      assert_true(is_text(entry, "for", "deepseek-v3, kimi-k2, longcat-flash, glm-4.7-flash"));
  }
  assert_true(decode >= 32);
  assert_int_equal(sparse_tile, 4); /* rows of 8, 16, 32 and 64 */
  size_t made = json_array_size(root);
  json_decref(root);
  program_free(&r);

  r = program_run(PROGRAM, "gen", "--list-sets", "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  root = program_json(&r);
  assert_int_equal(json_array_size(root), 1);
  entry = json_array_get(root, 0);
  assert_true(is_text(entry, "name", "default"));
  assert_int_equal(json_integer_value(json_object_get(entry, "kernels")), made);
  assert_true(json_integer_value(json_object_get(entry, "problems")) > 100);
  assert_non_null(strstr(json_string_value(json_object_get(entry, "about")), "models that are served"));
  json_decref(root);
  program_free(&r);
  assert_program(PROGRAM, 2, "there is no such set: give one of default", "build", "--set", "nosuch");
  assert_program(PROGRAM, 2, "--list-sets tells of the program's own sets: leave --set out", "build", "--set",
                 "default", "--list-sets");
  assert_program(PROGRAM, 2, "leave options that describe a problem out", "build", "--heads", "8", "--list-sets");
  assert_program(PROGRAM, 2, "give one of the two", "build", "--set", "default", "--problems", "x.json");
  assert_program(PROGRAM, 2, "--set and options that describe a problem", "build", "--set", "default", "--heads", "8");
}

static void problems_of_a_file_are_built_once(void **state) {
  static const char problems[] =
      "[{\"name\": \"a\", \"heads\": [8, 5], \"latent_rank\": 128}, {\"name\": \"b\", "
      "\"heads\": 8, \"latent_rank\": 128}, {\"heads\": 16, \"latent_rank\": 128}]";
  const char *file = in(state, "problems.json");
  program_write_file(file, problems, strlen(problems));
  program_result r = program_run(PROGRAM, "build", "--problems", file, "--family", "query_quant", "--target",
                                 "emulator", "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_int_equal(json_array_size(root), 2);
  assert_true(is_text(json_array_get(root, 0), "for", "a, b"));
  assert_true(json_is_null(json_object_get(json_array_get(root, 1), "for")));
  json_decref(root);
  program_free(&r);
  static const char with_variant[] = "[{\"heads\": 8, \"variant\": \"schedule:block=128\"}]";
  program_write_file(file, with_variant, strlen(with_variant));
  assert_program(PROGRAM, 2, "has a \"variant\", which is for export", "build", "--problems", file);
}

static int count_of(json_t *list, const char *beginning) {
  int count = 0;
  size_t i;
  json_t *entry;
  json_array_foreach(list, i, entry) count +=
      !strncmp(json_string_value(json_object_get(entry, "variant")), beginning, strlen(beginning));
  return count;
}

/* All kernels of a layer's plan: those of its attention, and for its own products one for many tokens and one for few. */
static void gen_has_the_kernels_of_a_layer(void **state) {
  static const struct {
    const char *beginning;
    int count;
  } expected[] = {{"query_quant:", 1},   {"mla_decode:", 1},    {"mla_combine:", 1}, {"schedule:", 1},
                  {"shard_merge:", 1},   {"query_absorb:", 2},  {"kv_fetch:", 2},    {"kv_append:", 2},
                  {"value_project:", 2}, {"output_project:", 2}};
  const char *directory = in(state, "layer"), *file = in(state, "problems.json"), *twice = in(state, "twice");
  program_result r = program_run(PROGRAM, "gen", "--layer", "--heads", "16", "--hidden", "2048", "--v", "64",
                                 "--weights", "fp8", "--json", "-o", directory, nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r), *entry;
  size_t i, all = 0;
  for (i = 0; i < sizeof expected / sizeof *expected; ++i) {
    if (count_of(root, expected[i].beginning) != expected[i].count) fail_msg("%s: not so many", expected[i].beginning);
    all += (size_t)expected[i].count;
  }
  assert_int_equal(json_array_size(root), all);
  assert_int_equal(program_count_files(directory), all);
  assert_int_equal(count_of(root, "value_project:latent=512,v=64,weights=fp8"), 2);
  json_decref(root);
  program_free(&r);

  /* Variants given are taken one by one, as of any problem. */
  assert_program(PROGRAM, 0, NULL, "gen", "--layer", "--batch", "4", "--variant", "value_project:stages=2", "--variant",
                 "value_project:stages=3", "-o", twice);
  assert_int_equal(program_count_files(twice), 2);

  /* Of a file too, beside problems of attention alone. */
  static const char listed[] =
      "[{\"name\": \"a\", \"heads\": 8, \"layer\": [false, true]}, {\"name\": \"b\", \"heads\": 8, \"layer\": true, "
      "\"hidden\": 2048}]";
  program_write_file(file, listed, strlen(listed));
  r = program_run(PROGRAM, "gen", "--problems", file, "--json", "-o", in(state, "listed"), nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  root = program_json(&r);
  json_array_foreach(root, i, entry) {
    int output = !strncmp(json_string_value(json_object_get(entry, "variant")), "output_project:", 15);
    if (!is_text(entry, "for", output ? "b" : "a, b")) fail_msg("%s", json_dumps(entry, 0));
  }
  assert_int_equal(count_of(root, "mla_decode:"), 1);
  assert_true(count_of(root, "output_project:") > 0);
  json_decref(root);
  program_free(&r);
}

static void build_compiles_a_layers_kernels(void **state) {
  (void)state;
  program_result r =
      program_run(PROGRAM, "build", "--layer", "--heads", "3", "--latent", "128", "--hidden", "136", "--batch", "4",
                  "--family", "value_project", "--device", "emulator", "--json", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_int_equal(json_array_size(root), 1); /* four tokens are few */
  assert_true(is_text(json_array_get(root, 0), "entry", "snapmla_value_project"));
  assert_true(json_integer_value(json_object_get(json_array_get(root, 0), "image_bytes")) > 0);
  json_decref(root);
  program_free(&r);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      TEST(gen_writes_all_families),
      TEST(gen_names_one_file),
      TEST(gen_keeps_links_and_pipes),
      TEST(gen_variants),
      TEST(gen_leaves_nothing_on_error),
      TEST(build_for_the_emulator),
      TEST(build_shows_the_compilers_log),
      TEST(build_without_a_compiler),
      TEST(build_for_the_gpu),
      TEST(the_default_set),
      TEST(problems_of_a_file_are_built_once),
      TEST(gen_has_the_kernels_of_a_layer),
      TEST(build_compiles_a_layers_kernels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
