/* Device classes, buckets, keys: what is the same and what is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "measurement.h"
#include "status.h"
#include "wisdom.h"

static const smla_device_facts h100 = {0, 9, 0, 132, 50 << 20, 232448, 5120, 1980, 2619, 0};
static char templates[] = "00000000000000000000000000000000000000000000000000000000000000ab";

static void every_fact_is_in_the_class(void **state) {
  (void)state;
  char base[SMLA_DEVICE_CLASS_MAX], other[SMLA_DEVICE_CLASS_MAX];
  smla_device_class(&h100, base);
  assert_string_equal(base, "sm90-132sm-l2_50m-smem227k-bus5120-clk2000");
  assert_true(smla_device_class_is(base) && smla_device_class_distance(base, base) == 0);
  smla_device_facts changed[8];
  for (int i = 0; i < 8; i++) changed[i] = h100;
  changed[0].compute_minor = 1;
  changed[1].multiprocessors = 114;
  changed[2].l2_bytes = 60 << 20;
  changed[3].shared_memory_bytes = 100 << 10;
  changed[4].bus_bits = 6144;
  changed[5].clock_mhz = 1700;
  changed[6].partitioned = 1;
  changed[7].is_emulator = 1;
  for (int i = 0; i < 8; i++) {
    smla_device_class(&changed[i], other);
    assert_string_not_equal(base, other);
    assert_true(smla_device_class_is(other));
    double distance = smla_device_class_distance(base, other);
    assert_true(i == 0 || i == 7 ? distance < 0 : distance > 0);
  }
  static const char *const bad[] = {
      "", "h100", "emulator-132", "emulator-+132sm", "../x", "sm90-132sm-l2_50m-smem227k-bus5120-clk2000-x"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(smla_device_class_is(bad[i]));
}

static void buckets_are_powers_of_two(void **state) {
  (void)state;
  static const int32_t cases[][2] = {{1, 1}, {2, 2}, {3, 4}, {64, 64}, {65, 128}, {4095, 4096}, {1048576, 1048576}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_int_equal(smla_bucket_up(cases[i][0]), cases[i][1]);
  smla_problem_key key = {128, 1, 512, 64, 64, "fp8_token", "fast", 100, 5, 0, 0}, read;
  char text[SMLA_PROBLEM_KEY_MAX];
  smla_problem_key_bucket(&key);
  smla_problem_key_text(&key, text);
  assert_string_equal(text, "h128-q1-l512-r64-p64-fp8_token-fast-b128-c64");
  assert_true(smla_problem_key_read(text, &read));
  assert_memory_equal(&read, &key, sizeof read);
  assert_false(smla_problem_key_read("h128-q1", &read));
  assert_false(smla_problem_key_read("h0128-q1-l512-r64-p64-fp8_token-fast-b128-c64", &read));
  read.context = 256;
  assert_true(smla_problem_key_distance(&key, &read) == 2);
  read.context = 64;
  read.indices = 1500;
  smla_problem_key_bucket(&read);
  smla_problem_key_text(&read, text);
  assert_string_equal(text, "h128-q1-l512-r64-p64-fp8_token-fast-b128-c64-s2048");
  assert_true(smla_problem_key_distance(&key, &read) < 0); /* other kernels */
  assert_true(smla_problem_key_read(text, &key) && key.indices == 2048);
  read.heads = 64;
  assert_true(smla_problem_key_distance(&key, &read) < 0);
}

/* Flipping any field of a measurement's key changes it. */
static void every_field_is_in_the_key(void **state) {
  (void)state;
  static const char *const fields[3] = {"mla_decode:rows=16", "emulator", templates};
  char base[SMLA_HASH_HEX], other[SMLA_HASH_HEX];
  smla_measurement_key(fields[0], fields[1], fields[2], base);
  for (int f = 0; f < 3; f++) {
    for (size_t i = 0; i < strlen(fields[f]); i++) {
      char changed[128];
      const char *now[3] = {fields[0], fields[1], fields[2]};
      snprintf(changed, sizeof changed, "%s", fields[f]);
      changed[i] ^= 1;
      now[f] = changed;
      smla_measurement_key(now[0], now[1], now[2], other);
      assert_string_not_equal(base, other);
    }
  }
  smla_measurement_key("ab", "c", templates, base);
  smla_measurement_key("a", "bc", templates, other);
  assert_string_not_equal(base, other);
}

