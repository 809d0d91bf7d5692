/* Compiling variants without a device: reports, errors at the template's own line, the caches. Kernels of a family that
 * the test writes itself. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

#include <snapmla/source.h>

#include "image_cache.h"
#include "nvrtc.h"
#include "settings.h"
#include "util/temporary.h"

static const char space[] =
    "return {\n"
    "  family = \"toy\", entry = \"toy_kernel\", about = \"a kernel of a test\",\n"
    "  axes = {\n"
    "    { name = \"block\", values = { 32, 64 }, default = 32, about = \"threads\" },\n"
    "    { name = \"fault\", values = { \"none\", \"compiler\" }, default = \"none\", about = \"what is wrong\" },\n"
    "  },\n"
    "  rules = {\n"
    "    { name = \"whole\", reason = function(v, d) return \"64 threads and a fault do not go together\" end,\n"
    "      legal = function(v, d) return v.block == 32 or v.fault == \"none\" end },\n"
    "  },\n"
    "  derived = function(v) return { threads = v.block, rows = 1, smem_bytes = 2 * v.block } end,\n"
    "}\n";

static const char kernel[] =
    "% if target == \"emulator\" then\n"
    "extern \"C\" __attribute__((visibility(\"default\"))) void smla_kernel_entry(const void *, const void *p) {\n"
    "  (void)p;\n"
    "% else\n"
    "extern \"C\" __global__ void __launch_bounds__(${block}, 1) ${entry}(int *p) {\n"
    "  *p = ${block};\n"
    "% end\n"
    "% if fault == \"compiler\" then\n"
    "  this_is_line = 9;\n"
    "% end\n"
    "}\n";

static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  if (smla_file_make_directory(in(state, "toy"))) return -1;
  if (smla_file_write(in(state, "toy/space.lua"), space, sizeof space - 1, 0600)) return -1;
  return smla_file_write(in(state, "toy/toy.cu.tmpl"), kernel, sizeof kernel - 1, 0600) ? -1 : 0;
}

static int has_compiler(snapmla_target target) {
  const smla_nvrtc *nvrtc;
  return target == SNAPMLA_TARGET_EMULATOR || !smla_nvrtc_open(&nvrtc);
}

static snapmla_source_options options_of(void **state, snapmla_target target) {
  return (snapmla_source_options){.size = sizeof(snapmla_source_options), .target = target, .templates = *state};
}

static void reports_a_kernel(void **state) {
  for (snapmla_target target = SNAPMLA_TARGET_SM90A; target <= SNAPMLA_TARGET_EMULATOR; target++) {
    if (!has_compiler(target)) continue;
    const snapmla_source_options options = options_of(state, target);
    snapmla_artifact *artifact = NULL;
    if (snapmla_artifact_compile(&options, "toy:block=64", &artifact)) fail_msg("%s", snapmla_error_message());
    snapmla_artifact_report report;
    snapmla_artifact_report_get(artifact, &report);
    assert_string_equal(report.variant, "toy:block=64,fault=none");
    assert_string_equal(report.entry, "toy_kernel");
    assert_int_equal(report.threads, 64);
    assert_int_equal(report.smem_bytes, 128);
    assert_int_equal(report.spill_bytes, 0);
    assert_int_equal(report.serialized_wgmma, 0);
    assert_true(report.seconds > 0);
    assert_true(report.image_bytes > 500);
    assert_memory_equal(report.image, "\177ELF", 4);
    if (target == SNAPMLA_TARGET_SM90A) {
      assert_true(report.registers > 0 && report.registers <= 255);
      assert_non_null(strstr(report.log, "ptxas info"));
    } else {
      assert_int_equal(report.registers, 0);
    }
    snapmla_artifact_destroy(artifact);
  }
}

static void names_the_template_line_of_an_error(void **state) {
  for (snapmla_target target = SNAPMLA_TARGET_SM90A; target <= SNAPMLA_TARGET_EMULATOR; target++) {
    if (!has_compiler(target)) continue;
    const snapmla_source_options options = options_of(state, target);
    snapmla_artifact *artifact = NULL;
    assert_int_equal(snapmla_artifact_compile(&options, "toy:fault=compiler", &artifact), SNAPMLA_COMPILE);
    const char *place = target == SNAPMLA_TARGET_SM90A ? "toy.cu.tmpl(9)" : "toy.cu.tmpl:9";
    if (!strstr(snapmla_error_message(), place)) fail_msg("no %s in %s", place, snapmla_error_message());
    assert_non_null(strstr(snapmla_error_message(), "this_is_line"));
    assert_non_null(artifact);
    snapmla_artifact_report report;
    snapmla_artifact_report_get(artifact, &report);
    assert_non_null(strstr(report.log, place));
    assert_int_equal(report.image_bytes, 0);
    assert_string_equal(report.variant, "toy:block=32,fault=compiler");
    snapmla_artifact_destroy(artifact);
  }
}

static void refuses_bad_variants(void **state) {
  const snapmla_source_options options = options_of(state, SNAPMLA_TARGET_EMULATOR);
  static const struct {
    const char *variant;
    snapmla_status status;
    const char *word;
  } cases[] = {{"toy:block=33", SNAPMLA_INVALID_ARGUMENT, "32, 64"},
               {"toy:blok=32", SNAPMLA_INVALID_ARGUMENT, "block"},
               {"toi", SNAPMLA_INVALID_ARGUMENT, "toi"},
               {"toy:block=64,fault=compiler", SNAPMLA_ILLEGAL_VARIANT, "do not go together"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snapmla_artifact *artifact = (snapmla_artifact *)&options;
    assert_int_equal(snapmla_artifact_compile(&options, cases[i].variant, &artifact), cases[i].status);
    assert_null(artifact);
    if (!strstr(snapmla_error_message(), cases[i].word)) fail_msg("%s", snapmla_error_message());
  }
}

static void refuses_bad_options(void **state) {
  snapmla_artifact *artifact = NULL;
  char *text = NULL;
  snapmla_source_options options = options_of(state, (snapmla_target)7);
  assert_int_equal(snapmla_artifact_compile(&options, "toy", &artifact), SNAPMLA_INVALID_ARGUMENT);
  options = options_of(state, SNAPMLA_TARGET_EMULATOR);
  options.size = 3;
  assert_int_equal(snapmla_source_expand(&options, "toy", &text), SNAPMLA_INVALID_ARGUMENT);
  options = options_of(state, SNAPMLA_TARGET_EMULATOR);
  options.templates = in(state, "nowhere");
  assert_int_equal(snapmla_source_expand(&options, "toy", &text), SNAPMLA_NOT_FOUND);
  assert_int_equal(snapmla_artifact_compile(NULL, NULL, &artifact), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_source_expand(NULL, "schedule", NULL), SNAPMLA_INVALID_ARGUMENT);
  assert_null(artifact);
  assert_null(text);
}

static void expands_with_and_without_lines(void **state) {
  snapmla_source_options options = options_of(state, SNAPMLA_TARGET_SM90A);
  char *plain, *lined, *again;
  assert_int_equal(snapmla_source_expand(&options, "toy:block=64", &plain), SNAPMLA_OK);
  options.line_directives = 1;
  assert_int_equal(snapmla_source_expand(&options, "toy:block=64", &lined), SNAPMLA_OK);
  assert_int_equal(snapmla_source_expand(&options, "toy:block=64", &again), SNAPMLA_OK);
  assert_null(strstr(plain, "#line"));
  assert_non_null(strstr(lined, "#line"));
  assert_non_null(strstr(plain, "*p = 64;"));
  assert_string_equal(lined, again);
  snapmla_text_free(plain);
  snapmla_text_free(lined);
  snapmla_text_free(again);
}

static int spoil(const char *path, const struct stat *info, int kind, struct FTW *where) {
  (void)info;
  (void)where;
  const char *dot = strrchr(path, '.');
  if (kind != FTW_F || !dot || strcmp(dot, ".so")) return 0;
  return truncate(path, 100);
}

static void spoil_stored_objects(const char *folder) { assert_int_equal(nftw(folder, spoil, 8, FTW_PHYS), 0); }

/* Of a compiler that counts its runs: the process's cache, then the store, then neither; a spoilt store is no store. */
static void compiles_once(void **state) {
  char script[4096];
  snprintf(script, sizeof script, "#!/bin/sh\ntest \"$1\" = --version || echo x >>%s\nexec c++ \"$@\"\n",
           in(state, "runs"));
  assert_int_equal(smla_file_write(in(state, "counting-c++"), script, strlen(script), 0700), SNAPMLA_OK);
  setenv("SNAPMLA_CXX", in(state, "counting-c++"), 1);
  char *shared = strdup(getenv("SNAPMLA_CACHE_DIR"));
  assert_non_null(shared);
  setenv("SNAPMLA_CACHE_DIR", in(state, "cache"), 1);
  smla_image_cache_clear();
  const snapmla_source_options options = options_of(state, SNAPMLA_TARGET_EMULATOR);
  for (int i = 0; i < 4; i++) {
    if (i == 2) smla_image_cache_clear();
    snapmla_artifact *artifact;
    if (snapmla_artifact_compile(&options, i == 3 ? "toy:block=64" : "toy:block=32", &artifact))
      fail_msg("%s", snapmla_error_message());
    snapmla_artifact_destroy(artifact);
    smla_buffer runs = {0};
    assert_int_equal(smla_file_read(in(state, "runs"), 1000, &runs), SNAPMLA_OK);
    assert_int_equal(runs.length, i == 3 ? 4 : 2);
    smla_buffer_free(&runs);
  }
  spoil_stored_objects(in(state, "cache/v1/obj"));
  smla_image_cache_clear();
  snapmla_artifact *artifact;
  assert_int_equal(snapmla_artifact_compile(&options, "toy:block=64", &artifact), SNAPMLA_OK);
  snapmla_artifact_destroy(artifact);
  smla_buffer runs = {0};
  assert_int_equal(smla_file_read(in(state, "runs"), 1000, &runs), SNAPMLA_OK);
  assert_int_equal(runs.length, 6);
  smla_buffer_free(&runs);
  unsetenv("SNAPMLA_CXX");
  setenv("SNAPMLA_CACHE_DIR", shared, 1);
  free(shared);
}

