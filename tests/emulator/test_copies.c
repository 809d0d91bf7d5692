/* Transaction barriers, bulk copies and clusters. */
#include <string.h>

#include "cmocka_all.h"
#include "kernel_object.h"
#include "tensor_map.h"

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

/* Rows of 200 bytes, 208 apart, 20 of a plane; 3 planes from byte 1024 of `in`. */
enum { ROW = 200, ROW_STRIDE = 208, ROWS = 20, PLANE = ROWS * ROW_STRIDE, PLANES = 3, BASE = 1024 };
static const uint64_t extents[3] = {ROW, ROWS, PLANES}, strides[2] = {ROW_STRIDE, PLANE};
static const uint32_t box[2] = {128, 16};

static void test_tensor(void **state) {
  (void)state;
  static const struct { uint32_t x, y, z; } boxes[] = {{0, 0, 0}, {64, 2, 1}, {128, 4, 2}, {144, 10, 1}};
  for (int swizzled = 0; swizzled < 2; swizzled++) {
    assert_int_equal(smla_emulator_tensor_map(in + BASE, extents, strides, box, swizzled, in), SNAPMLA_OK);
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
      kernel_run run = run_of(4);
      run.count = boxes[i].x | boxes[i].y << 8 | boxes[i].z << 16;
      kernel_object_run_all(&kernel, &run, 0);
      for (uint32_t row = 0; row < 16; row++) {
        for (uint32_t byte = 0; byte < 128; byte++) {
          uint32_t x = boxes[i].x + byte, y = boxes[i].y + row;
          int expected = x < ROW && y < ROWS ? in[BASE + boxes[i].z * PLANE + y * ROW_STRIDE + x] : 0;
          uint32_t at = swizzled ? byte ^ row % 8 * 16 : byte;
          assert_int_equal(out[row * 128 + at], expected);
        }
      }
    }
  }
  assert_int_equal(smla_emulator_tensor_map(in + 8, extents, strides, box, 1, in), SNAPMLA_INVALID_ARGUMENT);
  kernel_run run = run_of(4);
  memset(in, 0, 128);
  assert_int_equal(kernel_object_run(&kernel, &run), SNAPMLA_EMULATOR_FAULT);
  assert_non_null(strstr(run.report, "is no tensor map"));
  static const uint32_t small[2] = {128, 8};
  assert_int_equal(smla_emulator_tensor_map(in + BASE, extents, strides, small, 1, in), SNAPMLA_OK);
  assert_int_equal(kernel_object_run(&kernel, &run), SNAPMLA_EMULATOR_FAULT);
  assert_non_null(strstr(run.report, "says 2048 bytes"));
}

/* A box for both blocks of a cluster counts as read once, and lands in each. */
static void test_tensor_of_cluster(void **state) {
  (void)state;
  kernel_run run = run_of(6);
  run.grid[0] = 2;
  run.cluster = 2;
  run.count = 3;
  assert_int_equal(smla_emulator_tensor_map(in + BASE, extents, strides, box, 0, in), SNAPMLA_OK);
  kernel_object_run_all(&kernel, &run, 0xee);
  for (uint32_t i = 0; i < 2 * 2048; i++) {
    const uint32_t row = i % 2048 / 128 + 2, byte = i % 128 + 96;
    assert_int_equal(out[i], byte < ROW ? in[BASE + PLANE + row * ROW_STRIDE + byte] : 0);
  }
  assert_int_equal(run.counters.global_bytes_read, 16 * (ROW - 96));
  run.count = 5;
  assert_int_equal(kernel_object_run(&kernel, &run), SNAPMLA_EMULATOR_FAULT);
  assert_non_null(strstr(run.report, "tensor_copy_multicast of thread 0"));
  assert_non_null(strstr(run.report, "has rank mask 0x5 in a cluster of 2"));
}

static void test_gather(void **state) {
  (void)state;
  kernel_run run = run_of(5);
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ring),
                                     cmocka_unit_test(test_store),
                                     cmocka_unit_test(test_cluster),
                                     cmocka_unit_test(test_tensor),
                                     cmocka_unit_test(test_tensor_of_cluster),
                                     cmocka_unit_test(test_gather)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
