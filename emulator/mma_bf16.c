/* D (+)= A B^T for bf16. */
#include "mma.h"
#include "mma_dot.h"

#include <stddef.h>

void smla_mma_bf16(float *d, const uint16_t *a, const uint16_t *b, int n, int accumulate) {
  for (int i = 0; i < SMLA_MMA_ROWS; i++)
    for (int j = 0; j < n; j++) {
      float *out = d + (size_t)i * n + j;
      *out = smla_dot_bf16(accumulate ? *out : 0, a + i * SMLA_BF16_K, b + j * SMLA_BF16_K);
    }
}
