/* What a layer problem may be, and the angles of its RoPE. */
#include <snapmla/layer.h>

#include <math.h>

#include "status.h"
#include "struct_size.h"

enum {
  MOST_HIDDEN = 65536,
  HIDDEN_MULTIPLE = 8,       /* 16 bytes of a row of the output */
  MOST_STEP_TOKENS = 1 << 18 /* a grid is 65535 column tiles high, and the least of those are of 8 tokens */
};

void snapmla_layer_problem_init(snapmla_layer_problem *problem) {
  if (!problem) return;
  *problem = (snapmla_layer_problem){
      .size = sizeof *problem,
      .nope_dim = 128,
      .v_dim = 128,
      .norm_epsilon = 1e-6f,
      .rope = {.base = 10000,
               .factor = 40,
               .original_context = 4096,
               .beta_fast = 32,
               .beta_slow = 1,
               .mscale = 1,
               .mscale_all_dim = 1},
  };
  snapmla_problem_init(&problem->attention);
}

static snapmla_status check_head(const char *name, int32_t value) {
  if (value == 64 || value == 128 || value == 192 || value == 256) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_UNSUPPORTED,
                   "layer: %s is %d, it must be 64, 128, 192 or 256: pad a head with zero channels to the next of them",
                   name, value);
}

static snapmla_status check_rope(const snapmla_rope *rope) {
  const struct {
    const char *name;
    double value, above;
  } fields[] = {{"base", rope->base, 1},
                {"original_context", rope->original_context, 0},
                {"beta_fast", rope->beta_fast, 0},
                {"beta_slow", rope->beta_slow, 0}};
  if (!(rope->factor >= 1) || !isfinite(rope->factor))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: rope.factor is %g, it must be 1 or more: 1 is no YaRN",
                     rope->factor);
  for (size_t i = 0; i < (rope->factor > 1 ? sizeof fields / sizeof *fields : 1); i++)
    if (!(fields[i].value > fields[i].above) || !isfinite(fields[i].value))
      return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: rope.%s is %g, it must be above %g: take the model's",
                       fields[i].name, fields[i].value, fields[i].above);
  if (rope->factor > 1 && (!(rope->mscale >= 0) || !(rope->mscale_all_dim >= 0)))
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "layer: rope.mscale and rope.mscale_all_dim are %g and %g, neither may be negative: take the model's",
        rope->mscale, rope->mscale_all_dim);
  return SNAPMLA_OK;
}

