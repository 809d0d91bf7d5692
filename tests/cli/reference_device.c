/* Contexts, memory and plans on the reference alone: append is snapmla_page_write, decode the oracle that rounds P.
 * In a program linked with it, run and verify are quick, and faults can be planted where only a check against the
 * oracle sees them: SNAPMLA_TEST_FAULT names one. With SNAPMLA_TEST_GPU set it says that it is a GPU. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <snapmla/snapmla.h>

#include "status.h"

struct snapmla_context {
  int is_gpu;
};
struct snapmla_buffer {
  uint8_t *data;
  size_t bytes;
};
struct snapmla_stream {
  int failed;
};
struct snapmla_event {
  int recorded;
};
struct snapmla_plan {
  snapmla_problem problem;
  char variant[256];
};

static int decodes; /* calls so far, for the faults that depend on it */

static int fault(const char *name) {
  const char *planted = getenv("SNAPMLA_TEST_FAULT");
  return planted && !strcmp(planted, name);
}

snapmla_status snapmla_context_create(const snapmla_context_options *options, snapmla_context **out) {
  if (options->device && strcmp(options->device, "emulator") && strcmp(options->device, "cuda:0"))
    return smla_fail(SNAPMLA_NO_DEVICE, "device %s is not there", options->device);
  *out = calloc(1, sizeof **out);
  (*out)->is_gpu = getenv("SNAPMLA_TEST_GPU") != NULL;
  return SNAPMLA_OK;
}
void snapmla_context_destroy(snapmla_context *context) { free(context); }

snapmla_status snapmla_context_info(snapmla_context *context, snapmla_device_info *info) {
  info->is_emulator = !context->is_gpu;
  snprintf(info->name, sizeof info->name, "%s", context->is_gpu ? "cuda:0" : "emulator");
  snprintf(info->product, sizeof info->product, "the reference");
  return SNAPMLA_OK;
}
snapmla_status snapmla_context_compile_log(snapmla_context *context, char **out) {
  (void)context;
  *out = calloc(1, 1);
  return SNAPMLA_OK;
}
void snapmla_text_free(char *text) { free(text); }

snapmla_status snapmla_buffer_create(snapmla_context *context, size_t bytes, snapmla_buffer **out) {
  (void)context;
  *out = calloc(1, sizeof **out);
  (*out)->data = bytes ? aligned_alloc(1024, (bytes + 1023) / 1024 * 1024) : NULL;
  if (!(*out)->data) {
    free(*out);
    *out = NULL;
    return smla_fail(SNAPMLA_OUT_OF_MEMORY, "no buffer of %zu bytes", bytes);
  }
  (*out)->bytes = bytes;
  memset((*out)->data, 0xff, bytes);
  return SNAPMLA_OK;
}
void snapmla_buffer_destroy(snapmla_buffer *buffer) {
  free(buffer->data);
  free(buffer);
}
void *snapmla_buffer_pointer(const snapmla_buffer *buffer) { return buffer->data; }
size_t snapmla_buffer_bytes(const snapmla_buffer *buffer) { return buffer->bytes; }
snapmla_status snapmla_buffer_write(snapmla_buffer *buffer, size_t offset, const void *source, size_t bytes) {
  if (offset + bytes > buffer->bytes) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "a write outside the buffer");
  memcpy(buffer->data + offset, source, bytes);
  return SNAPMLA_OK;
}
snapmla_status snapmla_buffer_read(const snapmla_buffer *buffer, size_t offset, void *target, size_t bytes) {
  if (offset + bytes > buffer->bytes) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "a read outside the buffer");
  memcpy(target, buffer->data + offset, bytes);
  return SNAPMLA_OK;
}

snapmla_status snapmla_stream_create(snapmla_context *context, snapmla_stream **out) {
  (void)context;
  *out = calloc(1, sizeof **out);
  return SNAPMLA_OK;
}
void snapmla_stream_destroy(snapmla_stream *stream) { free(stream); }
void *snapmla_stream_handle(const snapmla_stream *stream) { return (void *)stream; }
snapmla_status snapmla_stream_synchronize(snapmla_stream *stream) {
  (void)stream;
  return fault("kernel") && decodes ? smla_fail(SNAPMLA_EMULATOR_FAULT, "kernel.cu:12: a planted fault") : SNAPMLA_OK;
}

