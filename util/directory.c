/* The parts of file.h that deal with directories and ownership. */
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

static snapmla_status failed(const char *doing, const char *path) {
  return smla_fail(SNAPMLA_IO, "cannot %s %s: %s", doing, path, strerror(errno));
}

static int is_directory(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static snapmla_status make_one(const char *path) {
  if (!mkdir(path, 0700)) return SNAPMLA_OK;
  int why = errno; /* looking whether it is there sets another */
  if (is_directory(path)) return SNAPMLA_OK;
  errno = why;
  return failed("make the directory", path);
}

snapmla_status smla_file_make_directory(const char *path) {
  smla_buffer partial = {0};
  snapmla_status status = smla_buffer_append_text(&partial, path);
  for (size_t i = 1; !status && i < partial.length; i++) {
    if (partial.data[i] != '/') continue;
    partial.data[i] = 0;
    status = make_one(partial.data);
    partial.data[i] = '/';
  }
  if (!status) status = make_one(path);
  smla_buffer_free(&partial);
  return status;
}

snapmla_status smla_file_make_temporary(const char *prefix, smla_buffer *out) {
  const char *parent = smla_env(SMLA_ENV_TMPDIR);
  smla_buffer path = {0};
  snapmla_status status = smla_buffer_printf(&path, "%s/%s-XXXXXX", parent ? parent : "/tmp", prefix);
  if (!status && !mkdtemp(path.data)) {
    status = smla_fail(SNAPMLA_IO, "cannot make a directory like %s: %s; set TMPDIR to a directory that is writable",
                       path.data, strerror(errno));
  }
  if (!status) {
    status = smla_buffer_append(out, path.data, path.length);
    if (status) rmdir(path.data);
  }
  smla_buffer_free(&path);
  return status;
}

static snapmla_status empty_directory(int fd, const char *path);

/* Removes one entry of the open directory `parent`, which is called `path`. */
static snapmla_status remove_entry(int parent, const char *name, const char *path) {
  if (!unlinkat(parent, name, 0) || errno == ENOENT) return SNAPMLA_OK;
  if (errno != EISDIR && errno != EPERM) return failed("remove from", path);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return failed("open a directory in", path);
  snapmla_status status = empty_directory(fd, path);
  if (!status && unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT) status = failed("remove from", path);
  return status;
}

/* Takes over `fd`. */
static snapmla_status empty_directory(int fd, const char *path) {
  DIR *directory = fdopendir(fd);
  if (!directory) {
    snapmla_status status = failed("read the directory", path);
    close(fd);
    return status;
  }
  snapmla_status status = SNAPMLA_OK;
  struct dirent *entry;
  while (!status && (entry = readdir(directory)))
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) status = remove_entry(fd, entry->d_name, path);
  closedir(directory);
  return status;
}

snapmla_status smla_file_remove_tree(const char *path) {
  if (!*path || !strcmp(path, "/"))
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "\"%s\" is not a directory to remove; name one of your own", path);
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return SNAPMLA_OK;
    if (errno != ENOTDIR && errno != ELOOP) return failed("open", path);
    return unlink(path) ? failed("remove", path) : SNAPMLA_OK;
  }
  snapmla_status status = empty_directory(fd, path);
  if (!status && rmdir(path) && errno != ENOENT) status = failed("remove", path);
  return status;
}

static snapmla_status check_one(const char *path, mode_t kind) {
  struct stat info;
  if (lstat(path, &info))
    return smla_fail(errno == ENOENT || errno == ENOTDIR ? SNAPMLA_NOT_FOUND : SNAPMLA_UNSUPPORTED,
                     "cannot examine %s: %s", path, strerror(errno));
  if (S_ISLNK(info.st_mode))
    return smla_fail(SNAPMLA_UNSUPPORTED, "%s is a link, and code is not loaded through one; remove it", path);
  if ((info.st_mode & S_IFMT) != kind)
    return smla_fail(SNAPMLA_UNSUPPORTED, "%s is not a %s; remove it", path,
                     kind == S_IFDIR ? "directory" : "regular file");
  if (info.st_uid != geteuid() && info.st_uid != 0)
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "%s belongs to user %u, and code is loaded from your own files alone; remove it", path,
                     (unsigned)info.st_uid);
  if (info.st_mode & (S_IWGRP | S_IWOTH))
    return smla_fail(SNAPMLA_UNSUPPORTED,
                     "others may write to %s, and code is loaded from private files alone; chmod go-w %s", path, path);
  return SNAPMLA_OK;
}

snapmla_status smla_file_check_private(const char *path) {
  snapmla_status status = check_one(path, S_IFREG);
  if (status) return status;
  const char *slash = strrchr(path, '/');
  if (!slash) return check_one(".", S_IFDIR);
  smla_buffer directory = {0};
  status = smla_buffer_append(&directory, path, slash == path ? 1 : (size_t)(slash - path));
  if (!status) status = check_one(directory.data, S_IFDIR);
  smla_buffer_free(&directory);
  return status;
}
