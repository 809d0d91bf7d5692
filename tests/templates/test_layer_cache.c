/* Decoding step by step: chunks, page boundaries, shared prefixes, fetching, rollback and moves; and what calls refuse. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "layer_fixture.h"
#include "named_tests.h"
#include "narrow_float.h"
#include "runtime/settings.h"

enum { PAGE = 16, RANK = 128, ROPE = 64 };

static layer_case small(snapmla_kv_format format) {
  layer_case c = {.batch = 2, .lengths = {2 * PAGE + 3, PAGE + 2}};
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = 2;
  c.problem.attention.latent_rank = format == SNAPMLA_KV_FP8_TILE ? 512 : RANK;
  c.problem.attention.page_tokens = PAGE;
  c.problem.attention.kv_format = format;
  c.problem.attention.max_batch = 2;
  c.problem.attention.max_context = 256;
  c.problem.nope_dim = c.problem.v_dim = 64;
  return c;
}

/* The i-th of the formats at the widths of RoPE that each has; 0 past the last. */
static int small_of_all(int i, layer_case *out) {
  static const int32_t ropes[] = {64, 32, 128};
  const int formats = SNAPMLA_KV_FP8_TOKEN_R4 + 1;
  if (i >= 3 * formats) return 0;
  *out = small((snapmla_kv_format)(i % formats));
  if (i % formats != SNAPMLA_KV_FP8_TILE) out->problem.attention.rope_dim = ropes[i / formats];
  return 1;
}

static layer_device open_device(layer_case *c) { return layer_device_create(c, SNAPMLA_EMULATOR_RANDOM, 7, NULL); }

static uint8_t *cache_bytes(const layer_device *d) {
  size_t bytes = (size_t)(d->num_pages * d->page_stride);
  uint8_t *kv = malloc(bytes);
  assert_non_null(kv);
  must(snapmla_buffer_read(d->kv_buffer, 0, kv, bytes));
  return kv;
}

/* The case's lengths are the step's. */
static void check_step(const layer_device *d, const uint16_t *out) {
  double error = layer_device_distance(d, SNAPMLA_LAYER_EXPLICIT, out);
  if (!(error <= 6e-2)) fail_msg("the step is %g from the reference", error);
}

static void chunks_append_as_one(void **state) {
  (void)state;
  for (int format = SNAPMLA_KV_FP8_TOKEN; format <= SNAPMLA_KV_FP8_TENSOR; format++) {
    layer_case c = small((snapmla_kv_format)format);
    layer_case_create(&c, 1);
    layer_device whole = open_device(&c), parts = open_device(&c);
    layer_device_append(&whole, 0, c.tokens);
    const int64_t chunks[] = {5, 11, 1, 17, c.tokens}; /* to a page's end, one token, over a boundary, the rest */
    for (int64_t i = 0, done = 0; done < c.tokens; i++) {
      int64_t count = chunks[i] < c.tokens - done ? chunks[i] : c.tokens - done;
      layer_device_append(&parts, done, count);
      done += count;
    }
    uint8_t *a = cache_bytes(&whole), *b = cache_bytes(&parts);
    assert_memory_equal(a, b, (size_t)(whole.num_pages * whole.page_stride));
    free(a), free(b);
    layer_device_destroy(&whole), layer_device_destroy(&parts);
    layer_case_destroy(&c);
  }
}

