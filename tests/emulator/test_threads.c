/* Indices, arithmetic, memory and barriers between threads, as docs/dialect.md states them. */
#include <math.h>
#include <string.h>

#include "cmocka_all.h"
#include "kernel_object.h"

static kernel_object kernel;
static _Alignas(64) unsigned char in[4096], out[65536];

static int setup(void **state) {
  (void)state;
  kernel = kernel_object_load("threads");
  for (size_t i = 0; i < sizeof in; i++) in[i] = (unsigned char)(i * 37 + i / 256);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  kernel_object_unload(&kernel);
  return 0;
}

static uint32_t word(size_t index) {
  uint32_t value;
  memcpy(&value, out + 4 * index, 4);
  return value;
}

static kernel_run run_of(uint32_t which) {
  return (kernel_run){.which = which, .in = in, .in_bytes = sizeof in, .out = out, .out_bytes = sizeof out};
}

static void test_indices(void **state) {
  (void)state;
  kernel_run run = run_of(0);
  run.grid[0] = 4;
  run.grid[1] = run.grid[2] = 2;
  run.cluster = 2;
  kernel_object_run_all(&kernel, &run, 0);
  for (size_t block = 0; block < 16; block++)
    for (size_t t = 0; t < 128; t++) {
      const size_t at = (block * 128 + t) * 4;
      assert_int_equal(word(at), t % 32);
      assert_int_equal(word(at + 1), t / 32);
      assert_int_equal(word(at + 2), 10 * (block % 2));
      assert_int_equal(word(at + 3), 4);
    }
}

static void test_shared_types(void **state) {
  (void)state;
  kernel_run run = run_of(1);
  kernel_object_run_all(&kernel, &run, 0);
  for (size_t size = 1, base = 0; size <= 16; base += 128 * size, size *= 2)
    for (size_t t = 0; t < 128; t++) {
      if (size == 8) assert_int_equal(base, 896);
      assert_memory_equal(out + base + t * size, in + base + (127 - t) * size, size);
    }
}

static void test_warps(void **state) {
  (void)state;
  kernel_run run = run_of(2);
  kernel_object_run_all(&kernel, &run, 0);
  for (uint32_t t = 0; t < 128; t++) {
    const uint32_t lane = t % 32;
    const float swapped = (float)(lane ^ 1);
    uint32_t bits;
    memcpy(&bits, &swapped, 4);
    assert_int_equal(word(t * 8), 15);
    assert_int_equal(word(t * 8 + 1), lane ^ 9);
    assert_int_equal(word(t * 8 + 2), lane < 4 ? lane : lane - 4);
    assert_int_equal(word(t * 8 + 3), 1);
    assert_int_equal(word(t * 8 + 4), 1);
    assert_int_equal(word(t * 8 + 5), bits);
    assert_int_equal(word(t * 8 + 6), 0x80000009u);
  }
}

static void test_named_barriers(void **state) {
  (void)state;
  kernel_run run = run_of(3);
  kernel_object_run_all(&kernel, &run, 0);
  for (uint32_t t = 0; t < 64; t++) assert_int_equal(word(t), 1000 + 5 * (63 - t));
}

static void test_atomics(void **state) {
  (void)state;
  kernel_run run = run_of(4);
  run.grid[0] = 10;
  kernel_object_run_all(&kernel, &run, 0);
  assert_int_equal(word(0), 10 * 127 * 64);
  assert_int_equal(word(1), 0xffffffff);
}

static void test_arithmetic(void **state) {
  (void)state;
  static const uint32_t expected[] = {0x33800000, /* 2^-24: the product is not rounded */
                                      0x00000002, /* 1.5 * 2^-150 + 2^-149 = 1.75 * 2^-149 */
                                      0x3f800001, /* 1 + 2^-24 (1 + 2^-23)^2: just above the middle */
                                      0x40000000, 0x40400000,
                                      0x00000000, 0x80000000,
                                      0x66442200, 0x775533ff,
                                      0x7e7ec038, 0x3f800000 ^ 0xc0000000,
                                      0xc0003f80, 0x3f800000 ^ 0xc0000000,
                                      0x41000000, 0x40400000,
                                      0x3e800000};
  kernel_run run = run_of(5);
  kernel_object_run_all(&kernel, &run, 0);
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
    if (word(i) != expected[i]) fail_msg("value %zu is 0x%08x, not 0x%08x", i, word(i), expected[i]);
}

/* fma_rn is inline text of the dialect: against the host's, with exponents near each other, products and sums near and below
 * the least normal number, and sums halfway between two floats. */
static void test_multiply_add(void **state) {
  (void)state;
  enum { TRIPLES = 8192 };
  static float triples[TRIPLES][3];
  uint64_t seed = 88172645463325252u;
  for (int i = 0; i < TRIPLES; i++)
    for (int j = 0; j < 3; j++) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      const int low = i % 2; /* around 2^-75, so that products lie around the subnormals */
      const uint32_t exponent = (j == 2 ? (low ? 0 : 127) : (low ? 52 : 127)) + (uint32_t)(seed >> 40) % 4;
      /* Few significant bits make halfway cases likely. */
      const uint32_t fraction = (uint32_t)(seed >> 8) & (i % 4 < 2 ? 0x7ff800 : 0x7fffff);
      const uint32_t bits =
          (uint32_t)(seed & 1) << 31 | exponent << 23 | (j == 2 && i % 8 < 4 ? fraction | 1 : fraction);
      memcpy(&triples[i][j], &bits, 4);
    }
  kernel_run run = run_of(6);
  run.count = TRIPLES;
  run.in = triples;
  run.in_bytes = sizeof triples;
  run.host_threads = 1;
  assert_int_equal(kernel_object_run(&kernel, &run), SNAPMLA_OK);
  for (size_t i = 0; i < TRIPLES; i++) {
    const float expected = fmaf(triples[i][0], triples[i][1], triples[i][2]);
    if (memcmp(&expected, out + 4 * i, 4) != 0)
      fail_msg("%a * %a + %a is %a", (double)triples[i][0], (double)triples[i][1], (double)triples[i][2],
               (double)expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_indices),        cmocka_unit_test(test_shared_types), cmocka_unit_test(test_warps),
      cmocka_unit_test(test_named_barriers), cmocka_unit_test(test_atomics),      cmocka_unit_test(test_arithmetic),
      cmocka_unit_test(test_multiply_add),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
