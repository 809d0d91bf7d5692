/* Every kind of template error is reported at its line, in the file where it is. */
#include "inline_family.h"

static void undefined_names(void **state) {
  (void)state;
  FAILS("a\n${nosuch}\n", "t/t.cu.tmpl:2: undefined name 'nosuch'");
  FAILS("a\n% local x = nosuch\nb\n", "t/t.cu.tmpl:2: undefined name 'nosuch'");
  FAILS("% if n == 1 then\n${never}\n% end\n${pairs({})}\n", "t/t.cu.tmpl:4: undefined name 'pairs'");
}

static void globals(void **state) {
  (void)state;
  FAILS("x\n\n% y = 1\n", "t/t.cu.tmpl:3: 'y' cannot be assigned: names are fixed, use local");
  FAILS("% n = 3\n", "t/t.cu.tmpl:1: 'n' cannot be assigned: names are fixed, use local");
  FAILS("% function f() end\n", "t/t.cu.tmpl:1: 'f' cannot be assigned: names are fixed, use local");
}

static void values_without_text(void **state) {
  (void)state;
  FAILS("a\n\n${nil}\n", "t/t.cu.tmpl:3: ${}: the value is nil");
  FAILS("${({})[1]}\n", "t/t.cu.tmpl:1: ${}: the value is nil");
  FAILS("${{}}\n", "t/t.cu.tmpl:1: ${}: a table has no text");
  FAILS("${pad}\n", "t/t.cu.tmpl:1: ${}: a function has no text");
  FAILS("${1 / 0}\n", "t/t.cu.tmpl:1: ${}: the number is not finite");
  FAILS("${0 / 0}\n", "t/t.cu.tmpl:1: ${}: the number is not finite");
}

static void runtime_errors(void **state) {
  (void)state;
  FAILS("% local t = {}\n\n${t.a.b}\n", "t/t.cu.tmpl:3: attempt to index a nil value (field 'a')");
  FAILS("\n% error('stop here')\n", "t/t.cu.tmpl:2: stop here");
  FAILS("% assert(n == 3, 'three is wanted')\n", "t/t.cu.tmpl:1: three is wanted");
  FAILS("% assert(n == 3)\n", "t/t.cu.tmpl:1: assertion failed!");
  FAILS("% error({})\n", "t/t.cu.tmpl:1: error() was called with a table instead of a text");
  FAILS("% error()\n", "t/t.cu.tmpl:1: error() was called with a nil instead of a text");
  FAILS("% error(42)\n", "t/t.cu.tmpl:1: error(42)");
  FAILS("% error('two\\nlines', 0)\n", "t/t.cu.tmpl:1: two lines");
  FAILS("% local function f(x)\n%   error('bad ' .. x, 2)\n% end\n\n% f(1)\n", "t/t.cu.tmpl:5: bad 1");
  FAILS("% local s = ('x'):rep('y')\n", "t/t.cu.tmpl:1: bad argument #1 to 'rep' (number expected, got string)");
  FAILS("${1 + {}}\n", "t/t.cu.tmpl:1: attempt to perform arithmetic on a table value");
}

static void syntax_errors(void **state) {
  (void)state;
  FAILS("a\n% if n == then\nb\n% end\n", "t/t.cu.tmpl:2: unexpected symbol near 'then'");
  FAILS("a\n% for i = 1, 2 do\nb\n", "t/t.cu.tmpl:4: 'end' expected (to close 'for' at line 2) near <eof>");
  FAILS("a\n% end\n", "t/t.cu.tmpl:2: <eof> expected near 'end'");
  FAILS("\n${n\n", "t/t.cu.tmpl:2: '${' without its '}' on the same line");
  FAILS("${}\n", "t/t.cu.tmpl:1: ${} without an expression");
  FAILS("${ }\n", "t/t.cu.tmpl:1: ${} without an expression");
  FAILS("${n +}\n", "t/t.cu.tmpl:1: ${n +}: unexpected symbol near <eof>");
  FAILS("${local x}\n", "t/t.cu.tmpl:1: ${local x}: unexpected symbol near 'local'");
  FAILS_SAYING("${1) + (2}\n", "t/t.cu.tmpl:1: ${1) + (2}: ");
  FAILS_SAYING("${1, 2}\n", "t/t.cu.tmpl:1: ${1, 2}: ");
  FAILS_SAYING("${n -- comment}\n", "t/t.cu.tmpl:1: ${n -- comment}: ");
  FAILS_SAYING("${1 end) os.exit() (function() return 1}\n", "t/t.cu.tmpl:1: ${1 end)");
  FAILS("% local t = {\ntext within a table\n% }\n", "t/t.cu.tmpl:2: unexpected symbol near 'do'");
  FAILS("a\001b\n", "t/t.cu.tmpl:1: a control character: templates are plain text");
  FAILS("a\rb\n", "t/t.cu.tmpl:1: a control character: templates are plain text");
  FAILS("x\n% local a = 'b\0'\n", "t/t.cu.tmpl:2: a control character: templates are plain text");
}

