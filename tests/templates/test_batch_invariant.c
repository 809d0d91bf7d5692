/* Batch-invariant problems on the emulator: a request's bits alone are those that it has first, last and amid any batch, on any number of
 * multiprocessors, whenever asynchronous work completes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <snapmla/snapmla.h>

#include "narrow_float.h"

#define must(call)                                                       \
  do {                                                                   \
    snapmla_status must_status = (call);                                 \
    if (must_status) fail_msg("%s: %s", #call, snapmla_error_message()); \
  } while (0)

/* Three pieces of 1024 tokens and less, two, one; one tile, two and three, which leave the streams' turns each way; none. */
static const int32_t lengths[] = {2100, 0, 1, 65, 1030, 64, 129, 300, 8, 1024};
enum { requests = sizeof lengths / sizeof *lengths, most_batch = requests + 2, page_tokens = 32, lists_of_most = 33 };

/* The requests' data: the same for every batch and context. */
typedef struct pool {
  snapmla_problem problem;
  int32_t num_pages, width; /* of a row of the table */
  int64_t page_stride;
  uint8_t *cache;
  int32_t *table;                 /* [requests][width] */
  int32_t *indices;               /* [requests][q_len][max_indices], of slots; the counts are those of `lengths` */
  uint16_t *q;                    /* [requests][q_len][heads][latent + rope] */
  size_t q_row, out_row, lse_row; /* elements of a request */
} pool;

