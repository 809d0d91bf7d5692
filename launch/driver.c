#include "driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "env.h"
#include "library.h"
#include "status.h"

_Static_assert(sizeof(cu_launch_attribute) == 72, "CUlaunchAttribute");
_Static_assert(offsetof(cu_launch_attribute, value) == 8, "CUlaunchAttribute");
_Static_assert(offsetof(cu_launch_config, stream) == 32, "CUlaunchConfig");

enum { OLDEST_DRIVER = 12000 }; /* cuLaunchKernelEx and compute capability 9.0 */

/* By the loader's own search, and where containers and WSL mount the host's driver without telling the loader. */
static const char *const names[] = {"libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1",
                                    "/usr/lib/wsl/lib/libcuda.so.1"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static smla_driver table;
static int opened, started;

static snapmla_status bind_table(void *handle) {
  const smla_symbol symbols[] = {
#define SYMBOL(field, symbol, parameters) {symbol, &table.field},
      SMLA_DRIVER_LIST(SYMBOL)
#undef SYMBOL
  };
  return smla_library_bind(handle, "libcuda", symbols, sizeof symbols / sizeof *symbols);
}

static void remember_path(void) {
  smla_buffer path = {0};
  void *address;
  __builtin_memcpy(&address, &table.init, sizeof address);
  if (smla_library_path(address, &path)) return; /* only shown, never used */
  snprintf(table.path, sizeof table.path, "%s", path.data);
  smla_buffer_free(&path);
}

static const char *words(cu_result (*get)(cu_result, const char **), cu_result result) {
  const char *text = NULL;
  return get(result, &text) || !text ? "unknown" : text;
}

/* The toolkit's stub library, which only serves linking, fails here. */
static snapmla_status check_version(const char *name) {
  cu_result result = table.driver_version(&table.version);
  if (result)
    return smla_fail(SNAPMLA_NO_DEVICE,
                     "%s is no working NVIDIA driver: cuDriverGetVersion says %s (%s); install the driver, or use the "
                     "device \"emulator\"",
                     name, words(table.error_name, result), words(table.error_string, result));
  if (table.version >= OLDEST_DRIVER) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_NO_DEVICE,
                   "the NVIDIA driver supports CUDA %d.%d, and 12.0 is the least; install a newer driver, or use the "
                   "device \"emulator\"",
                   table.version / 1000, table.version % 1000 / 10);
}

/* The library, and the name that it was found by. NULL with the reason of the first name's failure. */
static void *find_library(const char **name) {
  const char *asked = smla_env(SMLA_ENV_CUDA);
  *name = asked ? asked : names[0];
  void *handle = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
  if (handle) return handle;
  const char *reason = dlerror();
  smla_fail(SNAPMLA_NO_DEVICE,
            "no NVIDIA driver: %s cannot be loaded (%s); install the driver, name its libcuda in SNAPMLA_CUDA, or use "
            "the device \"emulator\"",
            *name, reason ? reason : "no reason given");
  for (size_t i = 1; !asked && !handle && i < sizeof names / sizeof *names; i++) {
    *name = names[i];
    handle = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
  }
  return handle;
}

/* The handle is kept for the life of the process: libcuda does not survive being closed and opened again. */
static snapmla_status open_locked(void) {
  if (opened) return SNAPMLA_OK;
  const char *name;
  void *handle = find_library(&name);
  if (!handle) return SNAPMLA_NO_DEVICE;
  snapmla_status status = bind_table(handle);
  if (status)
    status =
        smla_fail(SNAPMLA_NO_DEVICE, "%s (%s); install a driver of CUDA 12 or later, or use the device \"emulator\"",
                  snapmla_error_message(), name);
  if (!status) status = check_version(name);
  if (status) {
    dlclose(handle);
    return status;
  }
  remember_path();
  opened = 1;
  return SNAPMLA_OK;
}

snapmla_status smla_driver_open(const smla_driver **out) {
  pthread_mutex_lock(&lock);
  snapmla_status status = open_locked();
  pthread_mutex_unlock(&lock);
  *out = status ? NULL : &table;
  return status;
}

static snapmla_status start_locked(void) {
  snapmla_status status = open_locked();
  if (status || started) return status;
  cu_result result = table.init(0);
  if (result)
    return smla_fail(
        SNAPMLA_NO_DEVICE,
        "the NVIDIA driver does not start: cuInit says %s (%s); see that a GPU is present and its kernel module "
        "loaded (nvidia-smi), or use the device \"emulator\"",
        words(table.error_name, result), words(table.error_string, result));
  started = 1;
  return SNAPMLA_OK;
}

snapmla_status smla_driver_start(const smla_driver **out) {
  pthread_mutex_lock(&lock);
  snapmla_status status = start_locked();
  pthread_mutex_unlock(&lock);
  *out = status ? NULL : &table;
  return status;
}

snapmla_status smla_driver_check(const smla_driver *driver, cu_result result, const char *call, const char *doing) {
  if (!result) return SNAPMLA_OK;
  return smla_fail(result == CU_OUT_OF_MEMORY ? SNAPMLA_OUT_OF_MEMORY : SNAPMLA_DEVICE, "cannot %s: %s says %s (%s)",
                   doing, call, words(driver->error_name, result), words(driver->error_string, result));
}
