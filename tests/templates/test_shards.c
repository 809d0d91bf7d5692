/* A request's cache in shards on devices of their own, decoded by each and merged, against the oracle of all tokens: on the emulator, or the
 * device that SNAPMLA_TEST_TARGET names. And ranks that agree on their plans. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "narrow_float.h"
#include "shards_fixture.h"

static void fill(uint16_t *out, size_t count, uint64_t *random) {
  for (size_t i = 0; i < count; i++) out[i] = smla_bf16_from_float((float)next_normal(random));
}

enum { RANK = 128, ROPE = 64, HEADS = 5, PAGE = 16, MOST = 333, BATCH = 5, MOST_WORLD = 8 };
enum { ROWS = BATCH * HEADS, OUT = ROWS * RANK, PAGES = (MOST + PAGE - 1) / PAGE };

/* No token; less than a page, so that shards are empty; a page's end; a page and a token; many. They share their tokens. */
static const int32_t lengths[BATCH] = {0, 7, 32, 33, MOST};

/* Tokens and queries, and what the oracle makes of them. */
typedef struct whole {
  snapmla_problem problem;
  uint16_t *latent, *rope; /* [MOST] rows */
  uint16_t q_nope[OUT], q_rope[ROWS * ROPE];
  float softmax_scale;
  const float *sinks; /* [HEADS], or NULL */
  double out[OUT], lse[ROWS];
} whole;

static snapmla_decode_args queries_of(const whole *w) {
  return (snapmla_decode_args){.size = sizeof(snapmla_decode_args),
                               .batch = BATCH,
                               .q_nope = w->q_nope,
                               .q_nope_stride_batch = HEADS * RANK,
                               .q_nope_stride_token = HEADS * RANK,
                               .q_nope_stride_head = RANK,
                               .q_rope = w->q_rope,
                               .q_rope_stride_batch = HEADS * ROPE,
                               .q_rope_stride_token = HEADS * ROPE,
                               .q_rope_stride_head = ROPE,
                               .softmax_scale = w->softmax_scale};
}

/* Writes the tokens that `rank` of `world` holds, page p of all being page p / world of rank p % world; how many, of each request. */
static void write_shard(const whole *w, int world, int rank, uint8_t *kv, int64_t page_bytes, int32_t held[BATCH]) {
  memset(held, 0, BATCH * sizeof *held);
  int64_t pages = PAGES / world + 1;
  memset(kv, 0xff, (size_t)(pages * page_bytes));
  for (int32_t t = 0; t < MOST; t++) {
    if (t / PAGE % world != rank) continue;
    int64_t slot = (int64_t)(t / PAGE / world) * PAGE + t % PAGE;
    must(snapmla_page_write(&w->problem, kv, page_bytes, pages, slot, w->latent + (size_t)t * RANK,
                            w->rope + (size_t)t * ROPE));
    for (int b = 0; b < BATCH; b++) held[b] += t < lengths[b];
  }
}

