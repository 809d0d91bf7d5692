#include "tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console.h"

static const struct {
  const char *name;
  size_t bytes;
} dtypes[] = {
#define ROW(identifier, name, npy, bytes) {name, bytes},
    SMLA_DTYPE_LIST(ROW)
#undef ROW
};

const char *smla_dtype_name(smla_dtype dtype) { return dtypes[dtype].name; }
size_t smla_dtype_bytes(smla_dtype dtype) { return dtypes[dtype].bytes; }

snapmla_status smla_tensor_size(smla_dtype dtype, int rank, const int64_t *shape, size_t *bytes) {
  int64_t total = (int64_t)smla_dtype_bytes(dtype);
  int empty = 0;
  for (int i = 0; i < rank; ++i) {
    if (shape[i] < 0)
      return smla_console_fail(SNAPMLA_BAD_FORMAT, "dimension %d is %" PRId64 ": dimensions are not negative", i,
                               shape[i]);
    empty |= !shape[i];
    if (shape[i] && __builtin_mul_overflow(total, shape[i], &total))
      return smla_console_fail(SNAPMLA_BAD_FORMAT, "the product of the dimensions exceeds 63 bits");
  }
  *bytes = empty ? 0 : (size_t)total;
  return SNAPMLA_OK;
}

const char *smla_tensor_shape_text(const smla_tensor *tensor, char *text, size_t room) {
  size_t used = 0;
  text[0] = 0;
  for (int i = 0; i < tensor->rank && used < room; ++i)
    used += (size_t)snprintf(text + used, room - used, "%s%" PRId64, i ? ", " : "[", tensor->shape[i]);
  if (used < room) snprintf(text + used, room - used, tensor->rank ? "]" : "[]");
  return text;
}

snapmla_status smla_tensor_file_add(smla_tensor_file *file, const char *name, size_t name_length, smla_tensor tensor) {
  smla_tensor *grown = realloc(file->tensors, (file->tensor_count + 1) * sizeof *grown);
  if (!grown) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "%s: out of memory for its list of tensors", file->path);
  file->tensors = grown;
  tensor.data = NULL;
  tensor.name = strndup(name, name_length);
  if (!tensor.name)
    return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "%s: out of memory for a tensor's name", file->path);
  file->tensors[file->tensor_count++] = tensor;
  return SNAPMLA_OK;
}

static snapmla_status read_at(const smla_tensor_file *file, void *target, size_t bytes, uint64_t offset) {
  char *next = target;
  while (bytes) {
    ssize_t got = pread(file->fd, next, bytes, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return smla_console_fail(SNAPMLA_IO, "cannot read %s: %s", file->path, strerror(errno));
    if (!got) return smla_console_fail(SNAPMLA_IO, "%s became shorter while it was read", file->path);
    next += got;
    bytes -= (size_t)got;
    offset += (uint64_t)got;
  }
  return SNAPMLA_OK;
}

snapmla_status smla_tensor_file_open(smla_tensor_file *file, const char *path, const char *npy_name) {
  snapmla_status status = SNAPMLA_OK;
  uint8_t probe[SMLA_TENSOR_PROBE_BYTES] = {0}, *head = NULL;
  struct stat info;
  *file = (smla_tensor_file){.fd = -1};
  file->path = strdup(path);
  if (!file->path) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a file name");
  file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make us wait: it is refused below */
  if (file->fd < 0 || fstat(file->fd, &info)) {
    status = smla_console_fail(errno == ENOENT || errno == ENOTDIR ? SNAPMLA_NOT_FOUND : SNAPMLA_IO,
                               "cannot read %s: %s", path, strerror(errno));
    goto out;
  }
  if (!S_ISREG(info.st_mode)) {
    status = smla_console_fail(SNAPMLA_BAD_FORMAT, "%s is not a regular file: give a .safetensors or .npy file", path);
    goto out;
  }
  uint64_t file_bytes = (uint64_t)info.st_size;
  if (file_bytes < 10) {
    status = smla_console_fail(SNAPMLA_BAD_FORMAT,
                               "%s has %" PRIu64 " bytes: too short for a .safetensors or .npy file", path, file_bytes);
    goto out;
  }
  status = read_at(file, probe, file_bytes < sizeof probe ? (size_t)file_bytes : sizeof probe, 0);
  if (status) goto out;
  int is_npy = !memcmp(probe, "\x93NUMPY", 6);
  size_t head_bytes;
  status = (is_npy ? smla_npy_head_bytes : smla_safetensors_head_bytes)(path, probe, file_bytes, &head_bytes);
  if (status) goto out;
  head = malloc(head_bytes);
  if (!head) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "%s: out of memory: %zu bytes for its header", path, head_bytes);
    goto out;
  }
  status = read_at(file, head, head_bytes, 0);
  if (status) goto out;
  status = is_npy ? smla_npy_parse(file, head, head_bytes, file_bytes, npy_name)
                  : smla_safetensors_parse(file, head, head_bytes, file_bytes);
out:
  free(head);
  if (status) smla_tensor_file_close(file);
  return status;
}

smla_tensor *smla_tensor_file_find(smla_tensor_file *file, const char *name) {
  for (size_t i = 0; i < file->tensor_count; ++i)
    if (!strcmp(file->tensors[i].name, name)) return &file->tensors[i];
  return NULL;
}

const char *smla_tensor_file_metadata(const smla_tensor_file *file, const char *key) {
  for (size_t i = 0; i < file->metadata_count; ++i)
    if (!strcmp(file->metadata[i].key, key)) return file->metadata[i].value;
  return NULL;
}

snapmla_status smla_tensor_load(smla_tensor_file *file, smla_tensor *tensor) {
  if (tensor->data || !tensor->bytes) return SNAPMLA_OK;
  size_t room = tensor->bytes > SIZE_MAX - 63 ? 0 : (tensor->bytes + 63) & ~(size_t)63;
  tensor->data = room ? aligned_alloc(64, room) : NULL;
  if (!tensor->data)
    return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "%s: out of memory: %zu bytes for tensor %s", file->path,
                             tensor->bytes, tensor->name);
  snapmla_status status = read_at(file, tensor->data, tensor->bytes, tensor->offset);
  if (status) {
    free(tensor->data);
    tensor->data = NULL;
  }
  return status;
}

void smla_tensor_file_close(smla_tensor_file *file) {
  for (size_t i = 0; i < file->tensor_count; ++i) {
    free(file->tensors[i].name);
    free(file->tensors[i].data);
  }
  for (size_t i = 0; i < file->metadata_count; ++i) {
    free(file->metadata[i].key);
    free(file->metadata[i].value);
  }
  free(file->tensors);
  free(file->metadata);
  free(file->path);
  if (file->fd >= 0) close(file->fd);
  *file = (smla_tensor_file){.fd = -1};
}