static void several_are_collected(void **state) {
  (void)state;
  FAILS("${a} ${n} ${b}\nfine\n${nil}\n% local x = c\n${never}\n",
        "t/t.cu.tmpl:1: undefined name 'a'\n"
        "t/t.cu.tmpl:1: undefined name 'b'\n"
        "t/t.cu.tmpl:3: ${}: the value is nil\n"
        "t/t.cu.tmpl:4: undefined name 'c'");
  FAILS("${1 +}\n${n\n% if\n",
        "t/t.cu.tmpl:1: ${1 +}: unexpected symbol near <eof>\n"
        "t/t.cu.tmpl:2: '${' without its '}' on the same line\n"
        "t/t.cu.tmpl:4: unexpected symbol near <eof>");
}

static void too_many_stop(void **state) {
  (void)state;
  static const char text[] = "% for i = 1, 1000 do\n${zz}\n% end\n";
  assert_null(expand_with(NULL, 0, text, strlen(text), 0));
  int lines = 1;
  for (const char *p = snapmla_error_message(); (p = strchr(p, '\n')); ++p) ++lines;
  assert_int_equal(lines, 21);
  assert_non_null(strstr(snapmla_error_message(), "\nt/t.cu.tmpl: 20 errors: the rest is not shown"));
}

static void in_included_files(void **state) {
  (void)state;
  static const smla_template_file others[] = {
      TEXT_FILE("p/a.inc", "fine\n${nosuch}\n"), TEXT_FILE("p/b.inc", "\n\n% include('p/a.inc')\n"),
      TEXT_FILE("p/broken.inc", "% for\n"), TEXT_FILE("p/helper.inc", "% f()\n")};
  FAILS_WITH(others, 4, "% include('p/a.inc')\n", "p/a.inc:2: undefined name 'nosuch' (included from t/t.cu.tmpl:1)");
  FAILS_WITH(others, 4, "x\n% include('p/b.inc')\n",
             "p/a.inc:2: undefined name 'nosuch' (included from p/b.inc:3, from t/t.cu.tmpl:2)");
  FAILS_WITH(others, 4, "% include('p/broken.inc')\n${also}\n",
             "p/broken.inc:2: <name> expected near <eof> (included from t/t.cu.tmpl:1)\n"
             "t/t.cu.tmpl:2: undefined name 'also'");
  FAILS_WITH(others, 4, "% local function f()\n%   error('in f')\n% end\n% include('p/helper.inc', {f = f})\n",
             "t/t.cu.tmpl:2: in f (included from t/t.cu.tmpl:4)");
  /* an error ends its own file alone */
  FAILS_WITH(others, 4, "% include('p/a.inc')\n% include('p/a.inc')\n",
             "p/a.inc:2: undefined name 'nosuch' (included from t/t.cu.tmpl:1)\n"
             "p/a.inc:2: undefined name 'nosuch' (included from t/t.cu.tmpl:2)");
}

