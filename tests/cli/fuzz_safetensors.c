/* libFuzzer: the safetensors header parser on any bytes. Run: fuzz_safetensors -max_len=4096 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  return fuzz_parse(data, size, smla_safetensors_head_bytes, smla_safetensors_parse);
}
