/* What both fuzz targets do: hand a whole file to its parser, and hold what it accepts against the file's size. */
#ifndef SMLA_TESTS_CLI_FUZZ_H
#define SMLA_TESTS_CLI_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef snapmla_status (*fuzz_head_bytes)(const char *path, const uint8_t *probe, uint64_t file_bytes,
                                          size_t *head_bytes);
typedef snapmla_status (*fuzz_parser)(smla_tensor_file *file, const uint8_t *head, size_t head_bytes,
                                      uint64_t file_bytes);

static inline int fuzz_parse(const uint8_t *data, size_t size, fuzz_head_bytes head_bytes_of, fuzz_parser parse) {
  uint8_t probe[SMLA_TENSOR_PROBE_BYTES] = {0};
  smla_tensor_file file = {.fd = -1};
  size_t head_bytes;
  if (size < 10) return 0; /* the opener's rule */
  memcpy(probe, data, size < sizeof probe ? size : sizeof probe);
  file.path = strdup("fuzz");
  if (!head_bytes_of(file.path, probe, size, &head_bytes)) {
    uint8_t *head = malloc(head_bytes ? head_bytes : 1); /* exactly as long, so that a read past it is seen */
    if (head_bytes > size) abort();
    memcpy(head, data, head_bytes);
    if (!parse(&file, head, head_bytes, size))
      for (size_t i = 0; i < file.tensor_count; ++i)
        if (file.tensors[i].offset > size || file.tensors[i].bytes > size - file.tensors[i].offset) abort();
    free(head);
  }
  smla_tensor_file_close(&file);
  return 0;
}

#endif
