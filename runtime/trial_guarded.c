#include "trial.h"

#include <stdlib.h>
#include <string.h>

#include "size.h"
#include "status.h"

enum { GUARD = 4096, PATTERN = 0xa5 };

snapmla_status smla_guarded_create(snapmla_context *context, size_t bytes, smla_guarded *out) {
  unsigned char pattern[GUARD];
  smla_guarded g = {.bytes = bytes ? bytes : 16};
  size_t total, middle;
  memset(pattern, PATTERN, sizeof pattern);
  snapmla_status status = smla_size_align("a trial's buffer", g.bytes, 1024, &middle);
  if (!status) status = smla_size_add("a trial's buffer", middle, 2 * GUARD, &total);
  if (!status) status = snapmla_buffer_create(context, total, &g.buffer);
  if (!status) status = snapmla_buffer_write(g.buffer, 0, pattern, GUARD);
  if (!status) status = snapmla_buffer_write(g.buffer, GUARD + middle, pattern, GUARD);
  if (status) {
    snapmla_buffer_destroy(g.buffer);
    return status;
  }
  g.pointer = (char *)snapmla_buffer_pointer(g.buffer) + GUARD;
  *out = g;
  return SNAPMLA_OK;
}

void smla_guarded_destroy(smla_guarded *guarded) {
  snapmla_buffer_destroy(guarded->buffer);
  *guarded = (smla_guarded){0};
}

snapmla_status smla_guarded_write(smla_guarded *guarded, size_t offset, const void *data, size_t bytes) {
  return snapmla_buffer_write(guarded->buffer, GUARD + offset, data, bytes);
}

snapmla_status smla_guarded_read(const smla_guarded *guarded, void *data) {
  return snapmla_buffer_read(guarded->buffer, GUARD, data, guarded->bytes);
}

snapmla_status smla_guarded_verify(const smla_guarded *guarded, const char *what) {
  unsigned char block[GUARD];
  size_t end = snapmla_buffer_bytes(guarded->buffer) - GUARD;
  for (int side = 0; side < 2; side++) {
    snapmla_status status = snapmla_buffer_read(guarded->buffer, side ? end : 0, block, GUARD);
    if (status) return status;
    for (size_t i = 0; i < GUARD; i++)
      if (block[i] != PATTERN)
        return smla_fail(SNAPMLA_INTERNAL, "it wrote %s %s", side ? "past the end of" : "before the start of", what);
  }
  return SNAPMLA_OK;
}
