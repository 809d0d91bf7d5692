/* A GPU through libcuda. Memory, streams and modules live in the device's primary context, which every CUDA runtime
 * program uses too; launches go to the caller's current context, which must be that one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "driver.h"
#include "env.h"
#include "size.h"
#include "status.h"

typedef struct cuda_device {
  smla_device base;
  const smla_driver *driver;
  int ordinal;
  cu_device device;
  cu_context context; /* retained */
  snapmla_device_info info;
  smla_device_facts facts;
} cuda_device;

typedef struct cuda_kernel {
  cu_module module;
  cu_function function;
} cuda_kernel;

enum { FILL = 0xff, ALIGNMENT = 1024 };

static cuda_device *cuda(const smla_device *device) { return (cuda_device *)device; }

/* Makes the primary context current until leave(). */
static snapmla_status enter(cuda_device *d) {
  return smla_driver_check(d->driver, d->driver->context_push(d->context), "cuCtxPushCurrent", "use the GPU's context");
}

static void leave(cuda_device *d) {
  cu_context popped;
  (void)d->driver->context_pop(&popped);
}

static snapmla_status check(const cuda_device *d, cu_result result, const char *call, const char *doing) {
  return smla_driver_check(d->driver, result, call, doing);
}

static void destroy(smla_device *device) {
  cuda_device *d = cuda(device);
  if (d->context) (void)d->driver->primary_release(d->device);
  free(d);
}

static void info(const smla_device *device, snapmla_device_info *out) {
  size_t size = out->size;
  *out = cuda(device)->info;
  out->size = size;
}

static void facts(const smla_device *device, smla_device_facts *out) { *out = cuda(device)->facts; }

static int64_t free_bytes(smla_device *device) {
  cuda_device *d = cuda(device);
  size_t available = 0, total;
  if (enter(d)) return 0;
  if (d->driver->memory_info(&available, &total)) available = 0;
  leave(d);
  return (int64_t)available;
}

static void bus_id(const smla_device *device, char out[32]) {
  const cuda_device *d = cuda(device);
  if (d->driver->bus_id(out, 32, d->device)) out[0] = 0;
}

/* Fills and copies run on the default stream and may still do so when their calls return; other streams do not wait for
 * it. After this they are done for every stream. */
static snapmla_status finish_default_stream(cuda_device *d) {
  return check(d, d->driver->stream_synchronize(NULL), "cuStreamSynchronize", "wait for the default stream");
}