static uint32_t next_random(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static uint16_t next_bf16(uint32_t *state) { /* about normal */
  int32_t sum = 0;
  for (int i = 0; i < 4; ++i) sum += (int32_t)(next_random(state) & 0xffff) - 0x8000;
  return smla_bf16_from_float((float)sum * (1.7320508f / 65536.0f));
}

static void *array(size_t count, size_t size) {
  void *p = calloc(count ? count : 1, size);
  assert_non_null(p);
  return p;
}

static pool make_pool(const snapmla_problem *problem) {
  pool p = {.problem = *problem};
  uint32_t random = 4242;
  snapmla_page_layout layout = {.size = sizeof layout};
  must(snapmla_page_layout_get(problem, &layout));
  size_t row = (size_t)(problem->latent_rank + problem->rope_dim), heads = (size_t)problem->heads,
         q_len = (size_t)problem->q_len;
  p.page_stride = layout.page_bytes;
  p.width = (lengths[0] + page_tokens - 1) / page_tokens;
  p.table = array((size_t)(requests * p.width), sizeof *p.table);
  for (int r = 0; r < requests; ++r)
    for (int32_t i = 0; i * page_tokens < lengths[r]; ++i) p.table[r * p.width + i] = p.num_pages++;
  p.cache = array((size_t)p.num_pages * (size_t)p.page_stride, 1);
  memset(p.cache, 0xff, (size_t)p.num_pages * (size_t)p.page_stride);
  const snapmla_cache cache = {sizeof cache, p.cache, p.page_stride, p.num_pages, 0.02f};
  uint16_t token[576];
  for (int r = 0; r < requests; ++r)
    for (int32_t t = 0; t < lengths[r]; ++t) {
      for (size_t c = 0; c < row; ++c) token[c] = next_bf16(&random);
      must(snapmla_cache_write(problem, &cache,
                               (int64_t)p.table[r * p.width + t / page_tokens] * page_tokens + t % page_tokens, token,
                               token + problem->latent_rank));
    }
  if (problem->max_indices) {
    size_t count = requests * q_len * (size_t)problem->max_indices;
    p.indices = array(count, sizeof *p.indices);
    for (size_t i = 0; i < count; ++i)
      p.indices[i] = i % 7 == 3 ? -1 : (int32_t)(next_random(&random) % (uint32_t)(2000)); /* of the first request */
  }
  p.q_row = q_len * heads * row, p.out_row = q_len * heads * (size_t)problem->latent_rank, p.lse_row = q_len * heads;
  p.q = array(requests * p.q_row, sizeof *p.q);
  for (size_t i = 0; i < requests * p.q_row; ++i) p.q[i] = next_bf16(&random);
  return p;
}

static void free_pool(pool *p) { free(p->cache), free(p->table), free(p->indices), free(p->q); }

/* A plan for the pool's problem on an emulator. */
typedef struct rig {
  const pool *pool;
  snapmla_context *context;
  snapmla_plan *plan;
  snapmla_buffer *cache, *workspace;
} rig;

static snapmla_buffer *upload(snapmla_context *context, const void *data, size_t bytes) {
  snapmla_buffer *buffer;
  must(snapmla_buffer_create(context, bytes ? bytes : 16, &buffer));
  if (bytes) must(snapmla_buffer_write(buffer, 0, data, bytes));
  return buffer;
}

static rig open_rig(const pool *p, int32_t sms, const char *variant, snapmla_emulator_order order, uint64_t seed) {
  rig r = {.pool = p};
  const snapmla_context_options options = {.size = sizeof options,
                                           .device = "emulator",
                                           .emulator_order = order,
                                           .emulator_seed = seed,
                                           .emulator_sms = sms};
  const snapmla_plan_options plan_options = {.size = sizeof plan_options, .variant = variant};
  must(snapmla_context_create(&options, &r.context));
  must(snapmla_plan_create(r.context, &p->problem, &plan_options, &r.plan));
  r.cache = upload(r.context, p->cache, (size_t)p->num_pages * (size_t)p->page_stride);
  must(snapmla_buffer_create(r.context, snapmla_plan_workspace_bytes(r.plan), &r.workspace));
  return r;
}

static void close_rig(rig *r) {
  snapmla_buffer_destroy(r->cache);
  snapmla_buffer_destroy(r->workspace);
  snapmla_plan_destroy(r->plan);
  snapmla_context_destroy(r->context);
}

/* Bits of requests: out [count][out_row], lse [count][lse_row]. */
typedef struct bits {
  uint16_t *out;
  float *lse;
} bits;

static bits new_bits(const pool *p, size_t count) {
  return (bits){array(count * p->out_row, sizeof(uint16_t)), array(count * p->lse_row, sizeof(float))};
}
static void free_bits(bits *b) { free(b->out), free(b->lse); }

/* Decodes the batch of the requests who[0 .. count - 1]. */
static void decode(const rig *r, int count, const int *who, bits *result) {
  const pool *p = r->pool;
  const snapmla_problem *of = &p->problem;
  size_t n = (size_t)count, lists = (size_t)of->q_len * (size_t)of->max_indices;
  uint16_t *q = array(n * p->q_row, sizeof *q);
  int32_t *table = array(n * (size_t)p->width, sizeof *table), seqlens[most_batch] = {0},
          counts[most_batch * lists_of_most] = {0};
  int32_t *indices = array(n * lists, sizeof *indices);
  for (int b = 0; b < count; ++b) {
    memcpy(q + (size_t)b * p->q_row, p->q + (size_t)who[b] * p->q_row, p->q_row * sizeof *q);
    memcpy(table + b * p->width, p->table + who[b] * p->width, (size_t)p->width * sizeof *table);
    seqlens[b] = lengths[who[b]];
    if (lists) memcpy(indices + (size_t)b * lists, p->indices + (size_t)who[b] * lists, lists * sizeof *indices);
    for (int t = 0; t < of->q_len; ++t) counts[b * of->q_len + t] = lengths[who[b]];
  }
  snapmla_context *c = r->context;
  snapmla_buffer *buffers[] = {upload(c, q, n * p->q_row * sizeof *q),
                               upload(c, table, n * (size_t)p->width * sizeof *table),
                               upload(c, seqlens, n * sizeof *seqlens),
                               upload(c, indices, n * lists * sizeof *indices),
                               upload(c, counts, n * (size_t)of->q_len * sizeof *counts),
                               upload(c, result->out, n * p->out_row * sizeof *result->out),
                               upload(c, result->lse, n * p->lse_row * sizeof *result->lse)};
  enum { Q, TABLE, LENGTHS, INDICES, COUNTS, OUT, LSE, BUFFERS };
  int64_t rank = of->latent_rank, row = rank + of->rope_dim, heads = of->heads, q_len = of->q_len;
  snapmla_decode_args args = {.size = sizeof args, .batch = count, .softmax_scale = 0.08f, .kv_scale = 0.02f};
  args.q_nope = snapmla_buffer_pointer(buffers[Q]);
  args.q_rope = (const uint16_t *)args.q_nope + rank;
  args.q_nope_stride_head = args.q_rope_stride_head = row;
  args.q_nope_stride_token = args.q_rope_stride_token = row * heads;
  args.q_nope_stride_batch = args.q_rope_stride_batch = row * heads * q_len;
  args.kv = snapmla_buffer_pointer(r->cache);
  args.page_stride = p->page_stride;
  args.num_pages = p->num_pages;
  if (lists) {
    args.indices = snapmla_buffer_pointer(buffers[INDICES]);
    args.indices_stride_token = of->max_indices;
    args.indices_stride_batch = of->max_indices * q_len;
    args.index_counts = snapmla_buffer_pointer(buffers[COUNTS]);
  } else {
    args.block_table = snapmla_buffer_pointer(buffers[TABLE]);
    args.block_table_stride = p->width;
    args.seqlens = snapmla_buffer_pointer(buffers[LENGTHS]);
  }
  args.out = snapmla_buffer_pointer(buffers[OUT]);
  args.out_stride_head = rank;
  args.out_stride_token = rank * heads;
  args.out_stride_batch = rank * heads * q_len;
  args.lse = snapmla_buffer_pointer(buffers[LSE]);
  args.lse_stride_token = 1;
  args.lse_stride_head = q_len;
  args.lse_stride_batch = q_len * heads;
  args.workspace = snapmla_buffer_pointer(r->workspace);
  args.workspace_bytes = snapmla_buffer_bytes(r->workspace);
  must(snapmla_plan_schedule(r->plan, &args));
  must(snapmla_plan_decode(r->plan, &args));
  must(snapmla_buffer_read(buffers[OUT], 0, result->out, n * p->out_row * sizeof *result->out));
  must(snapmla_buffer_read(buffers[LSE], 0, result->lse, n * p->lse_row * sizeof *result->lse));
  for (int i = 0; i < BUFFERS; ++i) snapmla_buffer_destroy(buffers[i]);
  free(q), free(table), free(indices);
}

/* How many requests of the batch have other bits than alone. */
static int differing(const pool *p, int count, const int *who, const bits *alone, const bits *got) {
  int differ = 0;
  for (int b = 0; b < count; ++b) {
    size_t at = (size_t)b, of = (size_t)who[b];
    differ += memcmp(got->out + at * p->out_row, alone->out + of * p->out_row, p->out_row * sizeof *got->out) ||
              memcmp(got->lse + at * p->lse_row, alone->lse + of * p->lse_row, p->lse_row * sizeof *got->lse);
  }
  return differ;
}

/* Batches in which each request comes first, last and between, and some twice; every `step`th of them. */
static int differing_batches(const rig *r, const bits *alone, int step, uint32_t seed) {
  int differ = 0, order[requests];
  for (int i = 0; i < requests; ++i) order[i] = i;
  for (int i = requests - 1; i > 0; --i) {
    int k = (int)(next_random(&seed) % (uint32_t)(i + 1)), kept = order[i];
    order[i] = order[k];
    order[k] = kept;
  }
  for (int turn = 0; turn < requests; turn += step) {
    int who[most_batch], count = requests - turn % 3 + (turn == 1 ? 2 : 0);
    for (int b = 0; b < count; ++b) who[b] = order[(turn + b) % requests];
    bits got = new_bits(r->pool, (size_t)count);
    decode(r, count, who, &got);
    differ += differing(r->pool, count, who, alone, &got);
    free_bits(&got);
  }
  return differ;
}

static bits alone_bits(const rig *r) {
  bits all = new_bits(r->pool, requests);
  for (int i = 0; i < requests; ++i) {
    bits one = new_bits(r->pool, 1);
    decode(r, 1, &i, &one);
    memcpy(all.out + (size_t)i * r->pool->out_row, one.out, r->pool->out_row * sizeof *one.out);
    memcpy(all.lse + (size_t)i * r->pool->lse_row, one.lse, r->pool->lse_row * sizeof *one.lse);
    free_bits(&one);
  }
  return all;
}

static snapmla_problem problem_of(int32_t heads, int32_t q_len, int32_t latent, snapmla_kv_format format) {
  snapmla_problem p;
  snapmla_problem_init(&p);
  p.heads = heads;
  p.q_len = q_len;
  p.latent_rank = latent;
  p.page_tokens = page_tokens;
  p.kv_format = format;
  p.max_batch = most_batch;
  p.max_context = 4096;
  p.flags = SNAPMLA_PROBLEM_BATCH_INVARIANT;
  return p;
}

static void expect_invariant(const snapmla_problem *problem, const char *variant) {
  static const struct {
    int32_t sms;
    snapmla_emulator_order order;
    int step;
  } runs[] = {{16, SNAPMLA_EMULATOR_EAGER, 1},
              {3, SNAPMLA_EMULATOR_LATE, 4},
              {1, SNAPMLA_EMULATOR_RANDOM, 5},
              {7, SNAPMLA_EMULATOR_RANDOM, 5}};
  pool p = make_pool(problem);
  bits alone = {0};
  for (size_t i = 0; i < sizeof runs / sizeof *runs; ++i) {
    rig r = open_rig(&p, runs[i].sms, variant, runs[i].order, i);
    if (!i) alone = alone_bits(&r);
    assert_int_equal(differing_batches(&r, &alone, runs[i].step, 77 + (uint32_t)i), 0);
    close_rig(&r);
  }
  free_bits(&alone);
  free_pool(&p);
}

/* 32 rows of 512 channels: two streams that merge differently by turns differ in a bit of bf16 in one of some 50,000 elements. */
static void streams(void **state) {
  (void)state;
  const snapmla_problem cases[] = {
      problem_of(8, 1, 128, SNAPMLA_KV_FP8_TOKEN),   problem_of(5, 3, 128, SNAPMLA_KV_FP8_TOKEN),
      problem_of(32, 1, 512, SNAPMLA_KV_FP8_TOKEN),  problem_of(16, 1, 256, SNAPMLA_KV_BF16),
      problem_of(8, 2, 128, SNAPMLA_KV_FP8_TENSOR),  problem_of(8, 1, 512, SNAPMLA_KV_FP8_TILE),
      problem_of(8, 1, 256, SNAPMLA_KV_FP8_TOKEN_R4)};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) expect_invariant(&cases[i], NULL);
}

