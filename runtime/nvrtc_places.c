/* Where libnvrtc may lie: toolkits, the system's own search, PyPI wheels. */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "env.h"
#include "file.h"
#include "nvrtc.h"

/* Directories of libraries below a toolkit's root. */
static const char *const toolkit_folders[] = {"lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"};

/* Directories of the CUDA wheels below a site-packages directory; cu13 is the layout of the CUDA 13 wheels. */
static const char *const wheel_folders[] = {"nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"};

/* Where interpreters keep their packages, below a prefix. */
static const char *const package_folders[] = {"lib/python3*/site-packages", "lib/python3*/dist-packages",
                                              "lib/python3/dist-packages"};

enum { PATH_BYTES = 1024 };

static snapmla_status add_place(const char *path, smla_buffer *out) {
  return smla_buffer_append(out, path, strlen(path) + 1);
}

static snapmla_status add_toolkit(const char *root, int major, smla_buffer *out) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = 0; root && !status && i < sizeof toolkit_folders / sizeof *toolkit_folders; i++) {
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s/libnvrtc.so.%d", root, toolkit_folders[i], major);
    if (length < (int)sizeof path && smla_file_exists(path)) status = add_place(path, out);
  }
  return status;
}

static snapmla_status add_matches(const char *pattern, smla_buffer *out) {
  glob_t found;
  if (glob(pattern, 0, NULL, &found)) return SNAPMLA_OK;
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = found.gl_pathc; i-- && !status;) status = add_place(found.gl_pathv[i], out); /* newest Python first */
  globfree(&found);
  return status;
}

static snapmla_status add_wheels(const char *prefix, const char *below, int major, smla_buffer *out) {
  snapmla_status status = SNAPMLA_OK;
  if (!prefix) return status;
  for (size_t i = 0; i < sizeof package_folders / sizeof *package_folders; i++) {
    for (size_t j = 0; j < sizeof wheel_folders / sizeof *wheel_folders && !status; j++) {
      char pattern[PATH_BYTES];
      int length = snprintf(pattern, sizeof pattern, "%s%s/%s/%s/libnvrtc.so.%d", prefix, below, package_folders[i],
                            wheel_folders[j], major);
      if (length < (int)sizeof pattern) status = add_matches(pattern, out);
    }
  }
  return status;
}

snapmla_status smla_nvrtc_places(int major, smla_buffer *out) {
  char soname[32];
  snprintf(soname, sizeof soname, "libnvrtc.so.%d", major);
  snapmla_status status = add_toolkit(smla_env(SMLA_ENV_CUDATOOLKIT_ROOT), major, out);
  if (!status) status = add_toolkit(smla_env(SMLA_ENV_CUDA_HOME), major, out);
  if (!status) status = add_wheels(smla_env(SMLA_ENV_VIRTUAL_ENV), "", major, out);
  if (!status) status = add_place(soname, out);
  if (!status) status = add_toolkit("/usr/local/cuda", major, out);
  if (!status) status = add_wheels(smla_env(SMLA_ENV_HOME), "/.local", major, out);
  if (!status) status = add_wheels("/usr/local", "", major, out);
  if (!status) status = add_wheels("/usr", "", major, out);
  return status;
}
