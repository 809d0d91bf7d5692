/* space.lua is checked field by field; every fault names the file and the place. */
#include "inline_family.h"

/* A good space with parts that the tests replace. */
#define AXES "{ { name = 'n', values = { 1, 2 }, default = 1, about = 'a number' } }"
#define DERIVED "function() return { threads = 32, smem_bytes = 0 } end"
#define TOP "family = 't', entry = 'e', about = 'a test', "

static snapmla_status ask(const char *space, smla_buffer *out) {
  smla_template_file file = {"t/space.lua", space, strlen(space)};
  smla_generator *generator = make(&file, 1);
  snapmla_status status = smla_generator_resolve(generator, "t", NULL, 0, NULL, out);
  smla_generator_destroy(generator);
  return status;
}

static void fails(const char *space, const char *message) {
  smla_buffer out = {0};
  if (!ask(space, &out)) fail_msg("accepted: %s", space);
  assert_string_equal(snapmla_error_message(), message);
  assert_null(out.data);
}

static void accepts(const char *space, const char *variant) {
  smla_buffer out = {0};
  if (ask(space, &out)) fail_msg("%s", snapmla_error_message());
  assert_string_equal(out.data, variant);
  smla_buffer_free(&out);
}

static void good_ones(void **state) {
  (void)state;
  accepts("return { " TOP "axes = " AXES ", rules = {}, derived = " DERIVED " }", "t:n=1");
  accepts("return { " TOP "axes = {}, rules = {}, derived = " DERIVED " }", "t");
  accepts("return { " TOP
          "axes = { { name = 'threads', values = { 64 }, default = 64, about = 'a' } }, rules = {},\n"
          "derived = function() return { smem_bytes = 0 } end }",
          "t:threads=64");
}

/* Facts of a file of their own. */
static void shared_facts(void **state) {
  (void)state;
  const char space[] =
      "local f = use('facts.lua')\nreturn { " TOP
      "axes = { { name = 'n', values = f.values, default = 4, about = 'a' } }, rules = {}, derived = " DERIVED " }";
  const char facts[] = "return { values = { 3, 4 } }";
  smla_template_file files[] = {{"facts.lua", facts, strlen(facts)}, {"t/space.lua", space, strlen(space)}};
  smla_generator *generator = make(files, 2);
  smla_buffer out = {0};
  if (smla_generator_resolve(generator, "t", NULL, 0, NULL, &out)) fail_msg("%s", snapmla_error_message());
  assert_string_equal(out.data, "t:n=4");
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
  fails("return use('facts.lua')", "t/space.lua:1: use: there is no template file 'facts.lua'");
  fails("return use('../facts.lua')", "t/space.lua:1: use: there is no template file '../facts.lua'");
  fails("return use('t/space.lua')", "t/space.lua:1: use: 't/space.lua' uses itself");
}

/* Another family's files are its own: what a family depends on is known from the folders alone. */
static void other_families_files(void **state) {
  (void)state;
  const char text[] = "return { values = { 3, 4 } }", uses[] = "return use('u/facts.lua')";
  smla_template_file files[] = {
      {"t/space.lua", uses, strlen(uses)}, {"u/facts.lua", text, strlen(text)}, {"u/space.lua", text, strlen(text)}};
  smla_generator *generator = make(files, 3);
  smla_buffer out = {0};
  assert_int_equal(smla_generator_resolve(generator, "t", NULL, 0, NULL, &out), SNAPMLA_TEMPLATE);
  assert_string_equal(
      snapmla_error_message(),
      "t/space.lua:1: use: 'u/facts.lua' is in another family's folder, which that family alone reads: move "
      "what families share into one that is no family's, like common/");
  smla_generator_destroy(generator);
  generator = make(files, 2); /* u is no family */
  assert_int_equal(smla_generator_resolve(generator, "t", NULL, 0, NULL, &out), SNAPMLA_TEMPLATE);
  assert_non_null(strstr(snapmla_error_message(), "t/space.lua: space.family must be a text, it is missing"));
  smla_generator_destroy(generator);
}

