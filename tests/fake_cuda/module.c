/* Modules, functions, launches. A module is a shared object compiled for the emulator. */
#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state.h"
#include "tensor_map.h"

typedef struct fake_function {
  smla_emulator_entry entry;
  char name[FAKE_CUDA_NAME];
  int shared_bytes; /* the most a launch may ask for */
} fake_function;

typedef struct fake_module {
  void *handle;
  fake_function function;
} fake_module;

/* As the driver's CUlaunchAttribute and CUlaunchConfig. */
typedef struct launch_attribute {
  int id, padding;
  unsigned value[16];
} launch_attribute;

typedef struct launch_config {
  unsigned grid[3], block[3], shared_bytes;
  void *stream;
  launch_attribute *attributes;
  unsigned attribute_count;
} launch_config;

/* Bytes of an ELF image: to the end of its last section or of the section table. 0 where it is none for this host. */
static size_t image_bytes(const void *image) {
  Elf64_Ehdr header;
  memcpy(&header, image, sizeof header);
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_type != ET_DYN) return 0;
  size_t end = header.e_shoff + (size_t)header.e_shnum * sizeof(Elf64_Shdr);
  for (int i = 0; i < header.e_shnum; i++) {
    Elf64_Shdr section;
    memcpy(&section, (const char *)image + header.e_shoff + (size_t)i * sizeof section, sizeof section);
    size_t last = section.sh_type == SHT_NOBITS ? 0 : section.sh_offset + section.sh_size;
    if (last > end) end = last;
  }
  return end;
}

/* By way of a file whose name is new: the loader takes a name that it has loaded for the object that it has loaded. */
static void *open_image(const void *image, size_t bytes) {
  char path[] = P_tmpdir "/snapmla-fake-XXXXXX";
  int fd = mkstemp(path);
  if (fd < 0) return NULL;
  void *handle = write(fd, image, bytes) == (ssize_t)bytes ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  close(fd);
  unlink(path);
  return handle;
}

FAKE_EXPORT int cuModuleLoadData(void **module, const void *image) {
  int result = fake_enter_context("cuModuleLoadData");
  if (result) return result;
  size_t bytes = image_bytes(image);
  fake_module *m = calloc(1, sizeof *m);
  if (!m) return FAKE_OUT_OF_MEMORY;
  m->handle = bytes ? open_image(image, bytes) : NULL;
  void *entry = m->handle ? dlsym(m->handle, "smla_kernel_entry") : NULL;
  if (!entry) {
    if (m->handle) dlclose(m->handle);
    free(m);
    return FAKE_INVALID_IMAGE;
  }
  memcpy(&m->function.entry, &entry, sizeof entry);
  m->function.shared_bytes = 48 << 10;
  pthread_mutex_lock(&fake.lock);
  fake.living.modules++;
  pthread_mutex_unlock(&fake.lock);
  *module = m;
  return 0;
}

FAKE_EXPORT int cuModuleUnload(void *module) {
  int result = fake_enter_context("cuModuleUnload");
  if (result) return result;
  dlclose(((fake_module *)module)->handle);
  free(module);
  pthread_mutex_lock(&fake.lock);
  fake.living.modules--;
  pthread_mutex_unlock(&fake.lock);
  return 0;
}

FAKE_EXPORT int cuModuleGetFunction(void **function, void *module, const char *name) {
  int result = fake_enter_context("cuModuleGetFunction");
  if (result) return result;
  if (strncmp(name, "snapmla_", 8)) return FAKE_NOT_FOUND;
  fake_module *m = module;
  snprintf(m->function.name, sizeof m->function.name, "%s", name);
  *function = &m->function;
  return 0;
}

FAKE_EXPORT int cuFuncSetAttribute(void *function, int attribute, int value) {
  int result = fake_enter_context("cuFuncSetAttribute");
  if (result) return result;
  if (attribute != 8 || value < 0 || value > FAKE_SHARED_BYTES) return FAKE_INVALID_VALUE;
  ((fake_function *)function)->shared_bytes = value;
  return 0;
}

