/* The grammar of variant texts, and how defaults, settings and a text make a variant. */
#include "inline_family.h"

static const char space[] =
    "return { family = 'toy', entry = 'toy_copy', about = 'copies',\n"
    "  axes = {\n"
    "    { name = 'width', values = { 1, 2, 512 }, default = 512, about = 'how wide' },\n"
    "    { name = 'kind', values = { 'plain', 'fp8_token' }, default = 'plain', about = 'what kind' },\n"
    "    { name = 'stages', values = { 3, 1, 2 }, default = 1, about = 'buffers' } },\n"
    "  rules = {\n"
    "    { name = 'fits', reason = function(v, d) return d.smem_bytes .. ' bytes for ' .. v.stages .. ' stages' end,\n"
    "      legal = function(v, d) return d.smem_bytes <= 1024 end },\n"
    "    { name = 'narrow', reason = 'fp8_token wants width 512', \n"
    "      legal = function(v) return v.kind == 'plain' or v.width == 512 end } },\n"
    "  derived = function(v)\n"
    "    return { threads = 64, rows = v.width, smem_bytes = v.width * v.stages, whole = v.width / 1, name = v.kind, "
    "wide = true }\n"
    "  end }\n";

/* A default by the problem's settings: 8 rows for up to 8 heads, 64 for more and where nobody says. */
static const char ruled[] =
    "return { family = 'ruled', entry = 'ruled', about = 'chooses', rules = {},\n"
    "  axes = {\n"
    "    { name = 'rows', values = { 8, 64 }, about = 'rows',\n"
    "      default = function(s) return s.kind ~= 'wide' and s.heads and s.heads <= 8 and 8 or 64 end },\n"
    "    { name = 'kind', values = { 'plain', 'wide' }, default = 'plain', about = 'what kind' } },\n"
    "  derived = function() return { threads = 32, smem_bytes = 0 } end }\n";

static int setup(void **state) {
  static const smla_template_file files[] = {TEXT_FILE("toy/space.lua", space), TEXT_FILE("other/space.lua", ""),
                                             TEXT_FILE("other/notes/space.lua", ""), TEXT_FILE("common/x.h", ""),
                                             TEXT_FILE("ruled/space.lua", ruled)};
  return smla_generator_make(files, 5, NULL, (smla_generator **)state) != SNAPMLA_OK;
}

static int teardown(void **state) {
  smla_generator_destroy(*state);
  return 0;
}

/* Resolves with settings {name, value} pairs, ended by NULL. */
static snapmla_status resolve(void **state, const char *const *pairs, const char *text, smla_buffer *out) {
  smla_setting settings[8] = {{0}};
  size_t count = 0;
  for (; pairs && pairs[2 * count]; ++count) settings[count] = (smla_setting){pairs[2 * count], pairs[2 * count + 1]};
  return smla_generator_resolve(*state, "toy", settings, count, text, out);
}

static void resolves_to(void **state, const char *const *pairs, const char *text, const char *expected) {
  smla_buffer out = {0};
  if (resolve(state, pairs, text, &out)) fail_msg("%s: %s", text ? text : "(none)", snapmla_error_message());
  assert_string_equal(out.data, expected);
  smla_buffer_free(&out);
}

static void refused(void **state, const char *const *pairs, const char *text, snapmla_status status,
                    const char *message) {
  smla_buffer out = {0};
  assert_int_equal(resolve(state, pairs, text, &out), status);
  assert_string_equal(snapmla_error_message(), message);
  assert_null(out.data);
}

static void families(void **state) {
  const char *const *names = smla_generator_families(*state);
  assert_string_equal(names[0], "other");
  assert_string_equal(names[1], "ruled");
  assert_string_equal(names[2], "toy");
  assert_null(names[3]);
}

