/* Opening a device, and what stands above every result. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "context_object.h"
#include "driver.h"
#include "nvrtc.h"
#include "plan_make.h"

enum { ATTRIBUTE_CLOCK_KHZ = 13, ATTRIBUTE_MEMORY_KHZ = 36, ATTRIBUTE_BUS_BITS = 37, SMALL_SMS = 4 };

/* Capturing and replaying graphs needs a current context; the library would push and pop it around each of its calls.
 */
snapmla_status bench_enter(const bench *b) {
  const smla_driver *driver;
  cu_device device;
  cu_context context = NULL;
  snapmla_status status = smla_driver_start(&driver);
  if (!status)
    status =
        smla_driver_check(driver, driver->device_get(&device, atoi(b->info.name + 5)), "cuDeviceGet", "open a GPU");
  if (!status)
    status =
        smla_driver_check(driver, driver->primary_retain(&context, device), "cuDevicePrimaryCtxRetain", "open a GPU");
  if (!status)
    status = smla_driver_check(driver, driver->context_push(context), "cuCtxPushCurrent", "use the GPU's context");
  return status;
}

void bench_leave(const bench *b) {
  const smla_driver *driver;
  cu_device device;
  cu_context popped = NULL;
  if (smla_driver_start(&driver)) return;
  (void)driver->context_pop(&popped);
  if (popped && !driver->device_get(&device, atoi(b->info.name + 5))) (void)driver->primary_release(device);
}

snapmla_status bench_open(bench *b, const char *device, const char *templates) {
  const snapmla_context_options options = {
      .size = sizeof options, .device = device, .templates = templates, .emulator_sms = b->small ? SMALL_SMS : 0};
  snapmla_status status = snapmla_context_create(&options, &b->context);
  if (status) return status;
  b->device = b->context->device;
  b->generator = b->context->generator;
  b->info.size = sizeof b->info;
  status = snapmla_context_info(b->context, &b->info);
  if (b->device->is_emulator) b->rest = 0;
  if (!status && !b->device->is_emulator) status = bench_enter(b);
  if (!status) status = b->device->ops->stream_create(b->device, &b->stream);
  if (!status) status = b->device->ops->event_create(b->device, &b->start);
  if (!status) status = b->device->ops->event_create(b->device, &b->stop);
  return status;
}

void bench_close(bench *b) {
  if (b->device) {
    if (b->stop) b->device->ops->event_destroy(b->device, b->stop);
    if (b->start) b->device->ops->event_destroy(b->device, b->start);
    if (b->stream) b->device->ops->stream_destroy(b->device, b->stream);
    if (!b->device->is_emulator) bench_leave(b);
  }
  snapmla_context_destroy(b->context);
  *b = (bench){0};
}

/* Sparsity doubles what the datasheets head their tables with: these are without. The first that matches counts. */
static const bench_datasheet datasheets[] = {
    {"H200 NVL", 4800, 1671, 835.5},  {"H200", 4800, 1979, 989.5}, {"H100 NVL", 3900, 1671, 835.5},
    {"H100 PCIe", 2000, 1513, 756.5}, {"H100", 3350, 1979, 989.5}, {"H800", 3350, 1979, 989.5},
};

const bench_datasheet *bench_datasheet_of(const char *product) {
  for (size_t i = 0; i < sizeof datasheets / sizeof *datasheets; i++)
    if (strstr(product, datasheets[i].product)) return &datasheets[i];
  return NULL;
}

static int attribute(const bench *b, int which) {
  const smla_driver *driver;
  cu_device device;
  int value = 0;
  if (smla_driver_start(&driver) || driver->device_get(&device, atoi(b->info.name + 5)) ||
      driver->device_attribute(&value, which, device))
    return 0;
  return value;
}

/* The driver's release, which its programming interface does not tell. */
static void print_release(FILE *file) {
  char line[256];
  FILE *release = fopen("/proc/driver/nvidia/version", "r");
  if (!release) return;
  if (fgets(line, sizeof line, release)) fprintf(file, "# driver release: %s", line);
  fclose(release);
}

void bench_print_header(FILE *file, const bench *b, int argc, char **argv) {
  char date[32] = "";
  time_t now = time(NULL);
  struct tm utc;
  if (gmtime_r(&now, &utc)) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
  const snapmla_device_info *i = &b->info;
  char digest[SMLA_HASH_HEX];
  fprintf(file, "# date: %s\n# command:", date);
  for (int k = 0; k < argc; k++) fprintf(file, " %s", argv[k]);
  fprintf(file, "\n# device: %s, %s, %d multiprocessors, L2 %lld bytes\n", i->name, i->product, i->multiprocessors,
          (long long)i->l2_bytes);
  /* Which kernels: their revision is that whose `snapmla gen` and wisdom have this digest. */
  if (!smla_plan_timed_digest(b->generator, digest))
    fprintf(file, "# templates: %.12s, of the decode call's kernels\n", digest);
  if (b->device->is_emulator) {
    fprintf(file, "# the emulator: times are modelled, not measured\n");
  } else {
    const smla_nvrtc *nvrtc;
    fprintf(file, "# nominal clocks: SM %d MHz, memory %d MHz, bus %d bits\n", attribute(b, ATTRIBUTE_CLOCK_KHZ) / 1000,
            attribute(b, ATTRIBUTE_MEMORY_KHZ) / 1000, attribute(b, ATTRIBUTE_BUS_BITS));
    fprintf(file, "# driver: supports CUDA %d.%d\n", i->driver_version / 1000, i->driver_version % 1000 / 10);
    print_release(file);
    if (!smla_nvrtc_open(&nvrtc)) fprintf(file, "# compiler: NVRTC %d.%d\n", nvrtc->major, nvrtc->minor);
  }
  if (!b->repeats) return;
  fprintf(file, "# runs: %d, after %d unseen", b->repeats, b->warmups);
  if (b->rest > 0) fprintf(file, ", each after a rest of %g times as long", b->rest);
  fputc('\n', file);
}
