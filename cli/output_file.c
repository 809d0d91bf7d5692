#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console.h"

/* Names of unfinished files, for the signal handler; the program has at most two open. */
enum { MOST_UNFINISHED = 4 };
static char *volatile unfinished[MOST_UNFINISHED];

static void exchange(char *old, char *new) {
  for (int i = 0; i < MOST_UNFINISHED; ++i) {
    if (unfinished[i] != old) continue;
    unfinished[i] = new;
    return;
  }
}

static void on_signal(int signal_number) {
  for (int i = 0; i < MOST_UNFINISHED; ++i)
    if (unfinished[i]) unlink(unfinished[i]);
  raise(signal_number); /* its default action, which SA_RESETHAND restored */
}

void smla_output_file_remove_on_signal(void) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; ++i) {
    struct sigaction before;
    /* one that is ignored (nohup) stays so */
    if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
  }
}

static void release(smla_output_file *file) {
  if (file->fd >= 0 && file->path) close(file->fd);
  if (file->partial) exchange(file->partial, NULL);
  free(file->path);
  free(file->partial);
  *file = (smla_output_file){.fd = -1};
}

/* A pipe or a device takes what it gets: nothing can be renamed onto it. */
static snapmla_status open_directly(smla_output_file *file) {
  file->fd = open(file->path, O_WRONLY | O_CLOEXEC);
  if (file->fd >= 0) return SNAPMLA_OK;
  return smla_console_fail(SNAPMLA_IO, "cannot write %s: %s: choose another name", file->path, strerror(errno));
}

snapmla_status smla_output_file_open(smla_output_file *file, const char *path) {
  static const char suffix[] = ".partial-XXXXXX";
  snapmla_status status = SNAPMLA_OK;
  struct stat info;
  *file = (smla_output_file){.fd = -1};
  if (!path[0]) return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "an output file's name is empty: give -o a name");
  if (smla_path_is_directory(path))
    return smla_console_fail(SNAPMLA_IO, "%s is a directory, a file is to be written there: choose another name", path);
  const int exists = !stat(path, &info), special = exists && !S_ISREG(info.st_mode);
  /* Behind a link its target is replaced, and the link stays. */
  file->path = exists && !special ? realpath(path, NULL) : strdup(path);
  if (special && file->path) {
    status = open_directly(file);
    goto out;
  }
  if (file->path) file->partial = malloc(strlen(file->path) + sizeof suffix);
  if (!file->partial) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a file name");
    goto out;
  }
  strcpy(file->partial, file->path);
  strcat(file->partial, suffix);
  file->fd = mkstemp(file->partial);
  if (file->fd < 0) {
    status = smla_console_fail(SNAPMLA_IO, "cannot write %s: %s: choose a directory that exists and is writable", path,
                               strerror(errno));
    goto out;
  }
  exchange(NULL, file->partial);
  mode_t mask = umask(0);
  umask(mask);
  fchmod(file->fd, 0666 & ~mask); /* mkstemp makes 0600; a result is a file like any other */
out:
  if (status) release(file);
  return status;
}

snapmla_status smla_output_file_write(smla_output_file *file, const void *data, size_t bytes) {
  const char *next = data;
  while (bytes) {
    ssize_t written = write(file->fd, next, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return smla_console_fail(SNAPMLA_IO, "cannot write %s: %s", file->path, strerror(errno));
    next += written;
    bytes -= (size_t)written;
  }
  return SNAPMLA_OK;
}

snapmla_status smla_output_file_finish(smla_output_file *file) {
  if (file->fd < 0) return SNAPMLA_OK;
  int failed = fsync(file->fd) && errno != EINVAL && errno != EROFS; /* some file systems cannot sync */
  int fsync_error = errno;
  int close_failed = close(file->fd);
  file->fd = -1;
  if (failed || close_failed)
    return smla_console_fail(SNAPMLA_IO, "cannot write %s: %s", file->path, strerror(failed ? fsync_error : errno));
  return SNAPMLA_OK;
}

snapmla_status smla_output_file_commit(smla_output_file *file) {
  snapmla_status status = smla_output_file_finish(file);
  if (!status && file->partial && rename(file->partial, file->path))
    status = smla_console_fail(SNAPMLA_IO, "cannot rename onto %s: %s", file->path, strerror(errno));
  if (status)
    smla_output_file_abandon(file);
  else
    release(file);
  return status;
}

void smla_output_file_abandon(smla_output_file *file) {
  if (!file->path) return;
  if (file->partial) unlink(file->partial);
  release(file);
}

snapmla_status smla_output_file_save(const char *path, const void *data, size_t bytes) {
  smla_output_file file;
  snapmla_status status = smla_output_file_open(&file, path);
  if (status) return status;
  status = smla_output_file_write(&file, data, bytes);
  if (!status) return smla_output_file_commit(&file);
  smla_output_file_abandon(&file);
  return status;
}

int smla_path_is_directory(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

snapmla_status smla_path_make_directory(const char *path) {
  snapmla_status status = SNAPMLA_OK;
  if (!path[0]) return smla_console_fail(SNAPMLA_INVALID_ARGUMENT, "a directory's name is empty: give -o a name");
  char *copy = strdup(path);
  if (!copy) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a directory name");
  for (char *slash = copy;; *slash = '/') {
    slash = strchr(slash + 1, '/');
    if (slash) *slash = 0;
    if (!smla_path_is_directory(copy) && mkdir(copy, 0777) && !smla_path_is_directory(copy)) {
      status = smla_console_fail(SNAPMLA_IO, "cannot make the directory %s: %s", copy,
                                 errno == EEXIST ? "a file of that name exists" : strerror(errno));
      break;
    }
    if (!slash) break;
  }
  free(copy);
  return status;
}

char *smla_path_join(const char *directory, const char *name) {
  size_t length = strlen(directory), room = length + strlen(name) + 2;
  char *path = malloc(room);
  if (!path) {
    smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a file name");
    return NULL;
  }
  snprintf(path, room, "%s%s%s", directory, length && directory[length - 1] == '/' ? "" : "/", name);
  return path;
}
