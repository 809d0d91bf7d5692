/* A script ends, and stays within its memory: each limit is reached on purpose. */
#include "inline_family.h"

static void endless_loops_end(void **state) {
  (void)state;
  FAILS("x\n% while true do end\n", "t/t.cu.tmpl:2: the script ran for more than 10000000 steps: does a loop not end?");
  FAILS("x\n\n${(function() repeat until false end)()}\n",
        "t/t.cu.tmpl:3: the script ran for more than 10000000 steps: does a loop not end?");
  FAILS_SAYING("% local function f() return f() end\n% f()\n", "t/t.cu.tmpl:1: the script ran for more than");
  FAILS("% while true do\ntext\n% end\n",
        "t/t.cu.tmpl:2: the script ran for more than 10000000 steps: does a loop not end?");
  /* errors before the end are told too */
  FAILS("${early}\n% while true do end\n",
        "t/t.cu.tmpl:1: undefined name 'early'\n"
        "t/t.cu.tmpl:2: the script ran for more than 10000000 steps: does a loop not end?");
}

/* Work inside C functions, which the step hook cannot interrupt. */
static void slow_functions_end(void **state) {
  (void)state;
  EXPANDS("${string.rep('', 1 << 60)}|\n", "|\n");
  FAILS_SAYING("${string.rep('', 1 << 60, 'x')}\n", "t/t.cu.tmpl:1: ");
  FAILS_SAYING("% table.move({}, 1, math.maxinteger - 1, 2)\n",
               "t/t.cu.tmpl:1: bad argument #3 to 'move' (too many elements)");
  FAILS_SAYING("${(('a'):rep(30)):find(('a?'):rep(30) .. ('a'):rep(30))}\n",
               "t/t.cu.tmpl:1: a pattern with so many repetitions is too slow on a text of 30 characters");
  FAILS_SAYING("${(('a'):rep(5000)):match('.-.-.-b')}\n",
               "t/t.cu.tmpl:1: a pattern with so many repetitions is too slow");
  FAILS_SAYING("% local s = ('a'):rep(400)\n% while true do s:find('.-.-b') end\n",
               "t/t.cu.tmpl:2: a pattern with so many repetitions is too slow");
  FAILS_SAYING("% local s = ('a'):rep(120)\n% while true do s:find('.-.-b') end\n",
               "t/t.cu.tmpl:2: the script ran for more");
  FAILS_SAYING("% local s = ('a'):rep(20 << 20)\n% while true do local t = s .. 'x' end\n",
               "t/t.cu.tmpl:2: the script ran for more");
  FAILS_SAYING("${select(-1 << 62, 1)}\n", "t/t.cu.tmpl:1: bad argument #1 to 'select'");
  FAILS_SAYING("${table.concat({}, '', 1, 1 << 60)}\n",
               "t/t.cu.tmpl:1: invalid value (nil) at index 1 in table for 'concat'");
  FAILS_SAYING("${table.unpack({}, 1, 1 << 30)}\n", "t/t.cu.tmpl:1: too many results to unpack");
  FAILS_SAYING("${pad('x', 1 << 40)}\n", "t/t.cu.tmpl:1: bad argument #2 to 'pad' (a width is -1024..1024)");
}

static void memory_is_capped(void **state) {
  (void)state;
  FAILS("x\n${('x'):rep(1 << 30)}\n", "t/t.cu.tmpl:2: the script holds more than 64 MiB of memory");
  FAILS_SAYING("${('x'):rep(math.maxinteger)}\n", "t/t.cu.tmpl:1: resulting string too large");
  FAILS("% local t = {}\n% for i = 1, 1 << 40 do t[i] = i end\n",
        "t/t.cu.tmpl:2: the script holds more than 64 MiB of memory");
  FAILS("% local s = 'x'\n% while true do\n%   s = s .. s\n% end\n",
        "t/t.cu.tmpl:3: the script holds more than 64 MiB of memory");
  FAILS_SAYING("${string.format('%99.99f', 1)}${('x'):rep(1 << 29, 'y')}\n",
               "t/t.cu.tmpl:1: the script holds more than 64 MiB");
}

static void output_is_capped(void **state) {
  (void)state;
  FAILS_SAYING("% local s = ('x'):rep(20 << 20)\n${s}\n${s}\n", "t/t.cu.tmpl:3: the expansion exceeds 32 MiB");
}

static void recursion_is_caught(void **state) {
  (void)state;
  FAILS_SAYING("% local function f() return 1 + f() end\n% f()\n",
               "t/t.cu.tmpl:1: calls are more than 10000 deep: does a recursion not end?");
  FAILS_SAYING("% local function f(a, b) table.sort({1, 2}, f) return true end\n% f()\n", "t/t.cu.tmpl:1: ");
  FAILS_SAYING("% local function f() return (('x'):gsub('x', f)) end\n% f()\n", "t/t.cu.tmpl:1: ");
  char deep[600] = "${";
  for (int i = 0; i < 280; ++i) strcat(deep, "(");
  strcat(deep, "1");
  for (int i = 0; i < 280; ++i) strcat(deep, ")");
  strcat(deep, "}\n");
  assert_null(expand_with(NULL, 0, deep, strlen(deep), 0));
  assert_non_null(strstr(snapmla_error_message(), "t/t.cu.tmpl:1: "));
}

static void a_recursion_of_text_lines_is_caught(void **state) {
  (void)state;
  FAILS_SAYING("% local function f()\nx\n% return 1 + f()\n% end\n% f()\n", "calls are more than 10000 deep");
  FAILS_SAYING("% local function f(g)\n% return 1 + f(g)\n% end\n${f(f)}\n",
               "t/t.cu.tmpl:2: calls are more than 10000 deep: does a recursion not end?");
}

static void includes_are_not_endless(void **state) {
  (void)state;
  smla_template_file files[40];
  static char paths[38][16], texts[38][40];
  files[0] = (smla_template_file)TEXT_FILE("t/space.lua", SPACE);
  files[1] = (smla_template_file)TEXT_FILE("t/t.cu.tmpl", "% include('f00.inc')\n");
  for (int i = 0; i < 38; ++i) {
    snprintf(paths[i], sizeof paths[i], "f%02d.inc", i);
    snprintf(texts[i], sizeof texts[i], "%% include('f%02d.inc')\n", i + 1);
    files[2 + i] = (smla_template_file){paths[i], texts[i], strlen(texts[i])};
  }
  smla_generator *generator = make(files, 40);
  smla_buffer out = {0};
  assert_int_equal(smla_generator_expand(generator, "t", NULL, &out), SNAPMLA_TEMPLATE);
  assert_non_null(strstr(snapmla_error_message(), "f30.inc:1: include: more than 32 files within each other"));
  assert_null(out.data);
  smla_generator_destroy(generator);
}

/* space.lua runs within the same limits. */
static void spaces_are_limited_too(void **state) {
  (void)state;
  static const struct {
    const char *space, *message;
  } cases[] = {
      {"while true do end", "t/space.lua:1: the script ran for more than 10000000 steps: does a loop not end?"},
      {"return ('x'):rep(1 << 30)", "t/space.lua:1: the script holds more than 64 MiB of memory"},
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
      cmocka_unit_test(endless_loops_end),        cmocka_unit_test(slow_functions_end),
      cmocka_unit_test(memory_is_capped),         cmocka_unit_test(output_is_capped),
      cmocka_unit_test(recursion_is_caught),      cmocka_unit_test(a_recursion_of_text_lines_is_caught),
      cmocka_unit_test(includes_are_not_endless), cmocka_unit_test(spaces_are_limited_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
