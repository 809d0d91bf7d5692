/* Wisdom files and single measurements of any bytes: refused, or whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "wisdom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  smla_measurements list = {0};
  smla_measurement one;
  smla_buffer text = {0};
  if (!smla_wisdom_read("input", (const char *)data, size, &list)) {
    /* What was read can be written, and reads as the same. */
    smla_measurements again = {0};
    if (smla_wisdom_print(&list, &text) || smla_wisdom_read("again", text.data, text.length, &again) ||
        again.count != list.count)
      abort();
    smla_measurements_free(&again);
  } else if (list.count) {
    abort();
  }
  smla_measurements_free(&list);
  smla_buffer_free(&text);
  if (!smla_measurement_read("input", (const char *)data, size, &one)) smla_measurement_clear(&one);
  return 0;
}
