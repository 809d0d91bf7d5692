/* The layer's reference: both of its forms agree, and its parts are what their sources say. */
#include <snapmla/layer.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#include "layer_case.h"
#include "narrow_float.h"

static layer_case small(void) {
  layer_case c = {.batch = 3, .lengths = {9, 0, 4}};
  snapmla_layer_problem_init(&c.problem);
  c.problem.attention.heads = 3;
  c.problem.attention.q_len = 2;
  c.problem.attention.latent_rank = 128;
  c.problem.nope_dim = 64;
  c.problem.v_dim = 192;
  return c;
}

/* Both forms are the same product bracketed differently: in double precision they agree but for rounding. */
static void absorbing_changes_nothing(void **state) {
  (void)state;
  for (int variant = 0; variant < 4; variant++) {
    layer_case c = small();
    c.problem.weight_type = variant & 1 ? SNAPMLA_WEIGHT_FP8_BLOCK : SNAPMLA_WEIGHT_BF16;
    c.problem.rope_pairs = variant & 2 ? SNAPMLA_ROPE_HALF : SNAPMLA_ROPE_INTERLEAVED;
    layer_case_create(&c, (uint64_t)variant + 1);
    float *latent, *rope;
    layer_case_rows(&c, &latent, &rope);
    size_t request = (size_t)(2 * 3 * 192), count = 3 * request;
    double *explicit_out = malloc(count * sizeof *explicit_out), *absorbed = malloc(count * sizeof *absorbed);
    assert_true(explicit_out && absorbed);
    assert_int_equal(
        snapmla_reference_layer(&c.problem, &c.args, SNAPMLA_LAYER_EXPLICIT, latent, rope, c.row_of, explicit_out),
        SNAPMLA_OK);
    assert_int_equal(
        snapmla_reference_layer(&c.problem, &c.args, SNAPMLA_LAYER_ABSORBED, latent, rope, c.row_of, absorbed),
        SNAPMLA_OK);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
      if (!(fabs(explicit_out[i] - absorbed[i]) <= 1e-12))
        fail_msg("element %zu: %g and %g", i, explicit_out[i], absorbed[i]);
      if (i / request == 1) assert_true(absorbed[i] == 0);
      largest = fmax(largest, fabs(absorbed[i]));
    }
    assert_true(largest > 0.1);
    free(explicit_out), free(absorbed), free(latent), free(rope);
    layer_case_destroy(&c);
  }
}

/* One token: the output is W_UV times its latent, whatever the query is. */
static void one_token_gives_its_value(void **state) {
  (void)state;
  layer_case c = small();
  c.problem.attention.q_len = 1;
  c.batch = 1;
  c.lengths[0] = 1;
  layer_case_create(&c, 5);
  float *latent, *rope;
  layer_case_rows(&c, &latent, &rope);
  double out[3 * 192];
  assert_int_equal(snapmla_reference_layer(&c.problem, &c.args, SNAPMLA_LAYER_EXPLICIT, latent, rope, c.row_of, out),
                   SNAPMLA_OK);
  const uint16_t *w = c.kv_b;
  double expected = 0;
  for (int i = 0; i < 128; i++)
    expected += (double)smla_bf16_to_float(w[(2 * 256 + 64 + 100) * 128 + i]) *
                (double)latent[i]; /* head 2, value channel 100 */
  assert_true(fabs(out[2 * 192 + 100] - expected) < 1e-12);
  free(latent), free(rope);
  layer_case_destroy(&c);
}