static void roles(void **state) {
  (void)state;
  const snapmla_problem cases[] = {
      problem_of(16, 1, 128, SNAPMLA_KV_FP8_TOKEN), problem_of(40, 2, 128, SNAPMLA_KV_FP8_TOKEN),
      problem_of(16, 1, 256, SNAPMLA_KV_BF16),      problem_of(8, 2, 128, SNAPMLA_KV_FP8_TENSOR),
      problem_of(8, 1, 512, SNAPMLA_KV_FP8_TILE),   problem_of(3, 33, 128, SNAPMLA_KV_FP8_TOKEN)};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) expect_invariant(&cases[i], "mla_decode:rows=64");
}

static void levels_and_options(void **state) {
  (void)state;
  snapmla_problem p = problem_of(8, 1, 128, SNAPMLA_KV_FP8_TOKEN);
  expect_invariant(&p, "schedule:pieces=2");
  expect_invariant(&p, "mla_decode:pipeline=off,stages=2");
  p.accuracy = SNAPMLA_ACCURACY_BALANCED;
  expect_invariant(&p, NULL);
  p.accuracy = SNAPMLA_ACCURACY_MAX;
  expect_invariant(&p, "mla_decode:rows=32");
  expect_invariant(&p, "mla_decode:rows=64");
}

