/* NumPy's .npy: magic, version, header length, a Python dictionary, the data.
 * Rules: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "output_file.h"
#include "tensor.h"

enum { MAX_HEADER_BYTES = 64 << 10 };

static const char *const type_codes[] = {
#define ROW(identifier, name, npy, bytes) npy,
    SMLA_DTYPE_LIST(ROW)
#undef ROW
};

/* Version 1 has a 16-bit length, versions 2 and 3 a 32-bit one. */
static size_t prefix_bytes(const uint8_t *probe) { return probe[6] == 1 ? 10 : 12; }

snapmla_status smla_npy_head_bytes(const char *path, const uint8_t *probe, uint64_t file_bytes, size_t *head_bytes) {
  uint32_t length = 0;
  if (probe[6] < 1 || probe[6] > 3 || probe[7])
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: version %d.%d of .npy is unknown: 1.0, 2.0 and 3.0 are read",
                             path, probe[6], probe[7]);
  size_t prefix = prefix_bytes(probe);
  if (file_bytes < prefix) return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s is truncated within its header", path);
  memcpy(&length, probe + 8, prefix - 8);
  if (length > MAX_HEADER_BYTES)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: the header claims %" PRIu32 " bytes, the limit is %d", path,
                             length, MAX_HEADER_BYTES);
  if (length > file_bytes - prefix)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s is truncated within its header", path);
  *head_bytes = prefix + length;
  return SNAPMLA_OK;
}

/* A reader of the dictionary: what numpy writes and nothing else of Python. */
typedef struct scanner {
  const char *next, *end;
} scanner;

static void skip_space(scanner *s) {
  while (s->next < s->end && strchr(" \t\r\n", *s->next) && *s->next) ++s->next;
}

static int take(scanner *s, const char *word) {
  size_t length = strlen(word);
  skip_space(s);
  if ((size_t)(s->end - s->next) < length || memcmp(s->next, word, length)) return 0;
  s->next += length;
  return 1;
}

/* A quoted text without escapes, at most room - 1 bytes. */
static int take_text(scanner *s, char *text, size_t room) {
  size_t length = 0;
  skip_space(s);
  if (s->next == s->end || (*s->next != '\'' && *s->next != '"')) return 0;
  char quote = *s->next++;
  for (; s->next < s->end && *s->next != quote; ++s->next) {
    if (*s->next == '\\' || !*s->next || length + 1 == room) return 0;
    text[length++] = *s->next;
  }
  if (s->next == s->end) return 0;
  ++s->next;
  text[length] = 0;
  return 1;
}

/* A decimal number of at most 63 bits. */
static int take_number(scanner *s, int64_t *number) {
  skip_space(s);
  const char *start = s->next;
  *number = 0;
  for (; s->next < s->end && *s->next >= '0' && *s->next <= '9'; ++s->next)
    if (__builtin_mul_overflow(*number, (int64_t)10, number) ||
        __builtin_add_overflow(*number, (int64_t)(*s->next - '0'), number))
      return 0;
  return s->next > start;
}

static const char *take_shape(scanner *s, smla_tensor *tensor) {
  if (!take(s, "(")) return "its shape is not a tuple";
  while (!take(s, ")")) {
    if (tensor->rank == SMLA_TENSOR_MAX_RANK) return "more than 8 dimensions";
    if (!take_number(s, &tensor->shape[tensor->rank])) return "a dimension is not an integer of 63 bits, or negative";
    ++tensor->rank;
    if (!take(s, ",")) {
      if (tensor->rank == 1) return "its shape is not a tuple";
      if (!take(s, ")")) return "its shape is not closed";
      break;
    }
  }
  return NULL;
}

static const char *take_dtype(scanner *s, smla_tensor *tensor) {
  char text[16];
  if (!take_text(s, text, sizeof text)) return "its descr is not a plain type: structured arrays are not read";
  if (text[0] == '>') return "its elements are big endian: save a.astype(a.dtype.newbyteorder('<'))";
  if (text[0] != '<' && text[0] != '|') return "its descr names no byte order";
  tensor->dtype = 0;
  while (tensor->dtype < SMLA_DTYPE_COUNT && strcmp(type_codes[tensor->dtype], text + 1)) ++tensor->dtype;
  if (tensor->dtype == SMLA_DTYPE_COUNT || !text[1]) return "its dtype is not read: bool, integers and f2, f4, f8 are";
  return NULL;
}

