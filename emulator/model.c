#include "model.h"

#include <stdlib.h>
#include <string.h>

/* Every constant of the model. "Measured" is one H200 with 132 multiprocessors; "published" is NVIDIA's Hopper
 * whitepaper. */
static const double clock_mhz = 1755;             /* published: boost clock of the SXM part */
static const double hbm_gb_per_s = 4530;          /* measured: reads by bulk copies of whole page images */
static const double shared_bytes_per_cycle = 128; /* published: of a multiprocessor */
static const double special_per_cycle = 16;       /* published: special functions of a multiprocessor */
static const double issue_per_cycle = 4;          /* published: warps that issue, of a multiprocessor */
static const double launch_us = 3.0;              /* measured: an empty kernel in a graph */
static const double ramp_us = 3.6;                /* derived: work record 0.8, first page 1.3, store and drain 1.5 */
static const double e4m3_flops_per_cycle = 8192;  /* published: dense, of a multiprocessor; bf16 half */

/* Share of the peak that m64nNk32 reaches, measured: A in shared memory and in registers at N = 16 (783, 1126 of 1690
 * TF), 64 (1584, 1680), 128 and 256 (1690). N = 8 is taken as half of N = 16, N = 32 as halfway between its
 * neighbours. */
static const struct {
  int n;
  double shared, registers;
} rates[] = {{8, 0.232, 0.333}, {16, 0.463, 0.666}, {32, 0.700, 0.830}, {64, 0.937, 0.994}, {128, 1, 1}, {256, 1, 1}};

uint64_t smla_model_wgmma(int bf16, int n, int a_in_registers) {
  const double flops = 2.0 * 64 * n * (bf16 ? 16 : 32);
  double rate = 1;
  for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
    if (rates[i].n == n) rate = a_in_registers ? rates[i].registers : rates[i].shared;
  return (uint64_t)(flops / (bf16 ? e4m3_flops_per_cycle / 2 : e4m3_flops_per_cycle) / rate * 256 + 0.5);
}

/* Sums of what competes for one multiprocessor's resources. */
typedef struct load {
  double global, shared, tensor, special, issue;
} load;

static void add(load *sum, const smla_block_cost *block) {
  for (int i = 0; i < SMLA_ROLES; i++) {
    const smla_role *role = block->roles + i;
    sum->global += (double)(role->global_read + role->global_written);
    sum->shared += (double)role->shared_bytes;
    sum->tensor += (double)role->tensor_cycles / 256;
    sum->special += (double)role->exponentials;
    sum->issue += (double)role->primitives / 32;
  }
}

static double cycles_of(const load *sum, uint32_t sms) {
  const double bytes_per_cycle = hbm_gb_per_s * 1e3 / clock_mhz / sms;
  const double parts[] = {sum->global / bytes_per_cycle, sum->shared / shared_bytes_per_cycle, sum->tensor,
                          sum->special / special_per_cycle, sum->issue / issue_per_cycle};
  double most = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i] > most) most = parts[i];
  return most;
}

double smla_model_block_cycles(const smla_block_cost *block, uint32_t sms) {
  load sum = {0};
  add(&sum, block);
  return cycles_of(&sum, sms);
}

double smla_model_time(const smla_block_cost *blocks, uint64_t count, uint32_t sms) {
  load *loads = calloc(sms, sizeof *loads);
  double *cycles = calloc(sms, sizeof *cycles);
  double most = 0;
  if (loads && cycles)
    for (uint64_t i = 0; i < count; i++) {
      uint32_t best = 0;
      if (i < sms)
        best = (uint32_t)i;
      else
        for (uint32_t sm = 1; sm < sms; sm++)
          if (cycles[sm] < cycles[best]) best = sm;
      add(loads + best, blocks + i);
      cycles[best] = cycles_of(loads + best, sms);
      if (cycles[best] > most) most = cycles[best];
    }
  free(loads);
  free(cycles);
  return launch_us + ramp_us + most / clock_mhz;
}