static void lists(void **state) {
  (void)state;
  snapmla_problem p = problem_of(16, 2, 128, SNAPMLA_KV_FP8_TOKEN);
  p.max_indices = 2200;
  expect_invariant(&p, NULL);
  expect_invariant(&p, "mla_decode:rows=64");
}

/* Nor does the plan's largest batch decide anything. */
static void any_largest_batch(void **state) {
  (void)state;
  snapmla_problem problem = problem_of(8, 1, 128, SNAPMLA_KV_FP8_TOKEN);
  pool p = make_pool(&problem);
  rig r = open_rig(&p, 5, NULL, SNAPMLA_EMULATOR_EAGER, 0);
  bits large = alone_bits(&r);
  close_rig(&r);
  p.problem.max_batch = 1;
  p.problem.max_context = 2100;
  r = open_rig(&p, 5, NULL, SNAPMLA_EMULATOR_EAGER, 0);
  bits one = alone_bits(&r);
  close_rig(&r);
  assert_memory_equal(one.out, large.out, requests * p.out_row * sizeof *one.out);
  assert_memory_equal(one.lse, large.lse, requests * p.lse_row * sizeof *one.lse);
  free_bits(&one), free_bits(&large);
  free_pool(&p);
}

/* What this looks for is there without the flag: in both shapes. */
static void without_the_flag_batches_differ(void **state) {
  (void)state;
  static const char *const shapes[] = {NULL, "mla_decode:rows=64"};
  snapmla_problem problem = problem_of(8, 1, 128, SNAPMLA_KV_FP8_TOKEN);
  problem.flags = 0;
  pool p = make_pool(&problem);
  for (int s = 0; s < 2; ++s) {
    rig r = open_rig(&p, 16, shapes[s], SNAPMLA_EMULATOR_EAGER, 0);
    bits alone = alone_bits(&r);
    assert_true(differing_batches(&r, &alone, 1, 77) > 0);
    free_bits(&alone);
    close_rig(&r);
  }
  free_pool(&p);
}

