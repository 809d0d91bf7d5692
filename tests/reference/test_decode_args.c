/* The host's checks of decode, schedule and append calls: one field is spoiled at a time; the message must name it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "decode_args.h"

/* Addresses that are never followed: these checks look at numbers alone. */
#define ADDRESS(n) ((void *)(uintptr_t)(0x10000 + (n)))

static snapmla_problem problem_here(void) {
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.heads = 16;
  problem.q_len = 2;
  problem.max_batch = 4;
  return problem;
}

static snapmla_decode_args good_decode(void) {
  return (snapmla_decode_args){
      .size = sizeof(snapmla_decode_args),
      .batch = 3,
      .q_nope = ADDRESS(0),
      .q_nope_stride_batch = 2 * 16 * 576,
      .q_nope_stride_token = 16 * 576,
      .q_nope_stride_head = 576,
      .q_rope = ADDRESS(1024),
      .q_rope_stride_batch = 2 * 16 * 576,
      .q_rope_stride_token = 16 * 576,
      .q_rope_stride_head = 576,
      .kv = ADDRESS(0),
      .page_stride = 41216,
      .num_pages = 10,
      .block_table = ADDRESS(4),
      .block_table_stride = 5,
      .seqlens = ADDRESS(4),
      .out = ADDRESS(0),
      .out_stride_batch = 2 * 16 * 512,
      .out_stride_token = 16 * 512,
      .out_stride_head = 512,
      .lse = ADDRESS(0),
      .lse_stride_batch = 32,
      .lse_stride_head = 2,
      .lse_stride_token = 1,
      .softmax_scale = 0.07f,
      .workspace = ADDRESS(0),
  };
}

static snapmla_append_args good_append(void) {
  return (snapmla_append_args){.size = sizeof(snapmla_append_args),
                               .tokens = 7,
                               .latent = ADDRESS(0),
                               .latent_stride = 512,
                               .rope = ADDRESS(0),
                               .rope_stride = 64,
                               .slot_mapping = ADDRESS(8),
                               .kv = ADDRESS(0),
                               .page_stride = 41216,
                               .num_pages = 10};
}

/* What is set: a field of 4 or 8 bytes. */
typedef struct trial {
  size_t offset, bytes;
  int64_t value;
  snapmla_status device, host; /* what a call for a kernel and one for the oracle must give */
  const char *says[2];
} trial;

#define D(field) offsetof(snapmla_decode_args, field), sizeof(((snapmla_decode_args *)0)->field)
#define A(field) offsetof(snapmla_append_args, field), sizeof(((snapmla_append_args *)0)->field)
#define BAD SNAPMLA_INVALID_ARGUMENT

static void spoil(void *args, const trial *t) {
  int32_t narrow = (int32_t)t->value;
  memcpy((char *)args + t->offset, t->bytes == 4 ? (void *)&narrow : (void *)&t->value, t->bytes);
}

static void expect(snapmla_status got, snapmla_status wanted, const trial *t) {
  if (got != wanted) print_error("offset %zu = %lld: %s\n", t->offset, (long long)t->value, snapmla_error_message());
  assert_int_equal(got, wanted);
  for (int i = 0; wanted != SNAPMLA_OK && i < 2 && t->says[i]; i++) {
    if (!strstr(snapmla_error_message(), t->says[i])) print_error("%s: no %s\n", snapmla_error_message(), t->says[i]);
    assert_non_null(strstr(snapmla_error_message(), t->says[i]));
  }
}

