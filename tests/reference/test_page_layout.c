/* The page image against offsets worked out by hand from docs/format.md, and the converters. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <snapmla/reference.h>

#include "narrow_float.h"
#include "page_layout.h"
#include "query_quant.h"

static snapmla_problem problem_of(int32_t latent_rank, int32_t page_tokens) {
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.latent_rank = latent_rank;
  problem.page_tokens = page_tokens;
  return problem;
}

static void sizes(void **state) {
  (void)state;
  static const struct {
    int32_t latent_rank, page_tokens;
    int64_t image_bytes, page_bytes;
    double bytes_per_token;
  } known[] = {{512, 64, 41216, 41216, 644},  {512, 128, 41216, 82432, 644}, {512, 32, 20608, 20608, 644},
               {512, 16, 10368, 10368, 648},  {384, 64, 33024, 33024, 516},  {384, 128, 33024, 66048, 516},
               {384, 32, 16512, 16512, 516},  {384, 16, 8320, 8320, 520},    {256, 64, 24832, 24832, 388},
               {256, 128, 24832, 49664, 388}, {256, 32, 12416, 12416, 388},  {256, 16, 6272, 6272, 392},
               {128, 64, 16640, 16640, 260},  {128, 128, 16640, 33280, 260}, {128, 32, 8320, 8320, 260},
               {128, 16, 4224, 4224, 264}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    snapmla_problem problem = problem_of(known[i].latent_rank, known[i].page_tokens);
    snapmla_page_layout layout = {.size = sizeof layout};
    assert_int_equal(snapmla_page_layout_get(&problem, &layout), SNAPMLA_OK);
    assert_int_equal(layout.image_tokens, known[i].page_tokens < 64 ? known[i].page_tokens : 64);
    assert_int_equal(layout.image_bytes, known[i].image_bytes);
    assert_int_equal(layout.page_bytes, known[i].page_bytes);
    assert_true(layout.bytes_per_token == known[i].bytes_per_token);
    assert_int_equal(layout.page_bytes % 128, 0);
  }
}

/* RoPE of 0, 32 and 128 channels takes so many bytes of each token. */
static void sizes_of_other_ropes(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    int32_t rope_dim, page_tokens;
    int64_t page_bytes;
  } known[] = {
      {SNAPMLA_KV_FP8_TOKEN, 0, 64, 33024},    /* 64 * 516 */
      {SNAPMLA_KV_FP8_TOKEN, 0, 16, 8320},     /* 16 * 516 and 64 of padding */
      {SNAPMLA_KV_FP8_TOKEN, 32, 64, 37120},   /* 64 * 580 */
      {SNAPMLA_KV_FP8_TOKEN, 128, 128, 98816}, /* 128 * 772 */
      {SNAPMLA_KV_FP8_TOKEN_R4, 32, 64, 53504}, {SNAPMLA_KV_FP8_TOKEN_R4, 128, 64, 65792},
      {SNAPMLA_KV_BF16, 0, 64, 65536},          {SNAPMLA_KV_BF16, 32, 64, 69632},
      {SNAPMLA_KV_FP8_TENSOR, 32, 16, 8704},    {SNAPMLA_KV_FP8_TENSOR, 128, 64, 40960},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    snapmla_problem problem = problem_of(512, known[i].page_tokens);
    snapmla_page_layout layout = {.size = sizeof layout};
    problem.kv_format = known[i].format;
    problem.rope_dim = known[i].rope_dim;
    assert_int_equal(snapmla_page_layout_get(&problem, &layout), SNAPMLA_OK);
    assert_int_equal(layout.page_bytes, known[i].page_bytes);
  }
}

enum { LATENT, ROPE, SCALE };

