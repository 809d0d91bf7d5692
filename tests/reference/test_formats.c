/* The formats that are rows of tokens: where bytes lie, worked out by hand from docs/format.md, what they hold, and conversions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <snapmla/reference.h>

#include "narrow_float.h"
#include "page_layout.h"
#include "token_quant.h"

enum { LATENT = 512, ROPE = 64, PAGES = 2, MOST_BYTES = PAGES * 73728 };

static _Alignas(128) unsigned char memory[2][MOST_BYTES];
static uint16_t latent[LATENT], rope[ROPE];

static snapmla_problem problem_of(snapmla_kv_format format) {
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.kv_format = format;
  return problem;
}

static snapmla_cache cache_of(const snapmla_problem *problem, unsigned char *kv, float kv_scale) {
  return (snapmla_cache){sizeof(snapmla_cache), kv, smla_page_geometry_of(problem).page_bytes, PAGES, kv_scale};
}

static int setup(void **state) {
  (void)state;
  memset(memory, 0xff, sizeof memory);
  for (int c = 0; c < LATENT; c++) latent[c] = smla_bf16_from_float((float)(c - 200) / 16.0f);
  for (int c = 0; c < ROPE; c++) rope[c] = smla_bf16_from_float((float)(1 + c) * (c % 2 ? 0.25f : -0.5f));
  return 0;
}

static void sizes(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    int32_t latent_rank, page_tokens;
    int64_t page_bytes;
    double per_token;
  } cases[] = {{SNAPMLA_KV_BF16, 512, 64, 73728, 1152},        {SNAPMLA_KV_BF16, 128, 16, 6144, 384},
               {SNAPMLA_KV_FP8_TENSOR, 512, 64, 36864, 576},   {SNAPMLA_KV_FP8_TENSOR, 384, 128, 57344, 448},
               {SNAPMLA_KV_FP8_TILE, 512, 64, 41984, 656},     {SNAPMLA_KV_FP8_TILE, 512, 16, 10496, 656},
               {SNAPMLA_KV_FP8_TOKEN_R4, 512, 64, 57600, 900}, {SNAPMLA_KV_FP8_TOKEN_R4, 512, 16, 14464, 904},
               {SNAPMLA_KV_FP8_TOKEN_R4, 128, 128, 41472, 324}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snapmla_problem problem = problem_of(cases[i].format);
    problem.latent_rank = cases[i].latent_rank;
    problem.page_tokens = cases[i].page_tokens;
    snapmla_page_layout layout = {.size = sizeof layout};
    assert_int_equal(snapmla_page_layout_get(&problem, &layout), SNAPMLA_OK);
    assert_int_equal(layout.page_bytes, cases[i].page_bytes);
    assert_true(layout.bytes_per_token == cases[i].per_token);
  }
}

static void bf16_rows(void **state) {
  (void)state;
  snapmla_problem problem = problem_of(SNAPMLA_KV_BF16);
  snapmla_cache cache = cache_of(&problem, memory[0], 0.0f);
  assert_int_equal(snapmla_cache_write(&problem, &cache, 64 + 9, latent, rope), SNAPMLA_OK);
  assert_memory_equal(memory[0] + 73728 + 9 * 1152, latent, sizeof latent);
  assert_memory_equal(memory[0] + 73728 + 9 * 1152 + 1024, rope, sizeof rope);
  for (size_t i = 0; i < sizeof memory[0]; i++)
    if (i < 73728 + 9 * 1152 || i >= 73728 + 10 * 1152) assert_int_equal(memory[0][i], 0xff);
}

static void fp8_tensor_rows(void **state) {
  (void)state;
  snapmla_problem problem = problem_of(SNAPMLA_KV_FP8_TENSOR);
  snapmla_cache cache = cache_of(&problem, memory[0], 0.5f);
  float read[LATENT], read_rope[ROPE];
  assert_int_equal(snapmla_cache_write(&problem, &cache, 3, latent, rope), SNAPMLA_OK);
  assert_int_equal(memory[0][3 * 576 + 200 + 16], 0x40); /* 1 / 0.5 = 2 */
  assert_int_equal(memory[0][3 * 576 + 512 + 1], 0x38);  /* 2 * 0.25 / 0.5 = 1 */
  assert_int_equal(memory[0][3 * 576 + 512], 0xb8);      /* -0.5 / 0.5 = -1 */
  assert_int_equal(snapmla_cache_read(&problem, &cache, 3, read, read_rope), SNAPMLA_OK);
  for (int c = 0; c < LATENT; c++) {
    float value = smla_bf16_to_float(latent[c]);
    assert_true(fabsf(read[c] - value) <= fmaxf(fabsf(value) / 16, 0x1p-10f * 0.5f));
  }
  assert_true(read_rope[1] == 0.5f && read_rope[0] == -0.5f);
  cache.kv_scale = -1.0f;
  assert_int_equal(snapmla_cache_write(&problem, &cache, 3, latent, rope), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "kv_scale is -1"));
}

