#include "nvrtc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"
#include "env.h"
#include "library.h"
#include "status.h"

enum { OLDEST_MAJOR = SMLA_NVRTC_OLDEST_MAJOR, OLDEST_MINOR = 4, NEWEST_MAJOR = 13 };

#define REMEDY \
  "install the CUDA Toolkit, or pip install nvidia-cuda-nvrtc in a virtual environment, or set SNAPMLA_NVRTC"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static smla_nvrtc table;
static int opened;

static snapmla_status bind_table(void *handle, const char *path) {
  const smla_symbol symbols[] = {
#define SYMBOL(field, symbol, parameters) {symbol, &table.field},
      SMLA_NVRTC_LIST(SYMBOL)
#undef SYMBOL
          {"nvrtcGetErrorString", &table.error_string},
  };
  return smla_library_bind(handle, path, symbols, sizeof symbols / sizeof *symbols);
}

/* NVRTC opens its builtins by their soname, which the loader resolves only where the library's own run path or the
 * system's leads there. Loaded beforehand from beside it, they are found in any case. The handle is never closed. */
static void load_builtins(void) {
  const char *slash = strrchr(table.path, '/');
  if (!slash) return;
  char path[640];
  snprintf(path, sizeof path, "%.*s/libnvrtc-builtins.so.%d.%d", (int)(slash - table.path), table.path, table.major,
           table.minor);
  (void)dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* where it is missing NVRTC says so itself when it compiles */
}

static snapmla_status describe(const char *path) {
  if (table.version(&table.major, &table.minor))
    return smla_fail(SNAPMLA_NO_COMPILER, "%s does not tell its version; " REMEDY, path);
  if (table.major < OLDEST_MAJOR || (table.major == OLDEST_MAJOR && table.minor < OLDEST_MINOR))
    return smla_fail(SNAPMLA_NO_COMPILER, "%s is NVRTC %d.%d, and 12.4 is the oldest that works; " REMEDY, path,
                     table.major, table.minor);
  void *address;
  memcpy(&address, &table.version, sizeof address);
  smla_buffer text = {0};
  snapmla_status status = smla_library_path(address, &text);
  if (!status) snprintf(table.path, sizeof table.path, "%s", text.data);
  smla_buffer_free(&text);
  status = smla_library_build_id(address, &text);
  if (!status) snprintf(table.build_id, sizeof table.build_id, "%s", text.data ? text.data : "");
  smla_buffer_free(&text);
  return status;
}

/* NO_COMPILER where this library cannot serve, with the reason. */
static snapmla_status try_open(const char *path) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return smla_fail(SNAPMLA_NO_COMPILER, "NVRTC cannot be loaded from %s (%s); " REMEDY, path,
                     reason ? reason : "no reason given");
  }
  snapmla_status status = bind_table(handle, path);
  if (status) {
    status = smla_fail(SNAPMLA_NO_COMPILER, "%s; " REMEDY, snapmla_error_message());
  }
  if (!status) status = describe(path);
  if (status) {
    dlclose(handle);
    return status;
  }
  load_builtins();
  return SNAPMLA_OK;
}

/* `reason` gets the failure of a library that exists but cannot be used. */
static int try_major(int major, char *reason, size_t reason_bytes) {
  smla_buffer places = {0};
  int found = 0;
  if (!smla_nvrtc_places(major, &places)) {
    for (const char *p = places.data; !found && p < places.data + places.length; p += strlen(p) + 1) {
      found = !try_open(p);
      if (!found && *p == '/') snprintf(reason, reason_bytes, "%s", snapmla_error_message());
    }
  }
  smla_buffer_free(&places);
  return found;
}

int smla_nvrtc_loadable_major(void) {
  const smla_driver *driver;
  if (smla_driver_open(&driver)) return NEWEST_MAJOR;
  int major = driver->version / 1000;
  return major < NEWEST_MAJOR ? major : NEWEST_MAJOR;
}

static snapmla_status open_locked(void) {
  if (opened) return SNAPMLA_OK;
  const char *asked = smla_env(SMLA_ENV_NVRTC);
  if (asked) {
    snapmla_status status = try_open(asked);
    opened = !status;
    return status;
  }
  char reason[1024] = "";
  int loadable = smla_nvrtc_loadable_major();
  for (int major = loadable; !opened && major >= OLDEST_MAJOR; major--)
    opened = try_major(major, reason, sizeof reason);
  for (int major = NEWEST_MAJOR; !opened && major > loadable; major--) opened = try_major(major, reason, sizeof reason);
  if (opened) return SNAPMLA_OK;
  if (*reason) return smla_fail(SNAPMLA_NO_COMPILER, "%s", reason);
  return smla_fail(
      SNAPMLA_NO_COMPILER,
      "NVRTC is not found: no libnvrtc.so.13 or libnvrtc.so.12 in CUDAToolkit_ROOT, CUDA_HOME, the system's "
      "libraries, /usr/local/cuda or Python wheels; " REMEDY);
}

snapmla_status smla_nvrtc_open(const smla_nvrtc **out) {
  pthread_mutex_lock(&lock);
  snapmla_status status = open_locked();
  pthread_mutex_unlock(&lock);
  *out = status ? NULL : &table;
  return status;
}

snapmla_status smla_nvrtc_build_id(smla_buffer *out) {
  pthread_mutex_lock(&lock);
  const int known = opened;
  pthread_mutex_unlock(&lock);
  return known ? smla_buffer_append_text(out, table.build_id) : smla_nvrtc_guess(out);
}
