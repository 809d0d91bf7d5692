/* D (+)= A B^T for e4m3. */
#include "mma.h"
#include "mma_dot.h"

#include <stddef.h>

void smla_mma_e4m3(float *d, const uint8_t *a, const uint8_t *b, int n, int accumulate) {
  for (int i = 0; i < SMLA_MMA_ROWS; i++)
    for (int j = 0; j < n; j++) {
      float *out = d + (size_t)i * n + j;
      *out = smla_dot_e4m3(accumulate ? *out : 0, a + i * SMLA_E4M3_K, b + j * SMLA_E4M3_K);
    }
}