/* With W_O the result is its rows times the values of all heads, those that the same problem has without it. */
static void the_output_is_the_values_times_w_o(void **state) {
  (void)state;
  enum { HIDDEN = 136, VALUES = 3 * 192, TOKENS = 6 };
  for (int is_fp8 = 0; is_fp8 < 2; is_fp8++) {
    layer_case c = small();
    c.problem.weight_type = is_fp8 ? SNAPMLA_WEIGHT_FP8_BLOCK : SNAPMLA_WEIGHT_BF16;
    c.problem.hidden_size = HIDDEN;
    layer_case_create(&c, 21);
    float *latent, *rope;
    layer_case_rows(&c, &latent, &rope);
    double out[TOKENS * HIDDEN], values[TOKENS * VALUES];
    assert_int_equal(snapmla_reference_layer(&c.problem, &c.args, SNAPMLA_LAYER_ABSORBED, latent, rope, c.row_of, out),
                     SNAPMLA_OK);
    c.problem.hidden_size = 0;
    assert_int_equal(
        snapmla_reference_layer(&c.problem, &c.args, SNAPMLA_LAYER_EXPLICIT, latent, rope, c.row_of, values),
        SNAPMLA_OK);
    double largest = 0;
    for (int t = 0; t < TOKENS; t++)
      for (int n = 0; n < HIDDEN; n++) {
        double expected = 0;
        for (int k = 0; k < VALUES; k++) {
          double w = is_fp8 ? (double)smla_e4m3_to_float(((uint8_t *)c.o)[n * VALUES + k]) *
                                  (double)c.o_scale[n / 128 * 5 + k / 128] /* five blocks of 576 values */
                            : (double)smla_bf16_to_float(((uint16_t *)c.o)[n * VALUES + k]);
          expected += w * values[t * VALUES + k];
        }
        assert_true(fabs(out[t * HIDDEN + n] - expected) < 1e-12);
        largest = fmax(largest, fabs(expected));
      }
    assert_true(largest > 0.1);
    c.problem.hidden_size = HIDDEN;
    c.weights.o = NULL;
    assert_int_equal(snapmla_reference_layer(&c.problem, &c.args, SNAPMLA_LAYER_ABSORBED, latent, rope, c.row_of, out),
                     SNAPMLA_INVALID_ARGUMENT);
    assert_non_null(strstr(snapmla_error_message(), "weights.o is NULL"));
    free(latent), free(rope);
    layer_case_destroy(&c);
  }
}

/* DeepSeek-V3: turns of 32 and 1 over 4096 positions are at pairs 10.47 and 22.51, so pairs to 10 keep their pace, those from 23 are 40
 * times slower, and pair 16 is 6/13 of the way. mscale equals mscale_all_dim, and nothing is magnified. */