static smla_measurement make(char *variant, const char *problem, double us, int effort) {
  smla_measurement m = {.variant = variant, .us = us, .samples = 3, .effort = effort, .modelled = 1, .final = 1};
  snprintf(m.device, sizeof m.device, "emulator-132sm");
  snprintf(m.problem, sizeof m.problem, "%s", problem);
  snprintf(m.target, sizeof m.target, "emulator");
  snprintf(m.templates, sizeof m.templates, "%s", templates);
  smla_measurement_key(variant, m.target, m.templates, m.key);
  return m;
}

static const char here[] = "h16-q1-l512-r64-p64-fp8_token-fast-b1-c1024",
                  near[] = "h16-q1-l512-r64-p64-fp8_token-fast-b1-c2048";

static smla_wisdom_query query_here(void) {
  smla_wisdom_query q = {.device = "emulator-132sm", .target = "emulator"};
  smla_problem_key_read(here, &q.problem);
  snprintf(q.templates, sizeof q.templates, "%s", templates);
  return q;
}

static void the_patient_result_wins_over_the_rushed(void **state) {
  (void)state;
  smla_measurements list = {0};
  smla_measurement rushed = make("a:n=1", here, 5, 1), patient = make("a:n=2", here, 9, 2),
                   lost = make("a:n=3", here, 8, 2);
  patient.won = 1; /* n=3 tied and came later in the fixed order */
  assert_int_equal(smla_measurements_add(&list, &rushed), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &lost), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &patient), SNAPMLA_OK);
  smla_wisdom_query q = query_here();
  smla_wisdom_reach reached;
  const smla_measurement *best = smla_wisdom_best(&list, &q, SMLA_WISDOM_EXACT, NULL, NULL, &reached);
  assert_string_equal(best->variant, "a:n=2");
  assert_int_equal(reached, SMLA_WISDOM_EXACT);
  smla_measurements_free(&list);
}

static int not_four(void *user, const smla_measurement *m) {
  (void)user;
  return strcmp(m->variant, "a:n=4") != 0;
}

static void the_nearest_is_the_nearest(void **state) {
  (void)state;
  smla_measurements list = {0};
  smla_measurement far = make("a:n=1", near, 5, 3), old = make("a:n=4", here, 5, 1);
  memset(old.templates, '1', 64);
  smla_measurement_key(old.variant, old.target, old.templates, old.key);
  assert_int_equal(smla_measurements_add(&list, &far), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &old), SNAPMLA_OK);
  smla_wisdom_query q = query_here();
  smla_wisdom_reach reached;
  assert_null(smla_wisdom_best(&list, &q, SMLA_WISDOM_EXACT, NULL, NULL, &reached));
  const smla_measurement *best = smla_wisdom_best(&list, &q, SMLA_WISDOM_TEMPLATES, NULL, NULL, &reached);
  assert_string_equal(best->variant, "a:n=4");
  assert_int_equal(reached, SMLA_WISDOM_TEMPLATES);
  char difference[256];
  smla_wisdom_difference(best, &q, difference, sizeof difference);
  assert_string_equal(difference, "templates 111111111111 (here 000000000000)");
  best = smla_wisdom_best(&list, &q, SMLA_WISDOM_NEAREST, not_four, NULL, &reached);
  assert_string_equal(best->variant, "a:n=1");
  assert_int_equal(reached, SMLA_WISDOM_NEAREST);
  smla_measurements_free(&list);
}

