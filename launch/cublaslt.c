#include "cublaslt.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "env.h"
#include "library.h"
#include "status.h"

_Static_assert(sizeof(lt_choice) == 96, "cublasLtMatmulHeuristicResult_t");

enum { OLDEST_MAJOR = 12, NEWEST_MAJOR = 13 };

#define REMEDY "install the CUDA Toolkit's cuBLAS, or name its libcublasLt in SNAPMLA_CUBLASLT"

/* By the loader's own search, which finds one that the process has loaded, and in the toolkit. */
static const char *const places[] = {"", "/usr/local/cuda/lib64/"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static smla_cublaslt table;
static int opened;

static snapmla_status bind_table(void *handle, const char *path) {
  const smla_symbol symbols[] = {
#define SYMBOL(field, symbol, parameters) {symbol, &table.field},
      SMLA_CUBLASLT_LIST(SYMBOL)
#undef SYMBOL
          {"cublasLtGetVersion", &table.version},
      {"cublasLtGetStatusName", &table.status_name},
  };
  return smla_library_bind(handle, path, symbols, sizeof symbols / sizeof *symbols);
}

static void remember_path(void) {
  smla_buffer path = {0};
  void *address;
  memcpy(&address, &table.create, sizeof address);
  if (smla_library_path(address, &path)) return; /* only shown, never used */
  snprintf(table.path, sizeof table.path, "%s", path.data);
  smla_buffer_free(&path);
}

static snapmla_status try_open(const char *path) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return smla_fail(SNAPMLA_NOT_FOUND, "cuBLASLt cannot be loaded from %s (%s); " REMEDY, path,
                     reason ? reason : "no reason given");
  }
  snapmla_status status = bind_table(handle, path);
  if (status) {
    status = smla_fail(SNAPMLA_NOT_FOUND, "%s; " REMEDY, snapmla_error_message());
    dlclose(handle);
    return status;
  }
  remember_path();
  opened = 1; /* for the life of the process */
  return SNAPMLA_OK;
}

static snapmla_status open_locked(int driver_version) {
  if (opened) return SNAPMLA_OK;
  const char *asked = smla_env(SMLA_ENV_CUBLASLT);
  if (asked) return try_open(asked);
  int newest = driver_version / 1000 < NEWEST_MAJOR ? driver_version / 1000 : NEWEST_MAJOR;
  for (int major = newest; major >= OLDEST_MAJOR; major--)
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
      char path[64];
      snprintf(path, sizeof path, "%slibcublasLt.so.%d", places[i], major);
      if (!try_open(path)) return SNAPMLA_OK;
    }
  return smla_fail(SNAPMLA_NOT_FOUND,
                   "cuBLASLt is not found: no libcublasLt.so.%d to libcublasLt.so.%d that the driver can run; " REMEDY,
                   newest, OLDEST_MAJOR);
}

snapmla_status smla_cublaslt_open(int driver_version, const smla_cublaslt **out) {
  pthread_mutex_lock(&lock);
  snapmla_status status = open_locked(driver_version);
  pthread_mutex_unlock(&lock);
  *out = status ? NULL : &table;
  return status;
}