static void yarn_slows_the_slow_pairs(void **state) {
  (void)state;
  snapmla_layer_problem problem;
  snapmla_layer_problem_init(&problem);
  float row[64];
  assert_int_equal(snapmla_rope_table_fill(&problem, 3, 1, row), SNAPMLA_OK);
  const struct {
    int pair;
    double share; /* of the slow pace */
  } cases[] = {{0, 0}, {10, 0}, {16, 6.0 / 13}, {23, 1}, {31, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double pace = pow(10000, -cases[i].pair / 32.0),
           angle = 3 * (pace * (1 - cases[i].share) + pace / 40 * cases[i].share);
    assert_true(fabs((double)row[cases[i].pair] - cos(angle)) < 1e-7);
    assert_true(fabs((double)row[32 + cases[i].pair] - sin(angle)) < 1e-7);
  }
  problem.rope.mscale_all_dim = 0; /* m = 1: cos and sin grow by 0.1 ln 40 + 1 */
  assert_int_equal(snapmla_rope_table_fill(&problem, 0, 1, row), SNAPMLA_OK);
  assert_true(fabs((double)row[5] - (0.1 * log(40) + 1)) < 1e-6);
  problem.rope.factor = 1;
  assert_int_equal(snapmla_rope_table_fill(&problem, 1000, 1, row), SNAPMLA_OK);
  assert_true(fabs((double)row[31] - cos(1000 * pow(10000, -31 / 32.0))) < 1e-7);
}

/* The logit of RoPE channels depends on the distance alone; which channels pair is what sets the forms apart. */
static void a_row_is_normalised_and_turned(void **state) {
  (void)state;
  for (int half = 0; half < 2; half++) {
    layer_case c = small();
    c.problem.rope_pairs = half ? SNAPMLA_ROPE_HALF : SNAPMLA_ROPE_INTERLEAVED;
    layer_case_create(&c, 9);
    double latent[128], rope[64];
    uint16_t one[64] = {0};
    one[2] = 0x3f80; /* channel 2 is 1 */
    assert_int_equal(snapmla_reference_layer_row(&c.problem, &c.weights, c.latent, one, 7, latent, rope), SNAPMLA_OK);
    int other = half ? 34 : 3, pair = half ? 2 : 1;
    assert_true(rope[2] == (double)c.table[7 * 64 + pair] && rope[other] == (double)c.table[7 * 64 + 32 + pair]);
    double squares = 0, plain = 0;
    for (int i = 0; i < 128; i++) {
      double x = latent[i] / smla_bf16_to_float(c.norm[i]), raw = smla_bf16_to_float(c.latent[i]);
      squares += x * x;
      plain += raw * raw;
    }
    assert_true(fabs(squares / 128 - plain / (plain + 128e-6)) < 1e-9);
    assert_int_equal(snapmla_reference_layer_row(&c.problem, &c.weights, c.latent, one, 99, latent, rope), SNAPMLA_OK);
    assert_true(isnan(rope[2])); /* the table has 9 positions */
    layer_case_destroy(&c);
  }
}

static void bad_problems_are_told(void **state) {
  (void)state;
  static const struct {
    size_t offset;
    int32_t value;
    const char *word;
  } cases[] = {{offsetof(snapmla_layer_problem, nope_dim), 100, "nope_dim is 100"},
               {offsetof(snapmla_layer_problem, v_dim), 0, "v_dim is 0"},
               {offsetof(snapmla_layer_problem, weight_type), 9, "weight_type"},
               {offsetof(snapmla_layer_problem, rope_pairs), 2, "rope_pairs"},
               {offsetof(snapmla_layer_problem, flags), 8, "flags"},
               {offsetof(snapmla_layer_problem, hidden_size), 100, "hidden_size is 100"},
               {offsetof(snapmla_layer_problem, hidden_size), -8, "hidden_size is -8"},
               {offsetof(snapmla_layer_problem, hidden_size), 65544, "hidden_size is 65544"},
               {offsetof(snapmla_layer_problem, attention.heads), 0, "heads is 0"}};
  snapmla_layer_problem problem;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    snapmla_layer_problem_init(&problem);
    assert_int_equal(snapmla_layer_problem_check(&problem), SNAPMLA_OK);
    memcpy((char *)&problem + cases[i].offset, &cases[i].value, sizeof cases[i].value);
    assert_true(snapmla_layer_problem_check(&problem) != SNAPMLA_OK);
    if (!strstr(snapmla_error_message(), cases[i].word)) fail_msg("%s", snapmla_error_message());
  }
  snapmla_layer_problem_init(&problem);
  problem.attention.max_batch = 4096;
  problem.attention.q_len = 64;
  assert_int_equal(snapmla_layer_problem_check(&problem), SNAPMLA_OK);
  problem.attention.q_len = 65;
  assert_int_equal(snapmla_layer_problem_check(&problem), SNAPMLA_UNSUPPORTED);
  assert_non_null(strstr(snapmla_error_message(), "max_batch * attention.q_len is 4096 * 65"));
  snapmla_layer_problem_init(&problem);
  problem.rope.factor = 0;
  assert_int_equal(snapmla_layer_problem_check(&problem), SNAPMLA_INVALID_ARGUMENT);
  problem.flags = SNAPMLA_LAYER_ROTATED; /* then nobody asks */
  assert_int_equal(snapmla_layer_problem_check(&problem), SNAPMLA_OK);
  float row[64];
  assert_int_equal(snapmla_rope_table_fill(&problem, 0, 1, row), SNAPMLA_INVALID_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(absorbing_changes_nothing),          cmocka_unit_test(one_token_gives_its_value),
      cmocka_unit_test(the_output_is_the_values_times_w_o), cmocka_unit_test(yarn_slows_the_slow_pairs),
      cmocka_unit_test(a_row_is_normalised_and_turned),     cmocka_unit_test(bad_problems_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
