/* Tensors and the files they come in. A reader trusts nothing: every count, size and offset is checked before it is
 * used, and a message names the file, the tensor and the rule. */
#ifndef SMLA_CLI_TENSOR_H
#define SMLA_CLI_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensor files are little endian, and so must the machine be"
#endif

/* X(identifier, safetensors name, npy type, bytes): npy has no name for some. */
#define SMLA_DTYPE_LIST(X)     \
  X(BOOL, "BOOL", "b1", 1)     \
  X(U8, "U8", "u1", 1)         \
  X(I8, "I8", "i1", 1)         \
  X(F8_E4M3, "F8_E4M3", "", 1) \
  X(F8_E5M2, "F8_E5M2", "", 1) \
  X(U16, "U16", "u2", 2)       \
  X(I16, "I16", "i2", 2)       \
  X(F16, "F16", "f2", 2)       \
  X(BF16, "BF16", "", 2)       \
  X(U32, "U32", "u4", 4)       \
  X(I32, "I32", "i4", 4)       \
  X(F32, "F32", "f4", 4)       \
  X(U64, "U64", "u8", 8)       \
  X(I64, "I64", "i8", 8)       \
  X(F64, "F64", "f8", 8)

typedef enum smla_dtype {
#define SMLA_DTYPE_ENUM(identifier, name, npy, bytes) SMLA_DTYPE_##identifier,
  SMLA_DTYPE_LIST(SMLA_DTYPE_ENUM)
#undef SMLA_DTYPE_ENUM
      SMLA_DTYPE_COUNT
} smla_dtype;

enum { SMLA_TENSOR_MAX_RANK = 8 };

typedef struct smla_tensor {
  char *name; /* owned */
  smla_dtype dtype;
  int rank;
  int64_t shape[SMLA_TENSOR_MAX_RANK];
  uint64_t offset; /* of the first byte in its file */
  size_t bytes;
  void *data; /* owned, 64-byte aligned; NULL until loaded, and for a tensor of no bytes */
} smla_tensor;

/* A pair of safetensors' __metadata__. */
typedef struct smla_metadata {
  char *key, *value; /* owned */
} smla_metadata;

typedef struct smla_tensor_file {
  char *path; /* owned */
  int fd;     /* -1: not backed by a file */
  smla_tensor *tensors;
  size_t tensor_count;
  smla_metadata *metadata;
  size_t metadata_count;
} smla_tensor_file;

const char *smla_dtype_name(smla_dtype dtype);
size_t smla_dtype_bytes(smla_dtype dtype);

/* Product of the dimensions times the element size. Fails with BAD_FORMAT, without naming the tensor, on a negative
 * dimension and on overflow of 63 bits. */
snapmla_status smla_tensor_size(smla_dtype dtype, int rank, const int64_t *shape, size_t *bytes);
/* "[2, 3]" into `text`, which is returned. */
const char *smla_tensor_shape_text(const smla_tensor *tensor, char *text, size_t room);

/* Opens FILE.safetensors or FILE.npy (by its first bytes) and reads the header; the one tensor of a .npy file is named
 * `npy_name`. Errors: NOT_FOUND, IO, BAD_FORMAT, OUT_OF_MEMORY. */
snapmla_status smla_tensor_file_open(smla_tensor_file *file, const char *path, const char *npy_name);
/* NULL if there is none of that name. */
smla_tensor *smla_tensor_file_find(smla_tensor_file *file, const char *name);
const char *smla_tensor_file_metadata(const smla_tensor_file *file, const char *key);
/* Reads a tensor's data, once. Errors: IO, OUT_OF_MEMORY. */
snapmla_status smla_tensor_load(smla_tensor_file *file, smla_tensor *tensor);
/* Harmless on { .fd = -1 } and after a failed open. */
void smla_tensor_file_close(smla_tensor_file *file);

/* The header parsers, on the head of a file of `file_bytes` bytes, of which `head_bytes` lie at `head`: all that
 * smla_*_head_bytes asks for. They add to an empty `file` whose path is set; the caller closes it. */
enum { SMLA_TENSOR_PROBE_BYTES = 12 };
snapmla_status smla_safetensors_head_bytes(const char *path, const uint8_t *probe, uint64_t file_bytes,
                                           size_t *head_bytes);
snapmla_status smla_safetensors_parse(smla_tensor_file *file, const uint8_t *head, size_t head_bytes,
                                      uint64_t file_bytes);
snapmla_status smla_npy_head_bytes(const char *path, const uint8_t *probe, uint64_t file_bytes, size_t *head_bytes);
snapmla_status smla_npy_parse(smla_tensor_file *file, const uint8_t *head, size_t head_bytes, uint64_t file_bytes,
                              const char *name);
/* Adds a tensor to `file`; takes over nothing. */
snapmla_status smla_tensor_file_add(smla_tensor_file *file, const char *name, size_t name_length, smla_tensor tensor);

/* Writers; the file appears whole or not at all. `tensors` need name, dtype, rank, shape, bytes and data. */
snapmla_status smla_safetensors_write(const char *path, const smla_tensor *tensors, size_t tensor_count,
                                      const smla_metadata *metadata, size_t metadata_count);
struct smla_output_file;
/* Into an open output file, so that several may be finished before one is committed. BF16 is refused: npy has no name
 * for it. */
snapmla_status smla_npy_write(struct smla_output_file *output, const smla_tensor *tensor);

#endif