/* latent[c] = (c - 200) / 16: the groups of 128 channels reach 200/16, 72/16, 183/16 and, as bf16, 312/16. */
static void fp8_tile_rows(void **state) {
  (void)state;
  static const float amax[] = {12.5f, 4.5f, 11.4375f, 19.5f};
  snapmla_problem problem = problem_of(SNAPMLA_KV_FP8_TILE);
  snapmla_cache cache = cache_of(&problem, memory[0], 0.0f);
  unsigned char *row = memory[0] + 41984 + 9 * 656;
  float read[LATENT], read_rope[ROPE], scales[4];
  assert_int_equal(snapmla_cache_write(&problem, &cache, 64 + 9, latent, rope), SNAPMLA_OK);
  memcpy(scales, row + 512, sizeof scales);
  for (int i = 0; i < 4; i++) assert_true(scales[i] == amax[i] / 448.0f);
  assert_int_equal(row[0], 0xfe);   /* -12.5, the largest of its group: -448 */
  assert_int_equal(row[511], 0x7e); /* 448 */
  assert_memory_equal(row + 528, rope, sizeof rope);
  for (size_t i = 0; i < sizeof memory[0]; i++)
    if (i < 41984 + 9 * 656 || i >= 41984 + 10 * 656) assert_int_equal(memory[0][i], 0xff);
  assert_int_equal(snapmla_cache_read(&problem, &cache, 64 + 9, read, read_rope), SNAPMLA_OK);
  for (int c = 0; c < LATENT; c++) {
    float value = smla_bf16_to_float(latent[c]);
    assert_true(fabsf(read[c] - value) <= fmaxf(fabsf(value) / 16, 0x1p-10f * scales[c / 128]));
  }
  for (int c = 0; c < ROPE; c++) assert_int_equal(smla_bf16_from_float(read_rope[c]), rope[c]);
  problem.flags = SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES;
  assert_int_equal(snapmla_cache_write(&problem, &cache, 64 + 9, latent, rope), SNAPMLA_OK);
  memcpy(scales, row + 512, sizeof scales);
  assert_true(scales[0] == 0x1p-5f && scales[1] == 0x1p-6f && scales[2] == 0x1p-5f && scales[3] == 0x1p-4f);
  problem.latent_rank = 256;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "fp8_tile is defined for 512 alone"));
}

/* latent[c] = (c - 200) / 16: the scale is, as bf16, 312 / 16 / 448. In its units latent[1] = -285.74: -288, whose step is 32, and 2.26, 1.1
 * sixteenths of it. latent[201] = 1.436: 1.375, whose step is 1/8, and 0.061, 7.8 sixteenths. latent[202] = 2.872: 2.75, of 1/4, and 0.122, 7.8.
 * latent[199] is the negative of latent[201]. latent[200] = 0 has none. */
static void fp8_token_r4_images(void **state) {
  (void)state;
  snapmla_problem problem = problem_of(SNAPMLA_KV_FP8_TOKEN_R4);
  snapmla_cache cache = cache_of(&problem, memory[0], 0.0f);
  float read[LATENT], read_rope[ROPE], scale;
  assert_int_equal(snapmla_cache_write(&problem, &cache, 9, latent, rope), SNAPMLA_OK);
  const unsigned char *image = memory[0], *residual = image + 40960;
  memcpy(&scale, image + 40960 + 16384 + 4 * 9, sizeof scale);
  assert_true(scale == smla_bf16_to_float(latent[511]) / 448.0f);
  assert_int_equal(image[9 * 128 + (1 ^ 16)], 0xf9); /* -288 */
  assert_int_equal(residual[9 * 64] >> 4, 1);
  assert_int_equal(image[8192 + 9 * 128 + ((201 - 128) ^ 16)], 0x3b); /* 1.375 */
  assert_int_equal(residual[4096 + 9 * 64 + (200 - 128) / 2], 7 << 4);
  assert_int_equal(residual[4096 + 9 * 64 + (199 - 128) / 2] >> 4, 8 | 7);
  assert_int_equal(residual[4096 + 9 * 64 + (202 - 128) / 2] & 15, 7);
  for (size_t i = 0; i < 57600; i++) { /* nothing else was written */
    size_t row = i < 40960 ? i % 8192 / 128 : i < 57344 ? (i - 40960) % 4096 / 64 : (i - 57344) / 4;
    if (row != 9) assert_int_equal(image[i], 0xff);
  }
  assert_int_equal(snapmla_cache_read(&problem, &cache, 9, read, read_rope), SNAPMLA_OK);
  assert_true(read[200] == 0.0f);
  for (int c = 0; c < LATENT; c++) {
    float value = smla_bf16_to_float(latent[c]);
    assert_true(fabsf(read[c] - value) <= fmaxf(fabsf(value) * 0x1p-8f * 1.0001f, 0x1p-7f * scale));
  }
}

