/* Allocations that fail, each in its turn: the call says OUT_OF_MEMORY, leaves the output alone and leaks nothing. */
#include "inline_family.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

/* The allocation that fails next: 1 is the coming one, 0 none. `for_good`: and all after it. */
static struct {
  long countdown;
  int for_good, failed;
  long live; /* blocks held */
} memory;

static int fails(void) {
  if (memory.failed && memory.for_good) return 1;
  if (!memory.countdown || --memory.countdown) return 0;
  return memory.failed = 1;
}

void *__wrap_malloc(size_t size) {
  void *block = fails() ? NULL : __real_malloc(size);
  memory.live += block != NULL;
  return block;
}

void *__wrap_calloc(size_t count, size_t size) {
  void *block = fails() ? NULL : __real_calloc(count, size);
  memory.live += block != NULL;
  return block;
}

void *__wrap_realloc(void *block, size_t size) {
  if (fails()) return NULL;
  void *result = __real_realloc(block, size);
  memory.live += !block && result;
  return result;
}

void __wrap_free(void *block) {
  memory.live -= block != NULL;
  __real_free(block);
}

static const smla_template_file files[] = {
    TEXT_FILE("t/space.lua", SPACE),
    TEXT_FILE("t/t.cu.tmpl",
              "% for i = 1, 3 do\n%   include('p.inc', {i = i})\n% end\n${pad(n, 500)}\n% local t = {'b', 'a'}\n"
              "% table.sort(t)\n% for k, v in sorted_pairs(t) do\n${k} ${v}\n% end\n"),
    TEXT_FILE("p.inc", "${i} of ${kind}\n")};

/* Everything the generator does, once; the status of what failed, with all freed. */
static snapmla_status everything(void) {
  smla_generator *generator = NULL;
  smla_buffer out = {0};
  smla_quantity *quantities = NULL;
  size_t count;
  snapmla_status status = smla_generator_make(files, 3, "tests/generator/templates", &generator);
  if (!status) status = smla_generator_expand(generator, "t", &(smla_expand_options){.line_directives = 1}, &out);
  if (!status) status = smla_generator_describe(generator, "t:n=3", &quantities, &count);
  if (!status) status = smla_generator_axes(generator, "t", &out);
  free(quantities);
  quantities = NULL;
  if (!status) status = smla_generator_resolve(generator, "t", &(smla_setting){"n", "1"}, 1, "t:kind=blue", &out);
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
  return status;
}

/* Reports of errors allocate too; here the answer without a failure is TEMPLATE. */
static snapmla_status a_wrong_template(void) {
  static const smla_template_file wrong[] = {TEXT_FILE("t/space.lua", SPACE),
                                             TEXT_FILE("t/t.cu.tmpl", "${n +}\n${nosuch}\n% error('x')\n")};
  smla_generator *generator = NULL;
  smla_buffer out = {0};
  snapmla_status status = smla_generator_make(wrong, 2, NULL, &generator);
  if (!status) status = smla_generator_expand(generator, "t", NULL, &out);
  if (status && out.data) status = SNAPMLA_INTERNAL;
  smla_buffer_free(&out);
  smla_generator_destroy(generator);
  return status;
}

static void fail_each(snapmla_status (*call)(void), snapmla_status expected, int for_good) {
  int refused = 0;
  for (long nth = 1;; ++nth) {
    long before = memory.live;
    memory.countdown = nth;
    memory.for_good = for_good;
    memory.failed = 0;
    snapmla_status status = call();
    int failed = memory.failed;
    memory.countdown = 0;
    memory.failed = 0;
    assert_int_equal(memory.live, before);
    if (!failed) {
      assert_int_equal(status, expected);
      break;
    }
    /* Lua collects garbage and tries again: after a single failure the call may well succeed. */
    if (for_good || status != expected) {
      assert_int_equal(status, SNAPMLA_OUT_OF_MEMORY);
      assert_non_null(strstr(snapmla_error_message(), "out of memory"));
      ++refused;
    }
  }
  assert_true(refused > 20);
}

static void from_the_nth_on(void **state) {
  (void)state;
  fail_each(everything, SNAPMLA_OK, 1);
}

static void the_nth_alone(void **state) {
  (void)state;
  fail_each(everything, SNAPMLA_OK, 0);
}

static void while_reporting(void **state) {
  (void)state;
  fail_each(a_wrong_template, SNAPMLA_TEMPLATE, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(from_the_nth_on), cmocka_unit_test(the_nth_alone),
                                     cmocka_unit_test(while_reporting)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