snapmla_status snapmla_layer_problem_check(const snapmla_layer_problem *problem) {
  static const uint32_t known = SNAPMLA_LAYER_NORMED | SNAPMLA_LAYER_ROTATED | SNAPMLA_LAYER_CUBLASLT;
  if (!problem)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "layer: problem is NULL: pass a struct that snapmla_layer_problem_init filled");
  snapmla_status status = smla_struct_size_check("snapmla_layer_problem", problem, problem->size, sizeof *problem);
  if (!status) status = snapmla_problem_check(&problem->attention);
  if (!status) status = check_head("nope_dim", problem->nope_dim);
  if (!status) status = check_head("v_dim", problem->v_dim);
  if (status) return status;
  if (problem->attention.flags & SNAPMLA_PROBLEM_BATCH_INVARIANT)
    return smla_fail(
        SNAPMLA_UNSUPPORTED,
        "layer: attention.flags has SNAPMLA_PROBLEM_BATCH_INVARIANT, and a layer's projections take kernels by the "
        "number of rows: clear it, or decode with a snapmla_plan and project batch-invariantly");
  if (problem->attention.max_batch * problem->attention.q_len > MOST_STEP_TOKENS)
    return smla_fail(
        SNAPMLA_UNSUPPORTED,
        "layer: attention.max_batch * attention.q_len is %d * %d, the tokens of a step must be at most %d: "
        "set a smaller max_batch, and split the call",
        problem->attention.max_batch, problem->attention.q_len, MOST_STEP_TOKENS);
  if (problem->hidden_size < 0 || problem->hidden_size > MOST_HIDDEN || problem->hidden_size % HIDDEN_MULTIPLE)
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "layer: hidden_size is %d, it must be 0 (a step ends with the values) or a multiple of %d up to "
                     "%d: take the model's, or pad W_O with rows of zeros",
                     problem->hidden_size, HIDDEN_MULTIPLE, MOST_HIDDEN);
  if (problem->weight_type != SNAPMLA_WEIGHT_BF16 && problem->weight_type != SNAPMLA_WEIGHT_FP8_BLOCK)
    return smla_fail(SNAPMLA_UNSUPPORTED, "layer: weight_type is %d: use a snapmla_weight_type",
                     (int)problem->weight_type);
  if (problem->rope_pairs != SNAPMLA_ROPE_INTERLEAVED && problem->rope_pairs != SNAPMLA_ROPE_HALF)
    return smla_fail(SNAPMLA_UNSUPPORTED, "layer: rope_pairs is %d: use a snapmla_rope_pairs",
                     (int)problem->rope_pairs);
  if (!problem->attention.rope_dim && !(problem->flags & SNAPMLA_LAYER_ROTATED))
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "layer: attention.rope_dim is 0, so that there is nothing to turn: set "
                     "SNAPMLA_LAYER_ROTATED, or the model's rope_dim");
  if (problem->flags & ~known)
    return smla_fail(SNAPMLA_UNSUPPORTED, "layer: flags is 0x%x, this library knows 0x%x: set no other bit",
                     problem->flags, known);
  if (!(problem->flags & SNAPMLA_LAYER_NORMED) && !(problem->norm_epsilon >= 0 && isfinite(problem->norm_epsilon)))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "layer: norm_epsilon is %g, it must be finite and not negative: take the model's, as 1e-6",
                     (double)problem->norm_epsilon);
  return problem->flags & SNAPMLA_LAYER_ROTATED ? SNAPMLA_OK : check_rope(&problem->rope);
}

static const double pi = 3.14159265358979323846;

/* The pair (a fraction of one) that turns `turns` times over the original context. */
static double pair_of_turns(const snapmla_rope *rope, int32_t dim, double turns) {
  return dim * log(rope->original_context / (turns * 2 * pi)) / (2 * log(rope->base));
}

/* Angle per position of pair i: YaRN blends the pace of the original context with one `factor` times slower. */
static double pace(const snapmla_rope *rope, int32_t dim, int32_t i) {
  double original = pow(rope->base, -2.0 * i / dim);
  if (rope->factor <= 1) return original;
  double low = fmax(floor(pair_of_turns(rope, dim, rope->beta_fast)), 0);
  double high = fmin(ceil(pair_of_turns(rope, dim, rope->beta_slow)), dim - 1);
  if (high == low) high += 0.001;
  double slow = fmin(fmax((i - low) / (high - low), 0), 1);
  return original / rope->factor * slow + original * (1 - slow);
}

static double magnitude(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1; }

snapmla_status snapmla_rope_table_fill(const snapmla_layer_problem *problem, int64_t first, int64_t count,
                                       float *table) {
  snapmla_status status = snapmla_layer_problem_check(problem);
  if (status) return status;
  if (problem->flags & SNAPMLA_LAYER_ROTATED)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "layer: with SNAPMLA_LAYER_ROTATED there are no angles: clear the flag");
  if (first < 0 || count < 0 || (count > 0 && !table))
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "layer: a table of positions %lld and %lld more is none, or table is NULL: pass positions from 0 and "
        "room for them",
        (long long)first, (long long)count);
  const snapmla_rope *rope = &problem->rope;
  int32_t dim = problem->attention.rope_dim, pairs = dim / 2;
  double by = magnitude(rope->factor, rope->mscale) / magnitude(rope->factor, rope->mscale_all_dim);
  for (int32_t i = 0; i < pairs; i++) {
    double step = pace(rope, dim, i);
    for (int64_t p = 0; p < count; p++) {
      table[p * dim + i] = (float)(by * cos((double)(first + p) * step));
      table[p * dim + pairs + i] = (float)(by * sin((double)(first + p) * step));
    }
  }
  return SNAPMLA_OK;
}
