#include "buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

static snapmla_status reserve(smla_buffer *buffer, size_t extra) {
  if (extra > SIZE_MAX / 2 - buffer->length - 1)
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "a buffer would exceed the address space");
  size_t needed = buffer->length + extra + 1;
  if (needed <= buffer->capacity) return SNAPMLA_OK;
  size_t capacity = buffer->capacity ? buffer->capacity : 256;
  while (capacity < needed) capacity *= 2;
  char *data = realloc(buffer->data, capacity);
  if (!data) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu bytes for a buffer", capacity);
  buffer->data = data;
  buffer->capacity = capacity;
  return SNAPMLA_OK;
}

snapmla_status smla_buffer_append(smla_buffer *buffer, const void *data, size_t length) {
  snapmla_status status = reserve(buffer, length);
  if (status) return status;
  if (length) memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
  buffer->data[buffer->length] = 0;
  return SNAPMLA_OK;
}

snapmla_status smla_buffer_append_text(smla_buffer *buffer, const char *text) {
  return smla_buffer_append(buffer, text, strlen(text));
}

snapmla_status smla_buffer_printf(smla_buffer *buffer, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  snapmla_status status = length < 0 ? smla_fail(SNAPMLA_INTERNAL, "bad format") : reserve(buffer, (size_t)length);
  if (!status) {
    vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
    buffer->length += (size_t)length;
  }
  va_end(again);
  return status;
}

char *smla_buffer_take(smla_buffer *buffer) {
  char *data = buffer->data ? buffer->data : calloc(1, 1);
  *buffer = (smla_buffer){0};
  return data;
}

void smla_buffer_free(smla_buffer *buffer) {
  free(buffer->data);
  *buffer = (smla_buffer){0};
}