static void fields(void **state) {
  (void)state;
  fails("return 3", "t/space.lua: the file must return a table that describes the space");
  fails("return { family = 'u', entry = 'e', about = 'a', axes = {}, rules = {}, derived = " DERIVED " }",
        "t/space.lua: space.family is 'u', its folder is 't': they must be the same");
  fails("return { family = 't', entry = '9 lives', about = 'a', axes = {}, rules = {}, derived = " DERIVED " }",
        "t/space.lua: space.entry '9 lives' must be a C identifier");
  fails("return { family = 't', entry = 'e', about = 'a\\nb', axes = {}, rules = {}, derived = " DERIVED " }",
        "t/space.lua: space.about must be one line of text");
  fails("return { " TOP "axes = {}, rules = {}, derived = " DERIVED ", deriver = 3 }",
        "t/space.lua: space has an unknown field 'deriver'");
  fails("return {}",
        "t/space.lua: space.family must be a text, it is missing\n"
        "t/space.lua: space.entry must be a text, it is missing\n"
        "t/space.lua: space.about must be a text, it is missing\n"
        "t/space.lua: space.axes must be a list, it is missing\n"
        "t/space.lua: space.rules must be a list, it is missing\n"
        "t/space.lua: space.derived must be a function(v), it is missing");
  fails("return { " TOP "axes = { 3 }, rules = { 'x' }, derived = 4 }",
        "t/space.lua: axes[1] must be a table\n"
        "t/space.lua: rules[1] must be a table\n"
        "t/space.lua: space.derived must be a function(v), it is number");
}

static void axis(const char *text, const char *message) {
  char space[512];
  snprintf(space, sizeof space, "return { %s axes = { %s }, rules = {}, derived = %s }", TOP, text, DERIVED);
  fails(space, message);
}

static void axes(void **state) {
  (void)state;
  axis("{ name = 'n', values = { 1 }, default = 2, about = 'a' }",
       "t/space.lua: axis 'n': default must be one of its values");
  axis("{ name = 'n', values = { 1 }, default = '1', about = 'a' }",
       "t/space.lua: axis 'n': default must be one of its values");
  axis("{ name = 'n', values = {}, default = 2, about = 'a' }",
       "t/space.lua: axis 'n': 1..256 values, not 0\nt/space.lua: axis 'n': default must be one of its values");
  axis("{ name = 'n', values = { 1 }, default = function() return 2 end, about = 'a' }",
       "t/space.lua: axis 'n': default(settings) must return one of its values");
  axis("{ name = 'n', values = { 1 }, default = function() return '1' end, about = 'a' }",
       "t/space.lua: axis 'n': default(settings) must return one of its values");
  axis("{ name = 'n', values = { 1 }, default = function(s) return s.heads + 1 end, about = 'a' }",
       "t/space.lua:1: attempt to perform arithmetic on a nil value (field 'heads')");
  axis("{ name = 'n', values = { 1, 1 }, default = 1, about = 'a' }",
       "t/space.lua: axis 'n': the value '1' stands twice");
  axis("{ name = 'n', values = { 1, 'x' }, default = 1, about = 'a' }",
       "t/space.lua: axis 'n': values are all integers or all texts, not both");
  axis("{ name = 'n', values = { 1, 2.0 }, default = 1, about = 'a' }",
       "t/space.lua: axis 'n': values[2] must be an integer or a text of 1..47 characters out of A-Z a-z 0-9 _ . -");
  axis("{ name = 'n', values = { 'a=b' }, default = 'a=b', about = 'a' }",
       "t/space.lua: axis 'n': values[1] must be an integer or a text of 1..47 characters out of A-Z a-z 0-9 _ . -\n"
       "t/space.lua: axis 'n': default must be one of its values");
  axis("{ name = 'N', values = { 1 }, default = 1, about = 'a' }",
       "t/space.lua: axes[1]: 'N' cannot be an axis name: a-z 0-9 _ up to 47 characters, no word of Lua or of "
       "templates");
  axis("{ name = 'include', values = { 1 }, default = 1, about = 'a' }",
       "t/space.lua: axes[1]: 'include' cannot be an axis name: a-z 0-9 _ up to 47 characters, no word of Lua or of "
       "templates");
  axis("{ name = 'n', values = { 1 }, default = 1 }", "t/space.lua: axis 'n'.about must be a text, it is missing");
  axis("{ name = 'n', values = { 1 }, default = 1, about = 'a', legal = 2 }",
       "t/space.lua: axis 'n' has an unknown field 'legal'");
  axis(
      "{ name = 'n', values = { 1 }, default = 1, about = 'a' }, { name = 'n', values = { 1 }, default = 1, about = "
      "'a' }",
      "t/space.lua: axes[2]: a second axis 'n'");
}

