/* snapmla_problem: what is legal, what is refused, and that a refusal names the field and the remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <snapmla/problem.h>

static void the_default_is_legal(void **state) {
  (void)state;
  snapmla_problem problem;
  memset(&problem, 0xff, sizeof problem);
  snapmla_problem_init(&problem);
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_OK);
  assert_int_equal(problem.size, sizeof problem);
  assert_int_equal(problem.heads, 128);
  assert_int_equal(problem.q_len, 1);
  assert_int_equal(problem.latent_rank, 512);
  assert_int_equal(problem.rope_dim, 64);
  assert_int_equal(problem.page_tokens, 64);
  assert_int_equal(problem.kv_format, SNAPMLA_KV_FP8_TOKEN);
  assert_int_equal(problem.accuracy, SNAPMLA_ACCURACY_FAST);
  assert_int_equal(problem.max_batch, 128);
  assert_int_equal(problem.max_context, 131072);
  assert_int_equal(problem.flags, 0);
  assert_int_equal(problem.max_indices, 0);
  snapmla_problem_init(NULL);
}

typedef struct trial {
  size_t offset;
  int32_t value;
  snapmla_status status;
  const char *says[2]; /* parts of the message */
} trial;

#define AT(field) offsetof(snapmla_problem, field)

static void every_field_is_checked(void **state) {
  (void)state;
  static const trial trials[] = {
      {AT(heads), 1, SNAPMLA_OK, {0}},
      {AT(heads), 0, SNAPMLA_INVALID_ARGUMENT, {"heads is 0", "1 to 128"}},
      {AT(heads), 129, SNAPMLA_INVALID_ARGUMENT, {"heads is 129", "1 to 128"}},
      {AT(heads), INT32_MIN, SNAPMLA_INVALID_ARGUMENT, {"heads is -2147483648", "1 to 128"}},
      {AT(q_len), 9, SNAPMLA_OK, {0}},
      {AT(q_len), 128, SNAPMLA_OK, {0}},
      {AT(q_len), 0, SNAPMLA_INVALID_ARGUMENT, {"q_len is 0", "1 to 128"}},
      {AT(q_len), 129, SNAPMLA_INVALID_ARGUMENT, {"q_len is 129", "cut longer ones into several calls"}},
      {AT(latent_rank), 128, SNAPMLA_OK, {0}},
      {AT(latent_rank), 256, SNAPMLA_OK, {0}},
      {AT(latent_rank), 384, SNAPMLA_OK, {0}},
      {AT(latent_rank), 448, SNAPMLA_UNSUPPORTED, {"latent_rank is 448", "128, 256, 384 or 512: pad"}},
      {AT(latent_rank), 0, SNAPMLA_INVALID_ARGUMENT, {"latent_rank is 0", "128, 256, 384 or 512"}},
      {AT(latent_rank), -512, SNAPMLA_INVALID_ARGUMENT, {"latent_rank is -512", "128, 256, 384 or 512"}},
      {AT(rope_dim), 0, SNAPMLA_OK, {0}},
      {AT(rope_dim), 32, SNAPMLA_OK, {0}},
      {AT(rope_dim), 128, SNAPMLA_OK, {0}},
      {AT(rope_dim), 96, SNAPMLA_UNSUPPORTED, {"rope_dim is 96", "must be 0, 32, 64 or 128: pad"}},
      {AT(rope_dim), -1, SNAPMLA_INVALID_ARGUMENT, {"rope_dim is -1", "must be 0, 32, 64 or 128"}},
      {AT(page_tokens), 128, SNAPMLA_OK, {0}},
      {AT(page_tokens), 16, SNAPMLA_OK, {0}},
      {AT(page_tokens), 32, SNAPMLA_OK, {0}},
      {AT(page_tokens), 8, SNAPMLA_UNSUPPORTED, {"page_tokens is 8", "16, 32, 64 or 128"}},
      {AT(page_tokens), 0, SNAPMLA_INVALID_ARGUMENT, {"page_tokens is 0", "16, 32, 64 or 128"}},
      {AT(kv_format), 7, SNAPMLA_UNSUPPORTED, {"kv_format is 7", "fp8_token"}},
      {AT(kv_format), -1, SNAPMLA_UNSUPPORTED, {"kv_format is -1", "fp8_token"}},
      {AT(accuracy), 1, SNAPMLA_OK, {0}},
      {AT(accuracy), 2, SNAPMLA_OK, {0}},
      {AT(accuracy), 3, SNAPMLA_UNSUPPORTED, {"accuracy is 3", "fast, balanced, max"}},
      {AT(max_batch), 4096, SNAPMLA_OK, {0}},
      {AT(max_batch), 0, SNAPMLA_INVALID_ARGUMENT, {"max_batch is 0", "1 to 4096"}},
      {AT(max_batch), 4097, SNAPMLA_INVALID_ARGUMENT, {"max_batch is 4097", "1 to 4096"}},
      {AT(max_context), 1, SNAPMLA_OK, {0}},
      {AT(max_context), 1 << 20, SNAPMLA_OK, {0}},
      {AT(max_context), 0, SNAPMLA_INVALID_ARGUMENT, {"max_context is 0", "1 to 1048576"}},
      {AT(max_context), (1 << 20) + 1, SNAPMLA_INVALID_ARGUMENT, {"max_context is 1048577", "1 to 1048576"}},
      {AT(flags), 8, SNAPMLA_UNSUPPORTED, {"flags is 0x8", "set no other bit"}},
      {AT(max_indices), 1 << 20, SNAPMLA_OK, {0}},
      {AT(max_indices), -1, SNAPMLA_INVALID_ARGUMENT, {"max_indices is -1", "0 to 1048576"}},
      {AT(max_indices), (1 << 20) + 1, SNAPMLA_INVALID_ARGUMENT, {"max_indices is 1048577", "0 to 1048576"}},
  };
  for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
    snapmla_problem problem;
    snapmla_problem_init(&problem);
    memcpy((char *)&problem + trials[i].offset, &trials[i].value, sizeof(int32_t));
    assert_int_equal(snapmla_problem_check(&problem), trials[i].status);
    for (int part = 0; part < 2 && trials[i].says[part]; part++)
      assert_non_null(strstr(snapmla_error_message(), trials[i].says[part]));
  }
}

