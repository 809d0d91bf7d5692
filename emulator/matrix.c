/* ldmatrix and stmatrix: four 8x8 matrices of 16-bit cells between a warp's registers and shared memory. Lane 8j + i
 * gives the address of row i of matrix j; lane l holds cells 2(l % 4) and + 1 of row l / 4, of column l / 4 when
 * transposed. */
#include <string.h>

#include "fault.h"
#include "machine.h"

struct access {
  int transposed;
  smla_place line;
};

static void load_lanes(smla_thread *lanes, const void *argument) {
  const struct access *access = argument;
  uint16_t cells[4][8][8];
  for (uint32_t i = 0; i < SMLA_WARP; i++)
    memcpy(cells[i / 8][i % 8], smla_shared_load_of(lanes + i, lanes[i].operand[0], 16, access->line), 16);
  for (uint32_t i = 0; i < SMLA_WARP; i++) {
    const uint32_t major = i / 4, minor = i % 4 * 2;
    for (int j = 0; j < 4; j++) {
      if (access->transposed)
        lanes[i].result[j] = cells[j][minor][major] | (uint32_t)cells[j][minor + 1][major] << 16;
      else
        lanes[i].result[j] = cells[j][major][minor] | (uint32_t)cells[j][major][minor + 1] << 16;
    }
  }
}

void smla_ldmatrix(unsigned *r, unsigned address, int transposed, smla_place line) {
  smla_thread *thread = smla_step(line);
  const struct access access = {transposed, line};
  thread->operand[0] = address;
  smla_warp_collective(thread, transposed ? "ldmatrix_x4_trans" : "ldmatrix_x4", line, load_lanes, &access);
  memcpy(r, thread->result, sizeof thread->result);
}

/* Each cell pair or cell counts as a store by the lane that holds it: that lane must fence it. */
static void store_lanes(smla_thread *lanes, const void *argument) {
  const struct access *access = argument;
  uint32_t rows[SMLA_WARP];
  for (uint32_t i = 0; i < SMLA_WARP; i++) {
    rows[i] = lanes[i].operand[0];
    uint32_t offset;
    smla_shared_locate(lanes + i, rows[i], 16, 16, "a row of stmatrix", access->line, &offset);
  }
  for (uint32_t i = 0; i < SMLA_WARP; i++) {
    const uint32_t major = i / 4, minor = i % 4 * 2;
    for (uint32_t j = 0; j < 4; j++) {
      const uint32_t value = lanes[i].result[j];
      if (!access->transposed) {
        memcpy(smla_shared_store_of(lanes + i, rows[j * 8 + major] + minor * 2, 4, access->line), &value, 4);
        continue;
      }
      for (uint32_t half = 0; half < 2; half++) {
        const uint16_t cell = (uint16_t)(value >> 16 * half);
        memcpy(smla_shared_store_of(lanes + i, rows[j * 8 + minor + half] + major * 2, 2, access->line), &cell, 2);
      }
    }
  }
}

void smla_stmatrix(unsigned address, const unsigned *r, int transposed, smla_place line) {
  smla_thread *thread = smla_step(line);
  const struct access access = {transposed, line};
  thread->operand[0] = address;
  memcpy(thread->result, r, sizeof thread->result);
  smla_warp_collective(thread, transposed ? "stmatrix_x4_trans" : "stmatrix_x4", line, store_lanes, &access);
}