/* `spike`: the logit of token 20, and of it alone, is so much above the others' that its shard is all there is to see. */
static whole *make_whole(snapmla_kv_format format, const float *sinks, int spike) {
  whole *w = array(1, sizeof *w);
  uint64_t random = 77;
  snapmla_problem_init(&w->problem);
  w->problem.heads = HEADS;
  w->problem.latent_rank = RANK;
  w->problem.page_tokens = PAGE;
  w->problem.kv_format = format;
  w->problem.max_batch = BATCH + 1;
  w->problem.max_context = 512;
  w->latent = array((size_t)MOST * RANK, sizeof *w->latent);
  w->rope = array((size_t)MOST * ROPE, sizeof *w->rope);
  fill(w->latent, (size_t)MOST * RANK, &random);
  fill(w->rope, (size_t)MOST * ROPE, &random);
  fill(w->q_nope, OUT, &random);
  fill(w->q_rope, (size_t)ROWS * ROPE, &random);
  w->softmax_scale = 0.1f;
  w->sinks = sinks;
  if (spike) {
    for (int r = 0; r < ROWS; r++) w->q_rope[r * ROPE] = smla_bf16_from_float(1.0f);
    w->rope[20 * ROPE] = smla_bf16_from_float(2000.0f);
  }
  snapmla_page_layout layout = {.size = sizeof layout};
  must(snapmla_page_layout_get(&w->problem, &layout));
  uint8_t *kv = array((size_t)(PAGES + 1), (size_t)layout.page_bytes);
  int32_t held[BATCH], table[BATCH * PAGES];
  write_shard(w, 1, 0, kv, layout.page_bytes, held);
  assert_memory_equal(held, lengths, sizeof held);
  for (int i = 0; i < BATCH * PAGES; i++) table[i] = i % PAGES;
  snapmla_decode_args args = queries_of(w);
  args.kv = kv;
  args.page_stride = layout.page_bytes;
  args.num_pages = PAGES;
  args.block_table = table;
  args.block_table_stride = PAGES;
  args.seqlens = held;
  args.sinks = sinks;
  snapmla_problem problem = w->problem;
  problem.flags = sinks ? SNAPMLA_PROBLEM_SINKS : 0;
  must(snapmla_reference_decode(&problem, &args, SNAPMLA_REFERENCE_QUANTIZED, w->out, w->lse));
  free(kv);
  return w;
}

static void free_whole(whole *w) { free(w->latent), free(w->rope), free(w); }

/* One rank decodes what it holds: out [OUT] bf16, lse [ROWS]. */
static void decode_shard(const whole *w, snapmla_context *context, const snapmla_plan *plan, int world, int rank,
                         uint16_t *out, float *lse) {
  snapmla_page_layout layout = {.size = sizeof layout};
  must(snapmla_page_layout_get(&w->problem, &layout));
  int64_t pages = PAGES / world + 1;
  size_t cache_bytes = (size_t)(pages * layout.page_bytes);
  uint8_t *kv = array(cache_bytes, 1);
  int32_t held[BATCH], table[BATCH * (PAGES + 1)];
  write_shard(w, world, rank, kv, layout.page_bytes, held);
  for (int i = 0; i < BATCH * (int)pages; i++) table[i] = i % (int)pages;
  snapmla_buffer *buffers[] = {upload(context, kv, cache_bytes),
                               upload(context, table, (size_t)(BATCH * pages) * sizeof *table),
                               upload(context, held, sizeof held),
                               upload(context, w->q_nope, sizeof w->q_nope),
                               upload(context, w->q_rope, sizeof w->q_rope),
                               upload(context, NULL, OUT * sizeof *out),
                               upload(context, NULL, ROWS * sizeof *lse),
                               upload(context, NULL, snapmla_plan_workspace_bytes(plan))};
  snapmla_stream *stream;
  must(snapmla_stream_create(context, &stream));
  snapmla_decode_args args = queries_of(w);
  args.kv = snapmla_buffer_pointer(buffers[0]);
  args.page_stride = layout.page_bytes;
  args.num_pages = pages;
  args.block_table = snapmla_buffer_pointer(buffers[1]);
  args.block_table_stride = pages;
  args.seqlens = snapmla_buffer_pointer(buffers[2]);
  args.q_nope = snapmla_buffer_pointer(buffers[3]);
  args.q_rope = snapmla_buffer_pointer(buffers[4]);
  args.out = snapmla_buffer_pointer(buffers[5]);
  args.out_stride_batch = args.out_stride_token = HEADS * RANK;
  args.out_stride_head = RANK;
  args.lse = snapmla_buffer_pointer(buffers[6]);
  args.lse_stride_batch = HEADS;
  args.lse_stride_head = args.lse_stride_token = 1;
  args.workspace = snapmla_buffer_pointer(buffers[7]);
  args.workspace_bytes = snapmla_buffer_bytes(buffers[7]);
  args.stream = snapmla_stream_handle(stream);
  must(snapmla_plan_schedule(plan, &args));
  must(snapmla_plan_decode(plan, &args));
  must(snapmla_stream_synchronize(stream));
  must(snapmla_buffer_read(buffers[5], 0, out, OUT * sizeof *out));
  must(snapmla_buffer_read(buffers[6], 0, lse, ROWS * sizeof *lse));
  snapmla_stream_destroy(stream);
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) snapmla_buffer_destroy(buffers[i]);
  free(kv);
}