/* NULL, or the rule that is broken. */
static const char *parse_dictionary(scanner *s, smla_tensor *tensor) {
  enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
  int seen = 0;
  const char *rule = NULL;
  char key[32];
  if (!take(s, "{")) return "its header is not a dictionary";
  while (!take(s, "}")) {
    if (!take_text(s, key, sizeof key) || !take(s, ":")) return "its header is not a dictionary";
    int this_key = !strcmp(key, "descr")           ? DESCR
                   : !strcmp(key, "fortran_order") ? ORDER
                   : !strcmp(key, "shape")         ? SHAPE
                                                   : 0;
    if (!this_key) return "its header has a key other than descr, fortran_order and shape";
    if (seen & this_key) return "its header has a key twice";
    seen |= this_key;
    if (this_key == DESCR)
      rule = take_dtype(s, tensor);
    else if (this_key == SHAPE)
      rule = take_shape(s, tensor);
    else if (take(s, "True"))
      rule = "it is in Fortran order: save numpy.ascontiguousarray(a)";
    else if (!take(s, "False"))
      rule = "its fortran_order is neither True nor False";
    if (rule) return rule;
    if (!take(s, ",")) {
      if (!take(s, "}")) return "its header is not a dictionary";
      break;
    }
  }
  if (seen != ALL) return "its header lacks descr, fortran_order or shape";
  skip_space(s);
  return s->next == s->end ? NULL : "text follows the dictionary of its header";
}

snapmla_status smla_npy_parse(smla_tensor_file *file, const uint8_t *head, size_t head_bytes, uint64_t file_bytes,
                              const char *name) {
  smla_tensor tensor = {.offset = head_bytes};
  scanner s = {(const char *)head + prefix_bytes(head), (const char *)head + head_bytes};
  const char *rule = parse_dictionary(&s, &tensor);
  char text[256];
  if (!rule && smla_tensor_size(tensor.dtype, tensor.rank, tensor.shape, &tensor.bytes)) {
    snprintf(text, sizeof text, "%s", smla_console_reason());
    rule = text;
  }
  if (rule) return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s: %s", file->path, rule);
  if (tensor.bytes != file_bytes - head_bytes)
    return smla_console_fail(SNAPMLA_BAD_FORMAT, "%s %s: its shape needs %zu bytes of data, the file has %" PRIu64,
                             file->path, tensor.bytes > file_bytes - head_bytes ? "is truncated" : "has trailing bytes",
                             tensor.bytes, file_bytes - head_bytes);
  return smla_tensor_file_add(file, name, strlen(name), tensor);
}

snapmla_status smla_npy_write(smla_output_file *output, const smla_tensor *tensor) {
  char header[512], shape[256] = "";
  size_t used = 0;
  if (!type_codes[tensor->dtype][0])
    return smla_console_fail(SNAPMLA_UNSUPPORTED, "%s: npy has no dtype for %s: write .safetensors", output->path,
                             smla_dtype_name(tensor->dtype));
  for (int i = 0; i < tensor->rank; ++i)
    used += (size_t)snprintf(shape + used, sizeof shape - used, "%" PRId64 ", ", tensor->shape[i]);
  if (tensor->rank > 1) shape[used - 2] = 0;
  int length = snprintf(header + 10, sizeof header - 10, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                        smla_dtype_bytes(tensor->dtype) == 1 ? '|' : '<', type_codes[tensor->dtype], shape);
  size_t total = (10 + (size_t)length + 1 + 63) & ~(size_t)63; /* the data start at a multiple of 64 */
  uint16_t header_length = (uint16_t)(total - 10);
  memset(header + 10 + length, ' ', total - 10 - (size_t)length);
  header[total - 1] = '\n';
  memcpy(header, "\x93NUMPY\x01\x00", 8);
  memcpy(header + 8, &header_length, sizeof header_length);
  snapmla_status status = smla_output_file_write(output, header, total);
  return status ? status : smla_output_file_write(output, tensor->data, tensor->bytes);
}
