#include "stand_in.h"

#include <stdio.h>

#include "context_object.h"

/* Of an H100 with HBM3. */
static const smla_device_facts h100 = {.compute_major = 9,
                                       .multiprocessors = 132,
                                       .l2_bytes = 50 << 20,
                                       .shared_memory_bytes = 227 << 10,
                                       .bus_bits = 5120,
                                       .clock_mhz = 1980,
                                       .memory_clock_mhz = 2619};

/* The emulator's device that it is made of. */
static smla_device *made_of, original;
static smla_device_ops ops;

static void tell_facts(const smla_device *device, smla_device_facts *out) {
  (void)device;
  *out = h100;
}

static void tell_info(const smla_device *device, snapmla_device_info *out) {
  original.ops->info(device, out);
  snprintf(out->name, sizeof out->name, STAND_IN);
  snprintf(out->product, sizeof out->product, "an H100 that is not there");
  out->is_emulator = 0;
  out->multiprocessors = h100.multiprocessors;
  out->shared_memory_bytes = h100.shared_memory_bytes;
  out->l2_bytes = h100.l2_bytes;
}

static snapmla_status load_nothing(smla_device *device, const smla_image *image, uint32_t smem_bytes, void **kernel) {
  static char loaded;
  (void)device, (void)image, (void)smem_bytes;
  *kernel = &loaded;
  return SNAPMLA_OK;
}

static void unload_nothing(smla_device *device, void *kernel) { (void)device, (void)kernel; }

static snapmla_status launch_nothing(smla_device *device, const smla_device_launch *launch,
                                     snapmla_plan_counters *counters) {
  (void)device, (void)launch, (void)counters;
  return SNAPMLA_OK;
}

snapmla_status stand_in_open(snapmla_context **out) {
  const snapmla_context_options options = {.size = sizeof options, .device = "emulator"};
  snapmla_status status = snapmla_context_create(&options, out);
  if (status) return status;
  made_of = (*out)->device;
  original = *made_of;
  ops = *original.ops;
  ops.facts = tell_facts;
  ops.info = tell_info;
  ops.load = load_nothing;
  ops.unload = unload_nothing;
  ops.launch = launch_nothing;
  *made_of = (smla_device){.ops = &ops, .target = SNAPMLA_TARGET_SM90A};
  return SNAPMLA_OK;
}

void stand_in_close(snapmla_context *context) {
  if (context && context->device == made_of) {
    *made_of = original;
    made_of = NULL;
  }
  snapmla_context_destroy(context);
}