/* Every e4m3 number and every four bits: what they stand for is exact, and comes back as it was. */
static void residuals_come_back(void **state) {
  (void)state;
  for (int content = 0; content < 0x7f; content++)
    for (int bits = 0; bits < 16; bits++) {
      float number = smla_e4m3_to_float((uint8_t)content);
      float rest = smla_token_residual_sixteenfold((uint8_t)content, (uint8_t)bits);
      if (number < 0.25f) {
        assert_true(rest == 0.0f);
        assert_int_equal(smla_token_quant_residual(smla_bf16_from_float(number), 1.0f, (uint8_t)content), 0);
        continue;
      }
      assert_true(smla_e4m3_to_float(smla_e4m3_from_float(rest)) == rest); /* kernels multiply it as e4m3 */
      for (int negative = 0; negative < 2; negative++) {
        float sign = negative ? -1.0f : 1.0f, value = sign * number + sign * rest / 16.0f;
        uint8_t of = (uint8_t)(content | negative << 7);
        uint8_t expected = (uint8_t)(negative ? bits ^ 8 : bits); /* the sign is the residual's own */
        if (smla_bf16_to_float(smla_bf16_from_float(value)) == value)
          assert_int_equal(smla_token_quant_residual(smla_bf16_from_float(value), 1.0f, of), expected);
      }
    }
}

/* The oracle over the cache is the oracle over what the cache holds; and rounding P and values as a kernel does moves it a little. */
static void the_oracle_sees_scales_of_groups(void **state) {
  (void)state;
  enum { TOKENS = 20, HEADS = 2 };
  static float rows[TOKENS][LATENT], ropes[TOKENS][ROPE];
  static uint16_t q[HEADS][LATENT], q_rope[HEADS][ROPE];
  static double out[4][HEADS * LATENT], lse[4][HEADS];
  static const snapmla_reference_mode modes[] = {SNAPMLA_REFERENCE_EXACT_QUERY, SNAPMLA_REFERENCE_QUANTIZED,
                                                 SNAPMLA_REFERENCE_ROUNDED_P};
  const int32_t table[] = {1, 0}, lengths[] = {TOKENS};
  const int64_t row_of[] = {0};
  snapmla_problem problem = problem_of(SNAPMLA_KV_FP8_TILE);
  problem.heads = HEADS;
  problem.page_tokens = 16;
  snapmla_cache cache = cache_of(&problem, memory[0], 0.0f);
  for (int t = 0; t < TOKENS; t++) {
    int64_t slot = table[t / 16] * 16 + t % 16;
    for (int c = 0; c < LATENT; c++) /* groups of very different size */
      latent[c] = smla_bf16_from_float(sinf((float)(t * t * 7 + c * 37)) * (float)(1 << c / 128 * 2) / 64.0f);
    for (int c = 0; c < ROPE; c++) rope[c] = smla_bf16_from_float(cosf((float)(t * 17 + c * 5)));
    assert_int_equal(snapmla_cache_write(&problem, &cache, slot, latent, rope), SNAPMLA_OK);
    assert_int_equal(snapmla_cache_read(&problem, &cache, slot, rows[t], ropes[t]), SNAPMLA_OK);
  }
  for (int h = 0; h < HEADS; h++) {
    for (int c = 0; c < LATENT; c++) q[h][c] = smla_bf16_from_float(cosf((float)(h * 7 + c * 3)));
    for (int c = 0; c < ROPE; c++) q_rope[h][c] = smla_bf16_from_float(sinf((float)(h + c)));
  }
  const snapmla_decode_args args = {.size = sizeof args,
                                    .batch = 1,
                                    .q_nope = q,
                                    .q_nope_stride_head = LATENT,
                                    .q_rope = q_rope,
                                    .q_rope_stride_head = ROPE,
                                    .kv = memory[0],
                                    .page_stride = cache.page_stride,
                                    .num_pages = PAGES,
                                    .block_table = table,
                                    .block_table_stride = 2,
                                    .seqlens = lengths,
                                    .softmax_scale = 0.1f};
  for (int i = 0; i < 3; i++)
    assert_int_equal(snapmla_reference_decode(&problem, &args, modes[i], out[i], lse[i]), SNAPMLA_OK);
  assert_int_equal(snapmla_reference_decode_dense(&problem, &args, rows[0], ropes[0], row_of, out[3], lse[3]),
                   SNAPMLA_OK);
  double of_cache = 0, of_rounding = 0, size = 0;
  for (int i = 0; i < HEADS * LATENT; i++) {
    of_cache += (out[0][i] - out[3][i]) * (out[0][i] - out[3][i]);
    of_rounding += (out[2][i] - out[1][i]) * (out[2][i] - out[1][i]);
    size += out[3][i] * out[3][i];
  }
  assert_true(sqrt(of_cache / size) < 1e-6 && fabs(lse[0][0] - lse[3][0]) < 1e-5);
  assert_true(sqrt(of_rounding / size) < 5e-3 && sqrt(of_rounding / size) > 1e-4);
}

