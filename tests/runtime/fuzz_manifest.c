/* libFuzzer: any bytes as the manifest of a stored kernel. Run: fuzz_manifest -max_len=4096 tests/runtime/corpus/manifest */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char key[] = "ab00000000000000000000000000000000000000000000000000000000000001";
  static const char content[] = "a kernel"; /* whose length and digest the corpus has */
  smla_buffer bytes = {0};
  smla_image *image = NULL;
  if (smla_buffer_append(&bytes, content, sizeof content - 1)) return 0;
  snapmla_status status = smla_manifest_read((const char *)data, size, SNAPMLA_TARGET_SM90A, key, &bytes, &image);
  if (!status && (image->size != sizeof content - 1 || strcmp(image->key, key) || !image->entry || !image->log))
    abort();
  if (status && (image || bytes.length != sizeof content - 1)) abort();
  smla_image_release(image);
  smla_buffer_free(&bytes);
  return 0;
}