static void offsets_by_hand(void **state) {
  (void)state;
  static const struct {
    int32_t latent_rank, part, token, channel;
    int64_t offset;
    int32_t page_tokens;
  } known[] = {
      {512, LATENT, 0, 0, 0, 128},         {512, LATENT, 0, 127, 127, 128},
      {512, LATENT, 0, 128, 8192, 128},    {512, LATENT, 1, 0, 144, 128}, /* row 1, chunk 0 stored as chunk 1 */
      {512, LATENT, 1, 16, 128, 128},                                     /* and chunk 1 as chunk 0 */
      {512, LATENT, 7, 16, 992, 128},                                     /* 7 * 128 + 6 * 16 */
      {512, LATENT, 8, 5, 1029, 128},                                     /* row 8 is not moved */
      {512, LATENT, 9, 511, 25839, 128},                                  /* 3 * 8192 + 9 * 128 + (127 ^ 16) */
      {512, LATENT, 63, 511, 32655, 128},                                 /* 3 * 8192 + 63 * 128 + (127 ^ 112) */
      {512, LATENT, 64, 0, 41216, 128},                                   /* the second image */
      {512, LATENT, 127, 511, 73871, 128},                                /* 41216 + 32655 */
      {512, ROPE, 0, 0, 32768, 128},       {512, ROPE, 0, 63, 32894, 128},
      {512, ROPE, 3, 5, 33210, 128},  /* 32768 + 384 + (10 ^ 48) */
      {512, ROPE, 65, 0, 74128, 128}, /* 41216 + 32768 + 144 */
      {512, SCALE, 0, 0, 40960, 128},      {512, SCALE, 63, 0, 41212, 128},
      {512, SCALE, 65, 0, 82180, 128},                                         /* 41216 + 40960 + 4 */
      {256, LATENT, 0, 128, 8192, 128},    {256, LATENT, 63, 255, 16271, 128}, /* 8192 + 63 * 128 + 15 */
      {256, ROPE, 0, 0, 16384, 128},       {256, SCALE, 0, 0, 24576, 128},
      {256, LATENT, 64, 0, 24832, 128},    {384, LATENT, 63, 383, 24463, 128}, /* 2 * 8192 + 63 * 128 + 15 */
      {384, ROPE, 64, 1, 57602, 128},                                          /* 33024 + 24576 + 2 */
      {128, SCALE, 64, 0, 33024, 128},                                         /* 16640 + 8192 + 8192 */
      {512, LATENT, 9, 511, 7407, 16},                                         /* 3 * 2048 + 9 * 128 + (127 ^ 16) */
      {512, ROPE, 3, 5, 8634, 16},                                             /* 8192 + 384 + (10 ^ 48) */
      {512, SCALE, 15, 0, 10300, 16},                                          /* 8192 + 2048 + 60 */
      {512, LATENT, 31, 128, 8176, 32},                                        /* 4096 + 31 * 128 + 112 */
      {384, SCALE, 31, 0, 16508, 32},                                          /* 12288 + 4096 + 124 */
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    snapmla_problem problem = problem_of(known[i].latent_rank, known[i].page_tokens);
    smla_page_geometry geometry = smla_page_geometry_of(&problem);
    int64_t offset = known[i].part == LATENT ? smla_page_latent_offset(&geometry, known[i].token, known[i].channel)
                     : known[i].part == ROPE ? smla_page_rope_offset(&geometry, known[i].token, known[i].channel)
                                             : smla_page_scale_offset(&geometry, known[i].token);
    assert_int_equal(offset, known[i].offset);
  }
}

static void offsets_of_other_ropes_by_hand(void **state) {
  (void)state;
  static const struct {
    int32_t rope_dim, token, channel;
    int64_t rope, scale;
  } known[] = {
      {32, 3, 5, 32986, 36876},    /* 32768 + 3 * 64 + (10 ^ 16): the 64-byte swizzle, row 3 moves by 1 */
      {32, 15, 31, 33742, 36924},  /* 32768 + 15 * 64 + (62 ^ 48) */
      {32, 64, 0, 69888, 73984},   /* the second image: 37120 + 32768 */
      {128, 3, 5, 33210, 49164},   /* as with 64: the first subtile */
      {128, 3, 127, 41422, 49164}, /* 40960 + 384 + (126 ^ 48) */
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    snapmla_problem problem = problem_of(512, 128);
    problem.rope_dim = known[i].rope_dim;
    smla_page_geometry geometry = smla_page_geometry_of(&problem);
    assert_int_equal(smla_page_rope_offset(&geometry, known[i].token, known[i].channel), known[i].rope);
    assert_int_equal(smla_page_scale_offset(&geometry, known[i].token), known[i].scale);
  }
}

