#include "host_object.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buffer.h"
#include "file.h"
#include "status.h"

static const char entry_symbol[] = "smla_kernel_entry";

static snapmla_status open_object(const char *path, const char *name, smla_host_object *out) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return smla_fail(
        SNAPMLA_IO,
        "the emulator's kernel %s cannot be loaded: %s; where the directory forbids execution, set TMPDIR to one "
        "that allows it; an object of another kind of machine must be built again on this one",
        name, reason ? reason : "no reason given");
  }
  void *address = dlsym(handle, entry_symbol);
  if (!address) {
    dlclose(handle);
    return smla_fail(SNAPMLA_BAD_FORMAT,
                     "the emulator's kernel %s has no symbol %s: its template must define KERNEL(…)", name,
                     entry_symbol);
  }
  out->handle = handle;
  memcpy(&out->entry, &address, sizeof address); /* ISO C has no cast from void * to a function pointer */
  return SNAPMLA_OK;
}

static int write_all(int fd, const char *bytes, size_t size) {
  while (size) {
    ssize_t put = write(fd, bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return -1;
    bytes += put;
    size -= (size_t)put;
  }
  return 0;
}

/* A file in memory that holds the object; -1 with errno where there is none to be had. */
static int make_memory(const void *bytes, size_t size) {
  int fd = memfd_create("snapmla-kernel", MFD_CLOEXEC);
  if (fd >= 0 && write_all(fd, bytes, size)) {
    int error = errno;
    close(fd);
    errno = error;
    fd = -1;
  }
  return fd;
}

static snapmla_status load_from_memory(int fd, const char *entry, smla_host_object *out) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open_object(path, entry, out);
}

static snapmla_status load_from_file(const void *bytes, size_t size, const char *entry, smla_host_object *out) {
  smla_buffer folder = {0}, path = {0};
  snapmla_status status = smla_file_make_temporary("snapmla", &folder);
  if (!status) status = smla_buffer_printf(&path, "%s/kernel.so", folder.data);
  if (!status) status = smla_file_write(path.data, bytes, size, 0700);
  if (!status) status = open_object(path.data, entry, out);
  if (folder.length) (void)smla_file_remove_tree(folder.data);
  smla_buffer_free(&path);
  smla_buffer_free(&folder);
  return status;
}

snapmla_status smla_host_object_load(const void *bytes, size_t size, const char *entry, int without_files,
                                     smla_host_object *out) {
  /* The descriptor stays open as long as the object is loaded: the loader knows objects by name, and would take another
   * one under the same number for this one. */
  out->memory = make_memory(bytes, size);
  if (out->memory < 0 && without_files)
    return smla_fail(
        SNAPMLA_IO,
        "the emulator's kernel %s needs a file in memory, and the system gives none: %s; where memfd_create "
        "is forbidden, allow it",
        entry, strerror(errno));
  snapmla_status status =
      out->memory < 0 ? load_from_file(bytes, size, entry, out) : load_from_memory(out->memory, entry, out);
  if (status && out->memory >= 0) {
    close(out->memory);
    out->memory = -1;
    /* Memory may be what forbids execution. */
    if (status == SNAPMLA_IO && !without_files) status = load_from_file(bytes, size, entry, out);
  }
  return status;
}

void smla_host_object_unload(smla_host_object *object) {
  if (object->handle) dlclose(object->handle);
  if (object->handle && object->memory >= 0) close(object->memory);
  *object = (smla_host_object){.memory = -1};
}
