/* A growing byte buffer, always NUL-terminated. Not thread-safe. */
#ifndef SMLA_UTIL_BUFFER_H
#define SMLA_UTIL_BUFFER_H

#include <stddef.h>

#include <snapmla/status.h>

typedef struct smla_buffer {
  char *data; /* NUL-terminated once anything was appended; owned */
  size_t length, capacity;
} smla_buffer;

/* { 0 } is an empty buffer. Appending fails with OUT_OF_MEMORY and leaves the buffer as it was. */
snapmla_status smla_buffer_append(smla_buffer *buffer, const void *data, size_t length);
snapmla_status smla_buffer_append_text(smla_buffer *buffer, const char *text);
snapmla_status smla_buffer_printf(smla_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the text to the caller, who frees it with free(); the buffer is empty afterwards. "" rather than NULL; NULL only
 * when memory is short. */
char *smla_buffer_take(smla_buffer *buffer);
void smla_buffer_free(smla_buffer *buffer);

#endif
