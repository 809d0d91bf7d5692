/* The forms of the tile multiplications that this machine runs, for tests that hold all of them against one answer. */
#ifndef SMLA_TESTS_EMULATOR_MMA_FORMS_H
#define SMLA_TESTS_EMULATOR_MMA_FORMS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "mma.h"
#include "mma_paths.h"
#include "tensor_dot.h"

typedef struct {
  const char *name;
  smla_mma_e4m3_function *e4m3;
  smla_mma_bf16_function *bf16, *f16;
  bool runs;
} mma_form;

enum { MMA_FORMS = 3 };

static inline void mma_forms(mma_form forms[MMA_FORMS]) {
  forms[0] = (mma_form){"chosen", smla_mma_e4m3, smla_mma_bf16, smla_mma_f16, true};
  forms[1] = (mma_form){"plain", smla_mma_e4m3_plain, smla_mma_bf16_plain, smla_mma_f16_plain, true};
#if SMLA_MMA_AVX2
  forms[2] = (mma_form){"avx2", smla_mma_e4m3_avx2, smla_mma_bf16_avx2, smla_mma_f16_avx2,
                        __builtin_cpu_supports("avx2") != 0};
#else
  forms[2] = (mma_form){"avx2", NULL, NULL, NULL, false};
#endif
}

static inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

#endif