/* Every byte of a page belongs to one number, but for the padding behind the scales of 16 tokens. */
static void every_byte_has_one_meaning(void **state) {
  (void)state;
  static const int32_t ropes[] = {64, 0, 32, 128};
  for (int i = 0; i < 64; i++) {
    int32_t latent_rank = 128 * (i / 4 % 4 + 1), page_tokens = 16 << i % 4, rope_dim = ropes[i / 16];
    snapmla_problem problem = problem_of(latent_rank, page_tokens);
    problem.rope_dim = rope_dim;
    smla_page_geometry geometry = smla_page_geometry_of(&problem);
    unsigned char *uses = calloc((size_t)geometry.page_bytes, 1);
    assert_non_null(uses);
    for (int32_t t = 0; t < page_tokens; t++) {
      for (int32_t c = 0; c < latent_rank; c++) uses[smla_page_latent_offset(&geometry, t, c)]++;
      for (int32_t c = 0; c < rope_dim; c++)
        for (int byte = 0; byte < 2; byte++) uses[smla_page_rope_offset(&geometry, t, c) + byte]++;
      for (int byte = 0; byte < 4; byte++) uses[smla_page_scale_offset(&geometry, t) + byte]++;
    }
    int64_t used = geometry.page_bytes - (page_tokens == 16 ? 64 : 0);
    for (int64_t k = 0; k < geometry.page_bytes; k++) assert_int_equal(uses[k], k < used);
    free(uses);
  }
}

static void fingerprints(void **state) {
  (void)state;
  snapmla_page_layout layout = {.size = sizeof layout};
  snapmla_problem problem = problem_of(512, 64);
  assert_int_equal(snapmla_page_layout_get(&problem, &layout), SNAPMLA_OK);
  /* printf 'snapmla-page v1 fp8_token page=64 latent=512 rope=64' | sha256sum */
  assert_string_equal(layout.fingerprint, "af8fc3931a7afd38bbf0f40a6137a83107cb70c002729897c92ca3b2a677a141");

  snapmla_page_layout other = {.size = sizeof other};
  problem = problem_of(512, 128);
  assert_int_equal(snapmla_page_layout_get(&problem, &other), SNAPMLA_OK);
  assert_string_not_equal(other.fingerprint, layout.fingerprint);
  problem = problem_of(256, 64);
  assert_int_equal(snapmla_page_layout_get(&problem, &other), SNAPMLA_OK);
  assert_string_not_equal(other.fingerprint, layout.fingerprint);

  problem = problem_of(384, 16);
  assert_int_equal(snapmla_page_layout_get(&problem, &other), SNAPMLA_OK);
  /* printf 'snapmla-page v1 fp8_token page=16 latent=384 rope=64' | sha256sum */
  assert_string_equal(other.fingerprint, "706a40ca3633b03b2d09b5f52909a8f72220560083c2cecbaff5dfeac71e79cc");

  /* What does not move a byte does not change it. */
  problem = problem_of(512, 64);
  problem.heads = 3, problem.q_len = 2, problem.max_batch = 1, problem.max_context = 64;
  assert_int_equal(snapmla_page_layout_get(&problem, &other), SNAPMLA_OK);
  assert_string_equal(other.fingerprint, layout.fingerprint);

  other.size = 8;
  assert_int_equal(snapmla_page_layout_get(&problem, &other), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_page_layout_get(&problem, NULL), SNAPMLA_INVALID_ARGUMENT);
}

/* A row of bf16 numbers spread over `binades` binades, of either sign. */
static void fill(uint16_t *row, int count, uint32_t seed, int binades) {
  for (int c = 0; c < count; c++) {
    seed = seed * 1664525u + 1013904223u;
    float value = ldexpf(1.0f + (float)(seed >> 8 & 0x7f) / 128.0f, (int)(seed >> 16) % binades - binades / 2);
    row[c] = smla_bf16_from_float(seed & 0x80000000 ? -value : value);
  }
}

