/* Which libnvrtc would be opened, from files alone. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"
#include "file.h"
#include "library.h"
#include "nvrtc.h"
#include "status.h"

static const char loader_cache[] = "/etc/ld.so.cache"; /* its strings end in NUL: sonames, and the paths they lead to */
enum { MOST_CACHE_BYTES = 64 << 20, PATH_BYTES = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  int made;
  char asked[PATH_BYTES], id[96];
} guess;

/* LD_LIBRARY_PATH, run paths and the default directories, as the loader has them. */
static snapmla_status in_directories(const char *soname, smla_buffer *out) {
  Dl_serinfo size, *info = NULL;
  snapmla_status status = SNAPMLA_OK;
  void *program = dlopen(NULL, RTLD_LAZY);
  if (program && !dlinfo(program, RTLD_DI_SERINFOSIZE, &size)) info = calloc(1, size.dls_size);
  if (info) {
    info->dls_size = size.dls_size;
    info->dls_cnt = size.dls_cnt;
    unsigned count = dlinfo(program, RTLD_DI_SERINFO, info) ? 0 : info->dls_cnt;
    for (unsigned i = 0; i < count && !out->length && !status; i++) {
      char path[PATH_BYTES];
      int length = snprintf(path, sizeof path, "%s/%s", info->dls_serpath[i].dls_name, soname);
      if (length < (int)sizeof path && smla_file_exists(path)) status = smla_buffer_append_text(out, path);
    }
  }
  free(info);
  if (program) dlclose(program);
  return status;
}

static snapmla_status in_cache(const char *soname, smla_buffer *out) {
  smla_buffer cache = {0};
  size_t length = strlen(soname);
  if (smla_file_read(loader_cache, MOST_CACHE_BYTES, &cache)) return SNAPMLA_OK;
  snapmla_status status = SNAPMLA_OK;
  const char *end = cache.data + cache.length, *at = cache.data;
  while (!status && !out->length && at < end && (at = memmem(at, (size_t)(end - at), soname, length + 1))) {
    const char *start = at;
    while (start > cache.data && start[-1]) start--;
    if (*start == '/' && at[-1] == '/' && smla_file_exists(start)) status = smla_buffer_append_text(out, start);
    at += length + 1;
  }
  smla_buffer_free(&cache);
  return status;
}

snapmla_status smla_nvrtc_loader_path(const char *soname, smla_buffer *out) {
  smla_buffer path = {0};
  snapmla_status status = in_directories(soname, &path);
  if (!status && !path.length) status = in_cache(soname, &path);
  if (!status && path.length) status = smla_buffer_append_text(out, path.data);
  smla_buffer_free(&path);
  return status;
}

/* *found: a library of this major version is there, whether or not it tells its build. */
static snapmla_status guess_major(int major, int *found, smla_buffer *id) {
  smla_buffer places = {0};
  snapmla_status status = smla_nvrtc_places(major, &places);
  for (const char *p = places.data; p && !status && !*found && p < places.data + places.length; p += strlen(p) + 1) {
    smla_buffer path = {0};
    status = *p == '/' ? smla_buffer_append_text(&path, p) : smla_nvrtc_loader_path(p, &path);
    *found = path.length > 0;
    if (!status && *found) status = smla_library_file_build_id(path.data, id);
    smla_buffer_free(&path);
  }
  smla_buffer_free(&places);
  return status;
}

/* In the order of smla_nvrtc_open; versions that the driver cannot load are left to it. */
static snapmla_status make_guess(const char *asked, smla_buffer *id) {
  if (asked) return smla_library_file_build_id(asked, id);
  snapmla_status status = SNAPMLA_OK;
  int found = 0;
  for (int major = smla_nvrtc_loadable_major(); major >= SMLA_NVRTC_OLDEST_MAJOR && !found && !status; major--)
    status = guess_major(major, &found, id);
  return status;
}

snapmla_status smla_nvrtc_guess(smla_buffer *out) {
  const char *asked = smla_env(SMLA_ENV_NVRTC), *name = asked ? asked : "";
  smla_buffer id = {0};
  snapmla_status status = SNAPMLA_OK;
  pthread_mutex_lock(&lock);
  if (!guess.made || strcmp(guess.asked, name)) {
    status = make_guess(asked, &id);
    guess.made = !status && strlen(name) < sizeof guess.asked;
    snprintf(guess.asked, sizeof guess.asked, "%s", name);
    snprintf(guess.id, sizeof guess.id, "%s", id.data ? id.data : "");
  }
  if (!status && guess.id[0]) status = smla_buffer_append_text(out, guess.id);
  pthread_mutex_unlock(&lock);
  smla_buffer_free(&id);
  return status;
}
