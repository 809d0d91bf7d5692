#include <string.h>

#include "cmocka_all.h"
#include "size.h"

static void sums_and_products_that_fit(void **state) {
  (void)state;
  size_t size = 0;
  assert_int_equal(smla_size_add("x", SIZE_MAX - 1, 1, &size), SNAPMLA_OK);
  assert_true(size == SIZE_MAX);
  assert_int_equal(smla_size_multiply("x", SIZE_MAX / 3, 3, &size), SNAPMLA_OK);
  assert_true(size == SIZE_MAX / 3 * 3);
  assert_int_equal(smla_size_multiply("x", 0, SIZE_MAX, &size), SNAPMLA_OK);
  assert_int_equal(size, 0);
  int64_t count = 0;
  assert_int_equal(smla_count_multiply("x", 1 << 30, 1 << 30, &count), SNAPMLA_OK);
  assert_true(count == INT64_C(1) << 60);
  assert_int_equal(smla_count_add("x", INT64_MAX, 0, &count), SNAPMLA_OK);
  assert_true(count == INT64_MAX);
}

static void what_does_not_fit_is_refused_by_name(void **state) {
  (void)state;
  size_t size = 42;
  assert_int_equal(smla_size_add("the cache", SIZE_MAX, 1, &size), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "the cache: 18446744073709551615 + 1 "));
  assert_int_equal(smla_size_multiply("the cache", SIZE_MAX / 2, 3, &size), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(size, 42);
  int64_t count = 42;
  assert_int_equal(smla_count_add("rows", INT64_MAX, 1, &count), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_count_multiply("rows", INT64_MAX / 2, 3, &count), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(count, 42);
}

static void negative_counts_are_refused(void **state) {
  (void)state;
  int64_t count = 42;
  assert_int_equal(smla_count_multiply("rows", 3, -7, &count), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "rows: -7 is negative"));
  assert_int_equal(smla_count_add("rows", -1, 5, &count), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(count, 42);
}

static void aligning(void **state) {
  (void)state;
  size_t size = 42;
  assert_int_equal(smla_size_align("x", 0, 256, &size), SNAPMLA_OK);
  assert_int_equal(size, 0);
  assert_int_equal(smla_size_align("x", 257, 256, &size), SNAPMLA_OK);
  assert_int_equal(size, 512);
  assert_int_equal(smla_size_align("x", 512, 256, &size), SNAPMLA_OK);
  assert_int_equal(size, 512);
  assert_int_equal(smla_size_align("x", SIZE_MAX - 3, 256, &size), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(smla_size_align("x", 5, 3, &size), SNAPMLA_INTERNAL);
  assert_int_equal(size, 512);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sums_and_products_that_fit),
                                     cmocka_unit_test(what_does_not_fit_is_refused_by_name),
                                     cmocka_unit_test(negative_counts_are_refused), cmocka_unit_test(aligning)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
