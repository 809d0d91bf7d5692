/* A context: one device, and what is compiled and loaded on it. Thread-safe. */
#ifndef SNAPMLA_CONTEXT_H
#define SNAPMLA_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/export.h>
#include <snapmla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snapmla_context snapmla_context;

/* When asynchronous work (copies, wgmma) completes on the emulator: a right kernel gives the same bits under all. */
typedef enum snapmla_emulator_order {
  SNAPMLA_EMULATOR_EAGER = 0, /* at once */
  SNAPMLA_EMULATOR_LATE = 1,  /* as late as the waits allow */
  SNAPMLA_EMULATOR_RANDOM = 2 /* in an order drawn from the seed */
} snapmla_emulator_order;

/* Zero-initialise and set size; every zero field has a default. */
typedef struct snapmla_context_options {
  size_t size;           /* sizeof(snapmla_context_options) */
  const char *device;    /* "cuda:N" or "emulator"; NULL: cuda:0 where it works, else the emulator */
  const char *templates; /* directory that overrides the embedded templates, or NULL */
  snapmla_emulator_order emulator_order;
  uint64_t emulator_seed;   /* for SNAPMLA_EMULATOR_RANDOM */
  int32_t emulator_sms;     /* multiprocessors to emulate; 0: 132 */
  int32_t emulator_threads; /* host threads; 0: one per core */
  /* Called on progress of long work (compilation), from the calling thread; may be NULL. */
  void (*progress)(void *user, const char *what);
  void *progress_user;
} snapmla_context_options;

/* Opens a device. `options` may be NULL.
 * Errors: INVALID_ARGUMENT (unknown device text), NO_DEVICE (with what is missing and the remedy). */
SNAPMLA_API snapmla_status snapmla_context_create(const snapmla_context_options *options, snapmla_context **out);

/* Frees the context. Plans, buffers, streams and events made from it must be gone. NULL is allowed. */
SNAPMLA_API void snapmla_context_destroy(snapmla_context *context);

typedef struct snapmla_device_info {
  size_t size;       /* sizeof(snapmla_device_info), set by the caller */
  char name[128];    /* "cuda:0" or "emulator" */
  char product[128]; /* as the driver names it, e.g. "NVIDIA H200"; "emulated Hopper" */
  int32_t is_emulator;
  int32_t compute_major, compute_minor;
  int32_t multiprocessors;
  int32_t shared_memory_bytes; /* the most a block may ask for */
  int64_t l2_bytes;
  int32_t driver_version; /* as cuDriverGetVersion: 13000 is 13.0; 0 on the emulator */
  /* What names its measurements, and what `snapmla export --device-class` takes: docs/tuning.md. */
  char device_class[96];
} snapmla_device_info;

SNAPMLA_API snapmla_status snapmla_context_info(snapmla_context *context, snapmla_device_info *info);

/* The full log of the last compilation of this context by any thread ("" if none): owned by the caller, to be freed
 * with snapmla_text_free. Errors: OUT_OF_MEMORY. */
SNAPMLA_API snapmla_status snapmla_context_compile_log(snapmla_context *context, char **out);

/* Frees a text that the library returned. NULL is allowed. */
SNAPMLA_API void snapmla_text_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
