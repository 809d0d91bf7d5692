/* A format is a row of templates/formats/formats.lua and a fragment: two that the program has not are added in a directory of
 * templates with nothing else in it. Their rows put known number types and scalings together as no format does yet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "cmocka_all.h"
#include "generator.h"
#include "util/temporary.h"

typedef struct new_format {
  const char *name, *row;
  const char *like; /* whose fragment does: tokens are written by the row's types */
} new_format;

static const new_format formats[] = {
    {"fp8_call", "content = 1, rope = 2, scaling = 'call', layout = 'rows'", "fp8_tensor"},
    {"bf16_call", "content = 2, rope = 2, scaling = 'call', layout = 'rows'", "fp8_tensor"},
};
enum { FORMATS = sizeof formats / sizeof *formats };

static char *read_template(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "templates/formats/%s", name);
  smla_buffer text = {0};
  if (smla_file_read(path, 1 << 20, &text)) fail_msg("%s", snapmla_error_message());
  return smla_buffer_take(&text);
}

static void put(void **state, const char *name, const char *text) {
  if (smla_file_write(in(state, name), text, strlen(text), 0600)) fail_msg("%s", snapmla_error_message());
}

/* The directory: a row more for each format, behind the others, and a fragment. */
static int setup(void **state) {
  if (temporary_setup(state)) return -1;
  assert_int_equal(smla_file_make_directory(in(state, "formats")), SNAPMLA_OK);
  char *table = read_template("formats.lua");
  const char *rows = strstr(table, "local rows = {"), *end = rows ? strstr(rows, "\n}\n") : NULL;
  assert_non_null(end);
  smla_buffer text = {0};
  smla_buffer_printf(&text, "%.*s\n", (int)(end - table), table);
  for (int i = 0; i < FORMATS; ++i) {
    smla_buffer_printf(&text, "  { name = '%s', %s },\n", formats[i].name, formats[i].row);
    char from[64], to[64];
    snprintf(from, sizeof from, "%s.inc", formats[i].like);
    snprintf(to, sizeof to, "formats/%s.inc", formats[i].name);
    char *fragment = read_template(from);
    put(state, to, fragment);
    free(fragment);
  }
  smla_buffer_append_text(&text, end + 1);
  put(state, "formats/formats.lua", text.data);
  smla_buffer_free(&text);
  free(table);
  return 0;
}

static smla_generator *create(const char *directory) {
  smla_generator *generator = NULL;
  if (smla_generator_create(directory, &generator)) fail_msg("%s", snapmla_error_message());
  return generator;
}

/* The variant that a problem's settings give; freed by the caller. */
static char *resolve(const smla_generator *generator, const char *family, const smla_setting *settings, size_t count) {
  smla_buffer variant = {0};
  if (smla_generator_resolve(generator, family, settings, count, NULL, &variant))
    fail_msg("%s of %s: %s", family, settings[0].value, snapmla_error_message());
  return smla_buffer_take(&variant);
}

static void expand(const smla_generator *generator, const char *variant, int emulator, smla_buffer *out) {
  smla_expand_options options = {.emulator = emulator};
  if (smla_generator_expand(generator, variant, &options, out)) fail_msg("%s: %s", variant, snapmla_error_message());
}

/* With a tile's cycles as the cost model asks for them: those of a format that was measured. */
static void check_cycles(const smla_generator *generator, const char *variant) {
  smla_quantity *quantities;
  size_t count;
  if (smla_generator_describe(generator, variant, &quantities, &count)) fail_msg("%s", snapmla_error_message());
  long long cycles = -1;
  for (size_t i = 0; i < count; ++i)
    if (!strcmp(quantities[i].name, "tile_cycles")) cycles = quantities[i].value;
  free(quantities);
  if (cycles < 300) fail_msg("%s: a tile takes %lld cycles", variant, cycles);
}

