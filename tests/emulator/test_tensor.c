/* wgmma and matrix loads: layouts against docs/dialect.md, arithmetic against mma.h. */
#include <string.h>

#include "cmocka_all.h"
#include "kernel_object.h"
#include "mma.h"

static kernel_object kernel;
static _Alignas(64) unsigned char image[8192 + 32768], out[65536];
static unsigned char rows[64 + 256][128]; /* A, then B, as plain rows */

static int setup(void **state) {
  (void)state;
  kernel = kernel_object_load("tensor");
  uint32_t seed = 1;
  for (uint32_t row = 0; row < 64 + 256; row++)
    for (uint32_t byte = 0; byte < 128; byte++) {
      seed = seed * 1664525 + 1013904223;
      /* Small values as e4m3 and, in pairs, as bf16: exponents near the middle. */
      rows[row][byte] = (unsigned char)((byte & 1 ? 0x38 : 0x30) + (seed >> 24 & 0x0f) + (seed >> 16 & 0x80));
      const uint32_t tile = row < 64 ? 0 : 8192, in_tile = row < 64 ? row : row - 64;
      image[tile + smla_swizzle128(in_tile * 128 + byte)] = rows[row][byte];
    }
  return 0;
}

static int teardown(void **state) {
  (void)state;
  kernel_object_unload(&kernel);
  return 0;
}

static void test_products(void **state) {
  (void)state;
  static const int sizes[] = {8, 16, 32, 64, 128, 256};
  static float expected[64 * 256];
  for (uint32_t which = 0; which < 24; which++)
    for (uint32_t accumulate = 0; accumulate < 2; accumulate++) {
      const int n = sizes[which / 4];
      kernel_run run = {.which = which,
                        .count = accumulate,
                        .in = image,
                        .in_bytes = sizeof image,
                        .out = out,
                        .out_bytes = sizeof out};
      kernel_object_run_all(&kernel, &run, 0);
      for (int i = 0; i < 64 * n; i++) expected[i] = 100.f;
      for (int k = 0; k < 4; k++) {
        static _Alignas(64) uint8_t a[64 * 32], b[256 * 32];
        for (int row = 0; row < 64; row++) memcpy(a + row * 32, rows[row] + k * 32, 32);
        for (int row = 0; row < n; row++) memcpy(b + row * 32, rows[64 + row] + k * 32, 32);
        if (which % 4 >= 2)
          smla_mma_bf16(expected, (const uint16_t *)(const void *)a, (const uint16_t *)(const void *)b, n,
                        k || accumulate);
        else
          smla_mma_e4m3(expected, a, b, n, k || accumulate);
      }
      assert_memory_equal(out, expected, sizeof(float) * 64 * (size_t)n);
      assert_int_equal(run.counters.tensor_flops, 4 * 2 * 64 * n * (which % 4 >= 2 ? 16 : 32));
    }
}

/* Chunk i of a row of 64 bytes is stored as chunk i XOR (row / 2 mod 4). */
static void test_narrow_rows(void **state) {
  (void)state;
  static _Alignas(64) unsigned char narrow[sizeof image];
  static _Alignas(64) uint8_t a[64 * 32], b[32 * 32];
  static float expected[64 * 32];
  memset(narrow, 0, sizeof narrow);
  for (uint32_t row = 0; row < 64 + 32; row++)
    for (uint32_t byte = 0; byte < 64; byte++) {
      const uint32_t in_tile = row < 64 ? row : row - 64;
      narrow[(row < 64 ? 0 : 8192) + in_tile * 64 + (byte ^ (in_tile / 2 % 4 * 16))] = rows[row][byte];
    }
  for (int k = 0; k < 2; k++) {
    for (int row = 0; row < 64; row++) memcpy(a + row * 32, rows[row] + k * 32, 32);
    for (int row = 0; row < 32; row++) memcpy(b + row * 32, rows[64 + row] + k * 32, 32);
    smla_mma_bf16(expected, (const uint16_t *)(const void *)a, (const uint16_t *)(const void *)b, 32, k);
  }
  kernel_run run = {.which = 25, .in = narrow, .in_bytes = sizeof narrow, .out = out, .out_bytes = sizeof out};
  kernel_object_run_all(&kernel, &run, 0);
  assert_memory_equal(out, expected, sizeof expected);
}

/* Step k of column n lies in row k of the chunk of 64 columns that n is in. */
static void test_columns(void **state) {
  (void)state;
  enum { columns = 128, chunk = 32 * 128 };
  static _Alignas(64) unsigned char turned[sizeof image];
  static _Alignas(64) uint8_t a[64 * 32], b[columns * 32];
  static float expected[64 * columns];
  memcpy(turned, image, 8192);
  for (uint32_t n = 0; n < columns; n++)
    for (uint32_t k = 0; k < 32; k++)
      memcpy(turned + 8192 + n / 64 * chunk + smla_swizzle128(k * 128 + n % 64 * 2), rows[64 + n] + 2 * k, 2);
  for (int k = 0; k < 2; k++) {
    for (int row = 0; row < 64; row++) memcpy(a + row * 32, rows[row] + k * 32, 32);
    for (int row = 0; row < columns; row++) memcpy(b + row * 32, rows[64 + row] + k * 32, 32);
    smla_mma_bf16(expected, (const uint16_t *)(const void *)a, (const uint16_t *)(const void *)b, columns, k);
  }
  kernel_run run = {.which = 26, .in = turned, .in_bytes = sizeof turned, .out = out, .out_bytes = sizeof out};
  kernel_object_run_all(&kernel, &run, 0);
  assert_memory_equal(out, expected, sizeof expected);
}

static void test_matrices(void **state) {
  (void)state;
  kernel_run run = {.which = 24, .in = image, .in_bytes = sizeof image, .out = out, .out_bytes = sizeof out};
  kernel_object_run_all(&kernel, &run, 0);
  for (uint32_t t = 0; t < 128; t++) {
    const unsigned char *warp = image + t / 32 * 512;
    const uint32_t major = t % 32 / 4, minor = t % 4 * 2;
    for (uint32_t j = 0; j < 4; j++) {
      const unsigned char *matrix = warp + j * 128;
      const unsigned char plain[4] = {matrix[major * 16 + minor * 2], matrix[major * 16 + minor * 2 + 1],
                                      matrix[major * 16 + minor * 2 + 2], matrix[major * 16 + minor * 2 + 3]};
      const unsigned char across[4] = {matrix[minor * 16 + major * 2], matrix[minor * 16 + major * 2 + 1],
                                       matrix[minor * 16 + 16 + major * 2], matrix[minor * 16 + 17 + major * 2]};
      assert_memory_equal(out + t * 32 + j * 4, plain, 4);
      assert_memory_equal(out + t * 32 + 16 + j * 4, across, 4);
    }
    /* Stored again, either way gives the rows back. */
    assert_memory_equal(out + 4096 + t * 32, image + t * 16, 16);
    assert_memory_equal(out + 4096 + t * 32 + 16, image + t * 16, 16);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_narrow_rows),
                                     cmocka_unit_test(test_columns), cmocka_unit_test(test_matrices)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