static void steps_cross_page_boundaries(void **state) {
  (void)state;
  layer_case c = small(SNAPMLA_KV_FP8_TOKEN);
  layer_case_create(&c, 2);
  layer_device d = open_device(&c);
  layer_device_append(&d, c.row_of[0], 2 * PAGE - 2);
  layer_device_append(&d, c.row_of[1], PAGE - 3);
  for (int32_t i = 0; i < 5; i++) { /* each step appends its token, and sees all before it */
    layer_device_set_lengths(&d, (const int32_t[]){2 * PAGE - 1 + i, PAGE - 2 + i});
    uint16_t *out = layer_device_step(&d);
    check_step(&d, out);
    free(out);
  }
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

static void requests_share_a_prefix(void **state) {
  (void)state;
  layer_case c = small(SNAPMLA_KV_FP8_TOKEN);
  layer_case_create(&c, 3);
  memcpy(c.latent + c.row_of[1] * RANK, c.latent, PAGE * RANK * 2);
  memcpy(c.rope + c.row_of[1] * ROPE, c.rope, PAGE * ROPE * 2);
  layer_device d = open_device(&c);
  layer_device_append(&d, 0, c.lengths[0] - 1);
  layer_device_append(&d, c.row_of[1] + PAGE, c.lengths[1] - 1 - PAGE); /* what follows the prefix */
  d.block_table[d.pages_per_request] = d.block_table[0];
  for (int i = 0; i < PAGE; i++) d.slots[c.row_of[1] + i] = d.slots[i];
  must(snapmla_buffer_write(layer_device_buffer(&d, d.args.decode.block_table), 0, d.block_table,
                            (size_t)d.num_pages * sizeof *d.block_table));
  uint16_t *out = layer_device_step(&d);
  check_step(&d, out);
  free(out);
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

static void cached_tokens_come_back(void **state) {
  (void)state;
  layer_case c;
  for (int of = 0; small_of_all(of, &c); of++) {
    layer_case_create(&c, 4);
    layer_device d = open_device(&c);
    layer_device_append(&d, 0, c.tokens);
    int64_t tokens = c.tokens, outside = d.num_pages * PAGE;
    int64_t *slots = malloc((size_t)tokens * sizeof *slots);
    assert_non_null(slots);
    for (int64_t i = 0; i < tokens; i++) slots[i] = d.slots[tokens - 1 - i]; /* any order */
    slots[1] = -1;
    slots[2] = outside;
    const int64_t rank = c.problem.attention.latent_rank, latent_stride = rank + 8, dim = c.problem.attention.rope_dim;
    snapmla_fetch_args args = {.size = sizeof args,
                               .tokens = tokens,
                               .slots = layer_device_upload(&d, slots, (size_t)tokens * sizeof *slots),
                               .latent = layer_device_upload(&d, NULL, (size_t)(tokens * latent_stride) * 2),
                               .latent_stride = latent_stride,
                               .rope = layer_device_upload(&d, NULL, (size_t)(tokens * dim) * 2),
                               .rope_stride = dim,
                               .kv = d.kv,
                               .page_stride = d.page_stride,
                               .num_pages = d.num_pages,
                               .kv_scale = d.kv_scale};
    must(snapmla_layer_fetch(d.plan, &args));
    uint16_t *latent = malloc((size_t)(tokens * latent_stride) * 2), *rope = malloc((size_t)(tokens * dim) * 2);
    assert_true(latent && rope);
    must(snapmla_buffer_read(layer_device_buffer(&d, args.latent), 0, latent, (size_t)(tokens * latent_stride) * 2));
    must(snapmla_buffer_read(layer_device_buffer(&d, args.rope), 0, rope, (size_t)(tokens * dim) * 2));
    float *expected, *expected_rope;
    layer_device_cached(&d, &expected, &expected_rope);
    for (int64_t i = 0; i < tokens; i++) {
      int skipped = i == 1 || i == 2;
      for (int64_t k = 0; k < latent_stride; k++)
        assert_int_equal(latent[i * latent_stride + k],
                         skipped || k >= rank ? 0xffff : smla_bf16_from_float(expected[(tokens - 1 - i) * rank + k]));
      for (int64_t k = 0; k < dim; k++)
        assert_int_equal(rope[i * dim + k],
                         skipped ? 0xffff : smla_bf16_from_float(expected_rope[(tokens - 1 - i) * dim + k]));
    }
    free(latent), free(rope), free(expected), free(expected_rope), free(slots);
    layer_device_destroy(&d);
    layer_case_destroy(&c);
  }
}

/* Three drafted tokens, of which the first is kept: the next step overwrites the others' slots, and gives the bits of a cache that
 * never saw them. */
static void rejected_tokens_leave_no_trace(void **state) {
  (void)state;
  layer_case c = small(SNAPMLA_KV_FP8_TOKEN);
  c.problem.attention.q_len = 3;
  layer_case_create(&c, 5);
  layer_device drafted = open_device(&c), straight = open_device(&c);
  /* Other tokens at the two last places, which are rejected. */
  uint16_t *kept = malloc((size_t)c.tokens * RANK * 2);
  assert_non_null(kept);
  memcpy(kept, c.latent, (size_t)c.tokens * RANK * 2);
  int32_t before[] = {PAGE + 1, PAGE}, after[] = {PAGE + 2, PAGE + 1};
  for (int32_t b = 0; b < 2; b++) {
    layer_device_append(&drafted, c.row_of[b], before[b] - 3);
    layer_device_append(&straight, c.row_of[b], before[b] - 2);
    for (int32_t i = 0; i < 2 * RANK; i++) c.latent[(c.row_of[b] + before[b] - 2) * RANK + i] ^= 0x8000;
  }
  layer_device_set_lengths(&drafted, before);
  free(layer_device_step(&drafted));
  memcpy(c.latent, kept, (size_t)c.tokens * RANK * 2);
  layer_device_set_lengths(&drafted, after);
  layer_device_set_lengths(&straight, after);
  uint16_t *a = layer_device_step(&drafted), *b = layer_device_step(&straight);
  assert_memory_equal(a, b, (size_t)(2 * 3 * drafted.args.out_stride_token) * 2);
  check_step(&drafted, a);
  free(a), free(b), free(kept);
  layer_device_destroy(&drafted), layer_device_destroy(&straight);
  layer_case_destroy(&c);
}

static void tokens_move_bit_for_bit(void **state) {
  (void)state;
  layer_case c;
  for (int of = 0; small_of_all(of, &c); of++) {
    layer_case_create(&c, 6);
    layer_device d = open_device(&c);
    layer_device_append(&d, 0, c.tokens);
    const int64_t rank = c.problem.attention.latent_rank, dim = c.problem.attention.rope_dim;
    float *latent, *rope, *moved, *moved_rope;
    layer_device_cached(&d, &latent, &rope);
    /* From rows of one swizzle to rows of another; a pair with a bad end does nothing. */
    const int64_t from[] = {d.slots[20], d.slots[33], -1, d.slots[5], d.num_pages * PAGE},
                  to[] = {d.slots[3], d.slots[17], d.slots[8], -1, d.slots[9]};
    const snapmla_move_args args = {.size = sizeof args,
                                    .tokens = 5,
                                    .from = layer_device_upload(&d, from, sizeof from),
                                    .to = layer_device_upload(&d, to, sizeof to),
                                    .kv = d.kv,
                                    .page_stride = d.page_stride,
                                    .num_pages = d.num_pages};
    must(snapmla_layer_move(d.plan, &args));
    layer_device_cached(&d, &moved, &moved_rope);
    for (int64_t t = 0; t < c.tokens; t++) {
      int64_t source = t == 3 ? 20 : t == 17 ? 33 : t;
      assert_memory_equal(moved + t * rank, latent + source * rank, (size_t)rank * sizeof *latent);
      assert_memory_equal(moved_rope + t * dim, rope + source * dim, (size_t)dim * sizeof *rope);
    }
    free(latent), free(rope), free(moved), free(moved_rope);
    layer_device_destroy(&d);
    layer_case_destroy(&c);
  }
}

/* A position without angles: NaN for that token, and the others' results as they were. */
static void a_bad_position_is_nan_for_its_token(void **state) {
  (void)state;
  layer_case c = small(SNAPMLA_KV_FP8_TOKEN);
  layer_case_create(&c, 8);
  layer_device d = open_device(&c);
  layer_device_append(&d, 0, c.tokens);
  d.args.slot_mapping = NULL; /* all are in the cache */
  uint16_t *good = layer_device_step(&d);
  check_step(&d, good);
  int32_t positions[] = {1 << 30, c.positions[1]};
  must(snapmla_buffer_write(layer_device_buffer(&d, d.args.positions), 0, positions, sizeof positions));
  uint16_t *bad = layer_device_step(&d);
  size_t token = (size_t)d.args.out_stride_token;
  for (size_t i = 0; i < token; i++) assert_true(isnan(smla_bf16_to_float(bad[i])));
  assert_memory_equal(bad + token, good + token, token * 2);
  free(good), free(bad);
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

static void expect(snapmla_status status, const char *word) {
  assert_true(status == SNAPMLA_INVALID_ARGUMENT || status == SNAPMLA_UNSUPPORTED);
  if (!strstr(snapmla_error_message(), word)) fail_msg("\"%s\" is not in: %s", word, snapmla_error_message());
}

static void bad_arguments_are_told(void **state) {
  (void)state;
  layer_case c = small(SNAPMLA_KV_FP8_TOKEN);
  layer_case_create(&c, 9);
  layer_device d = open_device(&c);
  d.args.weights = &d.weights;
  const snapmla_layer_args good = d.args;
  const snapmla_layer_weights weights = d.weights;
#define REFUSED(change, word)                          \
  do {                                                 \
    d.args = good;                                     \
    d.weights = weights;                               \
    change;                                            \
    expect(snapmla_layer_step(d.plan, &d.args), word); \
  } while (0)
  REFUSED(d.args.size = 8, "snapmla_layer_args");
  REFUSED(d.args.weights = NULL, "weights is NULL");
  REFUSED(d.args.q = NULL, "q is NULL");
  REFUSED(d.args.q_stride_head = 100, "q_stride_head is 100");
  REFUSED(d.args.positions = NULL, "positions is NULL");
  REFUSED(d.args.out = (char *)d.args.out + 2, "out is");
  REFUSED(d.args.out_stride_token = 4, "out_stride_token is 4");
  REFUSED(d.args.decode.batch = 3, "batch is 3");
  REFUSED(d.args.decode.workspace_bytes = 100, "workspace_bytes is 100");
  REFUSED(d.args.decode.workspace = NULL, "workspace is NULL");
  REFUSED(d.args.decode.block_table = NULL, "block_table is NULL");
  REFUSED(d.args.latent = NULL, "latent is NULL");
  REFUSED(d.weights.kv_b = NULL, "kv_b is NULL");
  REFUSED(d.weights.kv_b_stride = 12, "kv_b_stride is 12");
  REFUSED(d.weights.norm = NULL, "norm is NULL");
  REFUSED(d.weights.rope_table = NULL, "rope_table is NULL");
  REFUSED(d.weights.rope_positions = 0, "rope_positions is 0");
#undef REFUSED
  snapmla_fetch_args fetch = {.size = sizeof fetch, .tokens = 1};
  expect(snapmla_layer_fetch(d.plan, &fetch), "latent is NULL");
  snapmla_move_args move = {.size = sizeof move, .tokens = 1};
  expect(snapmla_layer_move(d.plan, &move), "from is NULL");
  expect(snapmla_layer_move(NULL, &move), "plan");
  const snapmla_plan_options options = {.size = sizeof options, .variant = "query_absorb:nope=256"};
  snapmla_layer_plan *plan;
  expect(snapmla_layer_plan_create(d.context, &c.problem, &options, &plan), "may not change the problem");
  assert_null(plan);
  assert_null(snapmla_layer_plan_variant(d.plan, "mla_decode"));
  assert_non_null(snapmla_plan_variant(snapmla_layer_plan_attention(d.plan), "mla_decode"));
  d.args = good;
  d.weights = weights;
  d.args.decode.batch = 0; /* nothing to do */
  assert_int_equal(snapmla_layer_step(d.plan, &d.args), SNAPMLA_OK);
  layer_device_destroy(&d);
  layer_case_destroy(&c);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chunks_append_as_one),
      cmocka_unit_test(steps_cross_page_boundaries),
      cmocka_unit_test(requests_share_a_prefix),
      cmocka_unit_test(cached_tokens_come_back),
      cmocka_unit_test(rejected_tokens_leave_no_trace),
      cmocka_unit_test(tokens_move_bit_for_bit),
      cmocka_unit_test(a_bad_position_is_nan_for_its_token),
      cmocka_unit_test(bad_arguments_are_told),
  };
  return run_named_tests(tests, sizeof tests / sizeof *tests, argc, argv, settings_setup, settings_teardown);
}
