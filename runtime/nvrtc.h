/* libnvrtc, opened at run time: found in a toolkit, by its soname or in PyPI wheels; the functions used and no
 * others. */
#ifndef SMLA_RUNTIME_NVRTC_H
#define SMLA_RUNTIME_NVRTC_H

#include <stddef.h>

#include <snapmla/status.h>

#include "buffer.h"

typedef struct nvrtc_program_object *nvrtc_program;

enum { NVRTC_ERROR_COMPILATION = 6 };

/* X(field, exported symbol, parameters): every one returns an nvrtcResult. */
#define SMLA_NVRTC_LIST(X)                                                                                 \
  X(version, "nvrtcVersion", (int *major, int *minor))                                                     \
  X(create, "nvrtcCreateProgram",                                                                          \
    (nvrtc_program * program, const char *source, const char *name, int headers, const char *const *texts, \
     const char *const *names))                                                                            \
  X(destroy, "nvrtcDestroyProgram", (nvrtc_program * program))                                             \
  X(compile, "nvrtcCompileProgram", (nvrtc_program program, int count, const char *const *options))        \
  X(log_size, "nvrtcGetProgramLogSize", (nvrtc_program program, size_t * size))                            \
  X(log, "nvrtcGetProgramLog", (nvrtc_program program, char *log))                                         \
  X(cubin_size, "nvrtcGetCUBINSize", (nvrtc_program program, size_t * size))                               \
  X(cubin, "nvrtcGetCUBIN", (nvrtc_program program, char *cubin))

typedef struct smla_nvrtc {
#define SMLA_NVRTC_FIELD(field, symbol, parameters) int(*field) parameters;
  SMLA_NVRTC_LIST(SMLA_NVRTC_FIELD)
#undef SMLA_NVRTC_FIELD
  const char *(*error_string)(int result);
  int major, minor;
  char build_id[96]; /* hex, "" where the library has none */
  char path[512];
} smla_nvrtc;

/* NVRTC, opened once for the process (a failure is retried by the next call): SNAPMLA_NVRTC where it is set, else the
 * newest whose cubins the driver of this machine can load, else the newest. Error: NO_COMPILER, with the remedy.
 * Thread-safe. */
snapmla_status smla_nvrtc_open(const smla_nvrtc **out);

/* Appends the places where libnvrtc.so.<major> is looked for, NUL-separated, in order. For smla_nvrtc_open and for
 * tests. */
snapmla_status smla_nvrtc_places(int major, smla_buffer *out);

/* The major version of cubins that the driver can load, the newest known where there is no driver to ask: the first that is
 * looked for. */
int smla_nvrtc_loadable_major(void);
enum { SMLA_NVRTC_OLDEST_MAJOR = 12 };

/* Appends the build-id of the library that smla_nvrtc_open has opened; before that, of the one that it would open as far as files
 * tell: loading 100 MB takes longer than all else of a warm plan. Appends nothing where they do not tell. Such a guess may be wrong
 * (the loader has ways of its own), so who relies on it asks again once NVRTC is open. Error: OUT_OF_MEMORY. Thread-safe. */
snapmla_status smla_nvrtc_build_id(smla_buffer *out);

/* Its guess, kept until SNAPMLA_NVRTC changes. */
snapmla_status smla_nvrtc_guess(smla_buffer *out);

/* Appends the path of the file that the loader would find by a soname, from its directories and its cache; nothing where they
 * have none. For smla_nvrtc_build_id and for tests. */
snapmla_status smla_nvrtc_loader_path(const char *soname, smla_buffer *out);

#endif
