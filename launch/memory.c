/* Buffers, streams and events: thin handles on the device's own. */
#include <snapmla/memory.h>

#include <stdlib.h>

#include "context_object.h"
#include "status.h"

struct snapmla_buffer {
  smla_device *device;
  void *allocation; /* the device's; `pointer` lies in it */
  void *pointer;
  size_t bytes;
};

struct snapmla_stream {
  smla_device *device;
  void *handle;
};

struct snapmla_event {
  smla_device *device;
  void *handle;
};

static snapmla_status null_argument(const char *call) {
  return smla_fail(SNAPMLA_INVALID_ARGUMENT, "%s: an argument is NULL; pass every one", call);
}

snapmla_status snapmla_buffer_create(snapmla_context *context, size_t bytes, snapmla_buffer **out) {
  if (!context || !out) return null_argument("snapmla_buffer_create");
  *out = NULL;
  if (!bytes) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "a buffer of 0 bytes; ask for at least 1");
  snapmla_buffer *buffer = malloc(sizeof *buffer);
  if (!buffer) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a buffer");
  *buffer = (snapmla_buffer){context->device, NULL, NULL, bytes};
  snapmla_status status = buffer->device->ops->allocate(buffer->device, bytes, &buffer->allocation, &buffer->pointer);
  if (status)
    free(buffer);
  else
    *out = buffer;
  return status;
}

void snapmla_buffer_destroy(snapmla_buffer *buffer) {
  if (!buffer) return;
  buffer->device->ops->release(buffer->device, buffer->allocation);
  free(buffer);
}

void *snapmla_buffer_pointer(const snapmla_buffer *buffer) { return buffer ? buffer->pointer : NULL; }

size_t snapmla_buffer_bytes(const snapmla_buffer *buffer) { return buffer ? buffer->bytes : 0; }

static snapmla_status check_range(const snapmla_buffer *buffer, size_t offset, size_t bytes) {
  if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                   "%zu bytes at offset %zu are outside the buffer of %zu bytes; stay within it", bytes, offset,
                   buffer->bytes);
}

snapmla_status snapmla_buffer_write(snapmla_buffer *buffer, size_t offset, const void *source, size_t bytes) {
  if (!buffer || (!source && bytes)) return null_argument("snapmla_buffer_write");
  snapmla_status status = check_range(buffer, offset, bytes);
  if (status || !bytes) return status;
  return buffer->device->ops->copy_in(buffer->device, (char *)buffer->pointer + offset, source, bytes);
}

snapmla_status snapmla_buffer_read(const snapmla_buffer *buffer, size_t offset, void *target, size_t bytes) {
  if (!buffer || (!target && bytes)) return null_argument("snapmla_buffer_read");
  snapmla_status status = check_range(buffer, offset, bytes);
  if (status || !bytes) return status;
  return buffer->device->ops->copy_out(buffer->device, target, (const char *)buffer->pointer + offset, bytes);
}

snapmla_status snapmla_stream_create(snapmla_context *context, snapmla_stream **out) {
  if (!context || !out) return null_argument("snapmla_stream_create");
  *out = NULL;
  snapmla_stream *stream = malloc(sizeof *stream);
  if (!stream) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a stream");
  *stream = (snapmla_stream){context->device, NULL};
  snapmla_status status = stream->device->ops->stream_create(stream->device, &stream->handle);
  if (status)
    free(stream);
  else
    *out = stream;
  return status;
}

void snapmla_stream_destroy(snapmla_stream *stream) {
  if (!stream) return;
  stream->device->ops->stream_destroy(stream->device, stream->handle);
  free(stream);
}

void *snapmla_stream_handle(const snapmla_stream *stream) { return stream ? stream->handle : NULL; }

snapmla_status snapmla_stream_synchronize(snapmla_stream *stream) {
  if (!stream) return null_argument("snapmla_stream_synchronize");
  return stream->device->ops->stream_synchronize(stream->device, stream->handle);
}

snapmla_status snapmla_event_create(snapmla_context *context, snapmla_event **out) {
  if (!context || !out) return null_argument("snapmla_event_create");
  *out = NULL;
  snapmla_event *event = malloc(sizeof *event);
  if (!event) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an event");
  *event = (snapmla_event){context->device, NULL};
  snapmla_status status = event->device->ops->event_create(event->device, &event->handle);
  if (status)
    free(event);
  else
    *out = event;
  return status;
}

void snapmla_event_destroy(snapmla_event *event) {
  if (!event) return;
  event->device->ops->event_destroy(event->device, event->handle);
  free(event);
}

snapmla_status snapmla_event_record(snapmla_event *event, snapmla_stream *stream) {
  if (!event || !stream) return null_argument("snapmla_event_record");
  if (event->device != stream->device)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "the event and the stream are of two contexts; make both from one");
  return event->device->ops->event_record(event->device, event->handle, stream->handle);
}

snapmla_status snapmla_event_elapsed(snapmla_event *start, snapmla_event *stop, double *microseconds) {
  if (!start || !stop || !microseconds) return null_argument("snapmla_event_elapsed");
  if (start->device != stop->device)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT, "the events are of two contexts; make both from one");
  return start->device->ops->event_elapsed(start->device, start->handle, stop->handle, microseconds);
}
