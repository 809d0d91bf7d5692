/* safetensors: a little-endian u64 header length, that many bytes of JSON, the data.
 * Rules: https://github.com/huggingface/safetensors (README, "Format"). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "console.h"
#include "output_file.h"
#include "tensor.h"

enum {
  PREFIX_BYTES = 8,
  MAX_HEADER_BYTES = 16 << 20, /* far above what real files have; keeps a hostile one from costing memory */
  MAX_DEPTH = 3,               /* object of objects of arrays */
};

snapmla_status smla_safetensors_head_bytes(const char *path, const uint8_t *probe, uint64_t file_bytes,
                                           size_t *head_bytes) {
  uint64_t length;
  memcpy(&length, probe, sizeof length);
  if (file_bytes < PREFIX_BYTES + 2 || probe[PREFIX_BYTES] != '{')
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s is neither a .safetensors nor a .npy file", path);
  if (length > MAX_HEADER_BYTES)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: the header claims %" PRIu64 " bytes, the limit is %d", path,
                             length, MAX_HEADER_BYTES);
  if (length > file_bytes - PREFIX_BYTES)
    return smla_console_fail(SNAPMLA_BAD_FORMAT,
                             "%s is truncated: the header claims %" PRIu64 " bytes, the file has %" PRIu64, path,
                             length, file_bytes - PREFIX_BYTES);
  *head_bytes = PREFIX_BYTES + (size_t)length;
  return SNAPMLA_OK;
}

/* The nesting of JSON, strings skipped; the parser's own limit is far too generous for its recursion. */
static int nesting(const char *text, size_t length) {
  int depth = 0, deepest = 0, in_string = 0;
  for (size_t i = 0; i < length; ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = 0;
    } else if (c == '"') {
      in_string = 1;
    } else if (c == '{' || c == '[') {
      if (++depth > deepest) deepest = depth;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

static snapmla_status read_metadata(smla_tensor_file *file, json_t *object) {
  const char *key;
  json_t *value;
  if (!json_is_object(object))
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: __metadata__ is not an object of strings", file->path);
  file->metadata = calloc(json_object_size(object) + 1, sizeof *file->metadata);
  if (!file->metadata) goto memory;
  json_object_foreach(object, key, value) {
    if (!json_is_string(value))
      return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: __metadata__ is not an object of strings (key %.80s)",
                               file->path, key);
    smla_metadata *pair = &file->metadata[file->metadata_count++];
    pair->key = strdup(key);
    pair->value = strdup(json_string_value(value));
    if (!pair->key || !pair->value) goto memory;
  }
  return SNAPMLA_OK;
memory:
  return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "%s: out of memory for its metadata", file->path);
}

static snapmla_status bad(const smla_tensor_file *file, const char *tensor, const char *rule) {
  return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s, tensor %.80s: %s", file->path, tensor, rule);
}

static snapmla_status read_tensor(smla_tensor_file *file, const char *name, json_t *entry, uint64_t data_start,
                                  uint64_t data_bytes) {
  smla_tensor tensor = {0};
  json_t *dtype = json_object_get(entry, "dtype"), *shape = json_object_get(entry, "shape");
  json_t *offsets = json_object_get(entry, "data_offsets");
  if (!name[0]) return bad(file, "\"\"", "a name is not empty");
  if (!json_is_object(entry) || json_object_size(entry) != 3 || !json_is_string(dtype) || !json_is_array(shape) ||
      !json_is_array(offsets))
    return bad(file, name, "an entry has exactly dtype (a string), shape and data_offsets (arrays)");
  while (tensor.dtype < SMLA_DTYPE_COUNT && strcmp(smla_dtype_name(tensor.dtype), json_string_value(dtype)))
    ++tensor.dtype;
  if (tensor.dtype == SMLA_DTYPE_COUNT) return bad(file, name, "its dtype is unknown");
  if (json_array_size(shape) > SMLA_TENSOR_MAX_RANK) return bad(file, name, "more than 8 dimensions");
  tensor.rank = (int)json_array_size(shape);
  for (int i = 0; i < tensor.rank; ++i) {
    json_t *dimension = json_array_get(shape, (size_t)i);
    if (!json_is_integer(dimension)) return bad(file, name, "a dimension is not an integer");
    tensor.shape[i] = json_integer_value(dimension);
  }
  if (smla_tensor_size(tensor.dtype, tensor.rank, tensor.shape, &tensor.bytes)) {
    char rule[256];
    snprintf(rule, sizeof rule, "%s", smla_console_reason());
    return bad(file, name, rule);
  }
  if (json_array_size(offsets) != 2 || !json_is_integer(json_array_get(offsets, 0)) ||
      !json_is_integer(json_array_get(offsets, 1)))
    return bad(file, name, "data_offsets are two integers");
  int64_t begin = json_integer_value(json_array_get(offsets, 0)), end = json_integer_value(json_array_get(offsets, 1));
  if (begin < 0 || end < begin) return bad(file, name, "data_offsets are not negative and in order");
  if ((uint64_t)end > data_bytes) return bad(file, name, "its data_offsets lie outside the file: it is truncated");
  if ((uint64_t)(end - begin) != tensor.bytes)
    return bad(file, name, "its data_offsets do not fit its dtype and shape");
  tensor.offset = data_start + (uint64_t)begin;
  return smla_tensor_file_add(file, name, strlen(name), tensor);
}

