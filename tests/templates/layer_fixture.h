/* A layer's cache and calls on a device, for a host case of tests/reference. */
#ifndef SMLA_TESTS_TEMPLATES_LAYER_FIXTURE_H
#define SMLA_TESTS_TEMPLATES_LAYER_FIXTURE_H

#include <snapmla/snapmla.h>

#include "reference/layer_case.h"

/* Fails the running test where a call fails. */
#define must(call)                                                                                             \
  do {                                                                                                         \
    snapmla_status must_status = (call);                                                                       \
    if (must_status) fail_msg("%s: %s: %s", #call, snapmla_status_text(must_status), snapmla_error_message()); \
  } while (0)

enum { LAYER_BUFFERS = 24 };

typedef struct layer_device {
  layer_case *host;
  snapmla_context *context;
  snapmla_layer_plan *plan;
  snapmla_buffer *buffers[LAYER_BUFFERS];
  int buffer_count;
  int64_t page_stride, num_pages, pages_per_request;
  int32_t *block_table; /* [batch, pages_per_request], host; free pages shuffled */
  int64_t *slots;       /* [tokens], host */
  void *kv, *kv_buffer;
  const void *latent, *rope, *slot_mapping, *positions, *table;
  snapmla_layer_weights weights;
  snapmla_layer_args args;
  float kv_scale;
} layer_device;

/* The device is the emulator, or a GPU under SNAPMLA_TEST_TARGET. Uploads the case; nothing is in the cache yet. */
layer_device layer_device_create(layer_case *host, snapmla_emulator_order order, uint64_t seed, const char *variant);
/* The same with so many multiprocessors, where it is the emulator. */
layer_device layer_device_create_of(layer_case *host, snapmla_emulator_order order, uint64_t seed, const char *variant,
                                    int32_t sms);
void layer_device_destroy(layer_device *d);

/* A buffer of the device's, filled from `data`; its device pointer. */
void *layer_device_upload(layer_device *d, const void *data, size_t bytes);

/* Appends tokens first .. first + count - 1 of the case. */
void layer_device_append(layer_device *d, int64_t first, int64_t count);

/* Changes the requests' lengths, each at most what the case was made with: the step's arguments are then for the last tokens of those.
 * The case's own lengths and positions follow, for the oracle. */
void layer_device_set_lengths(layer_device *d, const int32_t *lengths);

/* Where the problem has index lists: of each query token every other token of its request, from the first or second on. */
void layer_device_make_lists(layer_device *d);

/* The buffer of a device pointer that layer_device_upload gave. */
snapmla_buffer *layer_device_buffer(const layer_device *d, const void *pointer);

/* The step's arguments are for the last q_len tokens of each request, which it appends. Schedules and runs it; the bits of out. */
uint16_t *layer_device_step(layer_device *d);

/* What the cache now holds of the case's tokens: fp32 rows, as the oracle takes them. The caller frees. */
void layer_device_cached(const layer_device *d, float **latent, float **rope);

/* The relative distance of a step's result from the reference's, made that way of what is cached. */
double layer_device_distance(const layer_device *d, snapmla_layer_reference how, const uint16_t *out);

#endif