static void write_then_read(void **state) {
  (void)state;
  snapmla_problem problem = problem_of(512, 128);
  int64_t page_stride = 82432 + 128, pages = 3, bytes = page_stride * pages;
  unsigned char *kv = malloc((size_t)bytes), *before = malloc((size_t)bytes);
  assert_non_null(kv);
  assert_non_null(before);
  static const int64_t slots[] = {0, 63, 64, 127, 128, 200, 383};
  for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
    memset(kv, 0xff, (size_t)bytes);
    memcpy(before, kv, (size_t)bytes);
    uint16_t latent[512], rope[64];
    float latent_read[512], rope_read[64];
    fill(latent, 512, (uint32_t)i, 12);
    fill(rope, 64, (uint32_t)i + 100, 20);
    assert_int_equal(snapmla_page_write(&problem, kv, page_stride, pages, slots[i], latent, rope), SNAPMLA_OK);
    assert_int_equal(snapmla_page_read(&problem, kv, page_stride, pages, slots[i], latent_read, rope_read), SNAPMLA_OK);

    float amax = 0;
    for (int c = 0; c < 512; c++) amax = fmaxf(amax, fabsf(smla_bf16_to_float(latent[c])));
    float scale = amax / 448.0f;
    for (int c = 0; c < 512; c++) {
      float value = smla_bf16_to_float(latent[c]);
      /* Half a step of e4m3: 2^-4 of the value, or of the subnormal step; and fp32 noise. */
      assert_true(fabsf(latent_read[c] - value) <= fmaxf(fabsf(value) * 0x1p-4f, scale * 0x1p-10f) * 1.0001f);
    }
    for (int c = 0; c < 64; c++) {
      float value = smla_bf16_to_float(rope[c]);
      assert_true(fabsf(rope_read[c] - value) <= fabsf(value) * 0x1.001p-8f);
    }
    /* The largest latent is met exactly at 448 steps. */
    int at = 0;
    for (int c = 0; c < 512; c++)
      if (fabsf(latent_read[c]) > fabsf(latent_read[at])) at = c;
    assert_true(fabsf(fabsf(latent_read[at]) - amax) <= amax * 1e-6f);

    /* Only this token's bytes were written. */
    smla_page_geometry geometry = smla_page_geometry_of(&problem);
    int64_t page = slots[i] / 128 * page_stride;
    int32_t token = (int32_t)(slots[i] % 128);
    for (int32_t c = 0; c < 512; c++) kv[page + smla_page_latent_offset(&geometry, token, c)] = 0xff;
    for (int32_t c = 0; c < 64; c++) memset(kv + page + smla_page_rope_offset(&geometry, token, c), 0xff, 2);
    memset(kv + page + smla_page_scale_offset(&geometry, token), 0xff, 4);
    assert_memory_equal(kv, before, (size_t)bytes);
  }
  free(kv);
  free(before);
}

static void known_bits(void **state) {
  (void)state;
  /* amax 448 makes the scale 1, so the bytes are the plain conversions. */
  snapmla_problem problem = problem_of(256, 64);
  unsigned char *kv = calloc(24832, 1);
  assert_non_null(kv);
  uint16_t latent[256] = {0}, rope[64] = {0};
  latent[0] = 0xc3e0;                  /* -448 */
  latent[1] = 0x3f80;                  /* 1 */
  latent[2] = 0x3f88;                  /* 1.0625, a tie: 1 */
  latent[130] = 0x3b00;                /* 2^-9 */
  rope[0] = 0x447a, rope[63] = 0xbf80; /* 1000, -1 */
  assert_int_equal(snapmla_page_write(&problem, kv, 24832, 1, 8, latent, rope), SNAPMLA_OK);
  assert_int_equal(kv[1024], 0xfe);
  assert_int_equal(kv[1025], 0x38);
  assert_int_equal(kv[1026], 0x38);
  assert_int_equal(kv[8192 + 1024 + 2], 0x01);
  assert_int_equal(kv[16384 + 1024], 0x7a); /* little endian */
  assert_int_equal(kv[16384 + 1025], 0x44);
  assert_int_equal(kv[16384 + 1024 + 127], 0xbf);
  static const unsigned char one[4] = {0, 0, 0x80, 0x3f};
  assert_memory_equal(kv + 24576 + 32, one, 4);

  /* A row of zeros has the least scale, and RoPE is divided by it. */
  memset(latent, 0, sizeof latent);
  assert_int_equal(snapmla_page_write(&problem, kv, 24832, 1, 8, latent, rope), SNAPMLA_OK);
  static const unsigned char least[4] = {0, 0, 0x80, 0x2b}; /* 2^-40 */
  assert_memory_equal(kv + 24576 + 32, least, 4);
  assert_int_equal(kv[16384 + 1024 + 127], 0xd3); /* -2^40 = 0xd380 */
  free(kv);
}