static void decode_fields(void **state) {
  (void)state;
  static const trial trials[] = {
      {D(size), 8, BAD, BAD, {"snapmla_decode_args", "size is 8"}},
      {D(size), -1, BAD, BAD, {"size", 0}},
      {D(batch), 4, SNAPMLA_OK, SNAPMLA_OK, {0}},
      {D(batch), -1, BAD, BAD, {"batch is -1", "max_batch = 4"}},
      {D(batch), 5, BAD, BAD, {"batch is 5", "split the call"}},
      {D(q_nope), 0, BAD, BAD, {"q_nope is NULL", 0}},
      {D(q_nope), 0x10008, BAD, SNAPMLA_OK, {"q_nope", "multiple of 16 bytes"}},
      {D(q_nope), 0x10001, BAD, BAD, {"q_nope", "multiple of"}},
      {D(q_nope_stride_batch), 0, BAD, BAD, {"q_nope_stride_batch is 0", "at least the row's 512"}},
      {D(q_nope_stride_token), -512, BAD, BAD, {"q_nope_stride_token is -512", 0}},
      {D(q_nope_stride_head), 516, BAD, SNAPMLA_OK, {"q_nope_stride_head is 516", "multiple of 8"}},
      {D(q_nope_stride_batch), INT64_MAX - 7, BAD, BAD, {"q_nope_stride_batch", "2^63"}},
      {D(q_nope_stride_batch), INT64_MAX / 4 - 7, BAD, BAD, {"q_nope_stride_batch", 0}},
      {D(q_rope), 0, BAD, BAD, {"q_rope is NULL", 0}},
      {D(q_rope_stride_head), 56, BAD, BAD, {"q_rope_stride_head is 56", "at least the row's 64"}},
      {D(kv), 0, BAD, BAD, {"kv is NULL", 0}},
      {D(kv), 0x10040, BAD, SNAPMLA_OK, {"kv is", "multiple of 128 bytes"}},
      {D(page_stride), 41216 + 128, SNAPMLA_OK, SNAPMLA_OK, {0}},
      {D(page_stride), 41216 + 64, BAD, BAD, {"page_stride is 41280", "multiple of 128"}},
      {D(page_stride), 41088, BAD, BAD, {"page_stride is 41088", "41216"}},
      {D(page_stride), -41216, BAD, BAD, {"page_stride is -41216", 0}},
      {D(num_pages), 0, BAD, BAD, {"num_pages is 0", 0}},
      {D(num_pages), INT64_MAX / 41216 + 1, BAD, BAD, {"num_pages", 0}},
      {D(block_table), 0, BAD, BAD, {"block_table is NULL", 0}},
      {D(block_table), 0x10002, BAD, BAD, {"block_table", "multiple of 4 bytes"}},
      {D(block_table_stride), 0, BAD, BAD, {"block_table_stride is 0", "must be 1 to"}},
      {D(block_table_stride), INT64_MAX / 4, BAD, BAD, {"block_table_stride", 0}},
      {D(seqlens), 0, BAD, BAD, {"seqlens is NULL", 0}},
      {D(out), 0, BAD, SNAPMLA_OK, {"out is NULL", 0}},
      {D(out), 0x10008, BAD, SNAPMLA_OK, {"out is", "multiple of 16"}},
      {D(out_stride_token), 511, BAD, SNAPMLA_OK, {"out_stride_token is 511", "512"}},
      {D(out_stride_head), 513, BAD, SNAPMLA_OK, {"out_stride_head is 513", "multiple of 8"}},
      {D(lse), 0, SNAPMLA_OK, SNAPMLA_OK, {0}},
      {D(lse), 0x10004, BAD, SNAPMLA_OK, {"lse is", "multiple of 16"}},
      {D(lse_stride_head), 0, BAD, SNAPMLA_OK, {"lse_stride_head is 0", "at least"}},
      {D(lse_stride_batch), -3, BAD, SNAPMLA_OK, {"lse_stride_batch is -3", 0}},
      {D(softmax_scale), 0x7f800000, BAD, BAD, {"softmax_scale is inf", "finite"}},
      {D(softmax_scale), 0x7fc00000, BAD, BAD, {"softmax_scale is nan", "finite"}},
      {D(workspace), 0, BAD, SNAPMLA_OK, {"workspace is NULL", 0}},
      {D(workspace), 0x10080, BAD, SNAPMLA_OK, {"workspace is", "multiple of 256"}},
  };
  snapmla_problem problem = problem_here();
  snapmla_decode_args args = good_decode();
  assert_int_equal(smla_decode_args_check(&problem, &args, 1), SNAPMLA_OK);
  assert_int_equal(smla_decode_args_check(&problem, &args, 0), SNAPMLA_OK);
  for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
    args = good_decode();
    spoil(&args, &trials[i]);
    expect(smla_decode_args_check(&problem, &args, 1), trials[i].device, &trials[i]);
    expect(smla_decode_args_check(&problem, &args, 0), trials[i].host, &trials[i]);
  }
  assert_int_equal(smla_decode_args_check(&problem, NULL, 1), BAD);
}