/* Another device class serves where the device itself has nothing; of two the more alike; never one of another kind. */
static void another_device_class_is_the_last_resort(void **state) {
  (void)state;
  smla_measurements list = {0};
  smla_measurement far = make("a:n=1", here, 5, 3), nearer = make("a:n=2", here, 9, 1),
                   other = make("a:n=3", here, 1, 3);
  snprintf(far.device, sizeof far.device, "emulator-66sm");
  snprintf(nearer.device, sizeof nearer.device, "emulator-114sm");
  smla_device_class(&h100, other.device);
  assert_int_equal(smla_measurements_add(&list, &far), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &nearer), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &other), SNAPMLA_OK);
  smla_wisdom_query q = query_here();
  smla_wisdom_reach reached;
  assert_null(smla_wisdom_best(&list, &q, SMLA_WISDOM_TEMPLATES, NULL, NULL, &reached));
  assert_string_equal(smla_wisdom_best(&list, &q, SMLA_WISDOM_NEAREST, NULL, NULL, &reached)->variant, "a:n=2");
  smla_measurement bucket = make("a:n=4", near, 9, 1);
  assert_int_equal(smla_measurements_add(&list, &bucket), SNAPMLA_OK);
  assert_string_equal(smla_wisdom_best(&list, &q, SMLA_WISDOM_NEAREST, NULL, NULL, &reached)->variant, "a:n=4");
  smla_measurements_free(&list);
}

static void wisdom_is_read_whole_or_not_at_all(void **state) {
  (void)state;
  smla_measurements list = {0}, back = {0}, merged = {0};
  smla_buffer text = {0}, again = {0};
  smla_measurement one = make("a:n=1", here, 5, 1), two = make("a:n=2", near, 6, 2), better = make("a:n=1", here, 7, 2);
  assert_int_equal(smla_measurements_add(&list, &two), SNAPMLA_OK);
  assert_int_equal(smla_measurements_add(&list, &one), SNAPMLA_OK);
  assert_int_equal(smla_wisdom_print(&list, &text), SNAPMLA_OK);
  assert_int_equal(smla_wisdom_read("w", text.data, text.length, &back), SNAPMLA_OK);
  assert_int_equal(back.count, 2);
  assert_int_equal(smla_wisdom_print(&back, &again), SNAPMLA_OK);
  assert_string_equal(text.data, again.data);
  /* Every single flipped bit, and every truncation, is refused, or reads as something whole: never as a part. */
  for (size_t i = 0; i < text.length; i += 7) {
    smla_measurements none = {0};
    char kept = text.data[i];
    text.data[i] = (char)(kept ^ 4);
    if (smla_wisdom_read("w", text.data, text.length, &none))
      assert_int_equal(none.count, 0);
    else
      assert_int_equal(none.count, 2);
    smla_measurements_free(&none);
    text.data[i] = kept;
    assert_int_equal(smla_wisdom_read("w", text.data, i, &none), SNAPMLA_BAD_FORMAT);
    assert_int_equal(none.count, 0);
  }
  assert_int_equal(smla_measurements_add(&merged, &better), SNAPMLA_OK);
  assert_int_equal(smla_wisdom_merge(&merged, &back), SNAPMLA_OK);
  assert_int_equal(merged.count, 2);
  assert_true(merged.items[0].us == 7);
  assert_int_equal(smla_wisdom_merge(&back, &merged), SNAPMLA_OK);
  assert_int_equal(back.count, 2);
  assert_true(back.items[0].us == 7 && back.items[0].effort == 2);
  smla_buffer_free(&text);
  smla_buffer_free(&again);
  smla_measurements_free(&list);
  smla_measurements_free(&back);
  smla_measurements_free(&merged);
}

static void shipped_wisdom_is_well_formed(void **state) {
  (void)state;
  smla_measurements list = {0};
  assert_int_equal(smla_wisdom_shipped(&list), SNAPMLA_OK);
  smla_measurements_free(&list);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_fact_is_in_the_class),
      cmocka_unit_test(buckets_are_powers_of_two),
      cmocka_unit_test(every_field_is_in_the_key),
      cmocka_unit_test(the_patient_result_wins_over_the_rushed),
      cmocka_unit_test(the_nearest_is_the_nearest),
      cmocka_unit_test(wisdom_is_read_whole_or_not_at_all),
      cmocka_unit_test(another_device_class_is_the_last_resort),
      cmocka_unit_test(shipped_wisdom_is_well_formed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
