/* The merge of shards' results alone, on the emulator or the device that SNAPMLA_TEST_TARGET names: against double precision, and what it
 * refuses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "named_tests.h"
#include "narrow_float.h"
#include "shards_fixture.h"

/* Results of shards on the host, in tensors with gaps, which are NaN. */
typedef struct parts {
  int shards, batch, q_len, heads, rank, is_fp32;
  size_t out_row, out_bytes, lse_count; /* elements from head to head; of one shard */
  uint8_t *outs;                        /* [shards][out_bytes] */
  float *lses;                          /* [shards][lse_count], of [batch, heads, q_len] */
} parts;

static size_t row_of(const parts *p, int b, int t, int h) {
  return ((size_t)b * (size_t)p->q_len + (size_t)t) * (size_t)p->heads + (size_t)h;
}
static size_t lse_of(const parts *p, int b, int t, int h) {
  return ((size_t)b * (size_t)p->heads + (size_t)h) * (size_t)p->q_len + (size_t)t;
}

static double value_of(const parts *p, const uint8_t *tensor, size_t at) {
  return p->is_fp32 ? (double)((const float *)tensor)[at] : (double)smla_bf16_to_float(((const uint16_t *)tensor)[at]);
}

static void set_row(parts *p, int shard, size_t row, float value) {
  uint8_t *tensor = p->outs + (size_t)shard * p->out_bytes;
  for (size_t c = row * p->out_row; c < row * p->out_row + (size_t)p->rank; c++) {
    if (p->is_fp32)
      ((float *)tensor)[c] = value;
    else
      ((uint16_t *)tensor)[c] = smla_bf16_from_float(value);
  }
}

static parts make_parts(const snapmla_problem *problem, int shards, int batch, int is_fp32, uint64_t seed) {
  parts p = {shards, batch, problem->q_len, problem->heads, problem->latent_rank, is_fp32, 0, 0, 0, NULL, NULL};
  size_t rows = (size_t)(batch * p.q_len * p.heads);
  p.out_row = (size_t)p.rank + 8;
  p.out_bytes = rows * p.out_row * (is_fp32 ? 4 : 2) + 32;
  p.lse_count = rows + 3;
  p.outs = array((size_t)shards, p.out_bytes);
  p.lses = array((size_t)shards * p.lse_count, sizeof *p.lses);
  memset(p.outs, 0xff, (size_t)shards * p.out_bytes);
  memset(p.lses, 0xff, (size_t)shards * p.lse_count * sizeof *p.lses);
  uint64_t random = seed;
  for (int s = 0; s < shards; s++)
    for (size_t row = 0; row < rows; row++) {
      p.lses[(size_t)s * p.lse_count + row] = (float)(3 * next_normal(&random));
      for (size_t c = row * p.out_row; c < row * p.out_row + (size_t)p.rank; c++) {
        float x = (float)next_normal(&random);
        uint8_t *tensor = p.outs + (size_t)s * p.out_bytes;
        if (is_fp32)
          ((float *)tensor)[c] = x;
        else
          ((uint16_t *)tensor)[c] = smla_bf16_from_float(x);
      }
    }
  return p;
}

static void free_parts(parts *p) { free(p->outs), free(p->lses); }

/* A plan to merge by. */
typedef struct rig {
  snapmla_problem problem;
  snapmla_context *context;
  snapmla_plan *plan;
} rig;

static rig open_rig(int heads, int q_len, int latent, snapmla_emulator_order order) {
  rig r = {.context = open_context(order, 1)};
  snapmla_problem_init(&r.problem);
  r.problem.heads = heads;
  r.problem.q_len = q_len;
  r.problem.latent_rank = latent;
  r.problem.page_tokens = 16;
  r.problem.max_batch = 4;
  r.problem.max_context = 256;
  must(snapmla_plan_create(r.context, &r.problem, NULL, &r.plan));
  return r;
}

static void close_rig(rig *r) {
  snapmla_plan_destroy(r->plan);
  snapmla_context_destroy(r->context);
}

