/* libcuda, opened at run time: the functions used and no others, with prototypes of our own, so that neither the
 * toolkit's headers nor a driver is needed to build. Values and layouts are those of the CUDA driver API 12.0 and
 * later. */
#ifndef SMLA_LAUNCH_DRIVER_H
#define SMLA_LAUNCH_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/status.h>

typedef int cu_result; /* CUresult; 0 is success */
typedef int cu_device;
typedef struct cu_context_object *cu_context;
typedef struct cu_module_object *cu_module;
typedef struct cu_function_object *cu_function;
typedef struct cu_stream_object *cu_stream;
typedef struct cu_event_object *cu_event;
typedef unsigned long long cu_pointer;

/* CUresult */
enum {
  CU_OUT_OF_MEMORY = 2,
  CU_INVALID_IMAGE = 200,
  CU_NO_BINARY_FOR_GPU = 209,
  CU_UNSUPPORTED_PTX_VERSION = 222,
  CU_INVALID_SOURCE = 300
};

/* CUdevice_attribute, CUfunction_attribute, flags */
enum {
  CU_ATTRIBUTE_MULTIPROCESSORS = 16,
  CU_ATTRIBUTE_CLOCK_KHZ = 13,
  CU_ATTRIBUTE_MEMORY_CLOCK_KHZ = 36,
  CU_ATTRIBUTE_BUS_BITS = 37,
  CU_ATTRIBUTE_L2_BYTES = 38,
  CU_ATTRIBUTE_COMPUTE_MAJOR = 75,
  CU_ATTRIBUTE_COMPUTE_MINOR = 76,
  CU_ATTRIBUTE_SHARED_OPTIN_BYTES = 97,
  CU_FUNCTION_MAX_DYNAMIC_SHARED_BYTES = 8,
  CU_STREAM_FLAG_NON_BLOCKING = 1
};

/* CUlaunchAttributeID */
enum { CU_LAUNCH_CLUSTER_DIMENSION = 4, CU_LAUNCH_PROGRAMMATIC_SERIALIZATION = 6 };

/* CUtensorMapDataType, CUtensorMapSwizzle, CUtensorMapL2promotion; no interleave and zeros outside the tensor are 0. */
enum { CU_TENSOR_UINT8 = 0, CU_TENSOR_SWIZZLE_NONE = 0, CU_TENSOR_SWIZZLE_128B = 3, CU_TENSOR_L2_256B = 3 };

/* CUlaunchAttribute: 72 bytes, the value at offset 8. */
typedef struct cu_launch_attribute {
  int id;
  int padding;
  union {
    char bytes[64];
    struct {
      unsigned x, y, z;
    } cluster;
    int programmatic;
  } value;
} cu_launch_attribute;

/* CUlaunchConfig */
typedef struct cu_launch_config {
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  cu_stream stream;
  cu_launch_attribute *attributes;
  unsigned attribute_count;
} cu_launch_config;

/* X(field, exported symbol, parameters): every one returns a CUresult. */
#define SMLA_DRIVER_LIST(X)                                                                               \
  X(init, "cuInit", (unsigned flags))                                                                     \
  X(driver_version, "cuDriverGetVersion", (int *version))                                                 \
  X(error_name, "cuGetErrorName", (cu_result result, const char **text))                                  \
  X(error_string, "cuGetErrorString", (cu_result result, const char **text))                              \
  X(device_count, "cuDeviceGetCount", (int *count))                                                       \
  X(device_get, "cuDeviceGet", (cu_device * device, int ordinal))                                         \
  X(device_name, "cuDeviceGetName", (char *name, int length, cu_device device))                           \
  X(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, cu_device device))              \
  X(bus_id, "cuDeviceGetPCIBusId", (char *text, int length, cu_device device))                            \
  X(memory_info, "cuMemGetInfo_v2", (size_t * available, size_t * total))                                 \
  X(primary_retain, "cuDevicePrimaryCtxRetain", (cu_context * context, cu_device device))                 \
  X(primary_release, "cuDevicePrimaryCtxRelease_v2", (cu_device device))                                  \
  X(context_push, "cuCtxPushCurrent_v2", (cu_context context))                                            \
  X(context_pop, "cuCtxPopCurrent_v2", (cu_context * context))                                            \
  X(context_current, "cuCtxGetCurrent", (cu_context * context))                                           \
  X(memory_alloc, "cuMemAlloc_v2", (cu_pointer * pointer, size_t bytes))                                  \
  X(memory_free, "cuMemFree_v2", (cu_pointer pointer))                                                    \
  X(memory_set, "cuMemsetD8_v2", (cu_pointer pointer, unsigned char value, size_t bytes))                 \
  X(copy_in, "cuMemcpyHtoD_v2", (cu_pointer target, const void *source, size_t bytes))                    \
  X(copy_out, "cuMemcpyDtoH_v2", (void *target, cu_pointer source, size_t bytes))                         \
  X(stream_create, "cuStreamCreate", (cu_stream * stream, unsigned flags))                                \
  X(stream_destroy, "cuStreamDestroy_v2", (cu_stream stream))                                             \
  X(stream_synchronize, "cuStreamSynchronize", (cu_stream stream))                                        \
  X(event_create, "cuEventCreate", (cu_event * event, unsigned flags))                                    \
  X(event_destroy, "cuEventDestroy_v2", (cu_event event))                                                 \
  X(event_record, "cuEventRecord", (cu_event event, cu_stream stream))                                    \
  X(event_synchronize, "cuEventSynchronize", (cu_event event))                                            \
  X(event_elapsed, "cuEventElapsedTime", (float *milliseconds, cu_event start, cu_event stop))            \
  X(module_load, "cuModuleLoadData", (cu_module * module, const void *image))                             \
  X(module_unload, "cuModuleUnload", (cu_module module))                                                  \
  X(module_function, "cuModuleGetFunction", (cu_function * function, cu_module module, const char *name)) \
  X(function_set, "cuFuncSetAttribute", (cu_function function, int attribute, int value))                 \
  X(tensor_map, "cuTensorMapEncodeTiled",                                                                 \
    (void *map, int type, uint32_t rank, void *address, const uint64_t *extents, const uint64_t *strides, \
     const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int promotion, int fill))   \
  X(launch, "cuLaunchKernelEx", (const cu_launch_config *config, cu_function function, void **parameters, void **extra))

typedef struct smla_driver {
#define SMLA_DRIVER_FIELD(field, symbol, parameters) cu_result(*field) parameters;
  SMLA_DRIVER_LIST(SMLA_DRIVER_FIELD)
#undef SMLA_DRIVER_FIELD
  int version; /* as cuDriverGetVersion: 13000 is CUDA 13.0 */
  char path[512];
} smla_driver;

/* The driver, opened and its version read once for the process (a failure is retried by the next call); not
 * initialised: that is smla_driver_start. Error: NO_DEVICE, with what is missing and the remedy. Thread-safe. */
snapmla_status smla_driver_open(const smla_driver **out);

/* Opens and initialises (cuInit). Error: NO_DEVICE. Thread-safe. */
snapmla_status smla_driver_start(const smla_driver **out);

/* OK for result 0, else a failure that names the call, what it was for and the driver's own words: OUT_OF_MEMORY where
 * the driver says so, else DEVICE. */
snapmla_status smla_driver_check(const smla_driver *driver, cu_result result, const char *call, const char *doing);

#endif
