/* Buffers, streams and events: the little a program needs to use either device the same way.
 *
 * An inference engine passes its own device pointers, CUstream (as void *) and context instead. */
#ifndef SNAPMLA_MEMORY_H
#define SNAPMLA_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/export.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Device memory. On the emulator it is host memory with guard bytes, known to its bounds checks. */
typedef struct snapmla_buffer snapmla_buffer;

/* Allocates `bytes` (> 0), 1024-byte aligned, filled with 0xff (NaN in every type used here), so that a read of what was
 * never written shows. Errors: INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE. */
SNAPMLA_API snapmla_status snapmla_buffer_create(snapmla_context *context, size_t bytes, snapmla_buffer **out);
SNAPMLA_API void snapmla_buffer_destroy(snapmla_buffer *buffer);
/* The device pointer. */
SNAPMLA_API void *snapmla_buffer_pointer(const snapmla_buffer *buffer);
SNAPMLA_API size_t snapmla_buffer_bytes(const snapmla_buffer *buffer);
/* Synchronous copies. Errors: INVALID_ARGUMENT (out of range), DEVICE. */
SNAPMLA_API snapmla_status snapmla_buffer_write(snapmla_buffer *buffer, size_t offset, const void *source,
                                                size_t bytes);
SNAPMLA_API snapmla_status snapmla_buffer_read(const snapmla_buffer *buffer, size_t offset, void *target, size_t bytes);

/* A stream: pass snapmla_stream_handle() as the `stream` of a call. On the emulator work runs in the call. */
typedef struct snapmla_stream snapmla_stream;
SNAPMLA_API snapmla_status snapmla_stream_create(snapmla_context *context, snapmla_stream **out);
SNAPMLA_API void snapmla_stream_destroy(snapmla_stream *stream);
SNAPMLA_API void *snapmla_stream_handle(const snapmla_stream *stream); /* a CUstream on a GPU */
/* Waits for the stream. Errors: DEVICE, EMULATOR_FAULT (the report of a launch since the last synchronise). */
SNAPMLA_API snapmla_status snapmla_stream_synchronize(snapmla_stream *stream);

/* An event: a point in a stream. Times between two events are measured on a GPU and modelled on the emulator. */
typedef struct snapmla_event snapmla_event;
SNAPMLA_API snapmla_status snapmla_event_create(snapmla_context *context, snapmla_event **out);
SNAPMLA_API void snapmla_event_destroy(snapmla_event *event);
SNAPMLA_API snapmla_status snapmla_event_record(snapmla_event *event, snapmla_stream *stream);
/* Microseconds from `start` to `stop`; waits for `stop`. */
SNAPMLA_API snapmla_status snapmla_event_elapsed(snapmla_event *start, snapmla_event *stop, double *microseconds);

#ifdef __cplusplus
}
#endif
#endif
