/* The matrix of batches, query lengths and head counts, with mixed lengths, none among them, through the public API on the device that
 * SNAPMLA_TEST_TARGET names; each against the oracle. On the emulator the lengths and the latent rank are small. */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "device_case.h"
#include "settings.h"

static const int32_t batches[] = {1, 4, 32, 128}, query_lengths[] = {1, 2, 4}, head_counts[] = {8, 16, 20, 40, 64, 128};
enum { EMULATOR_SMS = 8 };

static snapmla_context *context;

static int open_device(void **state) {
  if (settings_setup(state)) return -1;
  const snapmla_context_options options = {
      .size = sizeof options, .device = settings_device(), .emulator_sms = EMULATOR_SMS};
  return snapmla_context_create(&options, &context) ? -1 : 0;
}

static int close_device(void **state) {
  snapmla_context_destroy(context);
  return settings_teardown(state);
}

/* Requests take the lengths in turn. */
static case_shape shape_of(int32_t heads, int32_t q_len, int32_t batch, int small) {
  const case_shape few = {.lengths = {65, 0, 4, 17, 130, 5, 64, 40}, .latent_rank = 128};
  const case_shape many = {.lengths = {4097, 0, 4, 700, 2048, 65, 1000, 128}, .latent_rank = 512};
  case_shape shape = small ? few : many;
  shape.heads = heads;
  shape.q_len = q_len;
  shape.batch = batch;
  shape.page_tokens = 64;
  shape.logit_sigma = 1;
  return shape;
}

static void matrix_of(int32_t q_len) {
  int small = !strcmp(settings_device(), "emulator");
  for (size_t h = 0; h < sizeof head_counts / sizeof *head_counts; h++)
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
      case_shape shape = shape_of(head_counts[h], q_len, batches[b], small);
      decode_case host = case_create(&shape, 100 * h + b);
      host.problem.max_context = 8192;
      snapmla_plan *plan = NULL;
      if (snapmla_plan_create(context, &host.problem, NULL, &plan)) fail_msg("%s", snapmla_error_message());
      device_case device = device_case_create(context, plan, &host);
      print_message("batch %d, %d query tokens, %d heads\n", shape.batch, q_len, shape.heads);
      if (device_case_run(plan, &device)) fail_msg("%s", snapmla_error_message());
      device_case_check(&device);
      device_case_destroy(&device);
      snapmla_plan_destroy(plan);
      case_destroy(&host);
    }
}

static void one_query_token(void **state) {
  (void)state;
  matrix_of(query_lengths[0]);
}
static void two_query_tokens(void **state) {
  (void)state;
  matrix_of(query_lengths[1]);
}
static void four_query_tokens(void **state) {
  (void)state;
  matrix_of(query_lengths[2]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_query_token), cmocka_unit_test(two_query_tokens),
                                     cmocka_unit_test(four_query_tokens)};
  return cmocka_run_group_tests(tests, open_device, close_device);
}
