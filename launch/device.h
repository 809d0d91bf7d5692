/* A device behind one table of functions: a GPU through libcuda, or the emulator. Everything above is the same for
 * both. */
#ifndef SMLA_LAUNCH_DEVICE_H
#define SMLA_LAUNCH_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/context.h>
#include <snapmla/plan.h>
#include <snapmla/source.h>
#include <snapmla/status.h>

#include "device_facts.h"
#include "image.h"
#include "plain_product.h"

typedef struct smla_device smla_device;

/* A kernel's one argument, which it takes by value. */
typedef struct smla_params {
  const void *data;
  size_t bytes; /* 0: not told; such a launch cannot be recorded */
} smla_params;
#define SMLA_PARAMS(params) ((smla_params){&(params), sizeof(params)})

/* One launch. Blocks of a row of `cluster` along x form a cluster. */
typedef struct smla_device_launch {
  const char *name; /* for messages */
  void *kernel;     /* as load gave it */
  uint32_t grid_x, grid_y;
  uint32_t threads;    /* per block */
  uint32_t smem_bytes; /* dynamic, per block */
  uint32_t cluster;    /* 1: none */
  int dependent;       /* nonzero: may start before the kernel before it ends; it waits for that itself */
  smla_params params;
  void *stream;
} smla_device_launch;

/* Bytes in rows in planes, as tensor copies fetch them, and the box of one copy: box[1] rows of box[0] bytes of one plane. */
typedef struct smla_device_tensor {
  const void *base;
  uint64_t extents[3]; /* bytes of a row, rows of a plane, planes */
  uint64_t strides[2]; /* bytes from row to row, from plane to plane: multiples of 16, below 2^40 */
  uint32_t box[2];
  int swizzled; /* nonzero: rows of 128 bytes under the 128-byte swizzle in shared memory */
} smla_device_tensor;

struct smla_tensor_map;

/* Thread-safe all, but that a stream, an event or a pointer is used by one caller at a time. */
typedef struct smla_device_ops {
  void (*destroy)(smla_device *device);
  void (*info)(const smla_device *device, snapmla_device_info *out); /* all fields but size */

  void (*facts)(const smla_device *device, smla_device_facts *out);
  /* Bytes that can be had now; 0 where that is not known. */
  int64_t (*free_bytes)(smla_device *device);
  /* "0000:3b:00.0" of a GPU, "" of the emulator. */
  void (*bus_id)(const smla_device *device, char out[32]);

  /* *pointer: 1024-byte aligned, filled with 0xff, somewhere in *allocation, which goes to release. */
  snapmla_status (*allocate)(smla_device *device, size_t bytes, void **allocation, void **pointer);
  void (*release)(smla_device *device, void *allocation);
  snapmla_status (*copy_in)(smla_device *device, void *target, const void *source, size_t bytes);
  snapmla_status (*copy_out)(smla_device *device, void *target, const void *source, size_t bytes);

  snapmla_status (*stream_create)(smla_device *device, void **out);
  void (*stream_destroy)(smla_device *device, void *stream);
  snapmla_status (*stream_synchronize)(smla_device *device, void *stream);

  snapmla_status (*event_create)(smla_device *device, void **out);
  void (*event_destroy)(smla_device *device, void *event);
  snapmla_status (*event_record)(smla_device *device, void *event, void *stream);
  snapmla_status (*event_elapsed)(smla_device *device, void *start, void *stop, double *microseconds);

  /* Loads the kernel of `image`, which may then be released, for blocks of up to `smem_bytes`. */
  snapmla_status (*load)(smla_device *device, const smla_image *image, uint32_t smem_bytes, void **kernel);
  void (*unload)(smla_device *device, void *kernel);

  /* Fills the map that a kernel's tensor copies take. Touches no device memory. Errors: INVALID_ARGUMENT, DEVICE. */
  snapmla_status (*tensor_map)(smla_device *device, const smla_device_tensor *tensor, struct smla_tensor_map *out);

  /* Adds what the launch did to *counters on the emulator; leaves them alone on a GPU. Allocates and waits for nothing
   * on a GPU; the emulator runs the launch in the call. Errors: INVALID_ARGUMENT (stream or CUDA context), DEVICE,
   * EMULATOR_FAULT. */
  snapmla_status (*launch)(smla_device *device, const smla_device_launch *launch, snapmla_plan_counters *counters);

  /* Plain products by the vendor's library: NULL where there can be none. Errors: as in plain_product.h; of run as of launch too. */
  snapmla_status (*product_open)(smla_device *device, const smla_product_shape *shape, smla_plain_product **out);
  void (*product_close)(smla_device *device, smla_plain_product *product);
  snapmla_status (*product_run)(smla_device *device, const smla_plain_product *product, const smla_product_call *call);
} smla_device_ops;

/* The head of every device. */
struct smla_device {
  const smla_device_ops *ops;
  snapmla_target target; /* what kernels are compiled for */
  int is_emulator;
};

/* The GPU of this ordinal. Error: NO_DEVICE, with what is missing and the remedy. */
snapmla_status smla_device_open_cuda(int ordinal, smla_device **out);

snapmla_status smla_device_open_emulator(const snapmla_context_options *options, smla_device **out);

#endif
