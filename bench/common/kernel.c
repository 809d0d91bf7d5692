/* Kernels and memory of one device. */
#include "bench.h"
#include "build.h"
#include "quantities.h"

snapmla_status bench_kernel_open(bench *b, const char *variant, bench_kernel *out) {
  *out = (bench_kernel){.variant = variant};
  smla_build build = {.generator = b->generator, .target = b->device->target, .variant = variant};
  smla_geometry geometry;
  snapmla_status status = smla_geometry_get(b->generator, variant, &geometry);
  if (!status) status = smla_build_run(&build);
  if (!status) {
    out->threads = (uint32_t)geometry.threads;
    out->smem_bytes = (uint32_t)geometry.smem_bytes;
    out->cluster = (uint32_t)geometry.cluster;
    status = b->device->ops->load(b->device, build.image, out->smem_bytes, &out->kernel);
  }
  smla_build_clear(&build);
  return status;
}

void bench_kernel_close(bench *b, bench_kernel *kernel) {
  if (kernel->kernel) b->device->ops->unload(b->device, kernel->kernel);
  kernel->kernel = NULL;
}

snapmla_status bench_launch(bench *b, const bench_kernel *kernel, uint32_t grid, int dependent, const void *params) {
  snapmla_plan_counters counters = {.size = sizeof counters};
  const smla_device_launch launch = {.name = kernel->variant,
                                     .kernel = kernel->kernel,
                                     .grid_x = grid,
                                     .grid_y = 1,
                                     .threads = kernel->threads,
                                     .smem_bytes = kernel->smem_bytes,
                                     .cluster = kernel->cluster,
                                     .dependent = dependent,
                                     .params = {.data = params},
                                     .stream = b->stream};
  return b->device->ops->launch(b->device, &launch, &counters);
}

snapmla_status bench_memory_open(bench *b, size_t bytes, bench_memory *out) {
  void *pointer = NULL;
  *out = (bench_memory){0};
  snapmla_status status = b->device->ops->allocate(b->device, bytes, &out->allocation, &pointer);
  out->pointer = pointer;
  return status;
}

void bench_memory_close(bench *b, bench_memory *memory) {
  if (memory->allocation) b->device->ops->release(b->device, memory->allocation);
  *memory = (bench_memory){0};
}
