#include <sched.h>
#include <time.h>

#include "clock.h"
#include "cmocka_all.h"

static void it_measures_a_pause(void **state) {
  (void)state;
  double before = smla_clock_seconds();
  struct timespec pause = {0, 20 * 1000 * 1000};
  while (nanosleep(&pause, &pause)) continue;
  double seconds = smla_clock_seconds() - before;
  assert_true(seconds >= 0.02);
  assert_true(seconds < 10.0);
}

static void cores_follow_the_affinity_mask(void **state) {
  (void)state;
  cpu_set_t all, one;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  assert_int_equal(smla_clock_cores(), CPU_COUNT(&all));
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(smla_clock_cores(), 1);
  assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(it_measures_a_pause),
                                     cmocka_unit_test(cores_follow_the_affinity_mask)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