/* cuMemAlloc aligns to less than a buffer needs: ask for more and move up. */
static snapmla_status allocate(smla_device *device, size_t bytes, void **allocation, void **pointer) {
  cuda_device *d = cuda(device);
  size_t total;
  snapmla_status status = smla_size_add("a buffer", bytes, ALIGNMENT - 1, &total);
  if (!status) status = enter(d);
  if (status) return status;
  cu_pointer start = 0;
  char doing[192];
  snprintf(doing, sizeof doing, "allocate %zu bytes on %s", bytes, d->info.name);
  status = check(d, d->driver->memory_alloc(&start, total), "cuMemAlloc", doing);
  if (!status) status = check(d, d->driver->memory_set(start, FILL, total), "cuMemsetD8", "fill a buffer");
  if (!status) status = finish_default_stream(d);
  if (status && start) (void)d->driver->memory_free(start);
  leave(d);
  if (status) return status;
  *allocation = (void *)(uintptr_t)start;
  *pointer = (void *)(uintptr_t)((start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
  return SNAPMLA_OK;
}

static void release(smla_device *device, void *allocation) {
  cuda_device *d = cuda(device);
  if (enter(d)) return;
  (void)d->driver->memory_free((uintptr_t)allocation);
  leave(d);
}

static snapmla_status copy_in(smla_device *device, void *target, const void *source, size_t bytes) {
  cuda_device *d = cuda(device);
  snapmla_status status = enter(d);
  if (status) return status;
  status = check(d, d->driver->copy_in((uintptr_t)target, source, bytes), "cuMemcpyHtoD", "copy to the GPU");
  if (!status) status = finish_default_stream(d);
  leave(d);
  return status;
}

static snapmla_status copy_out(smla_device *device, void *target, const void *source, size_t bytes) {
  cuda_device *d = cuda(device);
  snapmla_status status = enter(d);
  if (status) return status;
  status = check(d, d->driver->copy_out(target, (uintptr_t)source, bytes), "cuMemcpyDtoH", "copy from the GPU");
  leave(d);
  return status;
}

static snapmla_status stream_create(smla_device *device, void **out) {
  cuda_device *d = cuda(device);
  snapmla_status status = enter(d);
  if (status) return status;
  cu_stream stream = NULL;
  status = check(d, d->driver->stream_create(&stream, CU_STREAM_FLAG_NON_BLOCKING), "cuStreamCreate", "make a stream");
  leave(d);
  *out = stream;
  return status;
}

static void stream_destroy(smla_device *device, void *stream) {
  cuda_device *d = cuda(device);
  if (enter(d)) return;
  (void)d->driver->stream_destroy(stream);
  leave(d);
}

static snapmla_status stream_synchronize(smla_device *device, void *stream) {
  cuda_device *d = cuda(device);
  snapmla_status status = enter(d);
  if (status) return status;
  status = check(d, d->driver->stream_synchronize(stream), "cuStreamSynchronize", "wait for a stream");
  leave(d);
  return status;
}

static snapmla_status event_create(smla_device *device, void **out) {
  cuda_device *d = cuda(device);
  snapmla_status status = enter(d);
  if (status) return status;
  cu_event event = NULL;
  status = check(d, d->driver->event_create(&event, 0), "cuEventCreate", "make an event");
  leave(d);
  *out = event;
  return status;
}

static void event_destroy(smla_device *device, void *event) {
  cuda_device *d = cuda(device);
  if (enter(d)) return;
  (void)d->driver->event_destroy(event);
  leave(d);
}

static snapmla_status event_record(smla_device *device, void *event, void *stream) {
  cuda_device *d = cuda(device);
  snapmla_status status = enter(d);
  if (status) return status;
  status = check(d, d->driver->event_record(event, stream), "cuEventRecord", "record an event");
  leave(d);
  return status;
}

static snapmla_status event_elapsed(smla_device *device, void *start, void *stop, double *microseconds) {
  cuda_device *d = cuda(device);
  snapmla_status status = enter(d);
  if (status) return status;
  float milliseconds = 0;
  status = check(d, d->driver->event_synchronize(stop), "cuEventSynchronize", "wait for an event");
  if (!status)
    status = check(d, d->driver->event_elapsed(&milliseconds, start, stop), "cuEventElapsedTime", "time two events");
  leave(d);
  if (!status) *microseconds = 1e3 * (double)milliseconds;
  return status;
}

/* A driver loads the cubins of its own major version of CUDA and of those before. */
static snapmla_status check_age(const cuda_device *d, const smla_image *image) {
  int major = d->driver->version / 1000;
  if (image->nvrtc_major <= major) return SNAPMLA_OK;
  return smla_fail(
      SNAPMLA_DEVICE,
      "the driver is too old: it supports CUDA %d.%d and the kernels come from NVRTC %d; CUDA 13 cubins need driver "
      "580 or newer: update it, or name a libnvrtc.so.%d in SNAPMLA_NVRTC%s (pip install nvidia-cuda-nvrtc-cu%d)",
      major, d->driver->version % 1000 / 10, image->nvrtc_major, major,
      image->without_files ? " where the pack is exported" : "", major);
}

/* The driver's words on a cubin that it cannot take name no remedy. */
static snapmla_status load_module(cuda_device *d, const smla_image *image, const char *doing, cu_module *out) {
  cu_result result = d->driver->module_load(out, image->bytes);
  snapmla_status status = check(d, result, "cuModuleLoadData", doing);
  if (result != CU_INVALID_IMAGE && result != CU_NO_BINARY_FOR_GPU && result != CU_UNSUPPORTED_PTX_VERSION &&
      result != CU_INVALID_SOURCE)
    return status;
  return smla_fail(
      status,
      "%s; the driver supports CUDA %d.%d and takes kernels of that NVRTC or older: update the driver (CUDA "
      "13 cubins need driver 580 or newer), or name an older libnvrtc in SNAPMLA_NVRTC%s",
      snapmla_error_message(), d->driver->version / 1000, d->driver->version % 1000 / 10,
      image->without_files ? " where the pack is exported" : "");
}

static snapmla_status load(smla_device *device, const smla_image *image, uint32_t smem_bytes, void **out) {
  cuda_device *d = cuda(device);
  snapmla_status status = check_age(d, image);
  if (status) return status;
  cuda_kernel *kernel = calloc(1, sizeof *kernel);
  if (!kernel) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a kernel");
  status = enter(d);
  if (status) {
    free(kernel);
    return status;
  }
  char doing[128];
  snprintf(doing, sizeof doing, "load the kernel %s", image->entry);
  status = load_module(d, image, doing, &kernel->module);
  if (!status)
    status = check(d, d->driver->module_function(&kernel->function, kernel->module, image->entry),
                   "cuModuleGetFunction", doing);
  if (!status) {
    snprintf(doing, sizeof doing, "give %s %u bytes of shared memory", image->entry, smem_bytes);
    status = check(d, d->driver->function_set(kernel->function, CU_FUNCTION_MAX_DYNAMIC_SHARED_BYTES, (int)smem_bytes),
                   "cuFuncSetAttribute", doing);
  }
  if (status && kernel->module) (void)d->driver->module_unload(kernel->module);
  leave(d);
  if (status)
    free(kernel);
  else
    *out = kernel;
  return status;
}

static void unload(smla_device *device, void *kernel) {
  cuda_device *d = cuda(device);
  if (!enter(d)) {
    (void)d->driver->module_unload(((cuda_kernel *)kernel)->module);
    leave(d);
  }
  free(kernel);
}

/* The current context must be the device's primary one; a thread without any borrows it for the call. */
static snapmla_status enter_current(cuda_device *d, int *borrowed) {
  cu_context current = NULL;
  *borrowed = 0;
  snapmla_status status =
      check(d, d->driver->context_current(&current), "cuCtxGetCurrent", "see the current CUDA context");
  if (status || current == d->context) return status;
  if (current)
    return smla_fail(
        SNAPMLA_INVALID_ARGUMENT,
        "the current CUDA context is not the primary context of %s, where the plan's kernels are; make that one "
        "current (cudaSetDevice), or plan for the device in use",
        d->info.name);
  status = enter(d);
  *borrowed = !status;
  return status;
}

static snapmla_status launch(smla_device *device, const smla_device_launch *l, snapmla_plan_counters *counters) {
  (void)counters;
  cuda_device *d = cuda(device);
  cu_launch_attribute attributes[2];
  memset(attributes, 0, sizeof attributes);
  unsigned count = 0;
  if (l->cluster > 1) {
    attributes[count].id = CU_LAUNCH_CLUSTER_DIMENSION;
    attributes[count].value.cluster.x = l->cluster;
    attributes[count].value.cluster.y = attributes[count].value.cluster.z = 1;
    count++;
  }
  if (l->dependent) {
    attributes[count].id = CU_LAUNCH_PROGRAMMATIC_SERIALIZATION;
    attributes[count].value.programmatic = 1;
    count++;
  }
  const cu_launch_config config = {l->grid_x, l->grid_y,     1,         l->threads, 1,
                                   1,         l->smem_bytes, l->stream, attributes, count};
  void *params[] = {(void *)(uintptr_t)l->params.data};
  int borrowed;
  snapmla_status status = enter_current(d, &borrowed);
  if (status) return status;
  char doing[128];
  snprintf(doing, sizeof doing, "launch %s", l->name);
  status = check(d, d->driver->launch(&config, ((cuda_kernel *)l->kernel)->function, params, NULL), "cuLaunchKernelEx",
                 doing);
  if (borrowed) leave(d);
  return status;
}

static snapmla_status tensor_map(smla_device *device, const smla_device_tensor *tensor, struct smla_tensor_map *out) {
  cuda_device *d = cuda(device);
  const uint32_t box[3] = {tensor->box[0], tensor->box[1], 1}, steps[3] = {1, 1, 1};
  int borrowed;
  snapmla_status status =
      enter_current(d, &borrowed); /* nothing is launched, but the driver wants a context all the same */
  if (status) return status;
  status =
      check(d,
            d->driver->tensor_map(
                out, CU_TENSOR_UINT8, 3, (void *)(uintptr_t)tensor->base, tensor->extents, tensor->strides, box, steps,
                0, tensor->swizzled ? CU_TENSOR_SWIZZLE_128B : CU_TENSOR_SWIZZLE_NONE, CU_TENSOR_L2_256B, 0),
            "cuTensorMapEncodeTiled", "describe the cache to the GPU's tensor copies");
  if (borrowed) leave(d);
  return status;
}

/* A stand-in driver's memory is not a GPU's: only a stand-in for the library may be given it. */
static snapmla_status product_open(smla_device *device, const smla_product_shape *shape, smla_plain_product **out) {
  cuda_device *d = cuda(device);
  if (d->base.target != SNAPMLA_TARGET_SM90A && !smla_env(SMLA_ENV_CUBLASLT))
    return smla_fail(SNAPMLA_NOT_FOUND,
                     "cuBLASLt does not run on a stand-in driver: name a stand-in in SNAPMLA_CUBLASLT");
  snapmla_status status = enter(d);
  if (status) return status;
  status = smla_plain_product_create(shape, d->driver->version, out);
  leave(d);
  return status;
}

static void product_close(smla_device *device, smla_plain_product *product) {
  cuda_device *d = cuda(device);
  const int entered = product && !enter(d);
  smla_plain_product_destroy(product);
  if (entered) leave(d);
}

static snapmla_status product_run(smla_device *device, const smla_plain_product *product,
                                  const smla_product_call *call) {
  cuda_device *d = cuda(device);
  int borrowed;
  snapmla_status status = enter_current(d, &borrowed);
  if (status) return status;
  status = smla_plain_product_run(product, call);
  if (borrowed) leave(d);
  return status;
}

static const smla_device_ops ops = {
    .destroy = destroy,
    .info = info,
    .facts = facts,
    .free_bytes = free_bytes,
    .bus_id = bus_id,
    .allocate = allocate,
    .release = release,
    .copy_in = copy_in,
    .copy_out = copy_out,
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
    .product_open = product_open,
    .product_close = product_close,
    .product_run = product_run,
};

static snapmla_status read_attribute(cuda_device *d, int attribute, int32_t *out) {
  int value = 0;
  snapmla_status status = check(d, d->driver->device_attribute(&value, attribute, d->device), "cuDeviceGetAttribute",
                                "read the GPU's attributes");
  *out = value;
  return status;
}

static snapmla_status read_info(cuda_device *d) {
  snapmla_device_info *i = &d->info;
  int32_t l2 = 0;
  snprintf(i->name, sizeof i->name, "cuda:%d", d->ordinal);
  i->driver_version = d->driver->version;
  snapmla_status status = check(d, d->driver->device_name(i->product, sizeof i->product, d->device), "cuDeviceGetName",
                                "read the GPU's name");
  if (!status) status = read_attribute(d, CU_ATTRIBUTE_COMPUTE_MAJOR, &i->compute_major);
  if (!status) status = read_attribute(d, CU_ATTRIBUTE_COMPUTE_MINOR, &i->compute_minor);
  if (!status) status = read_attribute(d, CU_ATTRIBUTE_MULTIPROCESSORS, &i->multiprocessors);
  if (!status) status = read_attribute(d, CU_ATTRIBUTE_SHARED_OPTIN_BYTES, &i->shared_memory_bytes);
  if (!status) status = read_attribute(d, CU_ATTRIBUTE_L2_BYTES, &l2);
  i->l2_bytes = l2;
  return status;
}

/* What names the device class. Kernels for the emulator run on a stand-in driver, whose times are modelled. */
static snapmla_status read_facts(cuda_device *d) {
  const snapmla_device_info *i = &d->info;
  smla_device_facts *f = &d->facts;
  int32_t clock_khz = 0, memory_khz = 0;
  snapmla_status status = read_attribute(d, CU_ATTRIBUTE_CLOCK_KHZ, &clock_khz);
  if (!status) status = read_attribute(d, CU_ATTRIBUTE_MEMORY_CLOCK_KHZ, &memory_khz);
  if (!status) status = read_attribute(d, CU_ATTRIBUTE_BUS_BITS, &f->bus_bits);
  f->is_emulator = d->base.target == SNAPMLA_TARGET_EMULATOR;
  f->compute_major = i->compute_major;
  f->compute_minor = i->compute_minor;
  f->multiprocessors = i->multiprocessors;
  f->l2_bytes = i->l2_bytes;
  f->shared_memory_bytes = i->shared_memory_bytes;
  f->clock_mhz = clock_khz / 1000;
  f->memory_clock_mhz = memory_khz / 1000;
  f->partitioned = strstr(i->product, " MIG ") != NULL; /* as the driver names a partition */
  return status;
}

static snapmla_status find_device(cuda_device *d) {
  int count = 0;
  snapmla_status status = check(d, d->driver->device_count(&count), "cuDeviceGetCount", "count the GPUs");
  if (status) return status;
  if (d->ordinal >= count)
    return smla_fail(SNAPMLA_NO_DEVICE,
                     "cuda:%d does not exist: the driver shows %d GPU%s; choose cuda:0 to cuda:%d or \"emulator\"",
                     d->ordinal, count, count == 1 ? "" : "s", count ? count - 1 : 0);
  status = check(d, d->driver->device_get(&d->device, d->ordinal), "cuDeviceGet", "open the GPU");
  if (!status) status = read_info(d);
  if (!status) status = read_facts(d);
  if (!status && (d->info.compute_major != 9 || d->info.compute_minor != 0))
    status = smla_fail(
        SNAPMLA_NO_DEVICE,
        "cuda:%d is a %s of compute capability %d.%d, and the kernels need 9.0 (Hopper); choose another GPU or "
        "\"emulator\"",
        d->ordinal, d->info.product, d->info.compute_major, d->info.compute_minor);
  return status;
}

/* What kernels are compiled for: a stand-in driver in a test runs the emulator's. */
static snapmla_status choose_target(snapmla_target *target) {
  const char *asked = smla_env(SMLA_ENV_CUDA_TARGET);
  *target = SNAPMLA_TARGET_SM90A;
  if (!asked || !strcmp(asked, "sm_90a")) return SNAPMLA_OK;
  *target = SNAPMLA_TARGET_EMULATOR;
  if (!strcmp(asked, "emulator")) return SNAPMLA_OK;
  return smla_fail(SNAPMLA_INVALID_ARGUMENT, "SNAPMLA_CUDA_TARGET is \"%s\"; unset it, or write sm_90a or emulator",
                   asked);
}

snapmla_status smla_device_open_cuda(int ordinal, smla_device **out) {
  cuda_device *d = calloc(1, sizeof *d);
  if (!d) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a device");
  d->base.ops = &ops;
  d->ordinal = ordinal;
  snapmla_status status = choose_target(&d->base.target);
  if (!status) status = smla_driver_start(&d->driver);
  if (!status) status = find_device(d);
  if (!status)
    status = check(d, d->driver->primary_retain(&d->context, d->device), "cuDevicePrimaryCtxRetain",
                   "open the GPU's primary context");
  if (status)
    free(d);
  else
    *out = &d->base;
  return status;
}