static void default_rules(void **state) {
  static const struct {
    const char *heads, *kind, *text, *expected;
  } cases[] = {
      {NULL, NULL, NULL, "ruled:rows=64,kind=plain"},
      {"8", NULL, NULL, "ruled:rows=8,kind=plain"},
      {"9", NULL, NULL, "ruled:rows=64,kind=plain"},
      {"4", "wide", NULL, "ruled:rows=64,kind=wide"},
      {"4", NULL, "ruled:kind=wide", "ruled:rows=8,kind=wide"}, /* a text is no setting */
      {"4", NULL, "ruled:rows=64", "ruled:rows=64,kind=plain"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    smla_setting settings[2] = {{0}};
    size_t count = 0;
    if (cases[i].heads) settings[count++] = (smla_setting){"heads", cases[i].heads};
    if (cases[i].kind) settings[count++] = (smla_setting){"kind", cases[i].kind};
    smla_buffer out = {0};
    if (smla_generator_resolve(*state, "ruled", settings, count, cases[i].text, &out))
      fail_msg("%s", snapmla_error_message());
    assert_string_equal(out.data, cases[i].expected);
    smla_buffer_free(&out);
  }
}

static void merging(void **state) {
  resolves_to(state, NULL, NULL, "toy:width=512,kind=plain,stages=1");
  resolves_to(state, NULL, "", "toy:width=512,kind=plain,stages=1");
  resolves_to(state, NULL, "toy", "toy:width=512,kind=plain,stages=1");
  resolves_to(state, NULL, "toy:stages=2", "toy:width=512,kind=plain,stages=2");
  resolves_to(state, NULL, "toy:stages=2,kind=fp8_token,width=512", "toy:width=512,kind=fp8_token,stages=2");
  resolves_to(state, (const char *const[]){"width", "1", "unknown", "7", NULL}, NULL,
              "toy:width=1,kind=plain,stages=1");
  resolves_to(state, (const char *const[]){"width", "1", "stages", "3", NULL}, "toy:width=2",
              "toy:width=2,kind=plain,stages=3");
  /* a canonical text is its own canonical text */
  resolves_to(state, NULL, "toy:width=2,kind=plain,stages=3", "toy:width=2,kind=plain,stages=3");
}

static void appending(void **state) {
  smla_buffer out = {0};
  assert_int_equal(smla_buffer_append_text(&out, "x "), SNAPMLA_OK);
  assert_int_equal(resolve(state, NULL, "toy:width=1", &out), SNAPMLA_OK);
  assert_string_equal(out.data, "x toy:width=1,kind=plain,stages=1");
  assert_int_equal(resolve(state, NULL, "toy:width=7", &out), SNAPMLA_INVALID_ARGUMENT);
  assert_string_equal(out.data, "x toy:width=1,kind=plain,stages=1");
  smla_buffer_free(&out);
}

static void wrong_values(void **state) {
  static const char *const values[] = {"00512", "512.0", "1e3", "0x200", "+512", "-1", "513", "plain", "5122", "51"};
  for (size_t i = 0; i < sizeof values / sizeof *values; ++i) {
    char text[64], message[128];
    snprintf(text, sizeof text, "toy:width=%s", values[i]);
    snprintf(message, sizeof message, "toy: '%s' is not a value of axis 'width'; legal: 1, 2, 512", values[i]);
    refused(state, NULL, text, SNAPMLA_INVALID_ARGUMENT, message);
    refused(state, (const char *const[]){"width", values[i], NULL}, NULL, SNAPMLA_INVALID_ARGUMENT, message);
  }
  refused(state, NULL, "toy:kind=Plain", SNAPMLA_INVALID_ARGUMENT,
          "toy: 'Plain' is not a value of axis 'kind'; legal: plain, fp8_token");
  refused(state, NULL, "toy:stages=4", SNAPMLA_INVALID_ARGUMENT,
          "toy: '4' is not a value of axis 'stages'; legal: 3, 1, 2");
  refused(state, (const char *const[]){"kind", "", NULL}, NULL, SNAPMLA_INVALID_ARGUMENT,
          "toy: '' is not a value of axis 'kind'; legal: plain, fp8_token");
}

static void wrong_texts(void **state) {
  const snapmla_status invalid = SNAPMLA_INVALID_ARGUMENT;
  refused(state, NULL, "toy:depth=1", invalid, "toy has no axis 'depth'; its axes: width, kind, stages");
  refused(state, NULL, "toy:width=1,width=1", invalid, "variant of 'toy': axis 'width' stands twice");
  refused(state, NULL, "toy:width", invalid, "variant of 'toy': 'width' should read axis=value");
  refused(state, NULL, "toy:width=", invalid, "variant of 'toy': 'width=' should read axis=value");
  refused(state, NULL, "toy:=1", invalid, "variant of 'toy': '=1' should read axis=value");
  refused(state, NULL, "toy:", invalid, "variant of 'toy': '' should read axis=value");
  refused(state, NULL, "toy:width=1,", invalid, "variant of 'toy': '' should read axis=value");
  refused(state, NULL, "toy:,width=1", invalid, "variant of 'toy': '' should read axis=value");
  refused(state, NULL, "toy:width=1=1", invalid, "toy: '1=1' is not a value of axis 'width'; legal: 1, 2, 512");
  refused(state, NULL, "toy:toy:width=1", invalid, "toy has no axis 'toy:width'; its axes: width, kind, stages");
  refused(state, NULL, "other:width=1", invalid,
          "variant text 'other:width=1' is of the family 'other', wanted is one of 'toy'");
  refused(state, NULL, "width=1", invalid,
          "variant text 'width=1': it must begin with a family's name and a colon: family:axis=value,axis=value");
  refused(state, NULL, ":width=1", invalid,
          "variant text ':width=1': it must begin with a family's name and a colon: family:axis=value,axis=value");
  refused(state, NULL, "toy:width=1, kind=plain", invalid,
          "variant text: character 13 is a blank: write family:axis=value,axis=value without blanks");
  refused(state, NULL, " toy", invalid,
          "variant text: character 1 is a blank: write family:axis=value,axis=value without blanks");
  refused(state, NULL, "toy:width=1\n", invalid,
          "variant text: character 12 is not printable ASCII: write family:axis=value,axis=value without blanks");
  refused(state, NULL, "toy:w\xc3\xa9=1", invalid,
          "variant text: character 6 is not printable ASCII: write family:axis=value,axis=value without blanks");
  refused(state, (const char *const[]){"width", NULL, NULL}, NULL, invalid,
          "toy: setting 0 lacks its name or its value");
}

static void long_texts(void **state) {
  char *text = malloc(200000);
  memset(text, 'a', 199999);
  text[199999] = 0;
  smla_buffer out = {0};
  assert_int_equal(resolve(state, NULL, text, &out), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "a variant text has at most 4096 characters"));
  text[4096] = 0;
  assert_int_equal(resolve(state, NULL, text, &out), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "it must begin with a family's name"));
  memcpy(text, "toy:", 4);
  assert_int_equal(resolve(state, NULL, text, &out), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "should read axis=value"));
  memcpy(text, "toy:width=", 10);
  assert_int_equal(resolve(state, NULL, text, &out), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "is not a value of axis 'width'"));
  assert_true(strlen(snapmla_error_message()) < 300);
  free(text);
}

