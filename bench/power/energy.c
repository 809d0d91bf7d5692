/* NVML's sum of energy and clock, of a library that is opened at run time. */
#include <dlfcn.h>
#include <math.h>
#include <string.h>

#include "env.h"
#include "library.h"
#include "power.h"

enum { CLOCK_SM = 1 }; /* nvmlClockType_t */

typedef void *nvml_device;

static struct {
  int (*init)(void);
  int (*by_bus_id)(const char *bus_id, nvml_device *device);
  int (*energy)(nvml_device device, unsigned long long *millijoules);
  int (*clock)(nvml_device device, int which, unsigned *mhz);
} table;
static int tried, usable;

/* One thread measures. */
static nvml_device nvml_of(const bench *b) {
  char bus_id[32] = "";
  nvml_device device = NULL;
  if (b->device->is_emulator) return NULL;
  if (!tried) {
    const smla_symbol symbols[] = {{"nvmlInit_v2", &table.init},
                                   {"nvmlDeviceGetHandleByPciBusId_v2", &table.by_bus_id},
                                   {"nvmlDeviceGetTotalEnergyConsumption", &table.energy},
                                   {"nvmlDeviceGetClockInfo", &table.clock}};
    const char *path = smla_env(SMLA_ENV_NVML);
    if (!path) path = "libnvidia-ml.so.1";
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    tried = 1;
    usable = handle && !smla_library_bind(handle, path, symbols, sizeof symbols / sizeof *symbols) && !table.init();
  }
  b->device->ops->bus_id(b->device, bus_id);
  return usable && *bus_id && !table.by_bus_id(bus_id, &device) ? device : NULL;
}

double energy_joules(const bench *b) {
  unsigned long long millijoules;
  nvml_device device = nvml_of(b);
  return device && !table.energy(device, &millijoules) ? (double)millijoules / 1e3 : (double)NAN;
}

double energy_mhz(const bench *b) {
  unsigned mhz;
  nvml_device device = nvml_of(b);
  return device && !table.clock(device, CLOCK_SM, &mhz) ? mhz : (double)NAN;
}