/* The merged tensors, out with the gaps of the parts', which must stay as they were; freed by the caller. */
static void merge(const rig *r, const parts *p, const float *sinks, uint8_t **out, float **lse) {
  snapmla_buffer *outs = upload(r->context, p->outs, (size_t)p->shards * p->out_bytes);
  snapmla_buffer *lses = upload(r->context, p->lses, (size_t)p->shards * p->lse_count * sizeof(float));
  snapmla_buffer *given = sinks ? upload(r->context, sinks, (size_t)p->heads * sizeof *sinks) : NULL;
  snapmla_buffer *merged = upload(r->context, NULL, p->out_bytes);
  snapmla_buffer *total = upload(r->context, NULL, p->lse_count * sizeof(float));
  const int64_t head = (int64_t)p->out_row, token = head * p->heads, batch = token * p->q_len;
  const snapmla_merge_args args = {.size = sizeof args,
                                   .shards = p->shards,
                                   .batch = p->batch,
                                   .outs = snapmla_buffer_pointer(outs),
                                   .outs_stride_shard = (int64_t)p->out_bytes / (p->is_fp32 ? 4 : 2),
                                   .outs_stride_batch = batch,
                                   .outs_stride_token = token,
                                   .outs_stride_head = head,
                                   .lses = snapmla_buffer_pointer(lses),
                                   .lses_stride_shard = (int64_t)p->lse_count,
                                   .lses_stride_batch = (int64_t)p->heads * p->q_len,
                                   .lses_stride_head = p->q_len,
                                   .lses_stride_token = 1,
                                   .out = snapmla_buffer_pointer(merged),
                                   .out_stride_batch = batch,
                                   .out_stride_token = token,
                                   .out_stride_head = head,
                                   .lse = lse ? snapmla_buffer_pointer(total) : NULL,
                                   .lse_stride_batch = (int64_t)p->heads * p->q_len,
                                   .lse_stride_head = p->q_len,
                                   .lse_stride_token = 1,
                                   .sinks = given ? snapmla_buffer_pointer(given) : NULL,
                                   .is_fp32 = p->is_fp32};
  must(snapmla_plan_merge(r->plan, &args));
  *out = array(p->out_bytes, 1);
  must(snapmla_buffer_read(merged, 0, *out, p->out_bytes)); /* waits: the default stream */
  if (lse) {
    *lse = array(p->lse_count, sizeof **lse);
    must(snapmla_buffer_read(total, 0, *lse, p->lse_count * sizeof **lse));
  }
  snapmla_buffer *buffers[] = {outs, lses, given, merged, total};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) snapmla_buffer_destroy(buffers[i]);
}

/* One row in double precision: its lse, and where a NaN is due NaN in `channels`. */
static double exact_row(const parts *p, int b, int t, int h, const float *sinks, double *channels) {
  double top = -INFINITY, sum = 0;
  int bad = 0;
  memset(channels, 0, (size_t)p->rank * sizeof *channels);
  for (int s = 0; s < p->shards; s++) {
    double lse = p->lses[(size_t)s * p->lse_count + lse_of(p, b, t, h)];
    bad |= isnan(lse);
    if (lse > top) top = lse;
  }
  for (int s = 0; s < p->shards && top > -INFINITY; s++) {
    double weight = exp(p->lses[(size_t)s * p->lse_count + lse_of(p, b, t, h)] - top);
    if (weight == 0) continue;
    sum += weight;
    for (int c = 0; c < p->rank; c++)
      channels[c] +=
          weight * value_of(p, p->outs + (size_t)s * p->out_bytes, row_of(p, b, t, h) * p->out_row + (size_t)c);
  }
  double lse = bad ? NAN : sum > 0 ? top + log(sum) : -INFINITY;
  double share = sinks && sum > 0 ? 1 / (1 + exp(sinks[h] - lse)) : 1;
  for (int c = 0; c < p->rank; c++) channels[c] = bad ? NAN : sum > 0 ? channels[c] / sum * share : 0;
  return lse;
}

/* Within rounding of double precision, the gaps untouched. */
static void expect_merged(const rig *r, const parts *p, const float *sinks) {
  uint8_t *out;
  float *lse;
  double *channels = array((size_t)p->rank, sizeof *channels);
  merge(r, p, sinks, &out, &lse);
  for (int b = 0; b < p->batch; b++)
    for (int t = 0; t < p->q_len; t++)
      for (int h = 0; h < p->heads; h++) {
        double expected = exact_row(p, b, t, h, sinks, channels), got = lse[lse_of(p, b, t, h)];
        if (isnan(expected) ? !isnan(got) : expected != got && !(fabs(got - expected) <= 2e-6 * (1 + fabs(expected))))
          fail_msg("%d shards: lse %d %d %d is %.9g, not %.9g", p->shards, b, t, h, got, expected);
        size_t at = row_of(p, b, t, h) * p->out_row;
        for (int c = 0; c < (int)p->out_row; c++) {
          double value = value_of(p, out, at + (size_t)c);
          double limit = (p->is_fp32 ? 4e-6 : 0x1p-8) * fabs(channels[c % p->rank]) + 4e-6;
          if (c >= p->rank || isnan(channels[c])) /* memory that nothing wrote is NaN */
            assert_true(isnan(value));
          else if (!(fabs(value - channels[c]) <= limit))
            fail_msg("%d shards: out %d %d %d, channel %d is %.9g, not %.9g", p->shards, b, t, h, c, value,
                     channels[c]);
        }
      }
  free(out), free(lse), free(channels);
}

