/* What each form of the template language expands to. */
#include <locale.h>

#include "inline_family.h"

static void plain_text(void **state) {
  (void)state;
  EXPANDS("", "");
  EXPANDS("a line\n\n  another\n", "a line\n\n  another\n");
  EXPANDS("no newline at the end", "no newline at the end\n");
  EXPANDS("dos\r\nlines\r\n", "dos\nlines\n");
  EXPANDS("a $ b $x {c} 5 % 3 -- \\ \"q\" ]] \t.\n", "a $ b $x {c} 5 % 3 -- \\ \"q\" ]] \t.\n");
  EXPANDS("caf\xc3\xa9\n", "caf\xc3\xa9\n");
}

static void expressions(void **state) {
  (void)state;
  EXPANDS("${n} ${kind} ${threads} ${odd} ${target} ${family} ${entry}\n", "2 red 64 false sm90a t snapmla_t\n");
  EXPANDS("${variant}\n", "t:n=2,kind=red\n");
  EXPANDS("${n * 256}${\"x\"}${n}\n", "512x2\n");
}

static void braces_and_strings(void **state) {
  (void)state;
  EXPANDS("${({7, 8})[2]}\n", "8\n");
  EXPANDS("${\"}\"}${'}'}${[[}]]}${[==[}]]}]==]}\n", "}}}}]]}\n");
  EXPANDS("${\"\\\"}\"}\n", "\"}\n");
  EXPANDS("${\"${\"}x}\n", "${x}\n");
  EXPANDS("${ n --[[ the } number ]] }\n", "2\n");
  EXPANDS("${(function() local t = {} t[1] = n return t[1] end)()}\n", "2\n");
}

static void numbers(void **state) {
  (void)state;
  EXPANDS("${512.0} ${2^10} ${10 / 4} ${0.1} ${1 / 3} ${-0.5} ${1e300} ${2^53 + 0.0}\n",
          "512 1024 2.5 0.1 0.3333333333333333 -0.5 1e+300 9007199254740992\n");
  EXPANDS("${math.maxinteger} ${math.mininteger} ${0x10} ${7 // 2} ${1 << 4}\n",
          "9223372036854775807 -9223372036854775808 16 3 16\n");
}

static void control_lines(void **state) {
  (void)state;
  EXPANDS("% for i = 1, 3 do\nline ${i}\n% end\n", "line 1\nline 2\nline 3\n");
  EXPANDS("  %if n == 2 then\ntwo\n\t% else\nother\n% end\n", "two\n");
  EXPANDS("% local t = {\n%   3,\n%   4,\n% }\n% for _, x in ipairs(t) do\n${x};\n% end\n", "3;\n4;\n");
  EXPANDS("% local function twice(x)\n%   return 2 * x\n% end\n${twice(4)}\n", "8\n");
  EXPANDS("% local function block(name)\n{ ${name} }\n% end\n% block('a')\n% block('b')\n", "{ a }\n{ b }\n");
  EXPANDS("% local x = 1\n% x = x + 1\n${x}\n", "2\n");
  EXPANDS("% -- a comment\n%\nx\n", "x\n");
  EXPANDS("% local s = [[a\n% b]]\n${s}\n", "a\n b\n");
  EXPANDS("% if n == 2 then\nkept\n% return\n% end\nnot reached\n", "kept\n");
  EXPANDS("% for i = 1, 3 do\n% if i == 2 then goto continue end\n${i}\n% ::continue::\n% end\n", "1\n3\n");
}

static void literal_percent(void **state) {
  (void)state;
  EXPANDS("%%0 and ${n}\n", "%0 and 2\n");
  EXPANDS("  %% x\n", "  % x\n");
  EXPANDS("%%%\n", "%%\n");
  EXPANDS("\"%0\", %1\n", "\"%0\", %1\n");
}

static void includes(void **state) {
  (void)state;
  static const smla_template_file others[] = {
      TEXT_FILE("parts/a.inc", "a sees ${n}\n"),
      TEXT_FILE("parts/b.inc",
                "b has ${mine}\n% include('parts/c.inc')\n% include('parts/c.inc', {mine = 'new'})\n${mine}\n"),
      TEXT_FILE("parts/c.inc", "c has ${mine} and ${n}\n"),
      TEXT_FILE("t/params.h", "/* 100% C */\nstruct p { int x; };\n"),
      TEXT_FILE("parts/late.inc", "% helper('x')\n"),
      TEXT_FILE("parts/empty.inc", ""),
  };
  EXPANDS_WITH(others, 6, "<\n% include('parts/a.inc')\n>\n", "<\na sees 2\n>\n");
  EXPANDS_WITH(others, 6, "% include('parts/b.inc', {mine = 5})\n", "b has 5\nc has 5 and 2\nc has new and 2\n5\n");
  EXPANDS_WITH(others, 6, "% include('t/params.h')\n", "/* 100% C */\nstruct p { int x; };\n");
  EXPANDS_WITH(others, 6, "% include('parts/a.inc', {n = 7})\n${n}\n", "a sees 7\n2\n");
  EXPANDS_WITH(others, 6, "% for i = 1, 2 do\n%   include('parts/c.inc', {mine = i})\n% end\n",
               "c has 1 and 2\nc has 2 and 2\n");
  EXPANDS_WITH(others, 6, "% include('parts/empty.inc')\n", "");
  EXPANDS_WITH(others, 6,
               "% local function helper(x)\n(${x} ${n})\n% end\n% include('parts/late.inc', {helper = helper})\n",
               "(x 2)\n");
}

