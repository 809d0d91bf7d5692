/* One problem on a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "console.h"
#include "digest.h"
#include "soak.h"
#include "status.h"

enum { GUARD = 4096, GUARD_BYTE = 0xa5 };

snapmla_status soak_status(snapmla_status status) {
  return status ? smla_console_fail(status, "%s", snapmla_error_message()) : SNAPMLA_OK;
}

/* --- guarded memory */

static snapmla_status fill(lane *l, unsigned char *target, int byte, size_t bytes) {
  unsigned char *host = malloc(bytes ? bytes : 1);
  if (!host) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: %zu bytes", bytes);
  memset(host, byte, bytes);
  snapmla_status status = soak_status(l->b.device->ops->copy_in(l->b.device, target, host, bytes));
  free(host);
  return status;
}

static snapmla_status guarded_open(lane *l, size_t bytes, guarded *out) {
  size_t room = (bytes + GUARD - 1) / GUARD * GUARD; /* the second band begins right behind what is used */
  snapmla_status status = soak_status(bench_memory_open(&l->b, room + 2 * (size_t)GUARD, &out->memory));
  if (status) return status;
  out->pointer = out->memory.pointer + GUARD;
  out->bytes = bytes;
  status = fill(l, out->memory.pointer, GUARD_BYTE, room + 2 * (size_t)GUARD);
  return status ? status : fill(l, out->pointer, 0xff, bytes);
}

/* Reads the inside into `target` (NULL: only the bands are looked at) and counts bytes of the bands that changed. */
static snapmla_status guarded_read(lane *l, const guarded *g, void *target, int *broken) {
  static const size_t sides = 2;
  unsigned char band[GUARD];
  const unsigned char *at[] = {g->pointer - GUARD, g->pointer + g->bytes};
  const smla_device_ops *ops = l->b.device->ops;
  snapmla_status status = target ? ops->copy_out(l->b.device, target, g->pointer, g->bytes) : SNAPMLA_OK;
  for (size_t side = 0; side < sides && !status; side++) {
    status = ops->copy_out(l->b.device, band, at[side], GUARD);
    for (size_t i = 0; i < GUARD && !status; i++) *broken += band[i] != GUARD_BYTE;
  }
  return soak_status(status);
}

/* --- opening */

static snapmla_status describe(lane *l, uint64_t seed, snapmla_plan **plan) {
  const soak_problem *of = l->of;
  const smla_data data = {.kind = SMLA_DATA_NORMAL, .sigma = 1};
  const snapmla_plan_options options = {.size = sizeof options, .flags = SNAPMLA_PLAN_DETERMINISTIC};
  snapmla_plan_report report = {.size = sizeof report};
  char context[16];
  smla_lengths lengths = {0};
  smla_settings settings;
  smla_settings_init(&settings);
  snprintf(context, sizeof context, "%d", of->context);
  settings.heads = of->heads;
  settings.q_len = of->q_len;
  settings.latent = of->latent;
  settings.page = of->page;
  settings.batch = of->batch;
  settings.context = context;
  settings.sparse = of->sparse;
  settings.format = of->format;
  settings.accuracy = of->accuracy;
  settings.sinks = !!(of->flags & SNAPMLA_PROBLEM_SINKS);
  settings.batch_invariant = !!(of->flags & SNAPMLA_PROBLEM_BATCH_INVARIANT);
  settings.seed = seed;
  snapmla_status status = smla_lengths_read(&settings, context, &lengths);
  if (!status) status = smla_workload_synthetic(&settings, &lengths, data, &l->work);
  if (!status) status = soak_status(snapmla_plan_create(l->b.context, &l->work.problem, &options, plan));
  if (!status) status = soak_status(snapmla_plan_report_get(*plan, &report));
  if (!status) snprintf(l->fingerprint, sizeof l->fingerprint, "%s", report.fingerprint);
  smla_lengths_free(&lengths);
  smla_settings_free(&settings);
  return status;
}

static snapmla_status guard_results(lane *l) {
  snapmla_decode_args *args = &l->session.args;
  snapmla_status status = guarded_open(l, smla_session_out_count(&l->work) * sizeof(uint16_t), &l->out);
  if (!status) status = guarded_open(l, smla_session_lse_count(&l->work) * sizeof(float), &l->lse);
  if (!status) status = guarded_open(l, args->workspace_bytes, &l->workspace);
  args->out = l->out.pointer;
  args->lse = (float *)(void *)l->lse.pointer;
  args->workspace = l->workspace.pointer;
  return status;
}

static snapmla_status eager(void *user) {
  const lane *l = user;
  snapmla_status status = snapmla_plan_schedule(l->session.plan, &l->session.args);
  return status ? status : snapmla_plan_decode(l->session.plan, &l->session.args);
}