static void resolves_a_problem(void **state) {
  (void)state;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.latent_rank = 256;
  problem.page_tokens = 128;
  char *text = NULL;
  assert_int_equal(
      snapmla_variant_resolve(NULL, &problem, "mla_decode", "mla_decode:stages=3;schedule:block=128", &text),
      SNAPMLA_OK);
  assert_string_equal(
      text,
      "mla_decode:rows=64,latent=256,rope=64,page=128,format=fp8_token,accuracy=fast,"
      "query_terms=1,p_terms=1,score_parts=2,promotion=tile,sums=rounded,limits=kept,pipeline=on,tokens=paged,"
      "partial=bf16,stages=3");
  snapmla_text_free(text);
  static const struct {
    const char *text;
    snapmla_status status;
    const char *word;
  } cases[] = {{"mla_decode:latent=512", SNAPMLA_INVALID_ARGUMENT, "latent is 512 and the problem's is 256"},
               {"stages=3", SNAPMLA_INVALID_ARGUMENT, "is no family"},
               {"mla_decode:stages=3;;", SNAPMLA_INVALID_ARGUMENT, "is no family"},
               {"mla_decode:colour=red", SNAPMLA_INVALID_ARGUMENT, "stages"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(snapmla_variant_resolve(NULL, &problem, "mla_decode", cases[i].text, &text), cases[i].status);
    assert_null(text);
    if (!strstr(snapmla_error_message(), cases[i].word)) fail_msg("%s", snapmla_error_message());
  }
  assert_int_equal(snapmla_variant_resolve(NULL, &problem, "mla_encode", NULL, &text), SNAPMLA_INVALID_ARGUMENT);
  problem.heads = 0;
  assert_int_equal(snapmla_variant_resolve(NULL, &problem, "mla_decode", NULL, &text), SNAPMLA_INVALID_ARGUMENT);
}

static void every_family_is_named(void **state) {
  (void)state;
  int count = 0;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  for (const char *const *family = snapmla_family_names(); *family; family++, count++) {
    char *text;
    if (snapmla_variant_resolve(NULL, &problem, *family, NULL, &text)) fail_msg("%s", snapmla_error_message());
    snapmla_text_free(text);
  }
  assert_int_equal(count, 6);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, temporary_teardown)
  const struct CMUnitTest tests[] = {
      TEST(reports_a_kernel),
      TEST(names_the_template_line_of_an_error),
      TEST(refuses_bad_variants),
      TEST(refuses_bad_options),
      TEST(expands_with_and_without_lines),
      TEST(compiles_once),
      TEST(resolves_a_problem),
      TEST(every_family_is_named),
  };
#undef TEST
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
