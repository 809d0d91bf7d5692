/* Layers on a device: weights, caches and one step's inputs, all synthetic. Layers share weights' bits, tokens and pages, not memory. */
#ifndef SMLA_CLI_LAYER_SESSION_H
#define SMLA_CLI_LAYER_SESSION_H

#include <snapmla/snapmla.h>

#include "problem.h"
#include "settings.h"

/* What a layer has of its own. */
typedef struct smla_layer_memory {
  snapmla_buffer *kv_b, *scale, *o, *o_scale, *norm, *kv;
  snapmla_layer_weights weights; /* device pointers */
} smla_layer_memory;

typedef struct smla_layer_session {
  const smla_settings *settings;
  snapmla_context *context; /* not owned */
  snapmla_device_info info;
  snapmla_layer_problem problem;
  smla_lengths lengths; /* of the requests after the step, owned */
  snapmla_layer_plan *plan;
  snapmla_stream *stream;
  snapmla_event *start, *stop;
  int32_t layer_count;
  smla_layer_memory *layers;
  int64_t page_stride, num_pages, table_stride;
  snapmla_buffer *q, *positions, *latent, *rope, *slots, *out, *block_table, *seqlens, *workspace, *table;
  snapmla_layer_args args; /* of layer 0; device pointers */
  /* On the host, for the reference: the query, its positions, the table of angles, weights and norm. */
  uint16_t *host_q, *host_norm;
  void *host_kv_b, *host_o;
  float *host_scale, *host_o_scale, *host_table;
  int32_t *host_positions, *host_block_table;
  size_t kv_b_bytes, scale_count, o_bytes, o_scale_count; /* the last two 0 without W_O */
} smla_layer_session;

/* Makes the plan and all memory on `context`, and appends the prompts: all tokens but the step's. On failure close is harmless. */
snapmla_status smla_layer_session_open(const smla_settings *settings, snapmla_context *context,
                                       const snapmla_device_info *info, smla_layer_session *s);
void smla_layer_session_close(smla_layer_session *s);

/* One step of all layers: schedule, then layer after layer; microseconds between two events. */
snapmla_status smla_layer_session_step(smla_layer_session *s, double *microseconds);

/* Elements of the result of a layer, [batch * q_len, heads, v_dim] or [batch * q_len, hidden_size], and the result. */
size_t smla_layer_session_count(const smla_layer_session *s);
snapmla_status smla_layer_session_read(const smla_layer_session *s, uint16_t *out, uint32_t *status_word);

/* The distance of request `request`'s rows in `out` to the reference on what layer 0's cache holds: relative L2. */
snapmla_status smla_layer_session_compare(const smla_layer_session *s, int32_t request, const uint16_t *out,
                                          double *rel_l2);

#endif
