#include "host_object.h"

#include <dlfcn.h>
#include <string.h>

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
        "that allows it",
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

snapmla_status smla_host_object_load(const void *bytes, size_t size, const char *entry, smla_host_object *out) {
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

void smla_host_object_unload(smla_host_object *object) {
  if (object->handle) dlclose(object->handle);
  *object = (smla_host_object){0};
}