static void set_lse(parts *p, int shard, int b, int t, int h, float lse) {
  p->lses[(size_t)shard * p->lse_count + lse_of(p, b, t, h)] = lse;
}

static void merges_as_double_precision(void **state) {
  (void)state;
  static const int counts[] = {1, 2, 3, 8, 9, 32, 33, 70};
  static const struct { int heads, q_len, latent; } shapes[] = {{3, 2, 256}, {16, 1, 512}, {5, 1, 128}, {2, 3, 384}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int order = SNAPMLA_EMULATOR_EAGER;
         order <= (on_emulator() ? SNAPMLA_EMULATOR_RANDOM : SNAPMLA_EMULATOR_EAGER); order++) {
      rig r = open_rig(shapes[i].heads, shapes[i].q_len, shapes[i].latent, (snapmla_emulator_order)order);
      float sinks[16];
      for (int h = 0; h < 16; h++) sinks[h] = h % 4 == 1 ? -INFINITY : (float)h;
      for (size_t n = 0; n < sizeof counts / sizeof *counts; n++)
        for (int is_fp32 = 0; is_fp32 < 2; is_fp32++) {
          parts p = make_parts(&r.problem, counts[n], 3, is_fp32, 5 * n + i);
          expect_merged(&r, &p, NULL);
          expect_merged(&r, &p, sinks);
          free_parts(&p);
        }
      close_rig(&r);
    }
}

/* Shards without tokens of a request hold anything; where all are empty the result is zeros, with sinks too. */
static void empty_shards_are_not_looked_at(void **state) {
  (void)state;
  static const int counts[] = {1, 2, 3, 8, 40};
  static const float sinks[3] = {0.0f, INFINITY, -INFINITY};
  rig r = open_rig(3, 1, 256, SNAPMLA_EMULATOR_LATE);
  for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
    parts p = make_parts(&r.problem, counts[n], 4, 0, 90 + n);
    for (int b = 0; b < 4; b++) /* request 0: all are; 1: all but the last; 2: the first; 3: every second */
      for (int s = 0; s < counts[n]; s++)
        for (int h = 0; h < 3 && (b == 0 || (b == 1 && s + 1 < counts[n]) || (b == 2 && s == 0) || (b == 3 && s % 2));
             h++) {
          set_lse(&p, s, b, 0, h, -INFINITY);
          set_row(&p, s, row_of(&p, b, 0, h), s % 2 ? NAN : INFINITY);
        }
    expect_merged(&r, &p, NULL);
    expect_merged(&r, &p, sinks);
    free_parts(&p);
  }
  close_rig(&r);
}

/* One shard outweighs all others, by more than fp32 has room for, at large |lse| too; and equal ones share. */
static void extreme_weights(void **state) {
  (void)state;
  static const float tops[] = {0.0f, 90.0f, 3000.0f, -3000.0f, 1e30f, -1e30f};
  rig r = open_rig(2, 1, 128, SNAPMLA_EMULATOR_RANDOM);
  for (int shards = 2; shards <= 8; shards += 3)
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
      for (int where = 0; where < shards; where++) {
        parts p = make_parts(&r.problem, shards, 1, 0, i);
        for (int s = 0; s < shards; s++) {
          set_lse(&p, s, 0, 0, 0, tops[i] - (s == where ? 0.0f : 500.0f));
          set_lse(&p, s, 0, 0, 1, tops[i]);
        }
        expect_merged(&r, &p, NULL);
        uint8_t *out;
        merge(&r, &p, NULL, &out, NULL);
        if (tops[i] - 500.0f != tops[i]) /* the winner's bits */
          assert_memory_equal(out, p.outs + (size_t)where * p.out_bytes, (size_t)p.rank * 2);
        free(out);
        free_parts(&p);
      }
  close_rig(&r);
}

/* A NaN is its row's alone, whichever shard has it. */
static void not_a_number(void **state) {
  (void)state;
  rig r = open_rig(3, 1, 256, SNAPMLA_EMULATOR_EAGER);
  for (int shards = 1; shards <= 40; shards += 13)
    for (int where = 0; where < shards; where += 7) {
      parts p = make_parts(&r.problem, shards, 2, 0, 7);
      set_lse(&p, where, 1, 0, 1, NAN);
      for (int s = 0; s < shards; s++) set_lse(&p, s, 1, 0, 2, s == where ? NAN : -INFINITY);
      expect_merged(&r, &p, NULL);
      free_parts(&p);
    }
  close_rig(&r);
}