/* 128 requests of 128K tokens at 128 heads: 32 pieces each, 1 KiB a row; of 1 piece a fraction of it. What cannot be is refused. */
static void the_workspace_and_what_is_refused(void **state) {
  (void)state;
  snapmla_context *context;
  const snapmla_context_options options = {.size = sizeof options, .device = "emulator"};
  must(snapmla_context_create(&options, &context));
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.flags = SNAPMLA_PROBLEM_BATCH_INVARIANT;
  static const char *const variants[] = {"mla_decode:rows=64", "mla_decode:rows=64;schedule:pieces=1"};
  static const size_t partial_mib[] = {512, 16};
  for (int i = 0; i < 2; ++i) {
    const snapmla_plan_options plan_options = {.size = sizeof plan_options, .variant = variants[i]};
    snapmla_plan *plan;
    must(snapmla_plan_create(context, &problem, &plan_options, &plan));
    assert_in_range(snapmla_plan_workspace_bytes(plan), partial_mib[i] << 20, (partial_mib[i] + 20) << 20);
    snapmla_plan_destroy(plan);
  }
  snapmla_plan *plan = NULL;
  snapmla_plan_options balanced = {.size = sizeof balanced, .variant = "mla_decode:cuts=balanced"};
  assert_int_equal(snapmla_plan_create(context, &problem, &balanced, &plan), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "cuts is balanced and the problem's is fixed"));
  problem.flags = 0;
  balanced.variant = "schedule:pieces=8";
  assert_int_equal(snapmla_plan_create(context, &problem, &balanced, &plan), SNAPMLA_ILLEGAL_VARIANT);
  snapmla_layer_problem layer;
  snapmla_layer_problem_init(&layer);
  layer.attention.flags = SNAPMLA_PROBLEM_BATCH_INVARIANT;
  assert_int_equal(snapmla_layer_problem_check(&layer), SNAPMLA_UNSUPPORTED);
  snapmla_context_destroy(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(streams),
      cmocka_unit_test(roles),
      cmocka_unit_test(levels_and_options),
      cmocka_unit_test(lists),
      cmocka_unit_test(any_largest_batch),
      cmocka_unit_test(without_the_flag_batches_differ),
      cmocka_unit_test(the_workspace_and_what_is_refused),
  };
  return cmocka_run_group_tests_name("batch_invariant", tests, NULL, NULL);
}