/* Lists in place of table and lengths. */
static void sparse_fields(void **state) {
  (void)state;
  static const trial trials[] = {
      {D(indices), 0, BAD, BAD, {"indices is NULL", 0}},
      {D(indices), 0x10002, BAD, BAD, {"indices is", "multiple of 4 bytes"}},
      {D(indices_stride_batch), 0, BAD, BAD, {"indices_stride_batch is 0", "at least"}},
      {D(indices_stride_token), -1, BAD, BAD, {"indices_stride_token is -1", 0}},
      {D(indices_stride_token), 1, SNAPMLA_OK, SNAPMLA_OK, {0}}, /* lists may overlap */
      {D(indices_stride_batch), INT64_MAX / 2, BAD, BAD, {"indices_stride_batch", "2^63"}},
      {D(indices_stride_batch), ((1LL << 31) - 1 - 100 - 100) / 2, SNAPMLA_OK, SNAPMLA_OK, {0}},
      {D(indices_stride_batch),
       ((1LL << 31) - 1 - 100 - 100) / 2 + 1,
       BAD,
       BAD,
       {"begins at entry", "smaller strides"}},
      {D(index_counts), 0, BAD, BAD, {"index_counts is NULL", 0}},
      {D(index_counts), 0x10002, BAD, BAD, {"index_counts is", "multiple of 4 bytes"}},
      {D(block_table), 0x10002, SNAPMLA_OK, SNAPMLA_OK, {0}}, /* not looked at */
      {D(seqlens), 0x10002, SNAPMLA_OK, SNAPMLA_OK, {0}},
  };
  snapmla_problem problem = problem_here();
  problem.max_indices = 100;
  for (size_t i = 0; i <= sizeof trials / sizeof *trials; i++) {
    snapmla_decode_args args = good_decode();
    args.block_table = args.seqlens = NULL;
    args.block_table_stride = 0;
    args.indices = ADDRESS(0);
    args.indices_stride_batch = 200;
    args.indices_stride_token = 100;
    args.index_counts = ADDRESS(0);
    if (i == sizeof trials / sizeof *trials) {
      assert_int_equal(smla_decode_args_check(&problem, &args, 1), SNAPMLA_OK);
      assert_int_equal(smla_decode_args_check(&problem, &args, 0), SNAPMLA_OK);
      assert_int_equal(smla_schedule_args_check(&problem, &args), SNAPMLA_OK);
      args.index_counts = NULL;
      assert_int_equal(smla_schedule_args_check(&problem, &args), BAD);
      break;
    }
    spoil(&args, &trials[i]);
    expect(smla_decode_args_check(&problem, &args, 1), trials[i].device, &trials[i]);
    expect(smla_decode_args_check(&problem, &args, 0), trials[i].host, &trials[i]);
  }
  problem.max_indices = 0;
  snapmla_decode_args args = good_decode();
  args.indices = ADDRESS(0);
  assert_int_equal(smla_decode_args_check(&problem, &args, 1), BAD);
  assert_non_null(strstr(snapmla_error_message(), "max_indices is 0: plan with max_indices, or set them to NULL"));
}

static void unused_strides_may_be_anything(void **state) {
  (void)state;
  snapmla_problem problem = problem_here();
  problem.heads = problem.q_len = 1;
  snapmla_decode_args args = good_decode();
  args.batch = 1;
  args.q_nope_stride_batch = args.q_nope_stride_token = args.q_nope_stride_head = 0;
  args.q_rope_stride_batch = args.q_rope_stride_token = args.q_rope_stride_head = -1;
  args.out_stride_batch = args.out_stride_token = args.out_stride_head = 3;
  args.lse_stride_batch = args.lse_stride_head = args.lse_stride_token = 0;
  assert_int_equal(smla_decode_args_check(&problem, &args, 1), SNAPMLA_OK);
}

static void an_empty_batch_needs_no_tensor(void **state) {
  (void)state;
  snapmla_problem problem = problem_here();
  snapmla_decode_args args = {.size = sizeof args, .softmax_scale = 1.0f, .workspace = ADDRESS(0)};
  assert_int_equal(smla_decode_args_check(&problem, &args, 1), SNAPMLA_OK);
  assert_int_equal(smla_schedule_args_check(&problem, &args), SNAPMLA_OK);
  args.workspace = NULL;
  assert_int_equal(smla_decode_args_check(&problem, &args, 1), BAD);
  assert_int_equal(smla_decode_args_check(&problem, &args, 0), SNAPMLA_OK);
  snapmla_append_args append = {.size = sizeof append};
  assert_int_equal(smla_append_args_check(&problem, &append, 1), SNAPMLA_OK);
}

static void schedule_fields(void **state) {
  (void)state;
  snapmla_problem problem = problem_here();
  snapmla_decode_args args = {
      .size = sizeof args, .batch = 3, .seqlens = ADDRESS(4), .block_table_stride = 5, .workspace = ADDRESS(0)};
  assert_int_equal(smla_schedule_args_check(&problem, &args), SNAPMLA_OK);
  static const trial trials[] = {
      {D(batch), 5, BAD, BAD, {"batch is 5", 0}},
      {D(seqlens), 0, BAD, BAD, {"seqlens is NULL", 0}},
      {D(block_table_stride), -1, BAD, BAD, {"block_table_stride is -1", 0}},
      {D(workspace), 0x10010, BAD, BAD, {"workspace is", "256"}},
  };
  for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
    snapmla_decode_args spoiled = args;
    spoil(&spoiled, &trials[i]);
    expect(smla_schedule_args_check(&problem, &spoiled), trials[i].device, &trials[i]);
  }
}

