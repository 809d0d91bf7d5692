#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "library.h"

enum { MOST_STAGED_ROWS = 4096 };

static void on_progress(void *user, const char *what) {
  (void)user;
  smla_console_progress("%s", what);
}

snapmla_status smla_device_open(const smla_settings *settings, snapmla_context **context, snapmla_device_info *info) {
  snapmla_context_options options = {.size = sizeof options,
                                     .device = settings->device,
                                     .templates = settings->templates,
                                     .emulator_seed = settings->seed,
                                     .emulator_sms = settings->emulator_sms,
                                     .progress = on_progress};
  if (settings->emulator_order >= 0) options.emulator_order = (snapmla_emulator_order)settings->emulator_order;
  snapmla_status status = smla_library_status(snapmla_context_create(&options, context));
  if (status) return status;
  *info = (snapmla_device_info){.size = sizeof *info};
  status = smla_library_status(snapmla_context_info(*context, info));
  if (status) {
    snapmla_context_destroy(*context);
    *context = NULL;
  }
  return status;
}

size_t smla_session_out_count(const smla_workload *work) {
  return (size_t)work->lengths.count * (size_t)work->problem.q_len * (size_t)work->problem.heads *
         (size_t)work->problem.latent_rank;
}

size_t smla_session_lse_count(const smla_workload *work) {
  return (size_t)work->lengths.count * (size_t)work->problem.q_len * (size_t)work->problem.heads;
}

/* The arguments of every decode call: all tensors dense. */
static void set_args(smla_session *session) {
  const smla_workload *work = session->work;
  int64_t heads = work->problem.heads, q_len = work->problem.q_len;
  int64_t rank = work->problem.latent_rank, dim = work->problem.rope_dim;
  session->args = (snapmla_decode_args){
      .size = sizeof session->args,
      .batch = work->lengths.count,
      .q_nope = snapmla_buffer_pointer(session->q_nope),
      .q_nope_stride_batch = q_len * heads * rank,
      .q_nope_stride_token = heads * rank,
      .q_nope_stride_head = rank,
      .q_rope = snapmla_buffer_pointer(session->q_rope),
      .q_rope_stride_batch = q_len * heads * dim,
      .q_rope_stride_token = heads * dim,
      .q_rope_stride_head = dim,
      .kv = snapmla_buffer_pointer(session->kv),
      .page_stride = work->page_stride,
      .num_pages = work->num_pages,
      .block_table = snapmla_buffer_pointer(session->block_table),
      .block_table_stride = work->table_stride,
      .seqlens = snapmla_buffer_pointer(session->seqlens),
      .out = snapmla_buffer_pointer(session->out),
      .out_stride_batch = q_len * heads * rank,
      .out_stride_token = heads * rank,
      .out_stride_head = rank,
      .lse = snapmla_buffer_pointer(session->lse),
      .lse_stride_batch = heads * q_len,
      .lse_stride_head = q_len,
      .lse_stride_token = 1,
      .softmax_scale = (float)work->softmax_scale,
      .kv_scale = work->kv_scale,
      .workspace = snapmla_buffer_pointer(session->workspace),
      .workspace_bytes = snapmla_buffer_bytes(session->workspace),
      .stream = snapmla_stream_handle(session->stream),
  };
  if (session->sinks) session->args.sinks = snapmla_buffer_pointer(session->sinks);
  if (!work->problem.max_indices) return;
  session->args.block_table = session->args.seqlens = NULL;
  session->args.indices = snapmla_buffer_pointer(session->indices);
  session->args.indices_stride_token = work->problem.max_indices;
  session->args.indices_stride_batch = q_len * work->problem.max_indices;
  session->args.index_counts = snapmla_buffer_pointer(session->counts);
}

