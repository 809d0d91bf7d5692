/* When a run ends: by its time, and by signals. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "cmocka_all.h"
#include "ending.h"

enum { LONG = 100000 }; /* seconds that no test takes */

static void a_run_s_own_time_is_when_turns_begin(void **state) {
  (void)state;
  ending end = ending_after(LONG);
  assert_false(ending_near(&end, 0));
  assert_false(ending_near(&end, 2.0 * LONG));
  end = ending_after(0);
  assert_true(ending_near(&end, 0));
}

static void a_limit_of_the_whole_leaves_room_for_what_follows(void **state) {
  (void)state;
  const double now = smla_clock_seconds();
  ending end = ending_within(now, 3.0 * LONG, 0);
  assert_false(ending_near(&end, LONG));
  assert_true(ending_near(&end, 3.0 * LONG - 1)); /* a turn as the longest would leave a second */
  end = ending_within(now - LONG, 2.0 * LONG, 0); /* of which opening took half */
  assert_false(ending_near(&end, 0));
  assert_true(ending_near(&end, LONG));
  end = ending_within(now, LONG, LONG); /* whose caches take as long to compare */
  assert_true(ending_near(&end, 0));
  end = ending_within(now, 1, 0); /* less than a save and the end of the process are given */
  assert_true(ending_near(&end, 0));
}

/* How a process ends that does so. */
static int fate_of(void (*child)(void)) {
  int status;
  pid_t id = fork();
  if (!id) {
    child();
    _exit(99);
  }
  assert_int_equal(waitpid(id, &status, 0), id);
  return status;
}

static void sent_twice(void) {
  ending_catch(LONG);
  if (ending_asked()) _exit(1);
  raise(SIGTERM);
  if (!ending_asked()) _exit(2);
  raise(SIGTERM);
  raise(SIGINT);
  _exit(0);
}

static void told_again(void) {
  ending_catch(0);
  raise(SIGINT);
  if (!ending_asked()) _exit(1);
  raise(SIGTERM);
}

static void ignored(void) {
  signal(SIGINT, SIG_IGN);
  ending_catch(0);
  raise(SIGINT);
  raise(SIGINT);
  _exit(ending_asked());
}

static void the_first_signal_asks_and_a_second_ends(void **state) {
  (void)state;
  assert_int_equal(fate_of(sent_twice), 0);
  int status = fate_of(told_again);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  assert_int_equal(fate_of(ignored), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_run_s_own_time_is_when_turns_begin),
      cmocka_unit_test(a_limit_of_the_whole_leaves_room_for_what_follows),
      cmocka_unit_test(the_first_signal_asks_and_a_second_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