static void rule(const char *text, const char *message) {
  char space[768];
  snprintf(space, sizeof space, "return { %s axes = %s, rules = { %s },\nderived = %s }", TOP, AXES, text, DERIVED);
  fails(space, message);
}

static void rules(void **state) {
  (void)state;
  rule("{ name = 'r', reason = 3, legal = function() return true end }",
       "t/space.lua: rule 'r': reason must be a text or a function(v, d) that returns one");
  rule("{ name = 'r', reason = 'because' }", "t/space.lua: rule 'r'.legal must be a function(v, d), it is missing");
  rule("{ reason = 'x', legal = function() return true end }",
       "t/space.lua: rules[1].name must be a text, it is missing");
  rule("{ name = 'r', reason = 'x', legal = function() return 1 end }",
       "t/space.lua: rule 'r': legal must return true or false, not number");
  rule("{ name = 'r', reason = 'x', legal = function() end }",
       "t/space.lua: rule 'r': legal must return true or false, not nil");
  rule("{ name = 'r', reason = function() return {} end, legal = function() return false end }",
       "t/space.lua: rule 'r': reason must return a text, not table");
  rule("\n{ name = 'r', reason = 'x', legal = function(v) return v.m == 1 end }", "t/space.lua:2: undefined axis 'm'");
  rule("\n\n{ name = 'r', reason = 'x', legal = function(v, d) return d.smem == 1 end }",
       "t/space.lua:3: undefined quantity 'smem'");
  rule("{ name = 'r', reason = 'x', legal = function(v) v.n = 2 return true end }",
       "t/space.lua:1: 'n' cannot be assigned: names are fixed, use local");
}

static void derived(const char *text, const char *message) {
  char space[512];
  snprintf(space, sizeof space, "return { %s axes = %s, rules = {},\nderived = function(v) %s end }", TOP, AXES, text);
  fails(space, message);
}

static void quantities(void **state) {
  (void)state;
  derived("", "t/space.lua: derived must return a table of quantities by name");
  derived("return { threads = 32 }",
          "t/space.lua: derived: 'smem_bytes' must be there (or be an axis), an integer of at least 0");
  derived("return { threads = 32, smem_bytes = -1 }",
          "t/space.lua: derived: 'smem_bytes' must be there (or be an axis), an integer of at least 0");
  derived("return { threads = 'x', smem_bytes = 1 }",
          "t/space.lua: derived: 'threads' must be there (or be an axis), an integer of at least 0");
  derived("return { threads = 32, smem_bytes = 0, x = 0.5 }",
          "t/space.lua: derived: 'x' must be an integer, a boolean or a text");
  derived("return { threads = 32, smem_bytes = 0, x = {} }",
          "t/space.lua: derived: 'x' must be an integer, a boolean or a text");
  derived("return { threads = 32, smem_bytes = 0, n = 1 }",
          "t/space.lua: derived: 'n' cannot name a quantity: a-z 0-9 _ up to 47 characters, no axis, no word of Lua or "
          "of templates");
  derived("return { threads = 32, smem_bytes = 0, [1] = 1 }", "t/space.lua: derived: every quantity has a name");
  derived("return { threads = v.width, smem_bytes = 0 }", "t/space.lua:2: undefined axis 'width'");
}

/* A fault of a space is found where it is, and other families go on. */
static void other_families_go_on(void **state) {
  (void)state;
  static const smla_template_file files[] = {
      TEXT_FILE("bad/space.lua", "return"),
      TEXT_FILE("t/space.lua", "return { " TOP "axes = {}, rules = {}, derived = " DERIVED " }")};
  smla_generator *generator = make(files, 2);
  smla_buffer out = {0};
  assert_int_equal(smla_generator_entry(generator, "bad", &out), SNAPMLA_TEMPLATE);
  assert_int_equal(smla_generator_entry(generator, "t", &out), SNAPMLA_OK);
  assert_string_equal(out.data, "e");
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_ones),
      cmocka_unit_test(shared_facts),
      cmocka_unit_test(other_families_files),
      cmocka_unit_test(fields),
      cmocka_unit_test(axes),
      cmocka_unit_test(rules),
      cmocka_unit_test(quantities),
      cmocka_unit_test(other_families_go_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