snapmla_status smla_session_open(snapmla_context *context, const snapmla_device_info *info, const smla_workload *work,
                                 snapmla_plan *plan, smla_session *out) {
  size_t rows = smla_session_lse_count(work), rank = (size_t)work->problem.latent_rank;
  size_t dim = (size_t)work->problem.rope_dim;
  int64_t wanted = (int64_t)work->lengths.count * work->problem.q_len;
  size_t lists = (size_t)wanted * (work->problem.max_indices > 0), entries = (size_t)work->problem.max_indices;
  snapmla_status status = SNAPMLA_OK;
  *out = (smla_session){.work = work, .context = context, .plan = plan};
  out->staged_rows = work->kv ? 1 : wanted > MOST_STAGED_ROWS ? wanted : MOST_STAGED_ROWS;
  if (out->staged_rows > MOST_STAGED_ROWS) out->staged_rows = MOST_STAGED_ROWS;
  size_t staged = (size_t)out->staged_rows;
  if (info->is_emulator) status = smla_memory_check("the cache", work->num_pages * work->page_stride);
  if (!status) status = smla_library_status(snapmla_stream_create(context, &out->stream));
  if (!status) status = smla_library_status(snapmla_event_create(context, &out->start));
  if (!status) status = smla_library_status(snapmla_event_create(context, &out->stop));
  const struct {
    snapmla_buffer **buffer;
    size_t bytes;
  } buffers[] = {
      {&out->kv, (size_t)work->num_pages * (size_t)work->page_stride},
      {&out->q_nope, rows * rank * sizeof(uint16_t)},
      {&out->q_rope, rows * dim * sizeof(uint16_t)},
      {&out->block_table, (size_t)work->lengths.count * (size_t)work->table_stride * sizeof(int32_t)},
      {&out->seqlens, (size_t)work->lengths.count * sizeof(int32_t)},
      {&out->indices, lists * entries * sizeof(int32_t)},
      {&out->counts, lists * sizeof(int32_t)},
      {&out->sinks, work->problem.flags & SNAPMLA_PROBLEM_SINKS ? (size_t)work->problem.heads * sizeof(float) : 0},
      {&out->out, rows * rank * sizeof(uint16_t)},
      {&out->lse, rows * sizeof(float)},
      {&out->workspace, snapmla_plan_workspace_bytes(plan)},
      {&out->latent, staged * rank * sizeof(uint16_t)},
      {&out->rope, staged * dim * sizeof(uint16_t)},
      {&out->slots, staged * sizeof(int64_t)},
  };
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers && !status; ++i)
    if (buffers[i].bytes)
      status = smla_library_status(snapmla_buffer_create(context, buffers[i].bytes, buffers[i].buffer));
  if (!status) {
    out->host = malloc(staged * (rank + dim) * sizeof(uint16_t) + staged * sizeof(int64_t));
    if (!out->host) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for rows of the cache");
  }
  if (!status)
    status = smla_library_status(
        snapmla_buffer_write(out->block_table, 0, work->block_table, snapmla_buffer_bytes(out->block_table)));
  float sinks[SMLA_MOST_HEADS];
  smla_workload_sinks(work, sinks);
  if (!status && out->sinks)
    status = smla_library_status(snapmla_buffer_write(out->sinks, 0, sinks, snapmla_buffer_bytes(out->sinks)));
  if (!status)
    set_args(out);
  else
    smla_session_close(out);
  return status;
}

void smla_session_close(smla_session *session) {
  snapmla_buffer *buffers[] = {session->q_nope,  session->q_rope, session->kv,    session->block_table,
                               session->seqlens, session->out,    session->lse,   session->workspace,
                               session->latent,  session->rope,   session->slots, session->indices,
                               session->counts,  session->sinks};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; ++i)
    if (buffers[i]) snapmla_buffer_destroy(buffers[i]);
  if (session->start) snapmla_event_destroy(session->start);
  if (session->stop) snapmla_event_destroy(session->stop);
  if (session->stream) snapmla_stream_destroy(session->stream);
  if (session->plan) snapmla_plan_destroy(session->plan);
  free(session->host);
  *session = (smla_session){0};
}

/* The staged rows: slots first, they have the widest elements. */
static int64_t *host_slots(const smla_session *session) { return session->host; }
static uint16_t *host_latent(const smla_session *session) {
  return (uint16_t *)(host_slots(session) + session->staged_rows);
}
static uint16_t *host_rope(const smla_session *session) {
  return host_latent(session) + session->staged_rows * session->work->problem.latent_rank;
}

