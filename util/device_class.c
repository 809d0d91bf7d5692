#include "device_class.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLOCK_STEP = 100 }; /* MHz */

void smla_device_class(const smla_device_facts *facts, char text[SMLA_DEVICE_CLASS_MAX]) {
  if (facts->is_emulator) {
    snprintf(text, SMLA_DEVICE_CLASS_MAX, "emulator-%dsm", facts->multiprocessors);
    return;
  }
  snprintf(text, SMLA_DEVICE_CLASS_MAX, "sm%d%d-%dsm-l2_%dm-smem%dk-bus%d-clk%d%s", facts->compute_major,
           facts->compute_minor, facts->multiprocessors, (int)(facts->l2_bytes >> 20), facts->shared_memory_bytes >> 10,
           facts->bus_bits, (facts->clock_mhz + CLOCK_STEP / 2) / CLOCK_STEP * CLOCK_STEP,
           facts->partitioned ? "-part" : "");
}

typedef struct class_parts {
  int emulator, capability, sms, l2, smem, bus, clock, part;
} class_parts;

static int read_class(const char *text, class_parts *out) {
  int end = 0;
  *out = (class_parts){0};
  if (strlen(text) >= SMLA_DEVICE_CLASS_MAX) return 0;
  if (sscanf(text, "emulator-%dsm%n", &out->sms, &end) == 1 && end && !text[end]) {
    out->emulator = 1;
    return out->sms > 0;
  }
  end = 0;
  if (sscanf(text, "sm%d-%dsm-l2_%dm-smem%dk-bus%d-clk%d%n", &out->capability, &out->sms, &out->l2, &out->smem,
             &out->bus, &out->clock, &end) != 6 ||
      !end)
    return 0;
  if (out->clock % CLOCK_STEP) return 0;
  out->part = !strcmp(text + end, "-part");
  return (out->part || !text[end]) && out->capability > 0 && out->sms > 0;
}

int smla_device_class_is(const char *text) {
  class_parts parts;
  char again[SMLA_DEVICE_CLASS_MAX];
  if (!read_class(text, &parts)) return 0;
  if (parts.emulator)
    snprintf(again, sizeof again, "emulator-%dsm", parts.sms);
  else
    snprintf(again, sizeof again, "sm%d-%dsm-l2_%dm-smem%dk-bus%d-clk%d%s", parts.capability, parts.sms, parts.l2,
             parts.smem, parts.bus, parts.clock, parts.part ? "-part" : "");
  return !strcmp(text, again); /* no signs, no leading zeros, no blanks */
}

int smla_device_class_facts(const char *text, smla_device_facts *facts) {
  class_parts parts;
  if (!smla_device_class_is(text) || !read_class(text, &parts)) return 0;
  *facts = (smla_device_facts){.is_emulator = parts.emulator,
                               .compute_major = parts.emulator ? 9 : parts.capability / 10,
                               .compute_minor = parts.emulator ? 0 : parts.capability % 10,
                               .multiprocessors = parts.sms,
                               .l2_bytes = (int64_t)parts.l2 << 20,
                               .shared_memory_bytes = parts.smem << 10,
                               .bus_bits = parts.bus,
                               .clock_mhz = parts.clock,
                               .partitioned = parts.part};
  return 1;
}

static double octaves(int a, int b) { return a > 0 && b > 0 ? fabs(log2((double)a / b)) : 0; }

double smla_device_class_distance(const char *a, const char *b) {
  class_parts x, y;
  if (!read_class(a, &x) || !read_class(b, &y) || x.emulator != y.emulator || x.capability != y.capability) return -1;
  if (!strcmp(a, b)) return 0;
  /* Bandwidth and multiprocessors decide most; a class that differs in softer facts alone is still no equal. */
  return 0.01 + 4 * octaves(x.sms, y.sms) + 4 * octaves(x.bus, y.bus) + octaves(x.l2, y.l2) + octaves(x.smem, y.smem) +
         octaves(x.clock, y.clock) + (x.part != y.part ? 2 : 0);
}