snapmla_status lane_open(bench *b, const soak_problem *of, uint64_t seed, lane *out) {
  snapmla_plan *plan = NULL;
  *out = (lane){.b = *b, .of = of};
  snapmla_status status = describe(out, seed, &plan);
  if (!status) status = smla_session_open(b->context, &b->info, &out->work, plan, &out->session);
  if (!status) status = smla_session_fill(&out->session);
  if (status) return status;
  out->b.stream = snapmla_stream_handle(out->session.stream);
  status = guard_results(out);
  /* The rows that every step appends again are in the digest. */
  if (!status) status = lane_begin(out, out->work.lengths.items);
  double begun = smla_clock_seconds();
  if (!status) status = lane_cache(out, &out->cache);
  out->cache_seconds = smla_clock_seconds() - begun;
  return status ? status : replay_open(&out->b, eager, out, &out->captured);
}

void lane_close(lane *l) {
  replay_close(l->captured);
  guarded *all[] = {&l->out, &l->lse, &l->workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (l->b.device) bench_memory_close(&l->b, &all[i]->memory);
  smla_session_close(&l->session);
  smla_workload_free(&l->work);
  *l = (lane){.of = NULL};
}

/* --- steps */

snapmla_status lane_begin(lane *l, const int32_t *lengths) {
  double microseconds;
  if (lengths != l->work.lengths.items)
    memcpy(l->work.lengths.items, lengths, (size_t)l->work.lengths.count * sizeof *lengths);
  return smla_session_step(&l->session, 0, &microseconds);
}

snapmla_status lane_launch(lane *l, int captured) {
  if (captured) return replay_launch(l->captured);
  return soak_status(eager(l));
}

snapmla_status lane_clear(lane *l, int workspace) {
  snapmla_status status = soak_status(snapmla_stream_synchronize(l->session.stream));
  if (!status) status = fill(l, l->out.pointer, 0xff, l->out.bytes);
  if (!status) status = fill(l, l->lse.pointer, 0xff, l->lse.bytes);
  return status || !workspace ? status : fill(l, l->workspace.pointer, 0xff, l->workspace.bytes);
}

snapmla_status lane_read(lane *l, lane_result *out) {
  *out = (lane_result){.out = malloc(l->out.bytes), .lse = malloc(l->lse.bytes)};
  snapmla_status status = soak_status(snapmla_stream_synchronize(l->session.stream));
  if (!out->out || !out->lse) status = smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: results");
  if (!status) status = guarded_read(l, &l->out, out->out, &out->guards_broken);
  if (!status) status = guarded_read(l, &l->lse, out->lse, &out->guards_broken);
  if (!status) status = guarded_read(l, &l->workspace, NULL, &out->guards_broken);
  if (!status)
    status = soak_status(
        l->b.device->ops->copy_out(l->b.device, &out->status_word, l->workspace.pointer, sizeof out->status_word));
  if (!status)
    out->digest = smla_digest(smla_digest(SMLA_DIGEST_START, out->out, l->out.bytes), out->lse, l->lse.bytes);
  return status;
}

void lane_result_free(lane_result *r) {
  free(r->out), free(r->lse);
  *r = (lane_result){.out = NULL};
}

snapmla_status lane_check(lane *l, const lane_result *r, int32_t first, double effort, int *checked, int *ok) {
  const smla_workload *work = &l->work;
  size_t rows = (size_t)work->problem.heads * (size_t)work->problem.q_len;
  size_t values = rows * (size_t)work->problem.latent_rank;
  int32_t chosen = -1;
  for (int32_t i = 0; i < work->lengths.count && chosen < 0; i++) {
    int32_t request = (first + i) % work->lengths.count;
    double cost = smla_check_cost(work, 0, request);
    if (cost > 0 && cost <= effort) chosen = request;
  }
  *ok = 1;
  *checked = chosen >= 0;
  if (chosen < 0) return SNAPMLA_OK;
  const smla_limits limits = smla_limits_of(work);
  smla_distance distance;
  snapmla_status status = smla_check_request(&l->session, &limits, 0, chosen, r->out + (size_t)chosen * values,
                                             r->lse + (size_t)chosen * rows, &distance);
  distance.cache_wrong = 0; /* the last page goes on behind these lengths; whole caches are compared by their digest */
  if (!status) *ok = smla_distance_ok(&distance);
  return status;
}

snapmla_status lane_cache(lane *l, uint64_t *digest) {
  size_t bytes = (size_t)l->work.num_pages * (size_t)l->work.page_stride;
  void *host = malloc(bytes);
  if (!host) return smla_console_fail(SNAPMLA_OUT_OF_MEMORY, "out of memory: a cache of %zu bytes", bytes);
  snapmla_status status = soak_status(snapmla_buffer_read(l->session.kv, 0, host, bytes));
  if (!status) *digest = smla_digest(SMLA_DIGEST_START, host, bytes);
  free(host);
  return status;
}
