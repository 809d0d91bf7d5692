/* The emulator as a device: host memory with guard zones, launches that run in the call, a modelled clock per
 * stream. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "emulator.h"
#include "host_object.h"
#include "size.h"
#include "status.h"
#include "tensor_map.h"

enum { ALIGNMENT = 1024, GUARD = 1024, FILL = 0xff, DEFAULT_SMS = 132, SHARED_BYTES = 232448, L2_BYTES = 50 << 20 };

/* What a CUstream is on a GPU. */
typedef struct emulated_stream {
  double now_us;        /* modelled time of what ran on it */
  snapmla_status fault; /* of the first launch that failed since the last synchronise */
  char reason[2048];
  struct emulated_stream *next;
} emulated_stream;

typedef struct emulated_event {
  double at_us;
  int recorded;
} emulated_event;

typedef struct emulated_device {
  smla_device base;
  smla_emulator *emulator;
  int32_t sms;
  pthread_mutex_t lock;           /* of the streams and of what they hold */
  emulated_stream default_stream; /* the head of the list of streams */
} emulated_device;

static emulated_device *emulated(const smla_device *device) { return (emulated_device *)device; }

static void destroy(smla_device *device) {
  emulated_device *d = emulated(device);
  smla_emulator_destroy(d->emulator);
  pthread_mutex_destroy(&d->lock);
  free(d);
}

static void info(const smla_device *device, snapmla_device_info *out) {
  snprintf(out->name, sizeof out->name, "emulator");
  snprintf(out->product, sizeof out->product, "emulated Hopper");
  out->is_emulator = 1;
  out->compute_major = 9;
  out->compute_minor = 0;
  out->multiprocessors = emulated(device)->sms;
  out->shared_memory_bytes = SHARED_BYTES;
  out->l2_bytes = L2_BYTES;
  out->driver_version = 0;
}

static void facts(const smla_device *device, smla_device_facts *out) {
  *out = (smla_device_facts){.is_emulator = 1,
                             .compute_major = 9,
                             .multiprocessors = emulated(device)->sms,
                             .l2_bytes = L2_BYTES,
                             .shared_memory_bytes = SHARED_BYTES};
}

static int64_t free_bytes(smla_device *device) {
  (void)device;
  return 0;
}

static void bus_id(const smla_device *device, char out[32]) {
  (void)device;
  out[0] = 0;
}

/* Memory of a buffer lies GUARD bytes into its allocation and GUARD bytes before its end: only the middle is known to
 * the emulator, so that a kernel's access beside a buffer is never one to another buffer. */
static snapmla_status allocate(smla_device *device, size_t bytes, void **allocation, void **pointer) {
  size_t total;
  snapmla_status status = smla_size_add("a buffer", bytes, 2 * GUARD, &total);
  if (!status) status = smla_size_align("a buffer", total, ALIGNMENT, &total);
  if (status) return status;
  char *block = aligned_alloc(ALIGNMENT, total);
  if (!block) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a buffer of %zu bytes on the emulator", bytes);
  memset(block, FILL, total);
  status = smla_emulator_memory_add(emulated(device)->emulator, block + GUARD, bytes, 1);
  if (status) {
    free(block);
    return status;
  }
  *allocation = block;
  *pointer = block + GUARD;
  return SNAPMLA_OK;
}

static void release(smla_device *device, void *allocation) {
  smla_emulator_memory_remove(emulated(device)->emulator, (char *)allocation + GUARD);
  free(allocation);
}

static snapmla_status copy(smla_device *device, void *target, const void *source, size_t bytes) {
  (void)device;
  memcpy(target, source, bytes);
  return SNAPMLA_OK;
}

/* NULL with a reason where `handle` is no stream of this device. Called with the lock held. */
static emulated_stream *find_stream(emulated_device *d, const void *handle) {
  if (!handle) return &d->default_stream;
  for (emulated_stream *s = d->default_stream.next; s; s = s->next)
    if (s == handle) return s;
  smla_fail(
      SNAPMLA_INVALID_ARGUMENT,
      "the stream is not one of the emulator's; pass snapmla_stream_handle() of a stream of this context, or NULL");
  return NULL;
}

static snapmla_status stream_create(smla_device *device, void **out) {
  emulated_device *d = emulated(device);
  emulated_stream *stream = calloc(1, sizeof *stream);
  if (!stream) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a stream");
  pthread_mutex_lock(&d->lock);
  stream->next = d->default_stream.next;
  d->default_stream.next = stream;
  pthread_mutex_unlock(&d->lock);
  *out = stream;
  return SNAPMLA_OK;
}

static void stream_destroy(smla_device *device, void *stream) {
  emulated_device *d = emulated(device);
  pthread_mutex_lock(&d->lock);
  emulated_stream *before = &d->default_stream;
  while (before->next && before->next != stream) before = before->next;
  if (before->next) before->next = before->next->next;
  pthread_mutex_unlock(&d->lock);
  free(stream);
}

static snapmla_status stream_synchronize(smla_device *device, void *handle) {
  emulated_device *d = emulated(device);
  pthread_mutex_lock(&d->lock);
  emulated_stream *stream = find_stream(d, handle);
  snapmla_status status = stream ? stream->fault : SNAPMLA_INVALID_ARGUMENT;
  if (stream && status) smla_fail(status, "%s", stream->reason);
  if (stream) stream->fault = SNAPMLA_OK;
  pthread_mutex_unlock(&d->lock);
  return status;
}

static snapmla_status event_create(smla_device *device, void **out) {
  (void)device;
  *out = calloc(1, sizeof(emulated_event));
  return *out ? SNAPMLA_OK : smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: an event");
}

