/* What wgmma computes: operands out of swizzled shared memory or fragments, accumulators out of and into 128 threads.
 * */
#include <stdlib.h>
#include <string.h>

#include "mma.h"
#include "tensor.h"

struct smla_tensor_scratch {
  _Alignas(64) float d[64 * 256];
  _Alignas(64) uint8_t a[64 * SMLA_K_BYTES];
  _Alignas(64) uint8_t b[256 * SMLA_K_BYTES];
};

snapmla_status smla_tensor_prepare(smla_worker *worker) {
  if (!worker->tensor_scratch) worker->tensor_scratch = aligned_alloc(64, sizeof *worker->tensor_scratch);
  return worker->tensor_scratch ? SNAPMLA_OK : SNAPMLA_OUT_OF_MEMORY;
}

static float *values_of(smla_frag_header *frag) { return (float *)(frag + 1); }

/* Thread t of the warpgroup, g = t % 32 / 4, q = t % 4, holds rows 16 * (t / 32) + g and + 8, columns 8j + 2q and + 1.
 * */
static void gather(float *d, smla_frag_header *const *frags, int n) {
  for (int t = 0; t < SMLA_WARPGROUP; t++) {
    const float *values = values_of(frags[t]);
    float *upper = d + (t / 32 * 16 + t % 32 / 4) * n + t % 4 * 2, *lower = upper + 8 * n;
    for (int j = 0; j < n / 8; j++) {
      memcpy(upper + 8 * j, values + 4 * j, 2 * sizeof(float));
      memcpy(lower + 8 * j, values + 4 * j + 2, 2 * sizeof(float));
    }
  }
}

static void scatter(const float *d, smla_frag_header *const *frags, int n) {
  for (int t = 0; t < SMLA_WARPGROUP; t++) {
    float *values = values_of(frags[t]);
    const float *upper = d + (t / 32 * 16 + t % 32 / 4) * n + t % 4 * 2, *lower = upper + 8 * n;
    for (int j = 0; j < n / 8; j++) {
      memcpy(values + 4 * j, upper + 8 * j, 2 * sizeof(float));
      memcpy(values + 4 * j + 2, lower + 8 * j, 2 * sizeof(float));
    }
  }
}

/* Registers 0 and 2 are row g, 1 and 3 row g + 8; 0 and 1 the first 16 bytes of k, 2 and 3 the second. */
static void a_from_registers(uint8_t *a, const smla_operation *operation) {
  for (uint32_t t = 0; t < SMLA_WARPGROUP; t++) {
    const uint32_t row = t / 32 * 16 + t % 32 / 4, byte = t % 4 * 4;
    for (uint32_t i = 0; i < 4; i++)
      memcpy(a + (row + i % 2 * 8) * SMLA_K_BYTES + byte + i / 2 * 16, &operation->a_values[t][i], 4);
  }
}

static void from_shared(uint8_t *rows, const smla_block *block, const smla_operand *operand) {
  if (!operand->by_columns) {
    for (uint32_t i = 0; i < smla_operand_granules(operand); i++)
      memcpy(rows + i * SMLA_GRANULE, block->shared.bytes + smla_operand_place(operand, i), SMLA_GRANULE);
    return;
  }
  for (uint32_t i = 0; i < smla_operand_granules(operand); i++) {
    const uint8_t *granule = block->shared.bytes + smla_operand_place(operand, i);
    for (uint32_t column = 0; column < 8; column++)
      memcpy(rows + (i / SMLA_K_STEPS * 8 + column) * SMLA_K_BYTES + i % SMLA_K_STEPS * 2, granule + 2 * column, 2);
  }
}

void smla_tensor_execute(smla_cluster *cluster, smla_block *block, smla_tensor_group *group, uint64_t end) {
  struct smla_tensor_scratch *scratch = cluster->worker->tensor_scratch;
  const smla_operation *held = NULL; /* whose accumulators are in scratch->d */
  for (; group->executed < end; group->executed++) {
    const smla_operation *operation = group->ring[group->executed % group->capacity];
    if (held && (held->n != operation->n || memcmp(held->d, operation->d, sizeof held->d) != 0)) {
      scatter(scratch->d, held->d, held->n);
      held = NULL;
    }
    if (!held && operation->accumulate) gather(scratch->d, operation->d, operation->n);
    held = operation;
    if (operation->a_in_registers)
      a_from_registers(scratch->a, operation);
    else
      from_shared(scratch->a, block, &operation->a);
    from_shared(scratch->b, block, &operation->b);
    const uint16_t *a = (const uint16_t *)(const void *)scratch->a, *b = (const uint16_t *)(const void *)scratch->b;
    if (operation->type == SMLA_WGMMA_BF16)
      smla_mma_bf16(scratch->d, a, b, operation->n, operation->accumulate);
    else if (operation->type == SMLA_WGMMA_F16)
      smla_mma_f16(scratch->d, a, b, operation->n, operation->accumulate);
    else
      smla_mma_e4m3(scratch->d, scratch->a, scratch->b, operation->n, operation->accumulate);
  }
  if (held) scatter(scratch->d, held->d, held->n);
}