/* From each format to each: what comes out is what the first one kept, quantised again. */
static void conversions(void **state) {
  (void)state;
  enum { FORMATS = SNAPMLA_KV_FP8_TOKEN_R4 + 1 };
  const int64_t from_slots[] = {70}, to_slots[] = {5};
  for (int i = 0; i < FORMATS; i++) {
    for (int k = 0; k < FORMATS; k++) {
      snapmla_problem from = problem_of((snapmla_kv_format)i), to = problem_of((snapmla_kv_format)k);
      snapmla_cache a = cache_of(&from, memory[0], 0.125f), b = cache_of(&to, memory[1], 0.125f);
      float kept[LATENT], kept_rope[ROPE], got[LATENT], got_rope[ROPE];
      assert_int_equal(snapmla_cache_write(&from, &a, 70, latent, rope), SNAPMLA_OK);
      assert_int_equal(snapmla_cache_read(&from, &a, 70, kept, kept_rope), SNAPMLA_OK);
      assert_int_equal(snapmla_cache_convert(&from, &a, from_slots, &to, &b, to_slots, 1), SNAPMLA_OK);
      assert_int_equal(snapmla_cache_read(&to, &b, 5, got, got_rope), SNAPMLA_OK);
      float step = k == SNAPMLA_KV_BF16           ? 0x1p-8f
                   : k == SNAPMLA_KV_FP8_TOKEN_R4 ? 0x1.8p-8f /* and a rounding to bf16 before it */
                                                  : 0x1p-4f;
      float rope_step = k == SNAPMLA_KV_FP8_TENSOR ? 0x1p-4f : 0x1p-7f;
      for (int c = 0; c < LATENT; c++)
        assert_true(fabsf(got[c] - kept[c]) <= fmaxf(step * 1.05f * fabsf(kept[c]), 0x1p-10f));
      for (int c = 0; c < ROPE; c++)
        assert_true(fabsf(got_rope[c] - kept_rope[c]) <= rope_step * 1.05f * fabsf(kept_rope[c]));
    }
  }
  snapmla_problem from = problem_of(SNAPMLA_KV_BF16), to = problem_of(SNAPMLA_KV_BF16);
  to.latent_rank = 256;
  snapmla_cache a = cache_of(&from, memory[0], 0.0f), b = cache_of(&to, memory[1], 0.0f);
  assert_int_equal(snapmla_cache_convert(&from, &a, from_slots, &to, &b, to_slots, 1), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_cache_convert(&from, &a, from_slots, &from, &a, NULL, 1), SNAPMLA_INVALID_ARGUMENT);
}

/* amax = 311 / 16 = 19.4: the scale 19.4 / 448 = 0.0434 becomes 2^-4, and RoPE comes back bit for bit. */
static void powers_of_two(void **state) {
  (void)state;
  snapmla_problem problem = problem_of(SNAPMLA_KV_FP8_TOKEN);
  problem.flags = SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES;
  smla_page_geometry geometry = smla_page_geometry_of(&problem);
  snapmla_cache cache = cache_of(&problem, memory[0], 0.0f);
  float read[LATENT], read_rope[ROPE], scale;
  assert_int_equal(snapmla_cache_write(&problem, &cache, 7, latent, rope), SNAPMLA_OK);
  memcpy(&scale, memory[0] + smla_page_scale_offset(&geometry, 7), sizeof scale);
  assert_true(scale == 0x1p-4f);
  assert_int_equal(snapmla_cache_read(&problem, &cache, 7, read, read_rope), SNAPMLA_OK);
  for (int c = 0; c < ROPE; c++) assert_int_equal(smla_bf16_from_float(read_rope[c]), rope[c]);
  problem.kv_format = SNAPMLA_KV_BF16;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "bf16 stores none"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup(sizes, setup),
                                     cmocka_unit_test_setup(bf16_rows, setup),
                                     cmocka_unit_test_setup(fp8_tensor_rows, setup),
                                     cmocka_unit_test_setup(fp8_tile_rows, setup),
                                     cmocka_unit_test_setup(fp8_token_r4_images, setup),
                                     cmocka_unit_test(residuals_come_back),
                                     cmocka_unit_test_setup(the_oracle_sees_scales_of_groups, setup),
                                     cmocka_unit_test_setup(conversions, setup),
                                     cmocka_unit_test_setup(powers_of_two, setup)};
  return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