/* Sends `count` staged rows through the plan. */
static snapmla_status flush(smla_session *session, int64_t count) {
  int64_t rank = session->work->problem.latent_rank, dim = session->work->problem.rope_dim;
  if (!count) return SNAPMLA_OK;
  snapmla_append_args args = {.size = sizeof args,
                              .tokens = count,
                              .latent = snapmla_buffer_pointer(session->latent),
                              .latent_stride = rank,
                              .rope = snapmla_buffer_pointer(session->rope),
                              .rope_stride = dim,
                              .slot_mapping = snapmla_buffer_pointer(session->slots),
                              .kv = snapmla_buffer_pointer(session->kv),
                              .page_stride = session->work->page_stride,
                              .num_pages = session->work->num_pages,
                              .kv_scale = session->work->kv_scale,
                              .stream = snapmla_stream_handle(session->stream)};
  size_t n = (size_t)count;
  snapmla_status status = snapmla_buffer_write(session->slots, 0, host_slots(session), n * sizeof(int64_t));
  if (!status)
    status = snapmla_buffer_write(session->latent, 0, host_latent(session), n * (size_t)rank * sizeof(uint16_t));
  if (!status && dim)
    status = snapmla_buffer_write(session->rope, 0, host_rope(session), n * (size_t)dim * sizeof(uint16_t));
  if (!status) status = snapmla_plan_append(session->plan, &args);
  if (!status) status = snapmla_stream_synchronize(session->stream);
  return smla_library_status(status);
}

/* Stages one row, sending the staged ones first where there is no room; token -1 is a row to skip. */
static snapmla_status stage(smla_session *session, int64_t *staged, int32_t request, int32_t token) {
  const smla_workload *work = session->work;
  snapmla_status status = SNAPMLA_OK;
  if (*staged == session->staged_rows) {
    status = flush(session, *staged);
    *staged = 0;
  }
  uint16_t *latent = host_latent(session) + *staged * work->problem.latent_rank;
  uint16_t *rope = host_rope(session) + *staged * work->problem.rope_dim;
  host_slots(session)[*staged] = token < 0 ? -1 : smla_workload_slot(work, request, token);
  if (token >= 0) {
    smla_workload_token(work, request, token, latent, rope);
  } else {
    memset(latent, 0xff, (size_t)work->problem.latent_rank * sizeof *latent);
    memset(rope, 0xff, (size_t)work->problem.rope_dim * sizeof *rope);
  }
  ++*staged;
  return status;
}

snapmla_status smla_session_fill(smla_session *session) {
  const smla_workload *work = session->work;
  snapmla_status status = SNAPMLA_OK;
  int64_t staged = 0;
  if (work->kv)
    return smla_library_status(
        snapmla_buffer_write(session->kv, 0, work->kv, (size_t)work->num_pages * (size_t)work->page_stride));
  for (int32_t b = 0; b < work->lengths.count && !status; ++b) {
    int32_t prompt = smla_workload_length(work, -1, b);
    for (int32_t t = 0; t < prompt && !status; ++t) {
      if (t % MOST_STAGED_ROWS == 0)
        smla_console_progress("appending request %d of %d, token %d of %d", b + 1, work->lengths.count, t, prompt);
      status = stage(session, &staged, b, t);
    }
  }
  return status ? status : flush(session, staged);
}

/* The step's new tokens, q_len rows a request; a request that has not begun yet has rows to skip. */
static snapmla_status append_step(smla_session *session, int32_t step) {
  const smla_workload *work = session->work;
  snapmla_status status = SNAPMLA_OK;
  int64_t staged = 0;
  if (work->kv) return SNAPMLA_OK;
  for (int32_t b = 0; b < work->lengths.count && !status; ++b) {
    int32_t before = smla_workload_length(work, step - 1, b), after = smla_workload_length(work, step, b);
    for (int32_t i = 0; i < work->problem.q_len && !status; ++i)
      status = stage(session, &staged, b, before + i < after ? before + i : -1);
  }
  return status ? status : flush(session, staged);
}

/* The list of every query token of a request; what lies behind its count is garbage. */
static snapmla_status upload_lists(smla_session *session, int32_t step, int32_t request) {
  const smla_workload *work = session->work;
  size_t entries = (size_t)work->problem.max_indices, bytes = entries * sizeof(int32_t);
  snapmla_status status = SNAPMLA_OK;
  int32_t *list = malloc(bytes + 1);
  if (!list) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a list of %zu entries", entries);
  for (int32_t q = 0; q < work->problem.q_len && !status && entries; ++q) {
    int32_t count = smla_workload_count(work, step, request, q);
    size_t number = (size_t)request * (size_t)work->problem.q_len + (size_t)q;
    for (int32_t i = 0; i < work->problem.max_indices; ++i)
      list[i] = i < count ? (int32_t)smla_workload_slot(work, request, smla_workload_chosen(work, step, request, q, i))
                          : INT32_MAX - i;
    status = snapmla_buffer_write(session->indices, number * bytes, list, bytes);
    if (!status) status = snapmla_buffer_write(session->counts, number * sizeof count, &count, sizeof count);
  }
  free(list);
  return status;
}

