#include "store_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env.h"
#include "file.h"
#include "status.h"

/* The version is that of names and formats. */
#define STORE_VERSION "v1"

snapmla_status smla_store_root(smla_buffer *out) {
  const char *path = smla_env(SMLA_ENV_CACHE_DIR);
  if (path) return smla_buffer_append_text(out, path);
  path = smla_env(SMLA_ENV_XDG_CACHE_HOME);
  if (path && *path == '/') return smla_buffer_printf(out, "%s/snapmla", path);
  path = smla_env(SMLA_ENV_HOME);
  if (path && *path == '/') return smla_buffer_printf(out, "%s/.cache/snapmla", path);
  return smla_fail(
      SNAPMLA_NOT_FOUND,
      "there is no cache directory: none of SNAPMLA_CACHE_DIR, XDG_CACHE_HOME and HOME is set; set the first");
}

static snapmla_status check_folder(const char *path, int flags) {
  struct stat info;
  if (lstat(path, &info))
    return smla_fail(errno == ENOENT || errno == ENOTDIR ? SNAPMLA_NOT_FOUND : SNAPMLA_IO, "cannot examine %s: %s",
                     path, strerror(errno));
  if (!S_ISDIR(info.st_mode))
    return smla_fail(
        SNAPMLA_UNSUPPORTED,
        "%s is not a directory (links do not count), and the store holds code; remove it or set SNAPMLA_CACHE_DIR",
        path);
  if (info.st_uid != geteuid() && ((flags & SMLA_STORE_OWN) || info.st_uid))
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "%s belongs to user %u, and the store holds code, which is taken from your own files alone; set "
                     "SNAPMLA_CACHE_DIR to a directory of yours",
                     path, (unsigned)info.st_uid);
  if (info.st_mode & (S_IWGRP | S_IWOTH))
    return smla_fail(SNAPMLA_UNSUPPORTED, "others may write to %s, and the store holds code; chmod go-w %s", path,
                     path);
  return SNAPMLA_OK;
}

/* The root, the version's folder, and each folder of `sub`: `path` is cut at its slashes from `root` bytes on. */
static snapmla_status check_all(char *path, size_t root, int flags) {
  snapmla_status status = SNAPMLA_OK;
  for (size_t i = root; !status; i++) {
    if (path[i] != '/' && path[i]) continue;
    char end = path[i];
    path[i] = 0;
    status = check_folder(path, flags);
    path[i] = end;
    if (!end) break;
  }
  return status;
}

snapmla_status smla_store_folder(const char *sub, int flags, smla_buffer *out) {
  smla_buffer path = {0};
  snapmla_status status = smla_store_root(&path);
  size_t root = path.length;
  if (!status) status = smla_buffer_printf(&path, "/" STORE_VERSION "%s%s", *sub ? "/" : "", sub);
  if (!status && (flags & SMLA_STORE_MAKE)) status = smla_file_make_directory(path.data);
  if (!status) status = check_all(path.data, root, flags);
  if (!status) status = smla_buffer_append(out, path.data, path.length);
  smla_buffer_free(&path);
  return status;
}

snapmla_status smla_store_read_file(const char *sub, const char *name, int flags, size_t limit, smla_buffer *out) {
  smla_buffer path = {0};
  struct stat info;
  snapmla_status status = smla_store_folder(sub, flags, &path);
  if (!status) status = smla_buffer_printf(&path, "/%s", name);
  if (!status) status = smla_file_check_private(path.data);
  if (!status && (flags & SMLA_STORE_OWN) && (lstat(path.data, &info) || info.st_uid != geteuid()))
    status = smla_fail(SNAPMLA_UNSUPPORTED,
                       "%s is not your own, and kernels that run in this process must be; remove it", path.data);
  if (!status) status = smla_file_read(path.data, limit, out);
  smla_buffer_free(&path);
  return status;
}

snapmla_status smla_store_publish(const char *sub, const char *name, int flags, const void *data, size_t length) {
  smla_buffer path = {0}, aside = {0};
  snapmla_status status = smla_store_folder(sub, flags | SMLA_STORE_MAKE, &path);
  if (!status) status = smla_buffer_printf(&path, "/%s", name);
  if (!status) status = smla_store_folder("tmp", flags | SMLA_STORE_MAKE, &aside);
  if (!status) status = smla_buffer_printf(&aside, "/%s", name);
  if (!status) status = smla_file_write_aside(aside.data, path.data, data, length, 0600);
  smla_buffer_free(&aside);
  smla_buffer_free(&path);
  return status;
}

snapmla_status smla_store_remove(const char *sub, const char *name) {
  smla_buffer path = {0};
  snapmla_status status = smla_store_folder(sub, SMLA_STORE_OWN, &path);
  if (status == SNAPMLA_NOT_FOUND) {
    smla_buffer_free(&path);
    return SNAPMLA_OK;
  }
  if (!status) status = smla_buffer_printf(&path, "/%s", name);
  if (!status && unlink(path.data) && errno != ENOENT)
    status = smla_fail(SNAPMLA_IO, "cannot remove %s: %s", path.data, strerror(errno));
  smla_buffer_free(&path);
  return status;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static snapmla_status add_name(smla_store_names *names, const char *name) {
  char **grown = realloc(names->items, (names->count + 1) * sizeof *grown);
  if (grown) names->items = grown;
  char *copy = grown ? strdup(name) : NULL;
  if (!copy) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a list of the store");
  names->items[names->count++] = copy;
  return SNAPMLA_OK;
}

static int fits(int folder, const struct dirent *entry, const char *suffix) {
  if (entry->d_name[0] == '.') return 0;
  struct stat info;
  if (fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW)) return 0;
  if (!strcmp(suffix, "/")) return S_ISDIR(info.st_mode);
  size_t length = strlen(entry->d_name), end = strlen(suffix);
  return S_ISREG(info.st_mode) && length > end && !strcmp(entry->d_name + length - end, suffix);
}

snapmla_status smla_store_list(const char *sub, const char *suffix, smla_store_names *out) {
  smla_buffer path = {0};
  smla_store_names names = {0};
  snapmla_status status = smla_store_folder(sub, 0, &path);
  DIR *directory = status ? NULL : opendir(path.data);
  if (!status && !directory && errno != ENOENT)
    status = smla_fail(SNAPMLA_IO, "cannot read the directory %s: %s", path.data, strerror(errno));
  if (status == SNAPMLA_NOT_FOUND) status = SNAPMLA_OK;
  struct dirent *entry;
  while (directory && !status && (entry = readdir(directory)))
    if (fits(dirfd(directory), entry, suffix)) status = add_name(&names, entry->d_name);
  if (directory) closedir(directory);
  smla_buffer_free(&path);
  if (status) {
    smla_store_names_free(&names);
    return status;
  }
  if (names.count) qsort(names.items, names.count, sizeof *names.items, compare_names);
  *out = names;
  return SNAPMLA_OK;
}

void smla_store_names_free(smla_store_names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->items[i]);
  free(names->items);
  *names = (smla_store_names){0};
}
