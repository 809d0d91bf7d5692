/* Families written into the test that uses them, and one-line ways to expand them. */
#ifndef SMLA_TESTS_GENERATOR_INLINE_FAMILY_H
#define SMLA_TESTS_GENERATOR_INLINE_FAMILY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "generator.h"
#include "generator_make.h"

#define TEXT_FILE(path, text) \
  { path, text, sizeof(text) - 1 }

/* The space of the family `t` that most tests expand. */
#define SPACE                                                                                          \
  "return { family = 't', entry = 'snapmla_t', about = 'a test',\n"                                    \
  "  axes = { { name = 'n', values = { 1, 2, 3 }, default = 2, about = 'a number' },\n"                \
  "           { name = 'kind', values = { 'red', 'blue' }, default = 'red', about = 'a colour' } },\n" \
  "  rules = {},\n"                                                                                    \
  "  derived = function(v) return { threads = 32 * v.n, smem_bytes = 0, odd = v.n % 2 == 1 } end }\n"

#define HEAD                                                \
  "// Generated from templates/t/t.cu.tmpl: do not edit.\n" \
  "//   variant: t:n=2,kind=red\n"                          \
  "//   command: snapmla gen --variant 't:n=2,kind=red' --target sm90a\n"

static inline smla_generator *make(const smla_template_file *files, size_t count) {
  smla_generator *generator = NULL;
  if (smla_generator_make(files, count, NULL, &generator)) fail_msg("%s", snapmla_error_message());
  return generator;
}

/* Expands the template text as t/t.cu.tmpl beside `others`; on success the text after the head, else NULL; free it. */
static inline char *expand_with(const smla_template_file *others, size_t count, const char *text, size_t length,
                                int line) {
  smla_template_file files[8] = {{"t/space.lua", SPACE, sizeof SPACE - 1}, {"t/t.cu.tmpl", text, length}};
  assert_true(count <= 6);
  for (size_t i = 0; i < count; ++i) files[2 + i] = others[i];
  smla_generator *generator = make(files, 2 + count);
  smla_expand_options options = {.line_directives = line};
  smla_buffer out = {0};
  assert_int_equal(smla_buffer_append_text(&out, "before"), SNAPMLA_OK);
  snapmla_status status = smla_generator_expand(generator, "t", &options, &out);
  char *result = NULL;
  if (status) {
    assert_string_equal(out.data, "before");
    assert_int_equal(status, SNAPMLA_TEMPLATE);
  } else {
    assert_memory_equal(out.data, "before" HEAD, strlen("before" HEAD));
    result = strdup(out.data + strlen("before" HEAD));
  }
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
  return result;
}

#define EXPANDS_WITH(others, count, text, expected)                         \
  do {                                                                      \
    char *expanded = expand_with(others, count, text, sizeof(text) - 1, 0); \
    if (!expanded) fail_msg("%s", snapmla_error_message());                 \
    assert_string_equal(expanded, expected);                                \
    free(expanded);                                                         \
  } while (0)
#define EXPANDS(text, expected) EXPANDS_WITH(NULL, 0, text, expected)

#define FAILS_WITH(others, count, text, expected)                           \
  do {                                                                      \
    char *expanded = expand_with(others, count, text, sizeof(text) - 1, 0); \
    if (expanded) fail_msg("expanded to: %s", expanded);                    \
    assert_string_equal(snapmla_error_message(), expected);                 \
  } while (0)
#define FAILS(text, expected) FAILS_WITH(NULL, 0, text, expected)

/* Fails, with `part` within the message. */
#define FAILS_SAYING(text, part)                                                                               \
  do {                                                                                                         \
    char *expanded = expand_with(NULL, 0, text, sizeof(text) - 1, 0);                                          \
    if (expanded) fail_msg("expanded to: %.200s", expanded);                                                   \
    if (!strstr(snapmla_error_message(), part)) fail_msg("'%s' is not in: %s", part, snapmla_error_message()); \
  } while (0)

#endif