static int by_offset(const void *a, const void *b) {
  const smla_tensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The tensors cover the data without hole, overlap or rest. */
static snapmla_status check_cover(smla_tensor_file *file, uint64_t data_start, uint64_t file_bytes) {
  uint64_t next = data_start;
  if (file->tensor_count) qsort(file->tensors, file->tensor_count, sizeof *file->tensors, by_offset);
  for (size_t i = 0; i < file->tensor_count; ++i) {
    const smla_tensor *tensor = &file->tensors[i];
    if (tensor->offset < next) return bad(file, tensor->name, "its data overlap another tensor's");
    if (tensor->offset > next) return bad(file, tensor->name, "there is a hole before its data");
    next += tensor->bytes;
  }
  if (next != file_bytes)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: %" PRIu64 " bytes follow the last tensor: no tensor owns them",
                             file->path, file_bytes - next);
  return SNAPMLA_OK;
}

snapmla_status smla_safetensors_parse(smla_tensor_file *file, const uint8_t *head, size_t head_bytes,
                                      uint64_t file_bytes) {
  snapmla_status status = SNAPMLA_OK;
  const char *text = (const char *)head + PREFIX_BYTES, *name;
  size_t length = head_bytes - PREFIX_BYTES;
  json_t *entry;
  json_error_t error;
  if (nesting(text, length) > MAX_DEPTH)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: the header nests deeper than %d", file->path, MAX_DEPTH);
  json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
  if (!root)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: the header is not JSON (byte %d): %s", file->path, error.position,
                             error.text);
  if (!json_is_object(root)) {
    status = smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: the header is not a JSON object", file->path);
    goto out;
  }
  json_object_foreach(root, name, entry) {
    status = strcmp(name, "__metadata__") ? read_tensor(file, name, entry, head_bytes, file_bytes - head_bytes)
                                          : read_metadata(file, entry);
    if (status) goto out;
  }
  status = check_cover(file, head_bytes, file_bytes);
out:
  json_decref(root);
  return status;
}

/* The header for tensors laid out in this order. */
static json_t *header_of(const smla_tensor *const *tensors, size_t tensor_count, const smla_metadata *metadata,
                         size_t metadata_count) {
  json_t *root = json_object(), *pairs = json_object();
  int failed = !root || !pairs;
  uint64_t offset = 0;
  for (size_t i = 0; i < metadata_count && !failed; ++i)
    failed = json_object_set_new(pairs, metadata[i].key, json_string(metadata[i].value));
  if (metadata_count && !failed) failed = json_object_set(root, "__metadata__", pairs);
  for (size_t i = 0; i < tensor_count && !failed; ++i) {
    json_t *shape = json_array();
    for (int d = 0; d < tensors[i]->rank && !failed; ++d)
      failed = json_array_append_new(shape, json_integer(tensors[i]->shape[d]));
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", smla_dtype_name(tensors[i]->dtype), "shape", shape,
                              "data_offsets", (json_int_t)offset, (json_int_t)(offset + tensors[i]->bytes));
    failed = failed || json_object_set_new(root, tensors[i]->name, entry);
    offset += tensors[i]->bytes;
  }
  json_decref(pairs);
  if (!failed) return root;
  json_decref(root);
  return NULL;
}

snapmla_status smla_safetensors_write(const char *path, const smla_tensor *tensors, size_t tensor_count,
                                      const smla_metadata *metadata, size_t metadata_count) {
  static const size_t element_bytes[] = {8, 4, 2, 1}; /* wide elements first, so that every tensor is aligned */
  snapmla_status status = SNAPMLA_OK;
  smla_output_file file = {.fd = -1};
  json_t *root = NULL;
  char *text = NULL;
  size_t count = 0;
  const smla_tensor **ordered = calloc(tensor_count + 1, sizeof *ordered);
  for (size_t e = 0; ordered && e < sizeof element_bytes / sizeof *element_bytes; ++e)
    for (size_t i = 0; i < tensor_count; ++i)
      if (smla_dtype_bytes(tensors[i].dtype) == element_bytes[e]) ordered[count++] = &tensors[i];
  if (ordered) root = header_of(ordered, tensor_count, metadata, metadata_count);
  if (root) text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
  if (!text) {
    status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY,
                               "%s: cannot make its header (out of memory, or text that is not UTF-8)", path);
    goto out;
  }
  uint64_t length = strlen(text), padded = (length + 7) & ~(uint64_t)7;
  status = smla_output_file_open(&file, path);
  if (!status) status = smla_output_file_write(&file, &padded, sizeof padded);
  if (!status) status = smla_output_file_write(&file, text, length);
  if (!status) status = smla_output_file_write(&file, "       ", padded - length);
  for (size_t i = 0; i < tensor_count && !status; ++i)
    status = smla_output_file_write(&file, ordered[i]->data, ordered[i]->bytes);
  if (!status) status = smla_output_file_commit(&file);
out:
  if (status) smla_output_file_abandon(&file);
  free(ordered);
  free(text);
  json_decref(root);
  return status;
}
