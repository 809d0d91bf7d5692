/* libFuzzer: the .npy header parser on any bytes. Run: fuzz_npy -max_len=4096 */
#include "fuzz.h"

static snapmla_status parse(smla_tensor_file *file, const uint8_t *head, size_t head_bytes, uint64_t file_bytes) {
  return smla_npy_parse(file, head, head_bytes, file_bytes, "x");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_parse(data, size, smla_npy_head_bytes, parse);
}
