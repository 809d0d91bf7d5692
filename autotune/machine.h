/* What a GPU can do at best: the ceilings that the cost model stands on. Pure. */
#ifndef SMLA_AUTOTUNE_MACHINE_H
#define SMLA_AUTOTUNE_MACHINE_H

#include <stddef.h>

#include "device_class.h"

/* Rates of wgmma for narrow N, as a share of `e4m3_tflops`. */
typedef struct smla_tensor_rate {
  int n;
  double shared, registers; /* A operand in shared memory, in registers */
} smla_tensor_rate;

enum { SMLA_TENSOR_RATES = 4, SMLA_HBM_DEPTHS = 3 };

typedef struct smla_machine {
  const char *name, *origin;         /* origin: where the figures come from */
  double sms;                        /* multiprocessors */
  double clock_mhz;                  /* sustained, of which cycles are counted */
  double hbm_gb_per_s;               /* reads, bulk copies of whole page images */
  double hbm_depth[SMLA_HBM_DEPTHS]; /* share of it with 1, 2, and 3 or more images in flight per multiprocessor */
  double l2_gb_per_s;                /* reads that hit; 0: a page read by several blocks counts as often */
  double e4m3_tflops, bf16_tflops;   /* wgmma at n = 64 */
  smla_tensor_rate rates[SMLA_TENSOR_RATES]; /* n = 8, 16, 32, 64 */
  double special_per_cycle;                  /* exponentials of a multiprocessor */
  double shared_per_cycle;                   /* bytes through a multiprocessor's shared-memory port */
  double latency_mhz;  /* that a space's tile_cycles take as long as at; 0: steps of no latency, all of which overlap */
  double launch_us;    /* one kernel */
  double dependent_us; /* each further dependent launch */
  double ramp_us;      /* what a call takes besides launches, tiles and bytes */
  double row_us;   /* a run's start and end, for each row of its block: queries fetched, outputs scaled and written */
  double merge_us; /* of a merge, for each doubling of the pieces that a request is cut into */
} smla_machine;

/* The machines measured: "h100", "h200", and "emulator", whose constants are those of the emulator's model. Sorted. */
const smla_machine *smla_machines(size_t *count);
/* NULL if there is none of that name. */
const smla_machine *smla_machine_find(const char *name);

/* The machine for a device's facts: the nearest measured one, its rates scaled to the device's multiprocessors, and its
 * bandwidth to bus width and memory clock (measured reads are 0.921 of 2 * bits / 8 * clock on an H100, whose share others get), unless it is a
 * measured one's. Without that clock, which is in no device class, the bandwidth is that of the machine measured with such a bus. */
smla_machine smla_machine_of(const smla_device_facts *facts);

#endif
