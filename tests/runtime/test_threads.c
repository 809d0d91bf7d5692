/* Several threads on one context: plans made at once compile each kernel once, and decode at once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_all.h"

#include "device_case.h"
#include "image_cache.h"
#include "settings.h"
#include "status.h"

enum { THREADS = 4 };

static const case_shape shape = {
    .heads = 8, .q_len = 1, .latent_rank = 256, .page_tokens = 64, .batch = 2, .lengths = {70, 10}, .logit_sigma = 1};

typedef struct worker {
  pthread_t id;
  snapmla_context *context;
  const snapmla_problem *problem;
  snapmla_plan *plan;
  device_case *device;
  snapmla_status status;
  char reason[512];
} worker;

static void *make_plan(void *user) {
  worker *w = user;
  w->status = snapmla_plan_create(w->context, w->problem, NULL, &w->plan);
  if (w->status) strncpy(w->reason, snapmla_error_message(), sizeof w->reason - 1);
  return NULL;
}

static void *decode(void *user) {
  worker *w = user;
  w->status = device_case_run(w->plan, w->device);
  if (w->status) strncpy(w->reason, snapmla_error_message(), sizeof w->reason - 1);
  return NULL;
}

static void run(worker *workers, void *(*work)(void *)) {
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&workers[i].id, NULL, work, &workers[i]), 0);
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(workers[i].id, NULL), 0);
  for (int i = 0; i < THREADS; i++)
    if (workers[i].status) fail_msg("%s", workers[i].reason);
}

static atomic_int steps;

static void count_step(void *user, const char *what) {
  (void)user;
  assert_non_null(strstr(what, "compiled "));
  atomic_fetch_add(&steps, 1);
}

static void plans_and_decodes_at_once(void **state) {
  (void)state;
  const snapmla_context_options options = {
      .size = sizeof options, .device = settings_device(), .emulator_sms = 4, .progress = count_step};
  snapmla_context *context;
  assert_int_equal(snapmla_context_create(&options, &context), SNAPMLA_OK);
  decode_case host = case_create(&shape, 9);
  worker workers[THREADS];
  device_case devices[THREADS];
  memset(workers, 0, sizeof workers);
  for (int i = 0; i < THREADS; i++) {
    workers[i].context = context;
    workers[i].problem = &host.problem;
  }
  run(workers, make_plan);
  assert_int_equal(atomic_load(&steps), 6 * THREADS);
  /* One plan from all threads, each with its own workspace and stream. */
  for (int i = 0; i < THREADS; i++) {
    devices[i] = device_case_create(context, workers[0].plan, &host);
    workers[i].device = &devices[i];
  }
  worker shared[THREADS];
  memcpy(shared, workers, sizeof shared);
  for (int i = 0; i < THREADS; i++) shared[i].plan = workers[0].plan;
  run(shared, decode);
  for (int i = 0; i < THREADS; i++) device_case_check(&devices[i]);
  for (int i = 0; i < THREADS; i++) {
    device_case_destroy(&devices[i]);
    snapmla_plan_destroy(workers[i].plan);
  }
  char *log;
  assert_int_equal(snapmla_context_compile_log(context, &log), SNAPMLA_OK);
  assert_non_null(strstr(log, "== mla_decode:"));
  snapmla_text_free(log);
  snapmla_context_destroy(context);
  case_destroy(&host);
}

static atomic_int made, failing;

static snapmla_status slow_image(void *user, smla_image **out) {
  usleep(2000);
  int n = atomic_fetch_add(&made, 1);
  if (atomic_load(&failing) && n == 0) return smla_fail(SNAPMLA_COMPILE, "the first one fails");
  return smla_image_create(SNAPMLA_TARGET_EMULATOR, user, "entry", "", malloc(1), 1, out);
}

typedef struct getter {
  pthread_t id;
  const char *key;
  smla_image *image;
  snapmla_status status;
} getter;

static void *get(void *user) {
  getter *g = user;
  g->status = smla_image_cache_get(g->key, slow_image, (void *)(uintptr_t)g->key, &g->image);
  return NULL;
}

static void get_all(getter getters[THREADS], const char *key) {
  memset(getters, 0, THREADS * sizeof *getters);
  for (int i = 0; i < THREADS; i++) {
    getters[i].key = key;
    assert_int_equal(pthread_create(&getters[i].id, NULL, get, &getters[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(getters[i].id, NULL), 0);
}

static void makes_an_image_once(void **state) {
  (void)state;
  getter getters[THREADS];
  atomic_store(&made, 0);
  get_all(getters, "once");
  assert_int_equal(atomic_load(&made), 1);
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(getters[i].status, SNAPMLA_OK);
    assert_ptr_equal(getters[i].image, getters[0].image);
    smla_image_release(getters[i].image);
  }
}

static void makes_it_again_after_a_failure(void **state) {
  (void)state;
  getter getters[THREADS];
  atomic_store(&made, 0);
  atomic_store(&failing, 1);
  get_all(getters, "again");
  atomic_store(&failing, 0);
  int failures = 0;
  for (int i = 0; i < THREADS; i++) {
    failures += getters[i].status != SNAPMLA_OK;
    smla_image_release(getters[i].image);
  }
  assert_int_equal(failures, 1);
  assert_int_equal(atomic_load(&made), 2);
}

/* More images than the cache keeps: the oldest go, and what a caller holds stays. */
static void forgets_the_oldest(void **state) {
  (void)state;
  static char keys[300][16];
  smla_image *first = NULL, *image;
  atomic_store(&made, 0);
  for (int i = 0; i < 300; i++) {
    snprintf(keys[i], sizeof keys[i], "key %d", i);
    assert_int_equal(smla_image_cache_get(keys[i], slow_image, keys[i], &image), SNAPMLA_OK);
    if (i)
      smla_image_release(image);
    else
      first = image;
  }
  assert_string_equal(first->key, "key 0");
  assert_int_equal(smla_image_cache_get(keys[299], slow_image, keys[299], &image), SNAPMLA_OK);
  smla_image_release(image);
  assert_int_equal(atomic_load(&made), 300);
  assert_int_equal(smla_image_cache_get(keys[0], slow_image, keys[0], &image), SNAPMLA_OK);
  assert_int_equal(atomic_load(&made), 301);
  smla_image_release(image);
  smla_image_release(first);
  smla_image_cache_clear();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plans_and_decodes_at_once),
      cmocka_unit_test(makes_an_image_once),
      cmocka_unit_test(makes_it_again_after_a_failure),
      cmocka_unit_test(forgets_the_oldest),
  };
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