/* The step's query and lengths or lists; the last step's results are overwritten, so that none passes for a new one. */
static snapmla_status upload_step(smla_session *session, int32_t step) {
  const smla_workload *work = session->work;
  size_t rows = (size_t)work->problem.q_len * (size_t)work->problem.heads;
  size_t nope_count = rows * (size_t)work->problem.latent_rank, rope_count = rows * (size_t)work->problem.rope_dim;
  snapmla_status status = SNAPMLA_OK;
  uint16_t *nope = malloc((nope_count + rope_count) * sizeof *nope);
  if (!nope) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for a query");
  uint16_t *rope = nope + nope_count;
  for (int32_t b = 0; b < work->lengths.count && !status; ++b) {
    int32_t length = smla_workload_length(work, step, b);
    size_t at = (size_t)b;
    smla_workload_query(work, step, b, nope, rope);
    status = snapmla_buffer_write(session->q_nope, at * nope_count * sizeof *nope, nope, nope_count * sizeof *nope);
    if (!status && rope_count)
      status = snapmla_buffer_write(session->q_rope, at * rope_count * sizeof *rope, rope, rope_count * sizeof *rope);
    if (!status) status = snapmla_buffer_write(session->seqlens, at * sizeof length, &length, sizeof length);
    if (!status) status = upload_lists(session, step, b);
    memset(nope, 0xff, nope_count * sizeof *nope);
    if (!status)
      status = snapmla_buffer_write(session->out, at * nope_count * sizeof *nope, nope, nope_count * sizeof *nope);
    if (!status) status = snapmla_buffer_write(session->lse, at * rows * sizeof(float), nope, rows * sizeof(float));
  }
  free(nope);
  return smla_library_status(status);
}

static snapmla_status decode_timed(smla_session *session, double *microseconds) {
  snapmla_status status = snapmla_event_record(session->start, session->stream);
  if (!status) status = snapmla_plan_decode(session->plan, &session->args);
  if (!status) status = snapmla_event_record(session->stop, session->stream);
  if (!status) status = snapmla_stream_synchronize(session->stream);
  if (!status) status = snapmla_event_elapsed(session->start, session->stop, microseconds);
  return smla_library_status(status);
}

snapmla_status smla_session_step(smla_session *session, int32_t step, double *microseconds) {
  snapmla_status status = append_step(session, step);
  if (!status) status = upload_step(session, step);
  if (!status) smla_console_progress("decoding, step %d of %d", step + 1, session->work->steps);
  if (!status) status = smla_library_status(snapmla_plan_schedule(session->plan, &session->args));
  return status ? status : decode_timed(session, microseconds);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

snapmla_status smla_session_repeat(smla_session *session, int32_t count, double *microseconds) {
  enum { WARM_UP = 3 };
  snapmla_status status = SNAPMLA_OK;
  double *times = malloc((size_t)count * sizeof *times);
  if (!times) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory for %d times", count);
  for (int32_t i = -WARM_UP; i < count && !status; ++i) {
    smla_console_progress("timing, %d of %d", i < 0 ? 0 : i + 1, count);
    status = decode_timed(session, &times[i < 0 ? 0 : i]);
  }
  if (!status) {
    qsort(times, (size_t)count, sizeof *times, by_value);
    *microseconds = (times[(count - 1) / 2] + times[count / 2]) / 2;
  }
  free(times);
  return status;
}

snapmla_status smla_session_read(const smla_session *session, uint16_t *out, float *lse, uint32_t *status_word) {
  snapmla_status status = snapmla_buffer_read(session->out, 0, out, snapmla_buffer_bytes(session->out));
  if (!status) status = snapmla_buffer_read(session->lse, 0, lse, snapmla_buffer_bytes(session->lse));
  if (!status) status = snapmla_buffer_read(session->workspace, 0, status_word, sizeof *status_word);
  return smla_library_status(status);
}

snapmla_status smla_session_read_page(const smla_session *session, int64_t page, void *target) {
  size_t stride = (size_t)session->work->page_stride;
  return smla_library_status(snapmla_buffer_read(session->kv, (size_t)page * stride, target, stride));
}
