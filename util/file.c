#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "status.h"

static snapmla_status failed(const char *doing, const char *path) {
  int error = errno;
  return smla_fail(error == ENOENT || error == ENOTDIR ? SNAPMLA_NOT_FOUND : SNAPMLA_IO, "cannot %s %s: %s", doing,
                   path, strerror(error));
}

static snapmla_status failed_write(const char *doing, const char *path) {
  return smla_fail(SNAPMLA_IO, "cannot %s %s: %s", doing, path, strerror(errno));
}

static snapmla_status too_long(const char *path, size_t limit) {
  return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s is longer than the %zu bytes allowed here; it is not the file meant",
                   path, limit);
}

/* Reads to the end rather than trusting the size, which is 0 for files of /proc and may change. */
static snapmla_status read_all(int fd, const char *path, size_t limit, smla_buffer *out) {
  char block[1 << 16];
  size_t total = 0;
  for (;;) {
    ssize_t got = read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path);
    if (got == 0) return SNAPMLA_OK;
    if ((size_t)got > limit - total) return too_long(path, limit);
    total += (size_t)got;
    snapmla_status status = smla_buffer_append(out, block, (size_t)got);
    if (status) return status;
  }
}

snapmla_status smla_file_read(const char *path, size_t limit, smla_buffer *out) {
  /* O_NONBLOCK: opening a pipe must not wait for its writer. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failed("open", path);
  smla_buffer text = {0};
  struct stat info;
  snapmla_status status = SNAPMLA_OK;
  if (fstat(fd, &info))
    status = failed("examine", path);
  else if (!S_ISREG(info.st_mode))
    status = smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s is not a regular file; name one", path);
  else if (info.st_size > 0 && (unsigned long long)info.st_size > limit)
    status = too_long(path, limit);
  if (!status) status = read_all(fd, path, limit, &text);
  if (!status) status = smla_buffer_append(out, text.data, text.length);
  smla_buffer_free(&text);
  close(fd);
  return status;
}

static snapmla_status write_all(int fd, const char *path, const char *data, size_t length) {
  while (length) {
    ssize_t put = write(fd, data, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed_write("write", path);
    data += put;
    length -= (size_t)put;
  }
  return SNAPMLA_OK;
}

/* A rename is durable once its directory is flushed. Some file systems cannot flush one: the rename stands anyway. */
static void flush_directory_of(const char *path) {
  char directory[4096];
  const char *slash = strrchr(path, '/');
  size_t length = slash ? (size_t)(slash - path) : 0;
  if (length >= sizeof directory) return;
  memcpy(directory, path, length);
  directory[length] = 0;
  int fd = open(length ? directory : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

void (*smla_file_step_hook)(int step, const char *path);

static void step(int number, const char *path) {
  if (smla_file_step_hook) smla_file_step_hook(number, path);
}

static snapmla_status write_flushed(int fd, const char *path, const char *data, size_t length, unsigned mode) {
  size_t half = length / 2;
  step(SMLA_FILE_CREATED, path);
  snapmla_status status = write_all(fd, path, data, half);
  step(SMLA_FILE_HALF_WRITTEN, path);
  if (!status) status = write_all(fd, path, data + half, length - half);
  step(SMLA_FILE_WRITTEN, path);
  if (!status && fchmod(fd, (mode_t)mode)) status = failed_write("set the mode of", path);
  if (!status && fsync(fd)) status = failed_write("flush", path);
  step(SMLA_FILE_FLUSHED, path);
  return status;
}

snapmla_status smla_file_write_aside(const char *aside, const char *path, const void *data, size_t length,
                                     unsigned mode) {
  smla_buffer private_name = {0};
  snapmla_status status = smla_buffer_printf(&private_name, "%s.XXXXXX", aside);
  if (status) return status;
  int fd = mkostemp(private_name.data, O_CLOEXEC);
  if (fd < 0) {
    status = failed_write("create", private_name.data);
    smla_buffer_free(&private_name);
    return status;
  }
  status = write_flushed(fd, path, data, length, mode);
  if (close(fd) && !status) status = failed_write("close", path);
  if (!status && rename(private_name.data, path)) status = failed_write("publish", path);
  if (status) {
    unlink(private_name.data);
  } else {
    step(SMLA_FILE_PUBLISHED, path);
    flush_directory_of(path);
  }
  smla_buffer_free(&private_name);
  return status;
}

snapmla_status smla_file_write(const char *path, const void *data, size_t length, unsigned mode) {
  return smla_file_write_aside(path, path, data, length, mode);
}

int smla_file_exists(const char *path) {
  struct stat info;
  return !lstat(path, &info);
}
