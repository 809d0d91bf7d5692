/* A script has no way out of its box, and sees nothing that differs from run to run. */
#include "inline_family.h"

static void nothing_dangerous_is_named(void **state) {
  (void)state;
  static const char *const names[] = {
      "io",       "os",      "debug",    "load",         "loadstring",     "loadfile", "dofile",
      "require",  "package", "pairs",    "next",         "setmetatable",   "rawset",   "rawget",
      "rawequal", "rawlen",  "pcall",    "xpcall",       "coroutine",      "print",    "warn",
      "utf8",     "_G",      "_VERSION", "getmetatable", "collectgarbage", "arg"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    char text[64], expected[96];
    int length = snprintf(text, sizeof text, "%% local x = %s\n", names[i]);
    snprintf(expected, sizeof expected, "t/t.cu.tmpl:1: undefined name '%s'", names[i]);
    assert_null(expand_with(NULL, 0, text, (size_t)length, 0));
    assert_string_equal(snapmla_error_message(), expected);
  }
  FAILS("${string.dump(pad)}\n", "t/t.cu.tmpl:1: attempt to call a nil value (field 'dump')");
  FAILS("${math.random()}\n", "t/t.cu.tmpl:1: attempt to call a nil value (field 'random')");
  FAILS("${math.randomseed(1)}\n", "t/t.cu.tmpl:1: attempt to call a nil value (field 'randomseed')");
  FAILS("% local _ENV = {}\n", "t/t.cu.tmpl:1: _ENV is not available to templates");
  FAILS("${_ENV.x}\n", "t/t.cu.tmpl:1: _ENV is not available to templates");
  EXPANDS("% local my_ENV, _ENVY = 1, 2\n${my_ENV + _ENVY}\n", "3\n");
}

static void the_string_metatable_leads_nowhere(void **state) {
  (void)state;
  EXPANDS("${tostring((\"\").__index)} ${tostring((\"\").dump)}\n", "nil nil\n");
  FAILS_SAYING("${(\"\").__metatable.x}\n", "t/t.cu.tmpl:1: attempt to index a nil value");
  FAILS_SAYING("${(function() local s = 'x' s.y = 1 end)()}\n", "t/t.cu.tmpl:1: attempt to index a string value");
}

/* What one expansion does to its library is not seen by the next. */
static void states_are_separate(void **state) {
  (void)state;
  EXPANDS("% string.rep = nil\n% table.concat = nil\n% math.max = nil\nx\n", "x\n");
  EXPANDS("${('a'):rep(2)}${table.concat({1})}${math.max(1, 2)}\n", "aa12\n");
}

static void addresses_are_not_shown(void **state) {
  (void)state;
  FAILS("${tostring({})}\n", "t/t.cu.tmpl:1: tostring: a table has no text");
  FAILS("${string.format('%p', {})}\n", "t/t.cu.tmpl:1: string.format: %p is not available");
  FAILS("${string.format('%-5p', 'x')}\n", "t/t.cu.tmpl:1: string.format: %p is not available");
  FAILS_SAYING("${string.format('%s', pad)}\n", "t/t.cu.tmpl:1: bad argument #2 to 'format'");
  EXPANDS("${string.format('%%p %s', 1)}\n", "%p 1\n");
}

/* space.lua runs in the same box. */
static void spaces_are_boxed_too(void **state) {
  (void)state;
  static const struct {
    const char *space, *message;
  } cases[] = {
      {"local x = os.time()\nreturn {}", "t/space.lua:1: undefined name 'os'"},
      {"\nx = 1", "t/space.lua:2: 'x' cannot be assigned: names are fixed, use local"},
      {"return include", "t/space.lua:1: undefined name 'include'"},
      {"\n\nreturn {", "t/space.lua:3: unexpected symbol near <eof>"},
      {"\x1bLua", "t/space.lua: attempt to load a binary chunk (mode is 't')"},
      {"", "t/space.lua: the file must return a table that describes the space"},
      {"error('no')", "t/space.lua:1: no"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    smla_template_file file = {"t/space.lua", cases[i].space, strlen(cases[i].space)};
    smla_generator *generator = make(&file, 1);
    smla_buffer out = {0};
    assert_int_equal(smla_generator_entry(generator, "t", &out), SNAPMLA_TEMPLATE);
    assert_string_equal(snapmla_error_message(), cases[i].message);
    assert_null(out.data);
    smla_generator_destroy(generator);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_dangerous_is_named), cmocka_unit_test(the_string_metatable_leads_nowhere),
      cmocka_unit_test(states_are_separate),        cmocka_unit_test(addresses_are_not_shown),
      cmocka_unit_test(spaces_are_boxed_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