static void append_fields(void **state) {
  (void)state;
  static const trial trials[] = {
      {A(size), 16, BAD, BAD, {"snapmla_append_args", "size is 16"}},
      {A(tokens), -1, BAD, BAD, {"tokens is -1", 0}},
      {A(tokens), INT64_MAX, BAD, BAD, {"tokens is", 0}},
      {A(tokens), INT64_MAX / 1000, BAD, BAD, {"latent_stride", "2^63"}},
      {A(latent), 0, BAD, BAD, {"latent is NULL", 0}},
      {A(latent), 0x10008, BAD, SNAPMLA_OK, {"latent is", "16 bytes"}},
      {A(latent_stride), 504, BAD, BAD, {"latent_stride is 504", "512"}},
      {A(latent_stride), 513, BAD, SNAPMLA_OK, {"latent_stride is 513", "multiple of 8"}},
      {A(rope), 0, BAD, BAD, {"rope is NULL", 0}},
      {A(rope_stride), 0, BAD, BAD, {"rope_stride is 0", "64"}},
      {A(slot_mapping), 0, BAD, BAD, {"slot_mapping is NULL", 0}},
      {A(slot_mapping), 0x10004, BAD, BAD, {"slot_mapping", "8 bytes"}},
      {A(kv), 0, BAD, BAD, {"append: kv is NULL", 0}},
      {A(page_stride), 0, BAD, BAD, {"append: page_stride is 0", 0}},
      {A(num_pages), -5, BAD, BAD, {"append: num_pages is -5", 0}},
  };
  snapmla_problem problem = problem_here();
  snapmla_append_args args = good_append();
  assert_int_equal(smla_append_args_check(&problem, &args, 1), SNAPMLA_OK);
  for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
    args = good_append();
    spoil(&args, &trials[i]);
    expect(smla_append_args_check(&problem, &args, 1), trials[i].device, &trials[i]);
    expect(smla_append_args_check(&problem, &args, 0), trials[i].host, &trials[i]);
  }
  assert_int_equal(smla_append_args_check(&problem, NULL, 1), BAD);
}

/* The one scale of a cache, in the format that has one. */
static void kv_scale(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    float kv_scale;
    uintptr_t pointer;
    const char *reason; /* NULL: legal */
  } cases[] = {{SNAPMLA_KV_FP8_TENSOR, 0.5f, 0, NULL},
               {SNAPMLA_KV_FP8_TENSOR, 0.0f, 0, NULL},
               {SNAPMLA_KV_FP8_TENSOR, -1.0f, 64, NULL}, /* the pointer wins */
               {SNAPMLA_KV_FP8_TENSOR, -1.0f, 0, "kv_scale is -1"},
               {SNAPMLA_KV_FP8_TENSOR, INFINITY, 0, "kv_scale is inf"},
               {SNAPMLA_KV_FP8_TENSOR, 0x1p-127f, 0, "kv_scale is 5.87747e-39"},
               {SNAPMLA_KV_FP8_TENSOR, 0.0f, 65, "kv_scale_pointer"},
               {SNAPMLA_KV_BF16, -1.0f, 65, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snapmla_problem problem = problem_here();
    problem.kv_format = cases[i].format;
    snapmla_decode_args decode = good_decode();
    snapmla_append_args append = good_append();
    decode.page_stride = append.page_stride = 73728;
    decode.kv_scale = append.kv_scale = cases[i].kv_scale;
    decode.kv_scale_pointer = append.kv_scale_pointer = (const float *)cases[i].pointer;
    snapmla_status wanted = cases[i].reason ? BAD : SNAPMLA_OK;
    assert_int_equal(smla_decode_args_check(&problem, &decode, 1), wanted);
    if (cases[i].reason) assert_non_null(strstr(snapmla_error_message(), cases[i].reason));
    assert_int_equal(smla_append_args_check(&problem, &append, 1), wanted);
    if (cases[i].reason) assert_non_null(strstr(snapmla_error_message(), cases[i].reason));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decode_fields),
      cmocka_unit_test(sparse_fields),
      cmocka_unit_test(unused_strides_may_be_anything),
      cmocka_unit_test(an_empty_batch_needs_no_tensor),
      cmocka_unit_test(schedule_fields),
      cmocka_unit_test(append_fields),
      cmocka_unit_test(kv_scale),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