static void rules(void **state) {
  refused(state, NULL, "toy:stages=3", SNAPMLA_ILLEGAL_VARIANT,
          "variant 'toy:width=512,kind=plain,stages=3' is refused by the rule 'fits': 1536 bytes for 3 stages");
  refused(state, NULL, "toy:width=1,kind=fp8_token", SNAPMLA_ILLEGAL_VARIANT,
          "variant 'toy:width=1,kind=fp8_token,stages=1' is refused by the rule 'narrow': fp8_token wants width 512");
  smla_quantity *quantities;
  size_t count;
  assert_int_equal(smla_generator_describe(*state, "toy:stages=3", &quantities, &count), SNAPMLA_ILLEGAL_VARIANT);
  assert_null(quantities);
  smla_buffer out = {0};
  assert_int_equal(smla_generator_expand(*state, "toy:stages=3", NULL, &out), SNAPMLA_ILLEGAL_VARIANT);
}

static void describing(void **state) {
  static const smla_quantity expected[] = {{"rows", 2},     {"smem_bytes", 2}, {"stages", 1},
                                           {"threads", 64}, {"whole", 2},      {"width", 2}};
  smla_quantity *quantities;
  size_t count;
  assert_int_equal(smla_generator_describe(*state, "toy:width=2", &quantities, &count), SNAPMLA_OK);
  assert_int_equal(count, sizeof expected / sizeof *expected);
  for (size_t i = 0; i < count; ++i) {
    assert_string_equal(quantities[i].name, expected[i].name);
    assert_int_equal(quantities[i].value, expected[i].value);
  }
  free(quantities);
}

static void other_questions(void **state) {
  smla_buffer out = {0};
  assert_int_equal(smla_generator_entry(*state, "toy", &out), SNAPMLA_OK);
  assert_string_equal(out.data, "toy_copy");
  out.length = 0;
  assert_int_equal(smla_generator_axes(*state, "toy", &out), SNAPMLA_OK);
  assert_string_equal(out.data,
                      "width\t512\t1 2 512\thow wide\n"
                      "kind\tplain\tplain fp8_token\twhat kind\n"
                      "stages\t1\t3 1 2\tbuffers\n");
  smla_buffer_free(&out);
}

static void unknown_families(void **state) {
  static const char message[] = "there is no kernel family 'nosuch'; the families: other, ruled, toy";
  smla_quantity *quantities;
  size_t count;
  smla_buffer out = {0};
  assert_int_equal(smla_generator_entry(*state, "nosuch", &out), SNAPMLA_INVALID_ARGUMENT);
  assert_string_equal(snapmla_error_message(), message);
  assert_int_equal(smla_generator_axes(*state, "nosuch", &out), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_generator_resolve(*state, "nosuch", NULL, 0, NULL, &out), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_generator_describe(*state, "nosuch:width=1", &quantities, &count), SNAPMLA_INVALID_ARGUMENT);
  assert_string_equal(snapmla_error_message(), message);
  assert_int_equal(smla_generator_expand(*state, "nosuch", NULL, &out), SNAPMLA_INVALID_ARGUMENT);
  assert_string_equal(snapmla_error_message(), message);
  assert_int_equal(smla_generator_expand(*state, "", NULL, &out), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_generator_expand(*state, NULL, NULL, &out), SNAPMLA_INVALID_ARGUMENT);
}

static void a_family_without_its_template(void **state) {
  smla_buffer out = {0};
  assert_int_equal(smla_generator_expand(*state, "toy", NULL, &out), SNAPMLA_TEMPLATE);
  assert_string_equal(snapmla_error_message(),
                      "toy/toy.cu.tmpl: there is no such template file, which the family needs");
  assert_null(out.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(families),         cmocka_unit_test(default_rules),
      cmocka_unit_test(merging),          cmocka_unit_test(appending),
      cmocka_unit_test(wrong_values),     cmocka_unit_test(wrong_texts),
      cmocka_unit_test(long_texts),       cmocka_unit_test(rules),
      cmocka_unit_test(describing),       cmocka_unit_test(other_questions),
      cmocka_unit_test(unknown_families), cmocka_unit_test(a_family_without_its_template),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
