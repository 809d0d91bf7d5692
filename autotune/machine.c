#include "machine.h"

#include <math.h>
#include <string.h>

/* H100: measured, SXM 80 GB HBM3: reads of 41,216-byte pieces; wgmma at n = 16, 32 and 64, n = 8 taken as half of
 * n = 16. H200: measured, on a card of 4530 GB/s (another has 4645); its two-stage read is 3930 of them. Reads that hit L2,
 * by copies alone, and the H200's launches are of docs/performance/h100/ceilings.csv and h200/ceilings.csv; the H100's launches
 * of an earlier visit. emulator: emulator/model.c.
 *
 * Fitted to the times of docs/performance/h100/rows.csv and h200/rows.csv together, which are alike within 2 % where memory does not
 * decide: latency_mhz (within what the multiprocessors run at inside such kernels by counters.csv), ramp_us, row_us and merge_us. */
static const smla_machine machines[] = {
    {"emulator",
     "the emulator's model",
     132,
     1755,
     4530,
     {1, 1, 1},
     0,
     1898,
     949,
     {{8, 0.232, 0.333}, {16, 0.463, 0.666}, {32, 0.700, 0.830}, {64, 0.937, 0.994}},
     16,
     128,
     0,
     6.6,
     6.6,
     0,
     0,
     0},
    {"h100",
     "measured on an H100 80GB HBM3",
     132,
     1755,
     3088,
     {0.964, 0.995, 1},
     7600,
     1890,
     983,
     {{8, 0.209, 0.320}, {16, 0.417, 0.640}, {32, 0.697, 0.988}, {64, 0.989, 1}},
     16,
     128,
     1750,
     3.3,
     0.8,
     1.5,
     0.04,
     0.45},
    {"h200",
     "measured on an H200",
     132,
     1755,
     4530,
     {0.79, 0.868, 1},
     8900,
     1680,
     848,
     {{8, 0.233, 0.335}, {16, 0.466, 0.670}, {32, 0.705, 0.835}, {64, 0.943, 1}},
     16,
     128,
     1750,
     3.1,
     0.8,
     1.5,
     0.04,
     0.45},
};

const smla_machine *smla_machines(size_t *count) {
  *count = sizeof machines / sizeof *machines;
  return machines;
}

const smla_machine *smla_machine_find(const char *name) {
  for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
    if (!strcmp(machines[i].name, name)) return &machines[i];
  return NULL;
}

smla_machine smla_machine_of(const smla_device_facts *facts) {
  static const double read_share = 0.921; /* an H100's; an H200's is 0.941 */
  static const double same = 0.03;        /* a bandwidth no further from that of a machine measured is that one's */
  static const int h200_bus_bits = 6016;  /* tells the two apart where the memory's clock is not known */
  if (facts->is_emulator) {
    smla_machine emulated = *smla_machine_find("emulator");
    if (facts->multiprocessors > 0) {
      emulated.e4m3_tflops *= facts->multiprocessors / emulated.sms;
      emulated.bf16_tflops *= facts->multiprocessors / emulated.sms;
      emulated.sms = facts->multiprocessors;
    }
    return emulated;
  }
  double peak = 2.0 * facts->bus_bits / 8 * facts->memory_clock_mhz * 1e-3; /* GB/s */
  const smla_machine *h100 = smla_machine_find("h100"), *h200 = smla_machine_find("h200");
  double bandwidth = peak > 0                           ? peak * read_share
                     : facts->bus_bits >= h200_bus_bits ? h200->hbm_gb_per_s
                                                        : h100->hbm_gb_per_s;
  smla_machine machine = fabs(bandwidth - h200->hbm_gb_per_s) < fabs(bandwidth - h100->hbm_gb_per_s) ? *h200 : *h100;
  if (fabs(bandwidth / machine.hbm_gb_per_s - 1) > same) machine.hbm_gb_per_s = bandwidth;
  if (facts->multiprocessors > 0) {
    double scale = facts->multiprocessors / machine.sms;
    machine.e4m3_tflops *= scale;
    machine.bf16_tflops *= scale;
    machine.sms = facts->multiprocessors;
  }
  return machine;
}
