/* #line directives: where the compiler's idea of the position is wrong, and nowhere else. */
#include "inline_family.h"

#define EXPANDS_LINED(others, count, text, expected)                        \
  do {                                                                      \
    char *expanded = expand_with(others, count, text, sizeof(text) - 1, 1); \
    if (!expanded) fail_msg("%s", snapmla_error_message());                 \
    assert_string_equal(expanded, expected);                                \
    free(expanded);                                                         \
  } while (0)

static void text_alone_needs_one(void **state) {
  (void)state;
  EXPANDS_LINED(NULL, 0, "a\nb\n\nc\n", "#line 1 \"templates/t/t.cu.tmpl\"\na\nb\n\nc\n");
  EXPANDS_LINED(NULL, 0, "", "");
}

static void control_lines_skip(void **state) {
  (void)state;
  EXPANDS_LINED(NULL, 0, "a\n% if n == 3 then\nb\n% end\nc\nd\n",
                "#line 1 \"templates/t/t.cu.tmpl\"\na\n#line 5 \"templates/t/t.cu.tmpl\"\nc\nd\n");
  EXPANDS_LINED(NULL, 0, "% for i = 1, 2 do\n${i}\n% end\n",
                "#line 2 \"templates/t/t.cu.tmpl\"\n1\n#line 2 \"templates/t/t.cu.tmpl\"\n2\n");
}

static void files_change(void **state) {
  (void)state;
  static const smla_template_file others[] = {TEXT_FILE("a.inc", "x\ny\n"),
                                              TEXT_FILE("none.inc", "% local unused = 1\n")};
  EXPANDS_LINED(others, 2, "1\n% include('a.inc')\n3\n% include('none.inc')\n5\n",
                "#line 1 \"templates/t/t.cu.tmpl\"\n1\n#line 1 \"templates/a.inc\"\nx\ny\n"
                "#line 3 \"templates/t/t.cu.tmpl\"\n3\n#line 5 \"templates/t/t.cu.tmpl\"\n5\n");
}

static void values_of_several_lines(void **state) {
  (void)state;
  EXPANDS_LINED(NULL, 0, "${\"p\\nq\"}\nr\n",
                "#line 1 \"templates/t/t.cu.tmpl\"\np\nq\n#line 2 \"templates/t/t.cu.tmpl\"\nr\n");
}

/* In a continued line a directive would become part of the macro. */
static void continued_lines(void **state) {
  (void)state;
  EXPANDS_LINED(
      NULL, 0, "#define M \\\n% -- skipped\n  f() \\\n  g()\nh\n",
      "#line 1 \"templates/t/t.cu.tmpl\"\n#define M \\\n  f() \\\n  g()\n#line 5 \"templates/t/t.cu.tmpl\"\nh\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_alone_needs_one),    cmocka_unit_test(control_lines_skip), cmocka_unit_test(files_change),
      cmocka_unit_test(values_of_several_lines), cmocka_unit_test(continued_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
