/* What a soak decodes. */
#include "soak.h"

/* Every format, level, page size and way of dealing rows; the order is that of --problems N. */
static const soak_problem large[] = {
    {"h64", 64, 1, 512, 64, 8, 16384, 0, "fp8_token", "fast", 0},
    {"h128", 128, 1, 512, 64, 8, 8192, 0, "fp8_token", "fast", 0},
    {"h16-sparse", 16, 1, 512, 64, 8, 4096, 512, "fp8_token", "fast", 0},
    {"h16-q2-tensor", 16, 2, 512, 16, 16, 4096, 0, "fp8_tensor", "fast", 0},
    {"h64-bf16", 64, 1, 512, 64, 8, 8192, 0, "bf16", "fast", 0},
    {"h20-q4-page128", 20, 4, 512, 128, 4, 4096, 0, "fp8_token", "balanced", 0},
    {"h64-tile", 64, 1, 512, 64, 8, 8192, 0, "fp8_tile", "fast", 0},
    {"h128-q2-max", 128, 2, 512, 64, 4, 4096, 0, "fp8_token", "max", 0},
    {"h40-rank256-page32", 40, 1, 256, 32, 16, 4096, 0, "fp8_token", "fast", 0},
    {"h8-batch64", 8, 1, 512, 64, 64, 2048, 0, "fp8_token", "fast", 0},
    {"h128-sparse", 128, 1, 512, 64, 4, 8192, 2048, "fp8_token", "fast", 0},
    {"h64-sinks", 64, 1, 512, 64, 8, 8192, 0, "fp8_token", "fast", SNAPMLA_PROBLEM_SINKS},
    {"h16-invariant", 16, 1, 512, 64, 8, 16384, 0, "fp8_token", "fast", SNAPMLA_PROBLEM_BATCH_INVARIANT},
    {"h16-r4", 16, 1, 512, 64, 8, 8192, 0, "fp8_token_r4", "max", 0},
    {"h128-sparse-tile", 128, 1, 512, 64, 4, 8192, 2048, "fp8_tile", "fast", 0},
    {"h96-q8", 96, 8, 512, 64, 2, 2048, 0, "fp8_token", "fast", 0},
};
static const soak_problem tiny[] = {
    {"tiny-h16", 16, 1, 512, 64, 3, 300, 0, "fp8_token", "fast", 0},
    {"tiny-sparse", 4, 1, 128, 16, 2, 200, 40, "fp8_token", "fast", 0},
    {"tiny-both", 8, 1, 128, 16, 3, 300, 0, "bf16", "fast", SNAPMLA_PROBLEM_SINKS | SNAPMLA_PROBLEM_BATCH_INVARIANT},
    {"tiny-q2-tensor", 8, 2, 128, 16, 3, 200, 0, "fp8_tensor", "fast", 0},
};

const soak_problem *soak_problems(int small, size_t *count) {
  *count = small ? sizeof tiny / sizeof *tiny : sizeof large / sizeof *large;
  return small ? tiny : large;
}
