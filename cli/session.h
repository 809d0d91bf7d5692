/* A workload on a device: context, plan, buffers, and the steps of decoding. */
#ifndef SMLA_CLI_SESSION_H
#define SMLA_CLI_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include <snapmla/snapmla.h>

#include "settings.h"
#include "workload.h"

/* A device is opened once and serves one session after the other. Errors: INVALID_ARGUMENT, NO_DEVICE. */
snapmla_status smla_device_open(const smla_settings *settings, snapmla_context **context, snapmla_device_info *info);

typedef struct smla_session {
  const smla_workload *work; /* not owned, as is the context */
  snapmla_context *context;
  snapmla_plan *plan;
  snapmla_stream *stream;
  snapmla_event *start, *stop;
  snapmla_buffer *q_nope, *q_rope, *kv, *block_table, *seqlens, *out, *lse, *workspace;
  snapmla_buffer *indices, *counts;      /* of sparse decoding */
  snapmla_buffer *sinks;                 /* of a problem that has them */
  snapmla_buffer *latent, *rope, *slots; /* rows on their way into the cache */
  int64_t staged_rows;                   /* that those three hold */
  void *host;                            /* the same rows on the host, owned: latents, ropes, slots */
  snapmla_decode_args args;
} smla_session;

/* Takes over the plan, on failure too, makes buffers (all filled with 0xff) and uploads what does not change. On
 * failure close is harmless. */
snapmla_status smla_session_open(snapmla_context *context, const snapmla_device_info *info, const smla_workload *work,
                                 snapmla_plan *plan, smla_session *out);
void smla_session_close(smla_session *session);

/* Appends the prompt, or uploads the stored cache. */
snapmla_status smla_session_fill(smla_session *session);
/* One decode step: appends its tokens, uploads its query, schedules and decodes; microseconds of the decode call. */
snapmla_status smla_session_step(smla_session *session, int32_t step, double *microseconds);
/* Repeats the last decode call; the median of its times. */
snapmla_status smla_session_repeat(smla_session *session, int32_t count, double *microseconds);

/* Elements of the results. */
size_t smla_session_out_count(const smla_workload *work); /* batch * q_len * heads * latent_rank */
size_t smla_session_lse_count(const smla_workload *work); /* batch * heads * q_len */
/* Reads the results of the last decode and its status word. */
snapmla_status smla_session_read(const smla_session *session, uint16_t *out, float *lse, uint32_t *status_word);
/* Reads a page of the cache: work->page_stride bytes. */
snapmla_status smla_session_read_page(const smla_session *session, int64_t page, void *target);

#endif
