/* Transaction barriers, bulk copies and clusters. */
#include <string.h>

#include "cmocka_all.h"
#include "kernel_object.h"

enum { PAGES = 17, PAGE = 1024 };

static kernel_object kernel;
static _Alignas(64) unsigned char in[PAGES * PAGE], out[8192];

static int setup(void **state) {
  (void)state;
  kernel = kernel_object_load("copies");
  for (size_t i = 0; i < sizeof in; i++) in[i] = (unsigned char)(i * 131 + i / 256 * 17);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  kernel_object_unload(&kernel);
  return 0;
}

static uint32_t word(const unsigned char *bytes, size_t index) {
  uint32_t value;
  memcpy(&value, bytes + 4 * index, 4);
  return value;
}

static uint32_t sum_of(size_t pages, size_t index) {
  uint32_t sum = 0;
  for (size_t i = 0; i < pages; i++) sum = sum * 31 + word(in + i * PAGE, index);
  return sum;
}

static kernel_run run_of(uint32_t which) {
  return (kernel_run){
      .which = which, .count = PAGES, .in = in, .in_bytes = sizeof in, .out = out, .out_bytes = sizeof out};
}

static void test_ring(void **state) {
  (void)state;
  for (uint32_t which = 0; which < 2; which++) {
    kernel_run run = run_of(which);
    run.grid[0] = 3;
    kernel_object_run_all(&kernel, &run, 0);
    for (size_t t = 0; t < 3 * 96; t++) assert_int_equal(word(out, t), sum_of(PAGES, t % 96));
    assert_int_equal(run.counters.global_bytes_read, 3 * PAGES * PAGE);
    assert_int_equal(run.counters.global_bytes_written, 3 * 96 * 4);
    assert_int_equal(run.counters.shared_bytes, 3 * PAGES * (PAGE + 96 * 4));
    assert_true(run.counters.modelled_us > 3);
  }
}

static void test_store(void **state) {
  (void)state;
  kernel_run run = run_of(2);
  kernel_object_run_all(&kernel, &run, 0);
  for (uint32_t t = 0; t < 256; t++) assert_int_equal(word(out, t), t % 128 * 7 + t / 128);
}

static void test_cluster(void **state) {
  (void)state;
  kernel_run run = run_of(3);
  run.grid[0] = 2;
  run.cluster = 2;
  kernel_object_run_all(&kernel, &run, 0);
  for (size_t t = 0; t < 256; t++) {
    assert_int_equal(word(out, t), sum_of(PAGES, t % 128));
    assert_int_equal(word(out, 256 + t), t < 128 ? 6 : 5);
  }
}

static void test_gather(void **state) {
  (void)state;
  kernel_run run = run_of(4);
  run.count = 8; /* what `out` holds */
  kernel_object_run_all(&kernel, &run, 0xee);
  for (size_t i = 0; i < 8 * PAGE; i++) {
    const unsigned char expected = i % PAGE < PAGE - 4 ? in[i] : 0;
    if (out[i] != expected) fail_msg("byte %zu is %u, not %u", i, out[i], expected);
  }
  assert_int_equal(run.counters.global_bytes_read, 8 * (PAGE - 4));
  assert_int_equal(run.counters.shared_bytes, 2 * 8 * PAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ring), cmocka_unit_test(test_store),
                                     cmocka_unit_test(test_cluster), cmocka_unit_test(test_gather)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