static void wrong_includes(void **state) {
  (void)state;
  static const smla_template_file others[] = {
      TEXT_FILE("p/self.inc", "% include('p/self.inc')\n"), TEXT_FILE("p/x.inc", "% include('p/y.inc')\n"),
      TEXT_FILE("p/y.inc", "\n% include('p/x.inc')\n"), TEXT_FILE("p/a.inc", "a\n")};
  FAILS_WITH(others, 4, "\n% include('p/self.inc')\n",
             "p/self.inc:1: include: 'p/self.inc' includes itself (included from t/t.cu.tmpl:2)");
  FAILS_WITH(others, 4, "% include('p/x.inc')\n",
             "p/y.inc:2: include: 'p/x.inc' includes itself (included from p/x.inc:1, from t/t.cu.tmpl:1)");
  FAILS_WITH(others, 4, "% include('p/none.inc')\n", "t/t.cu.tmpl:1: include: there is no template file 'p/none.inc'");
  static const char *const outside[] = {"../p/a.inc", "p/../p/a.inc", "/etc/passwd", "p//a.inc",
                                        "./p/a.inc",  "p/a.inc/",     "p\\\\a.inc",  "",
                                        "p/a\\0.inc", ".hidden"};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; ++i) {
    char text[128];
    int length = snprintf(text, sizeof text, "%% include('%s')\n", outside[i]);
    assert_null(expand_with(others, 4, text, (size_t)length, 0));
    assert_non_null(strstr(snapmla_error_message(), "t/t.cu.tmpl:1: include: '"));
    assert_non_null(strstr(snapmla_error_message(), "must be a path below the templates folder"));
  }
  FAILS_WITH(others, 4, "% include('p/a.inc', 3)\n",
             "t/t.cu.tmpl:1: bad argument #2 to 'include' (table expected, got number)");
  FAILS_WITH(others, 4, "% include('p/a.inc', {3})\n",
             "t/t.cu.tmpl:1: include: the names given to a file are texts of a-z 0-9 _");
  FAILS_WITH(others, 4, "% include('p/a.inc', {target = 3})\n",
             "t/t.cu.tmpl:1: include: 'target' means something else already");
  FAILS_WITH(others, 4, "% include({})\n", "t/t.cu.tmpl:1: bad argument #1 to 'include' (string expected, got table)");
  FAILS_WITH(others, 4, "${include('p/a.inc')}\n", "t/t.cu.tmpl:1: include() belongs on a control line, not in ${}");
}

static void another_familys_files(void **state) {
  (void)state;
  static const smla_template_file others[] = {TEXT_FILE("u/space.lua", "return 3"), TEXT_FILE("u/a.inc", "a\n"),
                                              TEXT_FILE("p/u.inc", "% include('u/a.inc')\n"),
                                              TEXT_FILE("t/own.inc", "own\n"), TEXT_FILE("tu/a.inc", "a\n")};
#define OTHERS                                                                                  \
  "include: 'u/a.inc' is in another family's folder, which that family alone reads: move what " \
  "families share into one that is no family's, like common/"
  FAILS_WITH(others, 5, "% include('u/a.inc')\n", "t/t.cu.tmpl:1: " OTHERS);
  FAILS_WITH(others, 5, "% include('p/u.inc')\n", "p/u.inc:1: " OTHERS " (included from t/t.cu.tmpl:1)");
#undef OTHERS
  EXPANDS_WITH(others, 5, "% include('t/own.inc')\n% include('tu/a.inc')\n", "own\na\n");
}

static void text_within_expressions(void **state) {
  (void)state;
  FAILS("% local function f()\ntext\n% end\n${f()}\n",
        "t/t.cu.tmpl:2: a text line cannot be written from within ${}: call from a control line");
}

static void misuse_of_the_line_function(void **state) {
  (void)state;
  FAILS_SAYING("% __smla_line(99)\n", "t/t.cu.tmpl:1: bad argument #1");
  FAILS_SAYING("% __smla_line(-1)\n", "t/t.cu.tmpl:1: bad argument #1");
  FAILS_SAYING("% __smla_line(2)\n${n}\n", "t/t.cu.tmpl:1: bad argument #2");
  FAILS_SAYING("% __smla_line()\n", "t/t.cu.tmpl:1: bad argument #1");
}

static void too_many_on_a_line(void **state) {
  (void)state;
  char text[201 * 4 + 1] = "";
  for (int i = 0; i < 201; ++i) strcat(text, "${n}");
  assert_null(expand_with(NULL, 0, text, strlen(text), 0));
  assert_string_equal(snapmla_error_message(), "t/t.cu.tmpl:1: more than 200 ${} on one line");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(undefined_names),         cmocka_unit_test(globals),
      cmocka_unit_test(values_without_text),     cmocka_unit_test(runtime_errors),
      cmocka_unit_test(syntax_errors),           cmocka_unit_test(several_are_collected),
      cmocka_unit_test(too_many_stop),           cmocka_unit_test(in_included_files),
      cmocka_unit_test(wrong_includes),          cmocka_unit_test(another_familys_files),
      cmocka_unit_test(text_within_expressions), cmocka_unit_test(misuse_of_the_line_function),
      cmocka_unit_test(too_many_on_a_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