snapmla_status snapmla_event_create(snapmla_context *context, snapmla_event **out) {
  (void)context;
  *out = calloc(1, sizeof **out);
  return SNAPMLA_OK;
}
void snapmla_event_destroy(snapmla_event *event) { free(event); }
snapmla_status snapmla_event_record(snapmla_event *event, snapmla_stream *stream) {
  (void)stream;
  event->recorded = 1;
  return SNAPMLA_OK;
}
snapmla_status snapmla_event_elapsed(snapmla_event *start, snapmla_event *stop, double *microseconds) {
  if (!start->recorded || !stop->recorded) return smla_fail(SNAPMLA_INVALID_ARGUMENT, "an event was not recorded");
  *microseconds = 10 + decodes % 3; /* 10, 11 and 12 in turn: the median of many is 11 */
  return SNAPMLA_OK;
}

snapmla_status snapmla_plan_create(snapmla_context *context, const snapmla_problem *problem,
                                   const snapmla_plan_options *options, snapmla_plan **out) {
  (void)context;
  *out = calloc(1, sizeof **out);
  (*out)->problem = *problem;
  snprintf((*out)->variant, sizeof(*out)->variant, "%s", options->variant ? options->variant : "mla_decode:default=1");
  return SNAPMLA_OK;
}
snapmla_status snapmla_plan_create_from_pack(snapmla_context *context, const snapmla_pack *pack,
                                             const snapmla_problem *problem, snapmla_plan **out) {
  (void)context, (void)pack, (void)problem, (void)out;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference loads no kernels; run packs with snapmla");
}
snapmla_status snapmla_pack_choose(snapmla_context *context, const snapmla_pack *pack, const snapmla_problem *problem,
                                   snapmla_pack_choice *out) {
  (void)context, (void)pack, (void)problem, (void)out;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference loads no kernels; run packs with snapmla");
}
void snapmla_plan_destroy(snapmla_plan *plan) { free(plan); }
/* Nothing is tuned on the reference. */
snapmla_status snapmla_plan_report_get(const snapmla_plan *plan, snapmla_plan_report *out) {
  (void)plan, (void)out;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference has no report");
}
const char *snapmla_plan_variant(const snapmla_plan *plan, const char *family) {
  return strcmp(family, "mla_decode") ? NULL : plan->variant;
}
size_t snapmla_plan_workspace_bytes(const snapmla_plan *plan) {
  (void)plan;
  return 256;
}

snapmla_status snapmla_plan_append(const snapmla_plan *plan, const snapmla_append_args *args) {
  const uint16_t *latent = args->latent, *rope = args->rope;
  for (int64_t i = 0; i < args->tokens; ++i) {
    if (args->slot_mapping[i] < 0) continue;
    snapmla_status status =
        snapmla_page_write(&plan->problem, args->kv, args->page_stride, args->num_pages, args->slot_mapping[i],
                           latent + i * args->latent_stride, rope + i * args->rope_stride);
    if (status) return status;
  }
  if (fault("cache") && args->tokens) {
    int64_t page = args->slot_mapping[args->tokens - 1] / plan->problem.page_tokens;
    ((uint8_t *)args->kv)[page * args->page_stride + 5] = 0x11;
  }
  return SNAPMLA_OK;
}

snapmla_status snapmla_plan_schedule(const snapmla_plan *plan, const snapmla_decode_args *args) {
  (void)plan;
  *(uint32_t *)args->workspace = fault("status") ? SNAPMLA_STATUS_BAD_PAGE : 0;
  return SNAPMLA_OK;
}