static void query_rows(void **state) {
  (void)state;
  uint16_t nope[256] = {0}, rope[64] = {0}, rope_out[64];
  uint8_t content[256];
  nope[3] = 0x4060; /* 3.5: sigma = 3.5 / 448 = 2^-7 */
  nope[4] = 0xbf80; /* -1 */
  rope[1] = 0x3f80; /* 1 */
  assert_true(smla_query_quant_row(nope, 256, rope, 64, content, rope_out) == 0x1p-7f);
  assert_int_equal(content[3], 0x7e);
  assert_int_equal(content[4], 0xf0); /* -128 */
  assert_int_equal(content[5], 0x00);
  assert_int_equal(rope_out[1], 0x4300); /* 128 */
  memset(nope, 0, sizeof nope);
  assert_true(smla_query_quant_row(nope, 256, rope, 64, content, rope_out) == 0x1p-40f);
  nope[7] = 0x7fc0; /* NaN: passed over for the scale, kept in the content */
  nope[8] = 0x43e0;
  assert_true(smla_query_quant_row(nope, 256, rope, 64, content, rope_out) == 1.0f);
  assert_int_equal(content[7], 0x7f);
}

static void bad_slots(void **state) {
  (void)state;
  snapmla_problem problem = problem_of(512, 64);
  unsigned char *kv = calloc(2, 41216);
  assert_non_null(kv);
  uint16_t latent[512] = {0}, rope[64] = {0};
  float latent_read[512], rope_read[64];
  static const int64_t outside[] = {-1, 128, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(snapmla_page_write(&problem, kv, 41216, 2, outside[i], latent, rope), SNAPMLA_INVALID_ARGUMENT);
    assert_non_null(strstr(snapmla_error_message(), "outside the cache of 2 pages"));
    assert_int_equal(snapmla_page_read(&problem, kv, 41216, 2, outside[i], latent_read, rope_read),
                     SNAPMLA_INVALID_ARGUMENT);
  }
  assert_int_equal(snapmla_page_write(&problem, kv, 41216 - 128, 2, 0, latent, rope), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "page_stride"));
  assert_int_equal(snapmla_page_write(&problem, kv, 41216 + 64, 2, 0, latent, rope), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_page_write(&problem, kv, 41216, INT64_MAX, 0, latent, rope), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "num_pages"));
  assert_int_equal(snapmla_page_write(&problem, NULL, 41216, 2, 0, latent, rope), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_page_write(&problem, kv, 41216, 2, 0, NULL, rope), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_page_read(&problem, kv, 41216, 2, 0, latent_read, NULL), SNAPMLA_INVALID_ARGUMENT);
  problem.heads = 0;
  assert_int_equal(snapmla_page_write(&problem, kv, 41216, 2, 0, latent, rope), SNAPMLA_INVALID_ARGUMENT);
  free(kv);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes),
      cmocka_unit_test(sizes_of_other_ropes),
      cmocka_unit_test(offsets_of_other_ropes_by_hand),
      cmocka_unit_test(offsets_by_hand),
      cmocka_unit_test(every_byte_has_one_meaning),
      cmocka_unit_test(fingerprints),
      cmocka_unit_test(write_then_read),
      cmocka_unit_test(known_bits),
      cmocka_unit_test(query_rows),
      cmocka_unit_test(bad_slots),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
