#include "cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "narrow_float.h"

double random_uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * 0x1p-53;
}

double random_normal(uint64_t *state) {
  double radius = sqrt(-2.0 * log(1.0 - random_uniform(state)));
  return radius * cos(6.283185307179586 * random_uniform(state));
}

static void *allocate(int64_t count, size_t size) {
  void *memory = malloc((size_t)(count ? count : 1) * size);
  assert_non_null(memory);
  memset(memory, 0xff, (size_t)count * size);
  return memory;
}

enum { ROPE_DIM = 64, GAP = 8, SPARE_PAGES = 2, SPARE_ENTRIES = 3 };

static int32_t length_of(const case_shape *shape, int32_t b) { return shape->lengths[b % CASE_LENGTHS]; }

static void make_pages(decode_case *c, const case_shape *shape, uint64_t *seed) {
  int64_t pages = SPARE_PAGES, widest = 0;
  for (int32_t b = 0; b < shape->batch; b++) {
    int64_t needed = (length_of(shape, b) + shape->page_tokens - 1) / shape->page_tokens;
    pages += needed;
    if (needed > widest) widest = needed;
  }
  int32_t *order = allocate(pages, sizeof *order);
  for (int32_t i = 0; i < pages; i++) order[i] = i;
  for (int64_t i = pages - 1; i > 0; i--) {
    int64_t j = (int64_t)(random_uniform(seed) * (double)(i + 1));
    int32_t swap = order[i];
    order[i] = order[j], order[j] = swap;
  }
  int64_t stride = widest + SPARE_ENTRIES, next = 0;
  c->block_table = allocate(shape->batch * stride, sizeof *c->block_table);
  for (int32_t b = 0; b < shape->batch; b++) {
    int64_t needed = (length_of(shape, b) + shape->page_tokens - 1) / shape->page_tokens;
    for (int64_t i = 0; i < stride; i++)
      c->block_table[b * stride + i] = i < needed ? order[next++] : (i % 2 ? INT32_MIN : INT32_MAX);
  }
  free(order);
  c->kv_bytes = pages * (c->layout.page_bytes + 128);
  c->kv = allocate(c->kv_bytes, 1);
  c->args.kv = c->kv;
  c->args.page_stride = c->layout.page_bytes + 128;
  c->args.num_pages = pages;
  c->args.block_table = c->block_table;
  c->args.block_table_stride = stride;
}

static void fill_cache(decode_case *c, const case_shape *shape, uint64_t *seed) {
  int64_t tokens = 0;
  c->row_of = allocate(shape->batch, sizeof *c->row_of);
  for (int32_t b = 0; b < shape->batch; b++) c->row_of[b] = tokens, tokens += length_of(shape, b);
  c->latent = allocate(tokens * shape->latent_rank, sizeof *c->latent);
  c->rope = allocate(tokens * ROPE_DIM, sizeof *c->rope);
  for (int32_t b = 0; b < shape->batch; b++) {
    for (int32_t t = 0; t < length_of(shape, b); t++) {
      uint16_t *latent = c->latent + (c->row_of[b] + t) * shape->latent_rank,
               *rope = c->rope + (c->row_of[b] + t) * ROPE_DIM;
      double size = exp(0.5 * random_normal(seed)); /* tokens of different scales */
      for (int32_t i = 0; i < shape->latent_rank; i++)
        latent[i] = smla_bf16_from_float((float)(shape->value_mean + size * random_normal(seed)));
      for (int32_t i = 0; i < ROPE_DIM; i++) rope[i] = smla_bf16_from_float((float)(3.0 * random_normal(seed)));
      int64_t page = c->block_table[b * c->args.block_table_stride + t / shape->page_tokens];
      assert_int_equal(snapmla_page_write(&c->problem, c->kv, c->args.page_stride, c->args.num_pages,
                                          page * shape->page_tokens + t % shape->page_tokens, latent, rope),
                       SNAPMLA_OK);
    }
  }
}

static void make_query(decode_case *c, const case_shape *shape, uint64_t *seed) {
  int64_t rows = (int64_t)shape->batch * shape->q_len * shape->heads, stride = shape->latent_rank + ROPE_DIM + GAP;
  c->query = allocate(rows * stride, sizeof *c->query);
  for (int64_t r = 0; r < rows; r++)
    for (int32_t i = 0; i < shape->latent_rank + ROPE_DIM; i++)
      c->query[r * stride + i] = smla_bf16_from_float((float)random_normal(seed));
  c->args.q_nope = c->query;
  c->args.q_rope = c->query + shape->latent_rank;
  c->args.q_nope_stride_head = c->args.q_rope_stride_head = stride;
  c->args.q_nope_stride_token = c->args.q_rope_stride_token = stride * shape->heads;
  c->args.q_nope_stride_batch = c->args.q_rope_stride_batch = stride * shape->heads * shape->q_len;
  /* Content adds latent_rank * E[size^2] = e^0.5 to the variance of q·k, RoPE 64 * 9. */
  c->args.softmax_scale = (float)(shape->logit_sigma / sqrt(shape->latent_rank * 1.65 + ROPE_DIM * 9.0));
}

decode_case case_create(const case_shape *shape, uint64_t seed) {
  decode_case c = {.layout = {.size = sizeof c.layout}};
  snapmla_problem_init(&c.problem);
  c.problem.heads = shape->heads;
  c.problem.q_len = shape->q_len;
  c.problem.latent_rank = shape->latent_rank;
  c.problem.page_tokens = shape->page_tokens;
  c.problem.max_batch = shape->batch > CASE_LENGTHS ? shape->batch : CASE_LENGTHS;
  c.problem.max_context = 4096;
  c.args.size = sizeof c.args;
  c.args.batch = shape->batch;
  assert_int_equal(snapmla_page_layout_get(&c.problem, &c.layout), SNAPMLA_OK);
  make_pages(&c, shape, &seed);
  fill_cache(&c, shape, &seed);
  make_query(&c, shape, &seed);
  c.seqlens = allocate(shape->batch, sizeof *c.seqlens);
  for (int32_t b = 0; b < shape->batch; b++) c.seqlens[b] = length_of(shape, b);
  c.args.seqlens = c.seqlens;
  c.lse_count = (int64_t)shape->batch * shape->q_len * shape->heads;
  c.out_count = c.lse_count * shape->latent_rank;
  c.out = allocate(c.out_count, sizeof *c.out);
  c.lse = allocate(c.lse_count, sizeof *c.lse);
  return c;
}

void case_destroy(decode_case *c) {
  free(c->kv);
  free(c->query);
  free(c->block_table);
  free(c->seqlens);
  free(c->latent);
  free(c->rope);
  free(c->row_of);
  free(c->out);
  free(c->lse);
}

void case_decode(decode_case *c, snapmla_reference_mode mode) {
  for (int64_t i = 0; i < c->out_count; i++) c->out[i] = 12345.0;
  for (int64_t i = 0; i < c->lse_count; i++) c->lse[i] = 12345.0;
  assert_int_equal(snapmla_reference_decode(&c->problem, &c->args, mode, c->out, c->lse), SNAPMLA_OK);
}

unsigned char *case_page(const decode_case *c, int32_t b, int32_t t) {
  return c->kv + c->block_table[b * c->args.block_table_stride + t / c->problem.page_tokens] * c->args.page_stride;
}

double relative_l2(const double *a, const double *b, int64_t count) {
  double difference = 0, size = 0;
  for (int64_t i = 0; i < count; i++) difference += (a[i] - b[i]) * (a[i] - b[i]), size += b[i] * b[i];
  return sqrt(difference / size);
}