/* Every shape of the decode kernel at every level, with each width of RoPE and both kinds of tokens, for both targets. */
static void every_shape_expands(void **state) {
  static const char *const heads[] = {"8", "16", "32", "64"}, *const levels[] = {"fast", "balanced", "max"};
  static const char *const ropes[] = {"0", "32", "64", "128"}, *const kinds[] = {"paged", "indexed"};
  smla_generator *generator = create(*state);
  for (int point = 0; point < FORMATS * 4 * 3 * 4 * 2; ++point) {
    int narrow = point % 3 == 2;
    const smla_setting settings[] = {{"format", formats[point / 96].name}, {"heads", heads[point % 4]},
                                     {"accuracy", levels[point / 4 % 3]},  {"rope", ropes[point / 12 % 4]},
                                     {"tokens", kinds[point / 48 % 2]},    {"latent", narrow ? "128" : "512"},
                                     {"page", narrow ? "16" : "64"}};
    char *variant = resolve(generator, "mla_decode", settings, sizeof settings / sizeof *settings);
    check_cycles(generator, variant);
    for (int emulator = 0; emulator < 2; ++emulator) {
      smla_buffer text = {0};
      expand(generator, variant, emulator, &text);
      smla_buffer_free(&text);
    }
    free(variant);
  }
  smla_generator_destroy(generator);
}

/* What the program's own formats expand to does not change. */
static void other_formats_stay(void **state) {
  static const char *const families[] = {"mla_decode", "kv_append", "kv_fetch", "query_quant"};
  smla_generator *own = create(NULL), *more = create(*state);
  for (int k = 0; snapmla_kv_format_name((snapmla_kv_format)k); ++k)
    for (size_t i = 0; i < sizeof families / sizeof *families; ++i)
      for (int few = 0; few < 2; ++few) {
        const smla_setting settings[] = {{"format", snapmla_kv_format_name((snapmla_kv_format)k)},
                                         {"heads", few ? "16" : "64"}};
        char *variant = resolve(own, families[i], settings, 2), *other = resolve(more, families[i], settings, 2);
        assert_string_equal(variant, other);
        smla_buffer text = {0}, with_more = {0};
        expand(own, variant, 0, &text);
        expand(more, variant, 0, &with_more);
        assert_string_equal(text.data, with_more.data);
        smla_buffer_free(&text);
        smla_buffer_free(&with_more);
        free(variant);
        free(other);
      }
  smla_generator_destroy(own);
  smla_generator_destroy(more);
}

/* Both shapes of the decode kernel, with pages and lists, and the kernels around it. Left out where there is no NVRTC, which the first
 * kernel tells, before any was looked at; the emulator's compiler built this test. */
static void compile_all(void **state, snapmla_target target) {
  static const struct {
    const char *family, *heads, *tokens;
  } kernels[] = {{"mla_decode", "16", "paged"},   {"mla_decode", "16", "indexed"}, {"mla_decode", "64", "paged"},
                 {"mla_decode", "64", "indexed"}, {"kv_append", "", ""},           {"kv_fetch", "", ""},
                 {"query_quant", "16", ""}};
  smla_generator *generator = create(*state);
  snapmla_source_options options = {.size = sizeof options, .target = target, .templates = *state};
  size_t compiled = 0;
  for (int f = 0; f < FORMATS; ++f)
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; ++i) {
      const smla_setting settings[] = {
          {"format", formats[f].name}, {"heads", kernels[i].heads}, {"tokens", kernels[i].tokens}};
      char *variant = resolve(generator, kernels[i].family, settings, *kernels[i].tokens ? 3 : 1);
      snapmla_artifact *artifact = NULL;
      snapmla_status status = snapmla_artifact_compile(&options, variant, &artifact);
      if (status == SNAPMLA_NO_COMPILER && target == SNAPMLA_TARGET_SM90A && compiled == 0) {
        free(variant);
        smla_generator_destroy(generator);
        skip();
      }
      if (status) fail_msg("%s: %s", variant, snapmla_error_message());
      snapmla_artifact_report report = {0};
      snapmla_artifact_report_get(artifact, &report);
      if (report.warnings || report.serialized_wgmma || report.image_bytes == 0)
        fail_msg("%s: %s", variant, report.log);
      assert_string_equal(report.variant, variant);
      ++compiled;
      snapmla_artifact_destroy(artifact);
      free(variant);
    }
  smla_generator_destroy(generator);
}

static void compiles_for_the_emulator(void **state) { compile_all(state, SNAPMLA_TARGET_EMULATOR); }
static void compiles_for_sm90a(void **state) { compile_all(state, SNAPMLA_TARGET_SM90A); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_shape_expands, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(other_formats_stay, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(compiles_for_the_emulator, setup, temporary_teardown),
      cmocka_unit_test_setup_teardown(compiles_for_sm90a, setup, temporary_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