static uint16_t narrow(double value) {
  float single = (float)value;
  uint32_t bits;
  memcpy(&bits, &single, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void store(const snapmla_problem *p, const snapmla_decode_args *args, const double *out, const double *lse) {
  size_t rows = (size_t)args->batch * (size_t)p->q_len * (size_t)p->heads;
  size_t values = rows * (size_t)p->latent_rank;
  uint16_t *target = args->out;
  for (size_t i = 0; i < values; ++i) target[i] = narrow(out[i]);
  for (size_t i = 0; i < rows; ++i) args->lse[i] = (float)lse[i];
  size_t last = values - (size_t)p->latent_rank; /* the last row's first element */
  if (fault("element")) target[last] = narrow(out[last] + 100);
  if (fault("nan")) target[last] = 0x7fff;
  if (fault("scale"))
    for (size_t i = 0; i < values; ++i) target[i] = narrow(out[i] * 1.05);
  if (fault("lse")) args->lse[rows - 1] += 0.1f;
  if (fault("bits") && decodes > 1) target[last] ^= 1;
}

snapmla_status snapmla_plan_decode(const snapmla_plan *plan, const snapmla_decode_args *args) {
  const snapmla_problem *p = &plan->problem;
  size_t rows = (size_t)args->batch * (size_t)p->q_len * (size_t)p->heads;
  ++decodes;
  if (fault("stale")) return SNAPMLA_OK;
  double *out = malloc(rows * ((size_t)p->latent_rank + 1) * sizeof *out);
  if (!out) return smla_fail(SNAPMLA_OUT_OF_MEMORY, "no memory for the oracle");
  double *lse = out + rows * (size_t)p->latent_rank;
  /* the last list loses its last entry */
  int32_t *counts = (int32_t *)(uintptr_t)args->index_counts;
  if (fault("list")) --counts[args->batch * p->q_len - 1];
  snapmla_status status = snapmla_reference_decode(p, args, SNAPMLA_REFERENCE_ROUNDED_P, out, lse);
  if (!status) store(p, args, out, lse);
  free(out);
  return status;
}

snapmla_status snapmla_plan_last_counters(const snapmla_plan *plan, snapmla_plan_counters *out) {
  (void)plan;
  (void)out;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference counts nothing");
}

/* --- layers: none ------------------------------------------------------------------------------------------------------ */

snapmla_status snapmla_layer_plan_create(snapmla_context *context, const snapmla_layer_problem *problem,
                                         const snapmla_plan_options *options, snapmla_layer_plan **out) {
  (void)context, (void)problem, (void)options, (void)out;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference runs no layers");
}
snapmla_status snapmla_layer_plan_create_from_pack(snapmla_context *context, const snapmla_pack *pack,
                                                   const snapmla_layer_problem *problem, snapmla_layer_plan **out) {
  (void)context, (void)pack, (void)problem, (void)out;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference runs no layers");
}
snapmla_status snapmla_pack_choose_layer(snapmla_context *context, const snapmla_pack *pack,
                                         const snapmla_layer_problem *problem, snapmla_pack_choice *out) {
  (void)context, (void)pack, (void)problem, (void)out;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference runs no layers");
}
void snapmla_layer_plan_destroy(snapmla_layer_plan *plan) { (void)plan; }
const snapmla_plan *snapmla_layer_plan_attention(const snapmla_layer_plan *plan) {
  (void)plan;
  return NULL;
}
const char *snapmla_layer_plan_variant(const snapmla_layer_plan *plan, const char *family) {
  (void)plan, (void)family;
  return NULL;
}
const char *snapmla_layer_plan_library(const snapmla_layer_plan *plan) {
  (void)plan;
  return NULL;
}
size_t snapmla_layer_plan_workspace_bytes(const snapmla_layer_plan *plan) {
  (void)plan;
  return 0;
}
snapmla_status snapmla_layer_append(const snapmla_layer_plan *plan, const snapmla_layer_append_args *args) {
  (void)plan, (void)args;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference runs no layers");
}
snapmla_status snapmla_layer_schedule(const snapmla_layer_plan *plan, const snapmla_layer_args *args) {
  (void)plan, (void)args;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference runs no layers");
}
snapmla_status snapmla_layer_step(const snapmla_layer_plan *plan, const snapmla_layer_args *args) {
  (void)plan, (void)args;
  return smla_fail(SNAPMLA_UNSUPPORTED, "the reference runs no layers");
}
