/* Appending writes the reference's bytes whatever numbers it is given: the quotients by a scale are those of an IEEE division, zeros with
 * their sign, subnormals, and where a call gives the scale also what is not finite. On the emulator, or the device that
 * SNAPMLA_TEST_TARGET names. */
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "cmocka_all.h"

#include "env.h"
#include "runtime/settings.h"

enum { RANK = 512, ROPE = 64, PAGE = 64, TOKENS = 256, PAGES = TOKENS / PAGE };

static void must(snapmla_status status) {
  if (status) fail_msg("%s", snapmla_error_message());
}

static uint16_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint16_t)(*state >> 48);
}

/* Row t has numbers of up to 2^20 below its largest, which is about 2^(t - 127); row 0 has subnormals, and one in 16 is a zero. */
static uint16_t finite_number(int32_t token, uint64_t *state) {
  const uint16_t bits = next_random(state), below = next_random(state) % 21;
  const int32_t exponent = token > 254 ? 254 : token;
  if (below == 20 && bits % 4) return bits & 0x8000;
  return (uint16_t)((bits & 0x807f) | (exponent > below ? exponent - below : 0) << 7);
}

static snapmla_buffer *upload(snapmla_context *context, const void *source, size_t bytes) {
  snapmla_buffer *buffer;
  must(snapmla_buffer_create(context, bytes, &buffer));
  must(snapmla_buffer_write(buffer, 0, source, bytes));
  return buffer;
}

/* With kv_scale 0 of a format whose rows have scales of their own: finite numbers; else all 65536. */
static void compare(snapmla_kv_format format, float kv_scale) {
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.heads = 16;
  problem.kv_format = format;
  problem.max_batch = 1;
  problem.max_context = TOKENS;
  snapmla_page_layout layout = {.size = sizeof layout};
  must(snapmla_page_layout_get(&problem, &layout));
  const size_t bytes = (size_t)layout.page_bytes * PAGES;
  uint16_t *latent = calloc(TOKENS * RANK, 2), *rope = calloc(TOKENS * ROPE, 2);
  int64_t slots[TOKENS];
  uint8_t *expected = calloc(bytes, 1), *cache = calloc(bytes, 1);
  assert_true(latent && rope && expected && cache);
  uint64_t state = 5;
  for (int32_t t = 0; t < TOKENS; t++) {
    slots[t] = t;
    for (int32_t c = 0; c < RANK; c++)
      latent[t * RANK + c] = kv_scale > 0 ? (uint16_t)(t * RANK + c) : finite_number(t, &state);
    for (int32_t c = 0; c < ROPE; c++) rope[t * ROPE + c] = finite_number(t, &state);
  }
  const snapmla_cache host = {sizeof host, expected, layout.page_bytes, PAGES, kv_scale};
  for (int32_t t = 0; t < TOKENS; t++)
    must(snapmla_cache_write(&problem, &host, t, latent + t * RANK, rope + t * ROPE));

  const char *device = smla_env(SMLA_ENV_TEST_TARGET);
  const snapmla_context_options options = {.size = sizeof options, .device = device ? device : "emulator"};
  snapmla_context *context;
  must(snapmla_context_create(&options, &context));
  snapmla_plan *plan;
  must(snapmla_plan_create(context, &problem, NULL, &plan));
  snapmla_buffer *buffers[] = {upload(context, latent, TOKENS * RANK * 2), upload(context, rope, TOKENS * ROPE * 2),
                               upload(context, slots, sizeof slots), upload(context, cache, bytes)};
  const snapmla_append_args args = {.size = sizeof args,
                                    .tokens = TOKENS,
                                    .latent = snapmla_buffer_pointer(buffers[0]),
                                    .latent_stride = RANK,
                                    .rope = snapmla_buffer_pointer(buffers[1]),
                                    .rope_stride = ROPE,
                                    .slot_mapping = snapmla_buffer_pointer(buffers[2]),
                                    .kv = snapmla_buffer_pointer(buffers[3]),
                                    .page_stride = layout.page_bytes,
                                    .num_pages = PAGES,
                                    .kv_scale = kv_scale};
  must(snapmla_plan_append(plan, &args));
  must(snapmla_buffer_read(buffers[3], 0, cache, bytes));
  assert_memory_equal(cache, expected, bytes);

  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) snapmla_buffer_destroy(buffers[i]);
  snapmla_plan_destroy(plan);
  snapmla_context_destroy(context);
  free(latent), free(rope), free(expected), free(cache);
}

static void rows_of_every_magnitude(void **state) {
  (void)state;
  compare(SNAPMLA_KV_FP8_TOKEN, 0);
  compare(SNAPMLA_KV_FP8_TOKEN_R4, 0);
  compare(SNAPMLA_KV_FP8_TILE, 0);
}

static void every_number_by_the_call_s_scale(void **state) {
  (void)state;
  static const float scales[] = {1.0f, 0.37f, 3.1e-5f, 0x1p-126f, 7.3e-31f, 2.9e33f};
  for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) compare(SNAPMLA_KV_FP8_TENSOR, scales[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_of_every_magnitude),
      cmocka_unit_test(every_number_by_the_call_s_scale),
  };
  return cmocka_run_group_tests(tests, settings_setup, settings_teardown);
}