static void event_destroy(smla_device *device, void *event) {
  (void)device;
  free(event);
}

static snapmla_status event_record(smla_device *device, void *handle, void *stream_handle) {
  emulated_device *d = emulated(device);
  emulated_event *event = handle;
  pthread_mutex_lock(&d->lock);
  emulated_stream *stream = find_stream(d, stream_handle);
  if (stream) *event = (emulated_event){stream->now_us, 1};
  pthread_mutex_unlock(&d->lock);
  return stream ? SNAPMLA_OK : SNAPMLA_INVALID_ARGUMENT;
}

static snapmla_status event_elapsed(smla_device *device, void *start, void *stop, double *microseconds) {
  (void)device;
  const emulated_event *from = start, *to = stop;
  if (!from->recorded || !to->recorded)
    return smla_fail(SNAPMLA_INVALID_ARGUMENT,
                     "an event was never recorded; record both before asking for the time between");
  *microseconds = to->at_us - from->at_us;
  return SNAPMLA_OK;
}

static snapmla_status load(smla_device *device, const smla_image *image, uint32_t smem_bytes, void **kernel) {
  (void)device;
  if (smem_bytes > SHARED_BYTES)
    return smla_fail(SNAPMLA_DEVICE, "%s wants %u bytes of shared memory and a block has %d", image->entry, smem_bytes,
                     (int)SHARED_BYTES);
  smla_host_object *object = calloc(1, sizeof *object);
  if (!object) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a kernel");
  snapmla_status status = smla_host_object_load(image->bytes, image->size, image->entry, image->without_files, object);
  if (status)
    free(object);
  else
    *kernel = object;
  return status;
}

static void unload(smla_device *device, void *kernel) {
  (void)device;
  smla_host_object_unload(kernel);
  free(kernel);
}

static snapmla_status check_stream(emulated_device *d, const void *handle) {
  pthread_mutex_lock(&d->lock);
  int known = find_stream(d, handle) != NULL;
  pthread_mutex_unlock(&d->lock);
  return known ? SNAPMLA_OK : SNAPMLA_INVALID_ARGUMENT;
}

/* The stream's clock moves on, or keeps the fault for its synchronise. */
static void settle(emulated_device *d, const void *handle, snapmla_status status, const smla_counters *counted) {
  pthread_mutex_lock(&d->lock);
  emulated_stream *stream = find_stream(d, handle);
  if (stream && !status) stream->now_us += counted->modelled_us;
  if (stream && status && !stream->fault) {
    stream->fault = status;
    snprintf(stream->reason, sizeof stream->reason, "%s", snapmla_error_message());
  }
  pthread_mutex_unlock(&d->lock);
}

/* The one fault that is more often the caller's than the kernel's: memory that the emulator was never told of. */
static snapmla_status explain(snapmla_status status) {
  if (status != SNAPMLA_EMULATOR_FAULT || !strstr(snapmla_error_message(), "global memory out of bounds"))
    return status;
  return smla_fail(status, "%s; on the emulator kernels may touch only what snapmla_buffer_create allocated",
                   snapmla_error_message());
}

static snapmla_status launch(smla_device *device, const smla_device_launch *l, snapmla_plan_counters *counters) {
  emulated_device *d = emulated(device);
  snapmla_status status = check_stream(d, l->stream);
  if (status) return status;
  const smla_host_object *object = l->kernel;
  const smla_launch launch = {object->entry, l->name,       {l->grid_x, l->grid_y, 1}, l->threads, l->cluster,
                              l->smem_bytes, l->params.data};
  smla_counters counted = {0};
  status = explain(smla_emulator_launch(d->emulator, &launch, &counted));
  settle(d, l->stream, status, &counted);
  if (status || !counters) return status;
  counters->modelled_us += counted.modelled_us;
  counters->global_bytes_read += counted.global_bytes_read;
  counters->global_bytes_written += counted.global_bytes_written;
  counters->tensor_flops += counted.tensor_flops;
  counters->shared_bytes += counted.shared_bytes;
  counters->exponentials += counted.exponentials;
  return SNAPMLA_OK;
}

static snapmla_status tensor_map(smla_device *device, const smla_device_tensor *tensor, struct smla_tensor_map *out) {
  (void)device;
  return smla_emulator_tensor_map(tensor->base, tensor->extents, tensor->strides, tensor->box, tensor->swizzled, out);
}

static const smla_device_ops ops = {
    .destroy = destroy,
    .info = info,
    .facts = facts,
    .free_bytes = free_bytes,
    .bus_id = bus_id,
    .allocate = allocate,
    .release = release,
    .copy_in = copy,
    .copy_out = copy,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_synchronize = stream_synchronize,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_elapsed = event_elapsed,
    .load = load,
    .unload = unload,
    .tensor_map = tensor_map,
    .launch = launch,
};

snapmla_status smla_device_open_emulator(const snapmla_context_options *options, smla_device **out) {
  emulated_device *d = calloc(1, sizeof *d);
  if (!d) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a device");
  d->base = (smla_device){&ops, SNAPMLA_TARGET_EMULATOR, 1};
  d->sms = options->emulator_sms ? options->emulator_sms : DEFAULT_SMS;
  const smla_emulator_options emulator = {options->emulator_order, options->emulator_seed, options->emulator_threads,
                                          d->sms};
  snapmla_status status = smla_emulator_create(&emulator, &d->emulator);
  if (status) {
    free(d);
    return status;
  }
  pthread_mutex_init(&d->lock, NULL);
  *out = &d->base;
  return SNAPMLA_OK;
}
