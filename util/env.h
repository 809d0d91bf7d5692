/* The environment: the one list of variables that snapmla reads, and the one place that reads them. Thread-safe as long
 * as nobody changes the environment. docs/environment.md shows this list; a test holds the two together. */
#ifndef SMLA_UTIL_ENV_H
#define SMLA_UTIL_ENV_H

#include <stddef.h>

/* X(identifier, variable, default in words, meaning) */
#define SMLA_ENV_LIST(X)                                                                                               \
  X(CACHE_DIR, "SNAPMLA_CACHE_DIR", "XDG_CACHE_HOME/snapmla", "directory of compiled kernels and measurements")        \
  X(CACHE_LIMIT, "SNAPMLA_CACHE_LIMIT", "4096", "MiB that compiled kernels may take there before the oldest go")       \
  X(XDG_CACHE_HOME, "XDG_CACHE_HOME", "HOME/.cache", "directory of all caches, used where SNAPMLA_CACHE_DIR is unset") \
  X(HOME, "HOME", "none", "home directory, used where XDG_CACHE_HOME is unset")                                        \
  X(NVRTC, "SNAPMLA_NVRTC", "found by name", "path of libnvrtc to load")                                               \
  X(CUDA, "SNAPMLA_CUDA", "libcuda.so.1", "path of libcuda to load")                                                   \
  X(CUBLASLT, "SNAPMLA_CUBLASLT", "found by name", "path of libcublasLt to load, where a layer asks for it")           \
  X(CUDATOOLKIT_ROOT, "CUDAToolkit_ROOT", "none", "CUDA Toolkit whose libnvrtc is loaded")                             \
  X(CUDA_HOME, "CUDA_HOME", "/usr/local/cuda", "the same, used where CUDAToolkit_ROOT is unset")                       \
  X(VIRTUAL_ENV, "VIRTUAL_ENV", "none", "Python environment whose CUDA wheels are searched for libnvrtc")              \
  X(CUDA_TARGET, "SNAPMLA_CUDA_TARGET", "sm_90a", "sm_90a or emulator: what a stand-in driver is given, in tests")     \
  X(CXX, "SNAPMLA_CXX", "c++, g++ or clang++", "host C++ compiler that builds kernels for the emulator")               \
  X(NVML, "SNAPMLA_NVML", "libnvidia-ml.so.1", "path of libnvidia-ml to load, for throttling while kernels are timed") \
  X(WORKER, "SNAPMLA_WORKER", "beside the library", "program that tries candidates in a process of its own")           \
  X(LOG, "SNAPMLA_LOG", "none", "none, error, warning, info or debug: what goes to standard error")                    \
  X(TEMPLATES, "SNAPMLA_TEMPLATES", "the embedded ones", "directory of templates that override the embedded ones")     \
  X(TEST_TARGET, "SNAPMLA_TEST_TARGET", "emulator", "device that the tests use: emulator or cuda:N")                   \
  X(PATH, "PATH", "none", "directories where the host C++ compiler is looked for")                                     \
  X(TMPDIR, "TMPDIR", "/tmp", "directory of temporary files")

typedef enum smla_env_name {
#define SMLA_ENV_ENUM(identifier, variable, fallback, meaning) SMLA_ENV_##identifier,
  SMLA_ENV_LIST(SMLA_ENV_ENUM)
#undef SMLA_ENV_ENUM
      SMLA_ENV_COUNT
} smla_env_name;

typedef struct smla_env_entry {
  const char *variable, *fallback, *meaning;
} smla_env_entry;

/* The value, or NULL where the variable is unset or empty, or the program runs set-user-id (or with raised
 * capabilities): its user must not steer it. Owned by the environment. */
const char *smla_env(smla_env_name name);

/* The table's row; static. */
const smla_env_entry *smla_env_describe(smla_env_name name);

#endif