static void library(void **state) {
  (void)state;
  EXPANDS("[${pad('ab', 5)}] [${pad(12, -5)}] [${pad('long', 2)}]\n", "[ab   ] [   12] [long]\n");
  EXPANDS("% for k, v in sorted_pairs({b = 1, a = 2, [10] = 3, [9] = 4}) do\n${k}=${v}\n% end\n",
          "9=4\n10=3\na=2\nb=1\n");
  EXPANDS("% local t = {3, 1, 2}\n% table.sort(t)\n${table.concat(t, ',')}\n", "1,2,3\n");
  EXPANDS(
      "% local t = {'bb', 'a', 'cc', 'd'}\n% table.sort(t, function(x, y) return #x < #y end)\n${table.concat(t, "
      "',')}\n",
      "a,d,bb,cc\n");
  EXPANDS("${string.format('%03d|%s|%.2f', n, kind, 1.5)} ${('ab'):rep(2, '-')} ${(kind:gsub('e', 'E'))}\n",
          "002|red|1.50 ab-ab rEd\n");
  EXPANDS(
      "${kind:match('^(%a)')} ${select('#', 1, 2)} ${tonumber('0x10')} ${tostring(2^3)} ${type(n)} ${math.type(n)}\n",
      "r 2 16 8 number integer\n");
  EXPANDS("% for w in ('a b c'):gmatch('%a') do\n${w:upper()}\n% end\n", "A\nB\nC\n");
  EXPANDS("${math.max(3, 9)} ${table.unpack({5})} ${#table.pack(1, 2)} ${assert(n)}\n", "9 5 2 2\n");
}

static void any_size_sorts(void **state) {
  (void)state;
  EXPANDS(
      "% for size = 0, 70 do\n%   local t = {}\n%   for i = 1, size do t[i] = i * 37 % 71 end\n%   table.sort(t)\n"
      "%   for i = 2, size do assert(t[i - 1] <= t[i]) end\n%   assert(#t == size)\n% end\nok\n",
      "ok\n");
}

static void many_expressions(void **state) {
  (void)state;
  char text[200 * 4 + 2] = "", expected[202] = "";
  for (int i = 0; i < 200; ++i) {
    strcat(text, "${n}");
    strcat(expected, "2");
  }
  strcat(expected, "\n");
  char *expanded = expand_with(NULL, 0, text, strlen(text), 0);
  if (!expanded) fail_msg("%s", snapmla_error_message());
  assert_string_equal(expanded, expected);
  free(expanded);
}

/* The caller's locale writes 0,5: the output does not. */
static void any_locale(void **state) {
  (void)state;
  locale_t comma = (locale_t)0;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
  for (size_t i = 0; i < 4 && !comma; ++i) comma = newlocale(LC_ALL_MASK, names[i], (locale_t)0);
  if (!comma) skip();
  locale_t before = uselocale(comma);
  EXPANDS("${0.5} ${string.format('%.1f', 2.5)} ${tonumber('1.5')}\n", "0.5 2.5 1.5\n");
  assert_ptr_equal(uselocale(before), comma);
  freelocale(comma);
}

static void emulator_target(void **state) {
  (void)state;
  static const smla_template_file files[] = {TEXT_FILE("t/space.lua", SPACE), TEXT_FILE("t/t.cu.tmpl", "${target}\n")};
  smla_generator *generator = make(files, 2);
  smla_buffer out = {0};
  assert_int_equal(smla_generator_expand(generator, "t:kind=blue", &(smla_expand_options){.emulator = 1}, &out),
                   SNAPMLA_OK);
  assert_string_equal(out.data,
                      "// Generated from templates/t/t.cu.tmpl: do not edit.\n"
                      "//   variant: t:n=2,kind=blue\n"
                      "//   command: snapmla gen --variant 't:n=2,kind=blue' --target emulator\n"
                      "emulator\n");
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_text),       cmocka_unit_test(expressions),   cmocka_unit_test(braces_and_strings),
      cmocka_unit_test(numbers),          cmocka_unit_test(control_lines), cmocka_unit_test(literal_percent),
      cmocka_unit_test(includes),         cmocka_unit_test(library),       cmocka_unit_test(any_size_sorts),
      cmocka_unit_test(many_expressions), cmocka_unit_test(any_locale),    cmocka_unit_test(emulator_target),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
