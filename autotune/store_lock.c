#include "store_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "status.h"
#include "store_folder.h"

struct smla_store_lock {
  int fd;
  char *path;
};

/* Between two looks at a lock that is held, in nanoseconds. */
enum { LOOK_EVERY = 5000000 };

/* The file may have been removed by its last holder between open and lock: a lock on a name that is gone is none. */
static int still_named(int fd, const char *path) {
  struct stat held, named;
  return !fstat(fd, &held) && !lstat(path, &named) && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* A descriptor that holds the lock; -1 with errno EWOULDBLOCK where another does, or with the error's. */
static int try_lock(const char *path) {
  for (;;) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
      int error = errno;
      close(fd);
      errno = error;
      return -1;
    }
    if (still_named(fd, path)) return fd;
    close(fd);
  }
}

snapmla_status smla_store_lock_take(const char *key, double seconds, smla_store_lock **out) {
  smla_buffer path = {0};
  smla_store_lock *lock = calloc(1, sizeof *lock);
  snapmla_status status = lock ? smla_store_folder("lock", SMLA_STORE_OWN | SMLA_STORE_MAKE, &path)
                               : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a lock of the store");
  if (!status) status = smla_buffer_printf(&path, "/%s", key);
  double end = smla_clock_seconds() + seconds;
  while (!status && (lock->fd = try_lock(path.data)) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      status = smla_fail(SNAPMLA_IO, "cannot lock %s: %s", path.data, strerror(errno));
    else if (smla_clock_seconds() >= end)
      status = smla_fail(SNAPMLA_CANCELLED, "another process has been compiling %s for %.0f s; not waiting longer", key,
                         seconds);
    else
      nanosleep(&(struct timespec){0, LOOK_EVERY}, NULL);
  }
  if (!status && !(lock->path = smla_buffer_take(&path))) {
    close(lock->fd);
    status = smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a lock of the store");
  }
  smla_buffer_free(&path);
  if (status)
    free(lock);
  else
    *out = lock;
  return status;
}

void smla_store_lock_release(smla_store_lock *lock) {
  if (!lock) return;
  unlink(lock->path);
  close(lock->fd);
  free(lock->path);
  free(lock);
}
