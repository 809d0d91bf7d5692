/* Into how many units a step's work is cut. */
#include "cmocka_all.h"

#include "unit_count.h"

enum { SMS = 132, ROWS = 64 };

static void one_block_a_multiprocessor(void **state) {
  (void)state;
  static const int32_t groups[] = {1, 2, 3, 5, 8, 16, 20, 26, 33, 44, 64, 66, 128, 132};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    for (double tiles = 1; tiles < 1e8; tiles *= 7)
      assert_int_equal(smla_unit_count(SMS, groups[i], ROWS, tiles), SMS / groups[i]);
  assert_int_equal(smla_unit_count(1, 16, ROWS, 1000), 1);
}

/* 68 groups of rows are half of the multiprocessors, 34 three quarters. */
static void blocks_take_turns_where_many_would_idle(void **state) {
  (void)state;
  assert_int_equal(smla_unit_count(SMS, 68, ROWS, 1024), 3);  /* two turns, 77 % of the multiprocessors */
  assert_int_equal(smla_unit_count(SMS, 68, ROWS, 65536), 7); /* four, 90 % */
  assert_int_equal(smla_unit_count(SMS, 34, ROWS, 65536), 7);
  assert_int_equal(smla_unit_count(SMS, 96, ROWS, 65536), 4);
}

static void short_runs_are_not_cut_again(void **state) {
  (void)state;
  assert_int_equal(smla_unit_count(SMS, 68, ROWS, 4), 1);
  assert_int_equal(smla_unit_count(SMS, 34, ROWS, 128), 3);
}

/* Wherever turns are taken, more are busy than in one turn, by an eighth; the workspace's partial results stay few. */
static void turns_pay(void **state) {
  (void)state;
  for (int32_t groups = 1; groups <= 2048; groups++) {
    int32_t usual = SMS / groups > 1 ? SMS / groups : 1, units = smla_unit_count(SMS, groups, ROWS, 1e6);
    int32_t turns = (units * groups + SMS - 1) / SMS, usual_turns = (usual * groups + SMS - 1) / SMS;
    assert_true(units >= usual);
    if (units == usual) continue;
    assert_true(turns <= 8);
    assert_true(8 * turns * usual <= 7 * usual_turns * units);
  }
}

/* The least groups of which blocks take turns. */
static int32_t first_with_turns(int32_t multiprocessors, double tiles) {
  int32_t groups = 1;
  while (smla_unit_count(multiprocessors, groups, ROWS, tiles) == multiprocessors / groups) groups++;
  return groups;
}

/* 16 groups, which are 128 heads of 8 query tokens, of these take turns on 78 multiprocessors alone. */
static void turns_begin_where_the_multiprocessors_say(void **state) {
  (void)state;
  assert_int_equal(first_with_turns(132, 65536), 27);
  assert_int_equal(first_with_turns(132, 262144), 19);
  assert_int_equal(first_with_turns(114, 65536), 23);
  assert_int_equal(first_with_turns(78, 65536), 16);
  assert_int_equal(first_with_turns(66, 65536), 14);
  assert_int_equal(smla_unit_count(78, 16, ROWS, 65536), 14);
  assert_int_equal(smla_unit_count(78, 16, ROWS, 1024), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_block_a_multiprocessor),
      cmocka_unit_test(blocks_take_turns_where_many_would_idle),
      cmocka_unit_test(short_runs_are_not_cut_again),
      cmocka_unit_test(turns_pay),
      cmocka_unit_test(turns_begin_where_the_multiprocessors_say),
  };
  return cmocka_run_group_tests_name("unit count", tests, NULL, NULL);
}