/* What all ranks decoded, a block of out and lse of each as one all-gather leaves them, and the merge on one of them. */
static void decode_in_shards(const whole *w, int world, snapmla_emulator_order order, uint64_t seed, uint16_t *merged,
                             float *total) {
  enum { LSE_BYTES = (ROWS * sizeof(float) + 15) / 16 * 16, BLOCK = OUT * 2 + LSE_BYTES };
  uint8_t *gathered = array((size_t)world, BLOCK);
  char prints[MOST_WORLD][65];
  snapmla_context *contexts[MOST_WORLD];
  snapmla_plan *plans[MOST_WORLD];
  memset(gathered, 0xff, (size_t)world * BLOCK);
  for (int rank = 0; rank < world; rank++) {
    contexts[rank] = open_context(order, seed + (uint64_t)rank);
    must(snapmla_plan_create(contexts[rank], &w->problem, NULL, &plans[rank]));
    must(snapmla_plan_fingerprint(plans[rank], prints[rank]));
    uint16_t *out = (uint16_t *)(gathered + rank * BLOCK);
    decode_shard(w, contexts[rank], plans[rank], world, rank, out, (float *)(out + OUT));
  }
  must(snapmla_fingerprints_agree((const char(*)[65])prints, world));
  int at = world - 1; /* any rank */
  snapmla_buffer *in = upload(contexts[at], gathered, (size_t)world * BLOCK);
  snapmla_buffer *sinks = w->sinks ? upload(contexts[at], w->sinks, HEADS * sizeof *w->sinks) : NULL;
  snapmla_buffer *out = upload(contexts[at], NULL, OUT * 2), *lse = upload(contexts[at], NULL, ROWS * sizeof(float));
  snapmla_stream *stream;
  must(snapmla_stream_create(contexts[at], &stream));
  const snapmla_merge_args args = {.size = sizeof args,
                                   .shards = world,
                                   .batch = BATCH,
                                   .outs = snapmla_buffer_pointer(in),
                                   .outs_stride_shard = BLOCK / 2,
                                   .outs_stride_batch = HEADS * RANK,
                                   .outs_stride_token = HEADS * RANK,
                                   .outs_stride_head = RANK,
                                   .lses = (const float *)((const uint8_t *)snapmla_buffer_pointer(in) + OUT * 2),
                                   .lses_stride_shard = BLOCK / 4,
                                   .lses_stride_batch = HEADS,
                                   .lses_stride_head = 1,
                                   .lses_stride_token = 1,
                                   .out = snapmla_buffer_pointer(out),
                                   .out_stride_batch = HEADS * RANK,
                                   .out_stride_token = HEADS * RANK,
                                   .out_stride_head = RANK,
                                   .lse = snapmla_buffer_pointer(lse),
                                   .lse_stride_batch = HEADS,
                                   .lse_stride_head = 1,
                                   .lse_stride_token = 1,
                                   .sinks = sinks ? snapmla_buffer_pointer(sinks) : NULL,
                                   .stream = snapmla_stream_handle(stream)};
  must(snapmla_plan_merge(plans[at], &args));
  must(snapmla_stream_synchronize(stream));
  must(snapmla_buffer_read(out, 0, merged, OUT * 2));
  must(snapmla_buffer_read(lse, 0, total, ROWS * sizeof(float)));
  if (world == 1 && !w->sinks) assert_memory_equal(merged, gathered, OUT * 2); /* alone it passes bit for bit */
  snapmla_stream_destroy(stream);
  snapmla_buffer *buffers[] = {in, sinks, out, lse};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) snapmla_buffer_destroy(buffers[i]);
  for (int rank = 0; rank < world; rank++) {
    snapmla_plan_destroy(plans[rank]);
    snapmla_context_destroy(contexts[rank]);
  }
  free(gathered);
}