/* As the emulator's kernels read it. Bytes, three dimensions, a box of one plane: what the runtime asks for. */
FAKE_EXPORT int cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *address,
                                       const unsigned long long *extents, const unsigned long long *strides,
                                       const unsigned *box, const unsigned *steps, int interleave, int swizzle,
                                       int promotion, int fill) {
  int result = fake_enter_context("cuTensorMapEncodeTiled"); /* as the driver, which wants one though nothing runs */
  if (result) return result;
  if (type != 0 || rank != 3 || box[2] != 1 || interleave || fill || (swizzle && swizzle != 3) || promotion > 3 ||
      (uintptr_t)map % 64)
    return FAKE_INVALID_VALUE;
  for (int i = 0; i < 3; i++)
    if (steps[i] != 1) return FAKE_INVALID_VALUE;
  const uint64_t e[3] = {extents[0], extents[1], extents[2]}, s[2] = {strides[0], strides[1]};
  return smla_emulator_tensor_map(address, e, s, box, swizzle == 3, map) ? FAKE_INVALID_VALUE : 0;
}

static int read_attributes(const launch_config *config, fake_cuda_launch *record) {
  for (unsigned i = 0; i < config->attribute_count; i++) {
    const launch_attribute *attribute = &config->attributes[i];
    if (attribute->id == 4) {
      record->cluster = attribute->value[0];
      if (!record->cluster || attribute->value[1] != 1 || attribute->value[2] != 1) return FAKE_INVALID_VALUE;
      if (config->grid[0] % record->cluster) return FAKE_INVALID_VALUE;
    } else if (attribute->id == 6) {
      record->programmatic = (int)attribute->value[0];
    } else {
      return FAKE_INVALID_VALUE;
    }
  }
  return 0;
}

static int check_launch(const launch_config *config, const fake_function *function) {
  for (int i = 0; i < 3; i++)
    if (!config->grid[i] || !config->block[i] || (i && config->grid[i] > 65535)) return FAKE_INVALID_VALUE;
  if (config->block[0] * config->block[1] * config->block[2] > 1024) return FAKE_INVALID_VALUE;
  if (config->shared_bytes > (unsigned)function->shared_bytes) return FAKE_INVALID_VALUE;
  return fake_is_stream(config->stream) ? 0 : FAKE_INVALID_HANDLE;
}

FAKE_EXPORT int cuLaunchKernelEx(const launch_config *config, void *function, void **parameters, void **extra) {
  int result = fake_enter_context("cuLaunchKernelEx");
  if (result) return result;
  fake_function *f = function;
  if (extra || !parameters) return FAKE_INVALID_VALUE;
  result = check_launch(config, f);
  if (result) return result;
  fake_cuda_launch record = {
      .shared_bytes = config->shared_bytes, .attributes = config->attribute_count, .stream = config->stream};
  snprintf(record.name, sizeof record.name, "%s", f->name);
  memcpy(record.grid, config->grid, sizeof record.grid);
  memcpy(record.block, config->block, sizeof record.block);
  result = read_attributes(config, &record);
  if (result) return result;
  fake_record(&record);
  const smla_launch launch = {f->entry,         f->name,        {config->grid[0], config->grid[1], config->grid[2]},
                              config->block[0], record.cluster, config->shared_bytes,
                              parameters[0]};
  smla_counters counters;
  if (smla_emulator_launch(fake.emulator, &launch, &counters)) { /* asynchronous: the stream's synchronise tells */
    pthread_mutex_lock(&fake.lock);
    snprintf(fake.fault, sizeof fake.fault, "%s", snapmla_error_message());
    pthread_mutex_unlock(&fake.lock);
    fake_break_stream(config->stream);
  }
  return 0;
}
