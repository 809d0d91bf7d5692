/* Fibres: each keeps its own stack, registers and place, however they are switched. Built twice: with the switch of
 * this machine and with the portable one. */
#include <string.h>

#include "cmocka_all.h"
#include "context_switch.h"

enum { FIBRES = 100, ROUNDS = 50 };

static smla_context home, fibres[FIBRES];
static smla_context *came_from;
static int running, finished;
static double sums[FIBRES];

static void switch_from(smla_context *from, int to, int last) {
  running = to;
  came_from = from;
  smla_context_switch(from, to < 0 ? &home : fibres + to, last);
}

/* Adds up what only its own registers and stack can tell it, and gives way after every step. */
static void fibre_main(void) {
  smla_context_entered(came_from);
  const int self = running;
  unsigned char stack[4096];
  double sum = self;
  memset(stack, self, sizeof stack);
  for (int round = 0; round < ROUNDS; round++) {
    sum = sum * 1.5 - round;
    switch_from(fibres + self, self + 1 < FIBRES ? self + 1 : -1, 0);
    for (size_t i = 0; i < sizeof stack; i += 97)
      if (stack[i] != (unsigned char)self) sum = -1;
  }
  sums[self] = sum;
  finished++;
  switch_from(fibres + self, self + 1 < FIBRES ? self + 1 : -1, 1);
}

static void test_switch(void **state) {
  (void)state;
  smla_stacks stacks = {0};
  assert_int_equal(smla_stacks_reserve(&stacks, FIBRES), SNAPMLA_OK);
  for (int repeat = 0; repeat < 3; repeat++) { /* stacks are used again */
    finished = 0;
    for (int i = 0; i < FIBRES; i++) smla_context_start(fibres + i, &stacks, (size_t)i, fibre_main);
    for (int round = 0; round <= ROUNDS; round++) {
      running = 0;
      switch_from(&home, 0, 0);
    }
    assert_int_equal(finished, FIBRES);
    for (int i = 0; i < FIBRES; i++) {
      double sum = i;
      for (int round = 0; round < ROUNDS; round++) sum = sum * 1.5 - round;
      assert_true(sums[i] == sum);
    }
  }
  smla_stacks_free(&stacks);
}

/* A fibre that is never resumed leaves nothing behind. */
static void test_abandoned(void **state) {
  (void)state;
  smla_stacks stacks = {0};
  assert_int_equal(smla_stacks_reserve(&stacks, 1), SNAPMLA_OK);
  for (int i = 0; i < 3; i++) {
    smla_context_start(fibres + FIBRES - 1, &stacks, 0, fibre_main);
    switch_from(&home, FIBRES - 1, 0);
    assert_int_equal(running, -1);
  }
  /* Growing moves the stacks; enough of them stay. */
  assert_int_equal(smla_stacks_reserve(&stacks, 4), SNAPMLA_OK);
  const void *base = stacks.base;
  assert_int_equal(smla_stacks_reserve(&stacks, 3), SNAPMLA_OK);
  assert_ptr_equal(stacks.base, base);
  smla_stacks_free(&stacks);
  smla_stacks_free(&stacks);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_switch), cmocka_unit_test(test_abandoned)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
