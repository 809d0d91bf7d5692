/* One generator, many threads: the same text everywhere, and each thread its own reason. */
#include <pthread.h>

#include "inline_family.h"

enum { THREADS = 8, ROUNDS = 40 };

typedef struct worker {
  pthread_t thread;
  int number;
  const smla_generator *generator;
  const char *expected;
  int failures;
} worker;

static void *work(void *argument) {
  worker *w = argument;
  for (int round = 0; round < ROUNDS; ++round) {
    smla_buffer out = {0};
    if (smla_generator_expand(w->generator, "toy:kind=scaled,width=2", &(smla_expand_options){.line_directives = 1},
                              &out) ||
        strcmp(out.data, w->expected))
      ++w->failures;
    smla_buffer_free(&out);
    char variant[32], message[96];
    snprintf(variant, sizeof variant, "toy:width=%d", 100 * (w->number + 1) + round);
    snprintf(message, sizeof message, "toy: '%s' is not a value of axis 'width'; legal: 1, 2, 4", variant + 10);
    if (smla_generator_expand(w->generator, variant, NULL, &out) != SNAPMLA_INVALID_ARGUMENT ||
        strcmp(snapmla_error_message(), message))
      ++w->failures;
  }
  return NULL;
}

static void equal_texts(void **state) {
  (void)state;
  smla_generator *generator;
  smla_buffer expected = {0};
  if (smla_generator_create("tests/generator/templates", &generator)) fail_msg("%s", snapmla_error_message());
  if (smla_generator_expand(generator, "toy:kind=scaled", &(smla_expand_options){.line_directives = 1}, &expected))
    fail_msg("%s", snapmla_error_message());
  worker workers[THREADS];
  for (int i = 0; i < THREADS; ++i) {
    workers[i] = (worker){.number = i, .generator = generator, .expected = expected.data};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, workers + i), 0);
  }
  for (int i = 0; i < THREADS; ++i) {
    pthread_join(workers[i].thread, NULL);
    assert_int_equal(workers[i].failures, 0);
  }
  smla_buffer_free(&expected);
  smla_generator_destroy(generator);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(equal_texts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