/* Each query token has a list of its own, and the schedule takes 4096 of them. */
static void lists_are_limited(void **state) {
  (void)state;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.max_batch = 1365;
  problem.q_len = 3;
  problem.max_indices = 2048;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_OK);
  problem.max_batch++;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(
      strstr(snapmla_error_message(), "max_batch * q_len is 1366 * 3, with max_indices it must be at most 4096"));
  assert_non_null(strstr(snapmla_error_message(), "set a smaller max_batch"));
  problem.max_indices = 0;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_OK);
  problem.max_indices = 2048;
  problem.q_len = 128;
  problem.max_batch = 32;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_OK);
  problem.max_batch = 33;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_UNSUPPORTED);
}

static void the_size_field(void **state) {
  (void)state;
  assert_int_equal(snapmla_problem_check(NULL), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "NULL"));

  struct {
    snapmla_problem problem;
    unsigned char later[16];
  } longer = {0};
  snapmla_problem_init(&longer.problem);
  longer.problem.size = sizeof longer;
  assert_int_equal(snapmla_problem_check(&longer.problem), SNAPMLA_OK);
  longer.later[15] = 1;
  assert_int_equal(snapmla_problem_check(&longer.problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "newer version"));

  snapmla_problem_init(&longer.problem);
  longer.problem.size = sizeof longer.problem - 1;
  assert_int_equal(snapmla_problem_check(&longer.problem), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "sizeof(snapmla_problem)"));
  longer.problem.size = SIZE_MAX; /* uninitialised: must not be read along */
  assert_int_equal(snapmla_problem_check(&longer.problem), SNAPMLA_INVALID_ARGUMENT);
}

static void bf16_has_no_level_max(void **state) {
  (void)state;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.kv_format = SNAPMLA_KV_BF16;
  problem.accuracy = SNAPMLA_ACCURACY_BALANCED;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_OK);
  problem.accuracy = SNAPMLA_ACCURACY_MAX;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "take balanced"));
}

