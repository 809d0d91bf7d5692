/* Every item is done once, whichever workers fail to start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "parallel.h"

enum { ITEMS = 5000 };

typedef struct tally {
  atomic_int done[ITEMS], workers;
} tally;

static snapmla_status count_items(void *user, smla_parallel_items *items) {
  tally *t = user;
  t->workers++;
  for (int64_t item; (item = smla_parallel_next(items)) >= 0;) t->done[item]++;
  assert_int_equal(smla_parallel_next(items), -1);
  return SNAPMLA_OK;
}

static void each_item_once(void **state) {
  (void)state;
  static const int64_t counts[] = {0, 1, 2, ITEMS};
  for (int k = 0; k < 4; k++) {
    static tally t;
    memset(&t, 0, sizeof t);
    assert_int_equal(smla_parallel_run(counts[k], count_items, &t), SNAPMLA_OK);
    for (int64_t i = 0; i < ITEMS; i++) assert_int_equal(t.done[i], i < counts[k]);
    assert_true(t.workers >= 1 && t.workers <= (counts[k] > 1 ? counts[k] : 1));
  }
}

static _Thread_local int is_caller;

static snapmla_status only_the_caller(void *user, smla_parallel_items *items) {
  return is_caller ? count_items(user, items) : SNAPMLA_OUT_OF_MEMORY;
}

static snapmla_status only_helpers(void *user, smla_parallel_items *items) {
  return is_caller ? SNAPMLA_OUT_OF_MEMORY : count_items(user, items);
}

static void failing_workers(void **state) {
  (void)state;
  static tally t;
  is_caller = 1;
  assert_int_equal(smla_parallel_run(ITEMS, only_the_caller, &t), SNAPMLA_OK);
  for (int64_t i = 0; i < ITEMS; i++) assert_int_equal(t.done[i], 1);
  assert_int_equal(t.workers, 1);
  assert_int_equal(smla_parallel_run(ITEMS, only_helpers, &t), SNAPMLA_OUT_OF_MEMORY);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_item_once), cmocka_unit_test(failing_workers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