static void bad_arguments_are_told(void **state) {
  (void)state;
  rig r = open_rig(3, 2, 256, SNAPMLA_EMULATOR_EAGER);
  char *memory = (char *)4096; /* is not touched */
  const snapmla_merge_args good = {.size = sizeof good,
                                   .shards = 2,
                                   .batch = 2,
                                   .outs = memory,
                                   .outs_stride_shard = 4 * 768,
                                   .outs_stride_batch = 2 * 768,
                                   .outs_stride_token = 768,
                                   .outs_stride_head = 256,
                                   .lses = (float *)memory,
                                   .lses_stride_shard = 12,
                                   .lses_stride_batch = 6,
                                   .lses_stride_head = 2,
                                   .lses_stride_token = 1,
                                   .out = memory,
                                   .out_stride_batch = 2 * 768,
                                   .out_stride_token = 768,
                                   .out_stride_head = 256};
  struct {
    const char *words;
    snapmla_merge_args args;
  } cases[32];
  size_t count = 0;
#define CASE(field, value, text)       \
  do {                                 \
    cases[count].args = good;          \
    cases[count].args.field = (value); \
    cases[count++].words = (text);     \
  } while (0)
  CASE(size, 8, "size is 8");
  CASE(shards, 0, "shards is 0, it must be 1 to 1024");
  CASE(shards, 1025, "shards is 1025, it must be 1 to 1024");
  CASE(batch, -1, "batch is -1, it must be 0 to max_batch = 4");
  CASE(batch, 5, "batch is 5, it must be 0 to max_batch = 4");
  CASE(outs, NULL, "outs is NULL: set it");
  CASE(outs, memory + 8, "outs is 0x1008, it must be a multiple of 16 bytes");
  CASE(outs_stride_shard, 248, "outs_stride_shard is 248 elements, it must be at least the row's 256");
  CASE(outs_stride_batch, 1540, "outs_stride_batch is 1540 elements, it must be a multiple of 8");
  CASE(outs_stride_token, INT64_MAX / 8 * 8, "outs_stride_token");
  CASE(outs_stride_head, 0, "outs_stride_head is 0 elements");
  CASE(lses, NULL, "lses is NULL: set it");
  CASE(lses, (float *)(memory + 2), "lses is 0x1002, it must be a multiple of 4 bytes");
  CASE(lses_stride_shard, 0, "lses_stride_shard is 0 elements, it must be at least the row's 1");
  CASE(lses_stride_head, -2, "lses_stride_head is -2 elements");
  CASE(out, NULL, "out is NULL: set it");
  CASE(out_stride_token, 8, "out_stride_token is 8 elements, it must be at least the row's 256");
  CASE(lse, (float *)memory, "lse_stride_batch is 0 elements, it must be at least the row's 1");
  CASE(sinks, (float *)(memory + 1), "sinks is 0x1001, it must be a multiple of 4 bytes");
#undef CASE
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(snapmla_plan_merge(r.plan, &cases[i].args), SNAPMLA_INVALID_ARGUMENT);
    if (!strstr(snapmla_error_message(), cases[i].words))
      fail_msg("case %zu, \"%s\": %s", i, cases[i].words, snapmla_error_message());
  }
  assert_int_equal(snapmla_plan_merge(NULL, &good), SNAPMLA_INVALID_ARGUMENT);
  assert_int_equal(snapmla_plan_merge(r.plan, NULL), SNAPMLA_INVALID_ARGUMENT);
  const snapmla_merge_args nothing = {.size = sizeof nothing, .shards = 1};
  must(snapmla_plan_merge(r.plan, &nothing));
  close_rig(&r);
}

static void plans_with_sinks_do_not_merge(void **state) {
  (void)state;
  rig r = {.context = open_context(SNAPMLA_EMULATOR_EAGER, 0)};
  snapmla_problem_init(&r.problem);
  r.problem.heads = 8;
  r.problem.latent_rank = 128;
  r.problem.flags = SNAPMLA_PROBLEM_SINKS;
  must(snapmla_plan_create(r.context, &r.problem, NULL, &r.plan));
  const snapmla_merge_args args = {.size = sizeof args, .shards = 2};
  assert_int_equal(snapmla_plan_merge(r.plan, &args), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "by a plan without that flag, and give the sinks to the merge"));
  close_rig(&r);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(merges_as_double_precision),
      cmocka_unit_test(empty_shards_are_not_looked_at),
      cmocka_unit_test(extreme_weights),
      cmocka_unit_test(not_a_number),
      cmocka_unit_test(bad_arguments_are_told),
      cmocka_unit_test(plans_with_sinks_do_not_merge),
  };
  return run_named_tests(tests, sizeof tests / sizeof *tests, argc, argv, NULL, NULL);
}
