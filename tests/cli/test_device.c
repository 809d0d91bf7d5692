/* The program on a device: the emulator, or the one that SNAPMLA_TEST_TARGET names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "env.h"
#include "program.h"
#include "temporary.h"
#include "tensor.h"

static const char *const nothing = NULL;

static const char *device(void) {
  const char *named = smla_env(SMLA_ENV_TEST_TARGET);
  return named ? named : "emulator";
}

static int on_emulator(void) { return !strcmp(device(), "emulator"); }

/* Mixed lengths, none and one token among them, small and large pages, several query tokens: within the limits, twice the
 * same. */
static void run_is_right(void **state) {
  (void)state;
  static const char *const shapes[][4] = {
      {"--heads", "16", "--page", "64"}, {"--heads", "65", "--page", "128"}, {"--heads", "5", "--page", "16"}};
  for (size_t i = 0; i < 3; ++i) {
    char digest[2][32];
    for (int again = 0; again < 2; ++again) {
      program_result r =
          program_run(PROGRAM, "run", "--json", "--device", device(), "--context", "130,0,1,64", "--q-len", "2",
                      "--steps", "2", shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], nothing);
      program_check(&r, 0, NULL, __FILE__, __LINE__);
      json_t *root = program_json(&r);
      assert_true(json_is_true(json_object_get(root, "ok")));
      assert_int_equal(json_integer_value(json_object_get(root, "compared")), 8);
      assert_string_equal(json_string_value(json_object_get(root, "time_kind")),
                          on_emulator() ? "modelled" : "measured");
      assert_true(json_number_value(json_object_get(root, "time_us")) > 0);
      snprintf(digest[again], sizeof digest[again], "%s", json_string_value(json_object_get(root, "digest")));
      json_decref(root);
      program_free(&r);
    }
    assert_string_equal(digest[0], digest[1]);
  }
}

/* A right kernel gives the same bits whenever its asynchronous work completes. */
static void order_does_not_matter(void **state) {
  (void)state;
  static const char *const orders[][4] = {
      {"--emulator-order", "eager"}, {"--emulator-order", "late"}, {"--emulator-order", "random"}};
  char first[32] = "";
  if (!on_emulator()) skip();
  for (size_t i = 0; i < 3; ++i) {
    program_result r =
        program_run(PROGRAM, "run", "--json", "--device", "emulator", "--heads", "16", "--context", "200,3",
                    "--no-check", orders[i][0], orders[i][1], orders[i][2], orders[i][3], nothing);
    program_check(&r, 0, NULL, __FILE__, __LINE__);
    json_t *root = program_json(&r);
    const char *digest = json_string_value(json_object_get(root, "digest"));
    if (i)
      assert_string_equal(digest, first);
    else
      snprintf(first, sizeof first, "%s", digest);
    json_decref(root);
    program_free(&r);
  }
}

static void verify_passes(void **state) {
  (void)state;
  assert_program(PROGRAM, 0, NULL, "verify", "--device", device(), "--context", "0,1,63,64,65,300", "--sigma", "1",
                 "--data", "normal");
  assert_program(PROGRAM, 0, NULL, "verify", "--device", device(), "--context", "1,65", "--data", "sink");
}

/* Every format, and what goes with some of them. */
static void verify_passes_in_every_format(void **state) {
  (void)state;
  static const char *const options[][4] = {{"--format", "bf16", "--page", "32"},
                                           {"--format", "fp8_tensor", "--kv-scale", "0.0123"},
                                           {"--format", "fp8_token", "--scales", "power_of_two"}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    assert_program(PROGRAM, 0, NULL, "verify", "--device", device(), "--context", "0,1,65,200", "--heads", "8",
                   "--data", "normal", options[i][0], options[i][1], options[i][2], options[i][3]);
}

/* The same tokens and queries through files give the same bits as those made in place. */
static void cache_round_trip(void **state) {
  const char *cache = in(state, "cache.safetensors");
  char digests[2][32];
  program_result runs[2] = {
      program_run(PROGRAM, "run", "--json", "--device", device(), "--heads", "16", "--context", "130,5", "--save-cache",
                  cache, nothing),
      program_run(PROGRAM, "run", "--json", "--device", device(), "--heads", "16", "--input", cache, nothing)};
  for (int i = 0; i < 2; ++i) {
    program_check(&runs[i], 0, NULL, __FILE__, __LINE__);
    json_t *root = program_json(&runs[i]);
    snprintf(digests[i], sizeof digests[i], "%s", json_string_value(json_object_get(root, "digest")));
    json_decref(root);
    program_free(&runs[i]);
  }
  assert_string_equal(digests[0], digests[1]);
}

static void variant_is_used_or_refused(void **state) {
  (void)state;
  program_result r = program_run(PROGRAM, "run", "--json", "--device", device(), "--heads", "16", "--context", "70",
                                 "--variant", "stages=2", nothing);
  program_check(&r, 0, NULL, __FILE__, __LINE__);
  json_t *root = program_json(&r);
  assert_non_null(strstr(json_string_value(json_object_get(root, "variant")), "stages=2"));
  json_decref(root);
  program_free(&r);
  assert_program(PROGRAM, 2, "stages", "run", "--device", device(), "--context", "1", "--variant",
                 "mla_decode:stages=99");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(run_is_right),
      cmocka_unit_test(order_does_not_matter),
      cmocka_unit_test(verify_passes),
      cmocka_unit_test(verify_passes_in_every_format),
      cmocka_unit_test_setup_teardown(cache_round_trip, temporary_setup, temporary_teardown),
      cmocka_unit_test(variant_is_used_or_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