static void check_against_oracle(const whole *w, const uint16_t *out, const float *lse, double limit) {
  for (int b = 0; b < BATCH; b++) {
    double error = 0, norm = 0;
    for (int i = b * HEADS * RANK; i < (b + 1) * HEADS * RANK; i++) {
      double value = smla_bf16_to_float(out[i]);
      error += (value - w->out[i]) * (value - w->out[i]);
      norm += w->out[i] * w->out[i];
    }
    if (!lengths[b]) assert_true(norm == 0 && error == 0);
    if (!(sqrt(error) <= limit * sqrt(norm))) fail_msg("request %d is %g from the oracle", b, sqrt(error / norm));
    for (int i = b * HEADS; i < (b + 1) * HEADS; i++) {
      if (!lengths[b]) assert_true(lse[i] == -INFINITY);
      if (lengths[b] && !(fabs(lse[i] - w->lse[i]) <= 1e-3 + 5e-4 * (fabs(w->lse[i]) + log(lengths[b]))))
        fail_msg("lse %d is %g, the oracle's %g", i, (double)lse[i], w->lse[i]);
    }
  }
}

static void shards_merge_to_the_oracle(void **state) {
  (void)state;
  static const float sinks[HEADS] = {3.0f, -INFINITY, 5.0f, 0.0f, 100.0f};
  static const struct {
    snapmla_kv_format format;
    const float *sinks;
    int spike;
    double limit;
  } cases[] = {{SNAPMLA_KV_FP8_TOKEN, NULL, 0, 3.5e-2},
               {SNAPMLA_KV_FP8_TOKEN, sinks, 0, 3.5e-2},
               {SNAPMLA_KV_FP8_TOKEN, NULL, 1, 3.5e-2},
               {SNAPMLA_KV_BF16, sinks, 0, 6e-3}};
  static const int worlds[] = {1, 2, 3, MOST_WORLD};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    whole *w = make_whole(cases[i].format, cases[i].sinks, cases[i].spike);
    for (size_t n = 0; n < sizeof worlds / sizeof *worlds; n++) {
      uint16_t out[OUT], again[OUT];
      float lse[ROWS], lse_again[ROWS];
      decode_in_shards(w, worlds[n], SNAPMLA_EMULATOR_EAGER, 0, out, lse);
      check_against_oracle(w, out, lse, cases[i].limit);
      for (int order = SNAPMLA_EMULATOR_LATE; on_emulator() && order <= SNAPMLA_EMULATOR_RANDOM; order++)
        for (uint64_t seed = 1; seed <= (order == SNAPMLA_EMULATOR_RANDOM ? 3 : 1); seed++) {
          decode_in_shards(w, worlds[n], (snapmla_emulator_order)order, seed * 100, again, lse_again);
          assert_memory_equal(out, again, sizeof out);
          assert_memory_equal(lse, lse_again, sizeof lse);
        }
    }
    free_whole(w);
  }
}

static void fingerprints_that_differ_are_told(void **state) {
  (void)state;
  char prints[4][65];
  for (int i = 0; i < 4; i++) {
    memset(prints[i], 'a', 64);
    prints[i][64] = 0;
  }
  const char(*all)[65] = (const char(*)[65])prints;
  must(snapmla_fingerprints_agree(all, 4));
  must(snapmla_fingerprints_agree(all, 1));
  prints[2][63] = 'b';
  assert_int_equal(snapmla_fingerprints_agree(all, 4), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "rank 2 of 4"));
  must(snapmla_fingerprints_agree(all, 2));
  assert_int_equal(snapmla_fingerprints_agree(all, 0), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_fingerprints_agree(NULL, 4), SNAPMLA_INVALID_ARGUMENT);
  static const char *const bad[] = {"", "abc", "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    snprintf(prints[1], sizeof prints[1], "%s", bad[i]);
    assert_int_equal(snapmla_fingerprints_agree(all, 4), SNAPMLA_INVALID_ARGUMENT);
    assert_non_null(strstr(snapmla_error_message(), "rank 1"));
  }
  memset(prints[1], 'a', 65); /* no end */
  assert_int_equal(snapmla_fingerprints_agree(all, 4), SNAPMLA_INVALID_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shards_merge_to_the_oracle),
      cmocka_unit_test(fingerprints_that_differ_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
