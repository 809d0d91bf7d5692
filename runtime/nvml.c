#include "nvml.h"

#include <dlfcn.h>
#include <pthread.h>

#include "env.h"
#include "library.h"
#include "log.h"
#include "status.h"

/* nvmlClocksThrottleReason…: software power cap, hardware slowdown, software and hardware thermal, power brake. */
enum { HELD_BACK = 0x4 | 0x8 | 0x20 | 0x40 | 0x80 };

typedef void *nvml_device;

static struct {
  int (*init)(void);
  int (*by_bus_id)(const char *bus_id, nvml_device *device);
  int (*throttle_reasons)(nvml_device device, unsigned long long *reasons);
} table;
static int usable;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_nvml(void) {
  const smla_symbol symbols[] = {{"nvmlInit_v2", &table.init},
                                 {"nvmlDeviceGetHandleByPciBusId_v2", &table.by_bus_id},
                                 {"nvmlDeviceGetCurrentClocksThrottleReasons", &table.throttle_reasons}};
  const char *path = smla_env(SMLA_ENV_NVML);
  if (!path) path = "libnvidia-ml.so.1";
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  usable = handle && !smla_library_bind(handle, path, symbols, sizeof symbols / sizeof *symbols) && !table.init();
  if (!usable) smla_log(SMLA_LOG_INFO, "no NVML (%s): throttled timings are not noticed", path);
}

int smla_nvml_throttled(const char *bus_id) {
  nvml_device device;
  unsigned long long reasons;
  pthread_once(&once, open_nvml);
  if (!usable || !*bus_id || table.by_bus_id(bus_id, &device) || table.throttle_reasons(device, &reasons)) return 0;
  return (reasons & HELD_BACK) != 0;
}