static void fp8_tile_has_its_own_channels(void **state) {
  (void)state;
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  problem.kv_format = SNAPMLA_KV_FP8_TILE;
  problem.accuracy = SNAPMLA_ACCURACY_MAX;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_OK);
  problem.rope_dim = 32;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "rope_dim is 32, and the format fp8_tile is defined for 64 alone"));
  problem.rope_dim = 64;
  problem.latent_rank = 256;
  assert_int_equal(snapmla_problem_check(&problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(
      strstr(snapmla_error_message(), "latent_rank is 256, and the format fp8_tile is defined for 512 alone"));
}

static void names_there_and_back(void **state) {
  (void)state;
  snapmla_kv_format format = (snapmla_kv_format)9;
  snapmla_accuracy accuracy = (snapmla_accuracy)9;
  assert_string_equal(snapmla_kv_format_name(SNAPMLA_KV_FP8_TOKEN), "fp8_token");
  assert_string_equal(snapmla_accuracy_name(SNAPMLA_ACCURACY_FAST), "fast");
  assert_null(snapmla_kv_format_name(format));
  assert_null(snapmla_accuracy_name(accuracy));
  assert_null(snapmla_kv_format_name((snapmla_kv_format)-1));
  assert_int_equal(snapmla_kv_format_parse("fp8_token", &format), SNAPMLA_OK);
  assert_int_equal(format, SNAPMLA_KV_FP8_TOKEN);
  assert_int_equal(snapmla_accuracy_parse("fast", &accuracy), SNAPMLA_OK);
  assert_int_equal(accuracy, SNAPMLA_ACCURACY_FAST);
  assert_int_equal(snapmla_kv_format_parse("FP8_TOKEN", &format), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "\"FP8_TOKEN\" is not known: use one of: fp8_token"));
  assert_int_equal(snapmla_accuracy_parse("", &accuracy), SNAPMLA_INVALID_ARGUMENT);
  assert_non_null(strstr(snapmla_error_message(), "use one of: fast"));
  assert_int_equal(snapmla_accuracy_parse(NULL, &accuracy), SNAPMLA_INVALID_ARGUMENT);
}

/* What goes with some formats alone. */
static void formats_and_their_options(void **state) {
  (void)state;
  static const struct {
    snapmla_kv_format format;
    uint32_t flags;
    int32_t max_indices;
    const char *reason; /* NULL: legal */
    int32_t rope_dim;   /* 0: the usual; -1: none */
  } cases[] = {
      {.format = SNAPMLA_KV_BF16},
      {.format = SNAPMLA_KV_FP8_TENSOR},
      {.format = SNAPMLA_KV_FP8_TOKEN, .flags = SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES, .max_indices = 16},
      {.format = SNAPMLA_KV_BF16,
       .flags = SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES,
       .reason = "the format bf16 stores none"},
      {.format = SNAPMLA_KV_FP8_TENSOR,
       .flags = SNAPMLA_PROBLEM_POWER_OF_TWO_SCALES,
       .reason = "the format fp8_tensor stores none"},
      {.format = SNAPMLA_KV_BF16, .max_indices = 16},
      {.format = SNAPMLA_KV_BF16, .max_indices = 16, .rope_dim = 32},
      {.format = SNAPMLA_KV_FP8_TOKEN, .max_indices = 16, .rope_dim = -1},
      {.format = SNAPMLA_KV_FP8_TOKEN, .rope_dim = -1},
      {.format = SNAPMLA_KV_FP8_TILE,
       .max_indices = 16,
       .rope_dim = 128,
       .reason = "the format fp8_tile is defined for 64 alone"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snapmla_problem problem;
    snapmla_problem_init(&problem);
    problem.kv_format = cases[i].format;
    problem.flags = cases[i].flags;
    problem.max_indices = cases[i].max_indices;
    if (cases[i].rope_dim) problem.rope_dim = cases[i].rope_dim > 0 ? cases[i].rope_dim : 0;
    assert_int_equal(snapmla_problem_check(&problem), cases[i].reason ? SNAPMLA_UNSUPPORTED : SNAPMLA_OK);
    if (cases[i].reason) assert_non_null(strstr(snapmla_error_message(), cases[i].reason));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_default_is_legal),  cmocka_unit_test(every_field_is_checked),
      cmocka_unit_test(lists_are_limited),     cmocka_unit_test(the_size_field),
      cmocka_unit_test(bf16_has_no_level_max), cmocka_unit_test(fp8_tile_has_its_own_channels),
      cmocka_unit_test(names_there_and_back),  cmocka_unit_test(formats_and_their_options),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
